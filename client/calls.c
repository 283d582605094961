/* calls.c - the blocking calls: one request, one answer. Owns nothing. One thread at a time. */
#include "client/calls.h"

#include <stdio.h>
#include <string.h>

#include "client/link.h"
#include "client/value.h"

/* A wire knows no socket: its sentences about the connection get the path here. */
static bool
concerns_connection(int result)
{
	return result == -BRINE_ERROR_BAD_PEER || result == -BRINE_ERROR_CUT_OFF ||
	       result == -BRINE_ERROR_UNREACHABLE || result == -BRINE_ERROR_TIMED_OUT ||
	       result == -BRINE_ERROR_SHUTTING_DOWN;
}

int
call_result(struct brine *brine, int result)
{
	const char *sentence;

	if (result >= 0 || !brine->wire)
		return result;
	sentence = brine_wire_message(brine->wire);
	if (concerns_connection(result))
		return handle_fail(brine, -result, "%s (%s)", sentence,
				   brine->place.path);
	return handle_fail(brine, -result, "%s", sentence);
}

int
call_size(struct brine *brine, int result, uint64_t len)
{
	size_t end = strlen(brine->message);

	if (result == -BRINE_ERROR_TOO_LARGE && len != BRINE_UNKNOWN)
		snprintf(brine->message + end, sizeof(brine->message) - end,
			 "; this one has %llu bytes", (unsigned long long)len);
	return result;
}

static int
queue(struct brine *brine, const struct brine_request *request, bool streamed)
{
	uint64_t now_ms = handle_now_ms();
	int error = streamed ? wire_request_streamed(brine->wire, request, 0, now_ms)
			     : brine_wire_request(brine->wire, request, 0, now_ms);

	return call_result(brine, error);
}

void
call_note(struct brine *brine, const struct brine_request *request,
	  const struct brine_reply *reply)
{
	if (brine->wire && brine->wire->not_resumed) {
		held_lost(&brine->held, brine->wire->not_resumed);
		brine->wire->not_resumed = 0;
	}
	held_note(&brine->held, request, reply);
}

/* One request as it is. Returns 0 when *ret_reply is filled, or an error. */
static int
ask(struct brine *brine, const struct brine_request *request, bool streamed,
    struct brine_reply *ret_reply)
{
	int error;

	if (!request_repeatable(request))
		link_check(brine);
	error = link_ready(brine);
	if (!error)
		error = queue(brine, request, streamed);
	if (error)
		return error;
	if (link_next(brine, ret_reply) != 1)
		return handle_fail(brine, BRINE_ERROR_BAD_PEER,
				   "the daemon gave no answer");
	call_result(brine, ret_reply->result);
	call_note(brine, request, ret_reply);
	if (!link_may_repeat(ret_reply))
		link_answered(brine);
	if (!streamed || ret_reply->result != BRINE_HIT)
		link_settle(brine);
	return 0;
}

/* What a daemon that leaves did not do may be asked for as long as its successor is awaited; what perhaps ended
 * a daemon, only twice. Returns 1 to ask again, 0, or the error that ends it. */
static int
once_more(struct brine *brine, const struct brine_reply *reply, int sent)
{
	link_close(brine);
	if (sent == 1)
		return 1;
	return reply->result == -BRINE_ERROR_CUT_OFF ? 0 : link_await_successor(brine);
}

/* What an older daemon does not know is left away, field by field. */
int
call_attempt(struct brine *brine, const struct brine_request *request, bool streamed,
	     struct brine_reply *ret_reply)
{
	int error = 0;

	for (int left = LACKS_MAX; left; left--) {
		error = ask(brine, request, streamed, ret_reply);
		if (error || ret_reply->result != -BRINE_ERROR_UNSUPPORTED ||
		    !ret_reply->again)
			return error;
	}
	return error;
}

int
call_after_cut(struct brine *brine, const struct brine_request *request, int result)
{
	if (brine_request_after_cut(request, result) == result)
		return result;
	if (result == -BRINE_ERROR_OLD_TOKEN)
		return handle_fail(
			brine, BRINE_ERROR_CUT_OFF,
			"the connection to %s broke while a value was published; it was "
			"stored, or the lease had ended",
			brine->place.path);
	return handle_fail(
		brine, BRINE_ERROR_CUT_OFF,
		"the connection to %s broke before the answer, which may have been that it "
		"is done; sent again it was not done: %s",
		brine->place.path, brine_error_text(-result));
}

