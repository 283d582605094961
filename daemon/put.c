/* put.c - PUT: its checks, and values that arrive in several segments.
 * A running upload belongs to the session. Loop thread only. */
#include "daemon/put.h"

#include <string.h>

#define COUNTER_SIZE 8

static bool
check_condition(struct call *call)
{
	const struct message *message = &call->message;
	bool wants = message->condition == CONDITION_VERSION;

	if (!call_check_choice(call, FIELD_CONDITION, message->condition,
			       CONDITION_VERSION))
		return false;
	if (wants == message_has(message, FIELD_VERSION))
		return true;
	call_refuse(call, ERROR_BAD_REQUEST, 0,
		    wants ? "CONDITION 3 needs a VERSION" : "VERSION needs CONDITION 3");
	return false;
}

/* May what is there be the answer? */
static bool
check_or_get(struct call *call)
{
	const struct message *message = &call->message;

	if (!call_check_choice(call, FIELD_OR_GET, message->or_get, 1))
		return false;
	if (message->or_get ? message->condition == CONDITION_ABSENT
			    : !message_has(message, FIELD_NOT_VERSION))
		return true;
	call_refuse(call, ERROR_BAD_REQUEST, 0,
		    message->or_get ? "OR_GET needs CONDITION 1"
				    : "NOT_VERSION of a PUT needs OR_GET 1");
	return false;
}

static enum reply_form
form_of(bool or_get)
{
	return or_get ? REPLY_FOUND : REPLY_VERSION;
}

/* What the header says of the body, and the body if it is here whole. */
static bool
check_body(struct call *call)
{
	const struct message *message = &call->message;
	bool whole = call->frame->first.mark == FRAME_LAST;
	bool counter = message->object_kind == OBJECT_COUNTER;

	if (call->frame->first.mark == FRAME_NONE) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "a PUT needs a body");
		return false;
	}
	if (message_has(message, FIELD_LENGTH) &&
	    (whole ? call->body.len != message->length
		   : call->body.len > message->length)) {
		call_refuse(call, ERROR_BAD_REQUEST, 0,
			    "the body's length is not LENGTH");
		return false;
	}
	if (counter &&
	    ((message_has(message, FIELD_LENGTH) && message->length != COUNTER_SIZE) ||
	     (whole ? call->body.len != COUNTER_SIZE : call->body.len > COUNTER_SIZE))) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "a counter's value has 8 bytes");
		return false;
	}
	return true;
}

static bool
check_put(struct call *call)
{
	const struct message *message = &call->message;

	if (!call_check_target(call) || !call_check_ttl(call) || !call_check_ack(call) ||
	    !check_condition(call) || !check_or_get(call) ||
	    !call_check_choice(call, FIELD_OBJECT_KIND, message->object_kind,
			       OBJECT_COUNTER))
		return false;
	if (message_has(message, FIELD_TOKEN) && message->token.len != CACHE_TOKEN_SIZE) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "TOKEN must have 16 bytes");
		return false;
	}
	if (message_has(message, FIELD_TAGS) && !call_check_tags(call))
		return false;
	if (message->codec > UINT32_MAX) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "CODEC has more than 32 bits");
		return false;
	}
	return check_body(call);
}

bool
put_read(struct call *call, struct put *ret_put)
{
	const struct message *message = &call->message;

	if (!check_put(call))
		return false;
	*ret_put = (struct put){
		.target = call->target,
		.payer = call->session->payer,
		.ttl_ms = message->ttl_ms,
		.codec = (uint32_t)message->codec,
		.object_kind = (uint8_t)message->object_kind,
		.cost_us = message->cost_us,
		.stale_for_ms = message->stale_for_ms,
		.tokened = message_has(message, FIELD_TOKEN),
		.condition = (enum condition)message->condition,
		.version = message->version,
		.or_get = message->or_get == 1,
		.not_version = message->not_version,
		.tags = message->tags,
		.ack = call_ack_or(call, ACK_MEMORY),
	};
	if (ret_put->tokened)
		memcpy(ret_put->token, message->token.data, CACHE_TOKEN_SIZE);
	return true;
}

/* A body that goes on: the first segment is the upload's first part. */
static void
begin_upload(struct call *call, const struct put *put)
{
	struct session *session = call->session;
	const struct message *message = &call->message;
	struct answer answer = { 0 };
	struct upload *upload;

	session->upload_length = UINT64_MAX;
	if (message_has(message, FIELD_LENGTH))
		session->upload_length = message->length;
	else if (put->object_kind == OBJECT_COUNTER)
		session->upload_length = COUNTER_SIZE;
	session->upload_received = call->body.len;
	upload = upload_open(session->all->cache, put, session->upload_length, &answer);
	if (upload && call->body.len && upload_write(upload, call->body, &answer))
		upload_abort(&upload);
	if (!upload) {
		reply_answer(session, call->frame->id, REPLY_VERSION, &answer);
		return;
	}
	session->upload = upload;
	session->body = BODY_UPLOAD;
}

void
put_begin(struct call *call)
{
	struct put put;

	if (call->frame->first.mark == FRAME_ABORT) {
		call_refuse(call, ERROR_ABORTED, 0, NULL);
		return;
	}
	if (!put_read(call, &put))
		return;
	if (call->frame->first.mark == FRAME_MORE)
		begin_upload(call, &put);
	else
		CALL_ASK(call, form_of(put.or_get), cache_put, call->session->all->cache,
			 &put, call->body);
}

/* ---- values in several segments */

static void
end_upload(struct session *session, const struct answer *answer)
{
	reply_answer(session, session->next_id - 1, REPLY_VERSION, answer);
	upload_abort(&session->upload);
	session->body = BODY_DISCARD;
}

/* It may have been allowed when it began. */
static bool
may_go_on(struct session *session)
{
	struct slice name = upload_namespace(session->upload);
	enum right right = RIGHT_NONE;

	if (*(const char *)name.data != '/')
		return true;
	session_declaration(session, name, &right);
	return right == RIGHT_WRITE;
}

static void
finish_upload(struct session *session)
{
	uint32_t id = session->next_id - 1;
	enum reply_form form = form_of(upload_or_get(session->upload));
	struct later later = reply_later(session, id, form);
	struct answer answer = { 0 };

	if (upload_finish(&session->upload, &later, &answer) == CACHE_NOW)
		reply_now(session, id, form, &answer);
	session->upload = NULL;
	session->body = BODY_NONE;
}

void
put_continue(struct session *session, const struct frame_segment *segment,
	     struct slice bytes)
{
	const struct answer aborted = { .kind = ANSWER_ERROR, .error = ERROR_ABORTED };
	const struct answer forbidden = { .kind = ANSWER_ERROR,
					  .error = ERROR_FORBIDDEN };
	const struct answer length = { .kind = ANSWER_ERROR,
				       .error = ERROR_BAD_REQUEST,
				       .text = "the body's length is not what was "
					       "announced" };
	struct answer answer = { 0 };

	session->upload_received += bytes.len;
	if (segment->mark == FRAME_ABORT)
		end_upload(session, &aborted);
	else if (!may_go_on(session))
		end_upload(session, &forbidden);
	else if (session->upload_received > session->upload_length ||
		 (segment->mark == FRAME_LAST && session->upload_length != UINT64_MAX &&
		  session->upload_received < session->upload_length))
		end_upload(session, &length);
	else if (bytes.len && upload_write(session->upload, bytes, &answer))
		end_upload(session, &answer);
	else if (segment->mark == FRAME_LAST)
		finish_upload(session);
}
