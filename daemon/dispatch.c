/* dispatch.c - from a request to its call of the cache. Owns nothing. Loop thread only. */
#include "daemon/dispatch.h"

#include "daemon/batch.h"
#include "daemon/call.h"
#include "daemon/log.h"
#include "daemon/put.h"
#include "daemon/showing.h"
#include "proto/key.h"
#include "proto/tag.h"

#define SCAN_LIMIT_MAX 4096
#define SCAN_LIMIT_DEFAULT 256

/* A newer daemon waits for our place; the server sees to it when this turn is over. */
static void
heed_successor(struct call *call)
{
	struct sessions *all = call->session->all;
	uint64_t successor = call->message.successor;

	if (all->makes_room && call->session->uid == all->own_uid &&
	    successor > all->release && successor <= UINT32_MAX)
		all->successor = (uint32_t)successor;
}

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
	if (all->makes_room)
		MESSAGE_SET(&reply, MAKES_ROOM, makes_room, 1);
	outbox_frame(&call->session->outbox, FRAME_REPLY, call->frame->id, &reply);
	heed_successor(call);
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

	if (!call_check_target(call) ||
	    !call_check_choice(call, FIELD_STALE_OK, message->stale_ok, 1) ||
	    !call_check_choice(call, FIELD_QUIET, message->quiet, 1) ||
	    !call_check_choice(call, FIELD_LEASE, message->lease, LEASE_WISH_WAIT))
		return;
	get = (struct get){
		.target = call->target,
		.max_age_ms = message_has(message, FIELD_MAX_AGE) ? message->max_age_ms
								  : TTL_NEVER,
		.not_version = message->not_version,
		.refresh = message_has(message, FIELD_REFRESH),
		.refresh_ms = message->refresh_ms,
		.stale_ok = message->stale_ok == 1,
		.quiet = message->quiet == 1,
		.peer = call->session->peer,
		.lease = (enum lease_wish)message->lease,
		.holder = message->holder,
		.lease_ms = message->lease_ms,
		.wait_ms =
			message_has(message, FIELD_WAIT) ? message->wait_ms : TTL_NEVER,
		.meta_only = meta_only,
	};
	CALL_ASK(call, meta_only ? REPLY_META : REPLY_VALUE, cache_get,
		 call->session->all->cache, &get);
}

static void
do_delete(struct call *call)
{
	if (!call_check_target(call) || !call_check_ack(call))
		return;
	CALL_ASK(call, REPLY_STATUS, cache_delete, call->session->all->cache,
		 &call->target, call->message.version, call_ack_or(call, ACK_DISK));
}

static void
do_take(struct call *call)
{
	if (!call_check_target(call) || !call_check_ack(call))
		return;
	CALL_ASK(call, REPLY_VALUE, cache_take, call->session->all->cache, &call->target,
		 call->message.version, call_ack_or(call, ACK_DISK));
}

static void
do_incr(struct call *call)
{
	const struct message *message = &call->message;
	struct incr incr;

	if (!call_check_target(call) || !call_check_ttl(call) || !call_check_ack(call) ||
	    !call_check_choice(call, FIELD_CONDITION, message->condition,
			       CONDITION_VERSION))
		return;
	if (message->condition && message->condition != CONDITION_PRESENT) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "INCR knows CONDITION 2 only");
		return;
	}
	incr = (struct incr){
		.target = call->target,
		.payer = call->session->payer,
		.delta = message_has(message, FIELD_DELTA) ? (int64_t)message->delta : 1,
		.initial = (int64_t)message->initial,
		.ttl_ms = message->ttl_ms,
		.only_if_present = message->condition == CONDITION_PRESENT,
		.ack = call_ack_or(call, ACK_MEMORY),
	};
	CALL_ASK(call, REPLY_COUNTER, cache_incr, call->session->all->cache, &incr);
}

static void
do_touch(struct call *call)
{
	if (!call_check_target(call) || !call_check_ttl(call) || !call_check_ack(call))
		return;
	CALL_ASK(call, REPLY_TOUCHED, cache_touch, call->session->all->cache,
		 &call->target, call->message.ttl_ms, call_ack_or(call, ACK_MEMORY));
}