/* Asks until there is an answer, or asking again is of no use or not safe. */
static int
ask_again(struct brine *brine, const struct brine_request *request, bool streamed,
	  struct brine_reply *ret_reply)
{
	struct brine_request named = *request;
	struct brine_reply reply;
	int error, more, cut = 0, sent = 0;

	if (!named.namespace_name)
		named.namespace_name = brine->namespace_name;
	do {
		error = call_attempt(brine, &named, streamed, &reply);
		if (error)
			return cut ? call_after_cut(brine, &named, error) : error;
		if (reply.result == -BRINE_ERROR_CUT_OFF)
			cut = reply.result;
		more = link_may_repeat(&reply) ? once_more(brine, &reply, ++sent) : 0;
	} while (more > 0);
	if (more < 0)
		return more;
	if (cut)
		reply.result = call_after_cut(brine, &named, reply.result);
	*ret_reply = reply;
	return reply.result;
}

int
call_request(struct brine *brine, const struct brine_request *request, bool streamed,
	     struct brine_reply *ret_reply)
{
	int result = ask_again(brine, request, streamed, ret_reply);

	/* Who cannot say that a computation is over has no more use for its lease: it is not taken up again, or
	 * those who wait would wait for nothing. */
	if (result < 0 && request->token && brine->fd < 0)
		held_forget(&brine->held, request->token);
	return result;
}

/* ---- get */

static const struct brine_delete_options delete_defaults;
static const struct brine_touch_options touch_defaults;

int
brine_get(struct brine *brine, const void *key, size_t key_len,
	  const struct brine_get_options *options, struct brine_value **ret_value)
{
	struct brine_request request = request_of_get(key, key_len, options);
	struct brine_reply reply;
	int result;

	if (brine->env.disabled)
		return BRINE_MISS;
	result = call_request(brine, &request, false, &reply);
	if (result == BRINE_HIT)
		*ret_value = reply.value;
	return result;
}

int
brine_meta(struct brine *brine, const void *key, size_t key_len,
	   const char *namespace_name, struct brine_meta *ret_meta)
{
	struct brine_request request = {
		.command = BRINE_META,
		.namespace_name = namespace_name,
		.key = key,
		.key_len = key_len,
	};
	struct brine_reply reply;
	int result;

	if (brine->env.disabled)
		return BRINE_MISS;
	result = call_request(brine, &request, false, &reply);
	if (result == BRINE_HIT && ret_meta)
		*ret_meta = reply.meta;
	return result;
}

/* ---- change */

int
brine_put(struct brine *brine, const void *key, size_t key_len, const void *value,
	  size_t value_len, const struct brine_put_options *options,
	  uint64_t *ret_version)
{
	struct brine_request request = request_of_put(key, key_len, options);
	struct brine_reply reply;
	int result;

	if (brine->env.disabled)
		return BRINE_DONE;
	request.value = value;
	request.value_len = value_len;
	result = call_request(brine, &request, false, &reply);
	if (result == BRINE_DONE && ret_version)
		*ret_version = reply.meta.version;
	return call_size(brine, result, value_len);
}

static struct brine_request
removal(enum brine_command command, const void *key, size_t key_len,
	const struct brine_delete_options *options)
{
	const struct brine_delete_options *o = options ? options : &delete_defaults;

	return (struct brine_request){
		.command = command,
		.namespace_name = o->namespace_name,
		.key = key,
		.key_len = key_len,
		.version = o->version,
		.ack = o->ack,
	};
}

int
brine_delete(struct brine *brine, const void *key, size_t key_len,
	     const struct brine_delete_options *options)
{
	struct brine_request request = removal(BRINE_DELETE, key, key_len, options);
	struct brine_reply reply;

	return brine->env.disabled ? BRINE_DONE
				   : call_request(brine, &request, false, &reply);
}

int
brine_take(struct brine *brine, const void *key, size_t key_len,
	   const struct brine_delete_options *options, struct brine_value **ret_value)
{
	struct brine_request request = removal(BRINE_TAKE, key, key_len, options);
	struct brine_reply reply;
	int result;

	if (brine->env.disabled)
		return BRINE_MISS;
	result = call_request(brine, &request, false, &reply);
	if (result == BRINE_HIT)
		*ret_value = reply.value;
	return result;
}

