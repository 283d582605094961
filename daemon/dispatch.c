/* dispatch.c - from a request to its call of the cache.
 * Owns nothing; a session's running upload belongs to the session. Loop thread only. */
#include "daemon/dispatch.h"

#include <stdio.h>

#include "daemon/log.h"
#include "daemon/reply.h"
#include "proto/key.h"

#define SCAN_LIMIT_MAX 4096
#define SCAN_LIMIT_DEFAULT 256
#define COUNTER_SIZE 8

/* A request under way. */
struct call {
	struct session *session;
	const struct frame *frame;
	struct message message;
	struct target target;
	struct slice body; /* its first segment */
};

static void
refuse(const struct call *call, enum error error, uint64_t detail, const char *text)
{
	reply_error(call->session, call->frame->id, error, detail, text);
}

/* ---- checks. Each answers the request and returns false when it must not be carried out. */

static bool
name_valid(struct slice name)
{
	const char *text = name.data;

	if (name.len == 0 || name.len > NAMESPACE_NAME_MAX)
		return false;
	for (size_t i = 0; i < name.len; i++) {
		char c = text[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '_';

		if (!plain && (i == 0 || (c != '.' && c != '-')))
			return false;
	}
	return true;
}

static bool
check_namespace(struct call *call)
{
	const struct message *message = &call->message;
	char text[MESSAGE_TEXT_MAX];

	call->target.uid = call->session->uid;
	call->target.key = slice(NULL, 0); /* SCAN and FLUSH have none */
	call->target.namespace = message_has(message, FIELD_NAMESPACE)
					 ? message->namespace
					 : slice("default", 7);
	if (name_valid(call->target.namespace))
		return true;
	if (message->namespace.len &&
	    memchr(message->namespace.data, '/', message->namespace.len)) {
		snprintf(text, sizeof(text),
			 "Brine has namespaces, not directories; your data is in %s",
			 call->session->all->data);
		refuse(call, ERROR_BAD_NAMESPACE, 0, text);
	} else {
		refuse(call, ERROR_BAD_NAMESPACE, 0, NULL);
	}
	return false;
}

static bool
check_target(struct call *call)
{
	if (!check_namespace(call))
		return false;
	call->target.key = call->message.key;
	if (!message_has(&call->message, FIELD_KEY)) {
		refuse(call, ERROR_BAD_REQUEST, 0, "the request has no KEY");
		return false;
	}
	if (key_valid(call->target.key))
		return true;
	refuse(call, ERROR_BAD_KEY, 0, NULL);
	return false;
}

/* Sets ttl_ms to TTL_NEVER where it is absent. */
static bool
check_ttl(struct call *call)
{
	struct message *message = &call->message;

	if (!message_has(message, FIELD_TTL))
		message->ttl_ms = TTL_NEVER;
	if (message->ttl_ms)
		return true;
	refuse(call, ERROR_BAD_REQUEST, 0,
	       "TTL is 0; leave it away for never, or delete the object");
	return false;
}

static bool
check_choice(struct call *call, enum field field, uint64_t value, uint64_t highest)
{
	if (value <= highest)
		return true;
	refuse(call, ERROR_UNSUPPORTED, field, NULL);
	return false;
}

static bool
check_ack(struct call *call)
{
	return check_choice(call, FIELD_ACK, call->message.ack, ACK_DISK);
}

static enum ack
ack_or(const struct call *call, enum ack initial)
{
	return call->message.ack ? (enum ack)call->message.ack : initial;
}

/* ---- commands without a body */

/* Calls the cache with the place of a later answer, and gives out the answer if it is there. */
#define ASK(call, form, function, ...)                                                   \
	do {                                                                             \
		struct session *session_ = (call)->session;                              \
		uint32_t id_ = (call)->frame->id;                                        \
		struct later later_ = reply_later(session_, id_, form);                  \
		struct answer answer_ = { 0 };                                           \
		if (function(__VA_ARGS__, &later_, &answer_) == CACHE_NOW)               \
			reply_now(session_, id_, form, &answer_);                        \
	} while (0)

static void
do_hello(struct call *call)
{
	const struct sessions *all = call->session->all;
	struct message reply = { 0 };

	MESSAGE_SET(&reply, PROTOCOL, protocol, FRAME_VERSION);
	MESSAGE_SET(&reply, FEATURES, features, 0);
	MESSAGE_SET(&reply, RELEASE, release, all->release);
	MESSAGE_SET(&reply, UID, uid, call->session->uid);
	MESSAGE_SET(&reply, MAX_VALUE, max_value, cache_max_value(all->cache));
	MESSAGE_SET(&reply, EPOCH, epoch, cache_epoch(all->cache));
	outbox_frame(&call->session->outbox, FRAME_REPLY, call->frame->id, &reply);
}

static void
do_ping(struct call *call)
{
	const struct message reply = { 0 };

	outbox_frame(&call->session->outbox, FRAME_REPLY, call->frame->id, &reply);
}

static void
do_get(struct call *call)
{
	const struct message *message = &call->message;
	bool meta_only = call->frame->kind == COMMAND_META;
	struct get get;

	if (!check_target(call))
		return;
	get = (struct get){
		.target = call->target,
		.max_age_ms = message_has(message, FIELD_MAX_AGE) ? message->max_age_ms
								  : TTL_NEVER,
		.not_version = message->not_version,
		.refresh = message_has(message, FIELD_REFRESH),
		.refresh_ms = message->refresh_ms,
		.meta_only = meta_only,
	};
	ASK(call, meta_only ? REPLY_META : REPLY_VALUE, cache_get,
	    call->session->all->cache, &get);
}

static void
do_delete(struct call *call)
{
	if (!check_target(call) || !check_ack(call))
		return;
	ASK(call, REPLY_STATUS, cache_delete, call->session->all->cache, &call->target,
	    call->message.version, ack_or(call, ACK_DISK));
}

static void
do_touch(struct call *call)
{
	if (!check_target(call) || !check_ttl(call) || !check_ack(call))
		return;
	ASK(call, REPLY_TOUCHED, cache_touch, call->session->all->cache, &call->target,
	    call->message.ttl_ms, ack_or(call, ACK_MEMORY));
}

static void
do_flush(struct call *call)
{
	if (!check_namespace(call) || !check_ack(call))
		return;
	ASK(call, REPLY_STATUS, cache_flush, call->session->all->cache, &call->target,
	    ack_or(call, ACK_DISK));
}

static void
do_scan(struct call *call)
{
	const struct message *message = &call->message;
	uint64_t limit =
		message_has(message, FIELD_LIMIT) ? message->limit : SCAN_LIMIT_DEFAULT;

	if (!check_namespace(call))
		return;
	if (limit == 0 || limit > SCAN_LIMIT_MAX) {
		refuse(call, ERROR_BAD_REQUEST, 0, "LIMIT must be 1 to 4096");
		return;
	}
	if (message->prefix.len > KEY_MAX || message->cursor.len > MESSAGE_CURSOR_MAX) {
		refuse(call, ERROR_BAD_REQUEST, 0, "PREFIX or CURSOR is too long");
		return;
	}
	ASK(call, REPLY_PAGE, cache_scan, call->session->all->cache, &call->target,
	    message->prefix, message->cursor, (unsigned)limit);
}

static void
do_stats(struct call *call)
{
	const struct sessions *all = call->session->all;
	uint32_t uid = call->session->uid;

	ASK(call, REPLY_STATS, cache_stats, all->cache, uid,
	    uid == 0 || uid == all->own_uid);
}

static void
do_sync(struct call *call)
{
	ASK(call, REPLY_EMPTY, cache_sync, call->session->all->cache);
}

/* ---- PUT */

static bool
check_condition(struct call *call)
{
	const struct message *message = &call->message;
	bool wants = message->condition == CONDITION_VERSION;

	if (!check_choice(call, FIELD_CONDITION, message->condition, CONDITION_VERSION))
		return false;
	if (wants == message_has(message, FIELD_VERSION))
		return true;
	refuse(call, ERROR_BAD_REQUEST, 0,
	       wants ? "CONDITION 3 needs a VERSION" : "VERSION needs CONDITION 3");
	return false;
}

/* What the header says of the body, and the body if it is here whole. */
static bool
check_body(struct call *call)
{
	const struct message *message = &call->message;
	bool whole = call->frame->first.mark == FRAME_LAST;
	bool counter = message->object_kind == OBJECT_COUNTER;

	if (call->frame->first.mark == FRAME_NONE) {
		refuse(call, ERROR_BAD_REQUEST, 0, "a PUT needs a body");
		return false;
	}
	if (message_has(message, FIELD_LENGTH) &&
	    (whole ? call->body.len != message->length
		   : call->body.len > message->length)) {
		refuse(call, ERROR_BAD_REQUEST, 0, "the body's length is not LENGTH");
		return false;
	}
	if (counter &&
	    (whole ? call->body.len != COUNTER_SIZE : call->body.len > COUNTER_SIZE)) {
		refuse(call, ERROR_BAD_REQUEST, 0, "a counter's value has 8 bytes");
		return false;
	}
	return true;
}

static bool
check_put(struct call *call)
{
	const struct message *message = &call->message;

	if (!check_target(call) || !check_ttl(call) || !check_ack(call) ||
	    !check_condition(call) ||
	    !check_choice(call, FIELD_OBJECT_KIND, message->object_kind, OBJECT_COUNTER))
		return false;
	if (message->codec > UINT32_MAX) {
		refuse(call, ERROR_BAD_REQUEST, 0, "CODEC has more than 32 bits");
		return false;
	}
	return check_body(call);
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

static void
do_put(struct call *call)
{
	const struct message *message = &call->message;
	struct put put;

	if (call->frame->first.mark == FRAME_ABORT) {
		refuse(call, ERROR_ABORTED, 0, NULL);
		return;
	}
	if (!check_put(call))
		return;
	put = (struct put){
		.target = call->target,
		.payer = call->session->payer,
		.ttl_ms = message->ttl_ms,
		.codec = (uint32_t)message->codec,
		.object_kind = (uint8_t)message->object_kind,
		.cost_us = message->cost_us,
		.condition = (enum condition)message->condition,
		.version = message->version,
		.ack = ack_or(call, ACK_MEMORY),
	};
	if (call->frame->first.mark == FRAME_MORE)
		begin_upload(call, &put);
	else
		ASK(call, REPLY_VERSION, cache_put, call->session->all->cache, &put,
		    call->body);
}

/* ---- requests */

static void (*const commands[])(struct call *) = {
	[COMMAND_HELLO] = do_hello,   [COMMAND_PING] = do_ping,
	[COMMAND_GET] = do_get,       [COMMAND_PUT] = do_put,
	[COMMAND_DELETE] = do_delete, [COMMAND_TOUCH] = do_touch,
	[COMMAND_META] = do_get,      [COMMAND_SCAN] = do_scan,
	[COMMAND_FLUSH] = do_flush,   [COMMAND_STATS] = do_stats,
	[COMMAND_SYNC] = do_sync,
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* The lowest field below 128 that the command does not take; 0 if there is none. */
static unsigned
surplus_field(const struct message *message, uint64_t allowed)
{
	uint64_t surplus = message->present[0] & ~allowed;

	if (surplus)
		return (unsigned)__builtin_ctzll(surplus);
	if (message->present[1])
		return 64 + (unsigned)__builtin_ctzll(message->present[1]);
	return 0;
}

/* Does the command take these fields and this body? */
static bool
check_shape(struct call *call, struct slice header)
{
	unsigned field = 0;
	uint64_t allowed;
	int result;

	if (call->frame->version != FRAME_VERSION || call->frame->flags ||
	    call->frame->kind >= COMMANDS || !commands[call->frame->kind] ||
	    !message_command_fields(call->frame->kind, &allowed)) {
		refuse(call, ERROR_UNSUPPORTED, 0, NULL);
		return false;
	}
	result = message_decode(header, &call->message, &field);
	if (result == MESSAGE_MALFORMED) {
		refuse(call, ERROR_BAD_REQUEST, 0, "the header is malformed");
		return false;
	}
	if (result == MESSAGE_OK)
		field = surplus_field(&call->message, allowed);
	if (field) {
		refuse(call, ERROR_UNSUPPORTED, field, NULL);
		return false;
	}
	if (call->frame->first.mark != FRAME_NONE && call->frame->kind != COMMAND_PUT) {
		refuse(call, ERROR_BAD_REQUEST, 0, "this command takes no body");
		return false;
	}
	return true;
}

/* The first frame of a connection. Whatever it has beyond what we know is ignored. */
static const char *
greet(struct call *call, struct slice header)
{
	unsigned field;

	if (call->frame->kind != COMMAND_HELLO || call->frame->version != 1)
		return "the first frame is not HELLO";
	if (message_decode(header, &call->message, &field) == MESSAGE_MALFORMED)
		return "the header of HELLO is malformed";
	call->session->greeted = true;
	if (call->frame->first.mark != FRAME_NONE)
		refuse(call, ERROR_BAD_REQUEST, 0, "this command takes no body");
	else
		do_hello(call);
	return NULL;
}

enum dispatch_result
dispatch_frame(struct session *session, const struct frame *frame, struct slice header,
	       struct slice first, const char **ret_why)
{
	struct call call; /* not initialised: message_decode() does that, once */
	struct counters *counters = &session->all->counters;
	const char *why = NULL;

	CHECK(session->body == BODY_NONE);
	call.session = session;
	call.frame = frame;
	call.body = first;
	if (frame->id != session->next_id)
		why = "its id is out of sequence";
	else if (frame->kind >= COUNTERS_COMMANDS)
		why = "it is not a request";
	else if (session->greeted && frame->kind == COMMAND_HELLO)
		why = "it is a second HELLO";
	if (!why && first.len && frame->kind == COMMAND_PUT &&
	    !cache_admits(session->all->cache, session->payer, first.len))
		return DISPATCH_NO_ROOM;
	if (!why && !session->greeted)
		why = greet(&call, header);
	else if (!why && check_shape(&call, header))
		commands[frame->kind](&call);
	if (why) {
		*ret_why = why;
		return DISPATCH_BROKEN;
	}
	session->next_id++;
	counters->requests[frame->kind]++;
	if (frame->first.mark == FRAME_MORE && session->body == BODY_NONE)
		session->body = BODY_DISCARD;
	return DISPATCH_TAKEN;
}

/* ---- bodies in several segments */

static void
end_upload(struct session *session, const struct answer *answer)
{
	reply_answer(session, session->next_id - 1, REPLY_VERSION, answer);
	upload_abort(&session->upload);
	session->body = BODY_DISCARD;
}

static void
finish_upload(struct session *session)
{
	uint32_t id = session->next_id - 1;
	struct later later = reply_later(session, id, REPLY_VERSION);
	struct answer answer = { 0 };

	if (upload_finish(&session->upload, &later, &answer) == CACHE_NOW)
		reply_now(session, id, REPLY_VERSION, &answer);
	session->upload = NULL;
	session->body = BODY_NONE;
}

static void
continue_upload(struct session *session, const struct frame_segment *segment,
		struct slice bytes)
{
	const struct answer aborted = { .kind = ANSWER_ERROR, .error = ERROR_ABORTED };
	const struct answer length = { .kind = ANSWER_ERROR,
				       .error = ERROR_BAD_REQUEST,
				       .text = "the body's length is not what was "
					       "announced" };
	struct answer answer = { 0 };

	session->upload_received += bytes.len;
	if (segment->mark == FRAME_ABORT)
		end_upload(session, &aborted);
	else if (session->upload_received > session->upload_length ||
		 (segment->mark == FRAME_LAST && session->upload_length != UINT64_MAX &&
		  session->upload_received < session->upload_length))
		end_upload(session, &length);
	else if (bytes.len && upload_write(session->upload, bytes, &answer))
		end_upload(session, &answer);
	else if (segment->mark == FRAME_LAST)
		finish_upload(session);
}

enum dispatch_result
dispatch_segment(struct session *session, const struct frame_segment *segment,
		 struct slice bytes)
{
	CHECK(session->body != BODY_NONE);
	if (session->body == BODY_UPLOAD) {
		if (segment->mark != FRAME_ABORT && !upload_ready(session->upload))
			return DISPATCH_NO_ROOM;
		continue_upload(session, segment, bytes);
	}
	if (segment->mark != FRAME_MORE)
		session->body = BODY_NONE;
	return DISPATCH_TAKEN;
}