static bool
check_token(struct call *call)
{
	if (call->message.token.len == CACHE_TOKEN_SIZE)
		return true;
	call_refuse(call, ERROR_BAD_REQUEST, 0, "TOKEN must have 16 bytes");
	return false;
}

static void
do_release(struct call *call)
{
	const struct message *message = &call->message;
	struct answer answer = { 0 };

	if (!call_check_target(call) || !check_token(call) ||
	    !call_check_choice(call, FIELD_GIVE_UP, message->give_up,
			       GIVE_UP_CANNOT_BE_KEPT))
		return;
	if (!message->give_up) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "RELEASE needs GIVE_UP");
		return;
	}
	cache_release(call->session->all->cache, &call->target, message->token.data,
		      (enum give_up)message->give_up, &answer);
	reply_answer(call->session, call->frame->id, REPLY_STATUS, &answer);
}

static void
do_resume(struct call *call)
{
	const struct message *message = &call->message;
	struct answer answer = { 0 };

	if (!call_check_target(call) || !check_token(call))
		return;
	cache_resume(call->session->all->cache, &call->target, call->session->peer,
		     message->token.data, &answer);
	reply_answer(call->session, call->frame->id, REPLY_STATUS, &answer);
}

/* It looks through all leases, or all namespaces: a thousand of these in a turn would be a second for everybody. */
static void
end_turn(const struct call *call)
{
	user_served(call->session->user, USER_REQUESTS_MAX);
}

static void
do_flush(struct call *call)
{
	if (!call_check_namespace(call) || !call_check_ack(call))
		return;
	end_turn(call);
	CALL_ASK(call, REPLY_STATUS, cache_flush, call->session->all->cache,
		 &call->target, call_ack_or(call, ACK_DISK));
}

static void
do_invalidate(struct call *call)
{
	if (!call_check_namespace(call) || !call_check_tags(call) ||
	    !call_check_ack(call))
		return;
	user_served(call->session->user, (unsigned)tags_count(call->message.tags) - 1);
	CALL_ASK(call, REPLY_STATUS, cache_invalidate, call->session->all->cache,
		 &call->target, call->message.tags, call_ack_or(call, ACK_DISK));
}

static void
do_scan(struct call *call)
{
	const struct message *message = &call->message;
	uint64_t limit =
		message_has(message, FIELD_LIMIT) ? message->limit : SCAN_LIMIT_DEFAULT;

	if (!call_check_namespace(call))
		return;
	if (limit == 0 || limit > SCAN_LIMIT_MAX) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "LIMIT must be 1 to 4096");
		return;
	}
	if (message->prefix.len > KEY_MAX || message->cursor.len > MESSAGE_CURSOR_MAX) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "PREFIX or CURSOR is too long");
		return;
	}
	user_served(call->session->user, USER_SCAN - 1);
	CALL_ASK(call, REPLY_PAGE, cache_scan, call->session->all->cache, &call->target,
		 message->prefix, message->cursor, (unsigned)limit);
}

static void
do_stats(struct call *call)
{
	struct session *session = call->session;
	/* The session is there until it was answered. */
	const struct stats_reader reader = { .uid = session->uid,
					     .admin = session_admin,
					     .may = session_may,
					     .arg = session };

	end_turn(call);
	CALL_ASK(call, REPLY_STATS, cache_stats, session->all->cache, &reader);
}

static void
do_verify(struct call *call)
{
	struct session *session = call->session;

	if (!session_admin(session)) {
		call_refuse(call, ERROR_FORBIDDEN, 0,
			    "the whole store is verified for administrators alone: root, "
			    "the daemon's own user, and members of its admin_group");
		return;
	}
	CALL_ASK(call, REPLY_LINES, cache_verify, session->all->cache, session->uid,
		 call->message.cursor);
}