int
brine_touch(struct brine *brine, const void *key, size_t key_len,
	    const struct brine_touch_options *options)
{
	const struct brine_touch_options *o = options ? options : &touch_defaults;
	struct brine_request request = {
		.command = BRINE_TOUCH,
		.namespace_name = o->namespace_name,
		.key = key,
		.key_len = key_len,
		.ttl_ms = o->ttl_ms,
		.ack = o->ack,
	};
	struct brine_reply reply;

	return brine->env.disabled ? BRINE_DONE
				   : call_request(brine, &request, false, &reply);
}

int
brine_flush(struct brine *brine, const char *namespace_name)
{
	struct brine_request request = { .command = BRINE_FLUSH,
					 .namespace_name = namespace_name };
	struct brine_reply reply;

	return brine->env.disabled ? BRINE_DONE
				   : call_request(brine, &request, false, &reply);
}

int
brine_invalidate(struct brine *brine, const void *tags, size_t tags_len,
		 const char *namespace_name, uint8_t ack)
{
	struct brine_request request = {
		.command = BRINE_INVALIDATE,
		.namespace_name = namespace_name,
		.tags = tags,
		.tags_len = tags_len,
		.ack = ack,
	};
	struct brine_reply reply;

	return brine->env.disabled ? BRINE_DONE
				   : call_request(brine, &request, false, &reply);
}

int
brine_sync(struct brine *brine)
{
	struct brine_request request = { .command = BRINE_SYNC };
	struct brine_reply reply;

	return brine->env.disabled ? BRINE_DONE
				   : call_request(brine, &request, false, &reply);
}

/* ---- the daemon itself */

int
call_disabled(struct brine *brine)
{
	return handle_fail(brine, BRINE_ERROR_DISABLED,
			   "Brine is switched off by BRINE_DISABLE=1");
}

int
brine_ping(struct brine *brine, struct brine_daemon *ret_daemon)
{
	struct brine_request request = { .command = BRINE_PING };
	struct brine_reply reply;
	int result;

	if (brine->env.disabled)
		return call_disabled(brine);
	result = call_request(brine, &request, false, &reply);
	if (result < 0 || !ret_daemon || !brine->wire)
		return result;
	*ret_daemon = brine->wire->daemon;
	ret_daemon->server_uid = brine->server_uid;
	return result;
}

/* What comes of it has a text, if it is no error. */
static int
ask_for_lines(struct brine *brine, const struct brine_request *request,
	      struct brine_reply *ret_reply)
{
	int result;

	if (brine->env.disabled)
		return call_disabled(brine);
	result = call_request(brine, request, false, ret_reply);
	if (result < 0)
		return result;
	if (!ret_reply->value)
		return handle_fail(brine, BRINE_ERROR_BAD_PEER,
				   "the daemon sent nothing in its answer");
	return BRINE_DONE;
}

static int
ask_for_text(struct brine *brine, enum brine_command command,
	     struct brine_value **ret_text)
{
	struct brine_request request = { .command = command };
	struct brine_reply reply;
	int result = ask_for_lines(brine, &request, &reply);

	if (result == BRINE_DONE)
		*ret_text = reply.value;
	return result;
}

int
brine_stats(struct brine *brine, struct brine_value **ret_text)
{
	return ask_for_text(brine, BRINE_STATS, ret_text);
}

int
brine_config(struct brine *brine, struct brine_value **ret_text)
{
	return ask_for_text(brine, BRINE_CONFIG, ret_text);
}

int
brine_verify(struct brine *brine, struct brine_place *place,
	     struct brine_value **ret_text)
{
	struct brine_request request = {
		.command = BRINE_VERIFY,
		.cursor = place->cursor,
		.cursor_len = place->cursor_len,
	};
	struct brine_reply reply;
	int result = ask_for_lines(brine, &request, &reply);

	if (result < 0)
		return result;
	memcpy(place->cursor, reply.cursor, reply.cursor_len);
	place->cursor_len = reply.cursor_len;
	*ret_text = reply.value;
	return reply.cursor_len ? BRINE_HIT : BRINE_MISS;
}