static void
do_sync(struct call *call)
{
	CALL_ASK(call, REPLY_EMPTY, cache_sync, call->session->all->cache,
		 call->session->uid);
}

/* ---- requests */

static void (*const commands[])(struct call *) = {
	[COMMAND_HELLO] = do_hello,
	[COMMAND_PING] = do_ping,
	[COMMAND_GET] = do_get,
	[COMMAND_PUT] = put_begin,
	[COMMAND_DELETE] = do_delete,
	[COMMAND_TOUCH] = do_touch,
	[COMMAND_META] = do_get,
	[COMMAND_SCAN] = do_scan,
	[COMMAND_FLUSH] = do_flush,
	[COMMAND_STATS] = do_stats,
	[COMMAND_SYNC] = do_sync,
	[COMMAND_RELEASE] = do_release,
	[COMMAND_RESUME] = do_resume,
	[COMMAND_TAKE] = do_take,
	[COMMAND_INCR] = do_incr,
	[COMMAND_BATCH] = batch_begin,
	[COMMAND_INVALIDATE] = do_invalidate,
	[COMMAND_CONFIG] = show_config,
	[COMMAND_VERIFY] = do_verify,
};
#define COMMANDS (sizeof(commands) / sizeof(commands[0]))

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
		call_refuse(call, ERROR_UNSUPPORTED, 0, NULL);
		return false;
	}
	result = message_decode(header, &call->message, &field);
	if (result == MESSAGE_MALFORMED) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "the header is malformed");
		return false;
	}
	if (result == MESSAGE_OK)
		field = message_surplus(&call->message, allowed);
	if (field) {
		call_refuse(call, ERROR_UNSUPPORTED, field, NULL);
		return false;
	}
	if (call->frame->first.mark != FRAME_NONE && call->frame->kind != COMMAND_PUT &&
	    call->frame->kind != COMMAND_BATCH) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "this command takes no body");
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
		call_refuse(call, ERROR_BAD_REQUEST, 0, "this command takes no body");
	else
		do_hello(call);
	return NULL;
}

static bool
has_token(struct slice header)
{
	struct message message;
	unsigned field;

	return message_decode(header, &message, &field) == MESSAGE_OK &&
	       message_has(&message, FIELD_TOKEN);
}

static bool
put_admitted(const struct session *session, struct slice header, size_t len)
{
	struct cache *cache = session->all->cache;

	return cache_admits(cache, session->payer, len) ||
	       (has_token(header) && cache_admits_awaited(cache, session->payer, len));
}

/* Is there room for the bytes that the request brings? */
static bool
admitted(const struct session *session, const struct frame *frame, struct slice header,
	 struct slice first)
{
	if (frame->kind == COMMAND_PUT && first.len)
		return put_admitted(session, header, first.len);
	if (frame->kind == COMMAND_BATCH && frame->first.mark == FRAME_LAST)
		return batch_admitted(session, first);
	return true;
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
	call.kind = frame->kind;
	call.body = first;
	call.entry = -1;
	if (frame->id != session->next_id)
		why = "its id is out of sequence";
	else if (frame->kind >= COUNTERS_COMMANDS)
		why = "it is not a request";
	else if (session->greeted && frame->kind == COMMAND_HELLO)
		why = "it is a second HELLO";
	if (!why && !admitted(session, frame, header, first))
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

enum dispatch_result
dispatch_segment(struct session *session, const struct frame_segment *segment,
		 struct slice bytes)
{
	CHECK(session->body != BODY_NONE);
	if (session->body == BODY_UPLOAD) {
		if (segment->mark != FRAME_ABORT && !upload_ready(session->upload))
			return DISPATCH_NO_ROOM;
		put_continue(session, segment, bytes);
	} else if (session->body == BODY_BATCH) {
		if (segment->mark == FRAME_LAST && !batch_admitted(session, bytes))
			return DISPATCH_NO_ROOM;
		batch_continue(session, segment, bytes);
	}
	if (segment->mark != FRAME_MORE)
		session->body = BODY_NONE;
	return DISPATCH_TAKEN;
}
