/* request.c - turns the caller's structs into messages and knows what may be sent twice. Pure. */
#include "client/request.h"

#include <stddef.h>
#include <string.h>

#include "proto/batch.h"
#include "proto/frame.h"
#include "proto/key.h"
#include "proto/tag.h"

/* More than any valid name has: the daemon says which are valid, this only bounds the header. */
#define NAME_MAX_SENT (2 * NAMESPACE_NAME_MAX)

static int
set_namespace(const struct brine_request *request, struct message *message,
	      const char **ret_why)
{
	size_t len;

	/* The default needs no name. */
	if (!request->namespace_name ||
	    strcmp(request->namespace_name, NAMESPACE_DEFAULT) == 0)
		return 0;
	len = strnlen(request->namespace_name, NAME_MAX_SENT + 1);
	if (len == 0 || len > NAME_MAX_SENT) {
		*ret_why =
			"the namespace's name is empty or too long (64 characters at most)";
		return -BRINE_ERROR_BAD_NAMESPACE;
	}
	MESSAGE_SET(message, NAMESPACE, namespace, slice(request->namespace_name, len));
	return 0;
}

static int
set_key(const struct brine_request *request, struct message *message,
	const char **ret_why)
{
	if (!request->key || request->key_len == 0 || request->key_len > KEY_MAX) {
		*ret_why =
			request->key_len > KEY_MAX
				? "the key is longer than 1024 bytes; shorten it with brine_key_text()"
				: "the key is empty";
		return -BRINE_ERROR_BAD_KEY;
	}
	MESSAGE_SET(message, KEY, key, slice(request->key, request->key_len));
	return 0;
}

static void
set_ttl(const struct brine_request *request, struct message *message)
{
	if (request->ttl_ms != 0 && request->ttl_ms != BRINE_NEVER)
		MESSAGE_SET(message, TTL, ttl_ms, request->ttl_ms);
}

static void
set_ack(const struct brine_request *request, struct message *message)
{
	if (request->ack != BRINE_ACK_DEFAULT)
		MESSAGE_SET(message, ACK, ack, request->ack);
}

static int
set_tags(const struct brine_request *request, struct message *message,
	 const char **ret_why)
{
	struct slice tags = slice(request->tags, request->tags_len);

	if (tags_count(tags) == 0) {
		*ret_why = "there are no tags, or not as brine_tags_add() writes them";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
	MESSAGE_SET(message, TAGS, tags, tags);
	return 0;
}

static int
set_token(const struct brine_request *request, struct message *message,
	  const char **ret_why)
{
	if (!request->token) {
		*ret_why = "a lease is named by its token, and there is none";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
	MESSAGE_SET(message, TOKEN, token, slice(request->token, BRINE_TOKEN_SIZE));
	return 0;
}

static void
set_holder(const struct brine_request *request, struct message *message)
{
	if (request->holder)
		MESSAGE_SET(message, HOLDER, holder, request->holder);
}

static void
set_lease(const struct brine_request *request, struct message *message)
{
	MESSAGE_SET(message, LEASE, lease, request->lease);
	set_holder(request, message);
	if (request->wait_ms)
		MESSAGE_SET(message, WAIT, wait_ms,
			    request->wait_ms == BRINE_NO_WAIT ? 0 : request->wait_ms);
	if (request->lease_ms)
		MESSAGE_SET(message, LEASE_TIME, lease_ms, request->lease_ms);
}

/* Of GET and META. */
static void
set_ages(const struct brine_request *request, struct message *message)
{
	if (request->max_age_ms)
		MESSAGE_SET(message, MAX_AGE, max_age_ms, request->max_age_ms);
	if (request->not_version)
		MESSAGE_SET(message, NOT_VERSION, not_version, request->not_version);
	if (request->stale_ok)
		MESSAGE_SET(message, STALE_OK, stale_ok, 1);
	if (request->quiet)
		MESSAGE_SET(message, QUIET, quiet, 1);
	if (request->refresh_ms)
		MESSAGE_SET(message, REFRESH, refresh_ms,
			    request->refresh_ms == BRINE_REFRESH_SAME
				    ? 0
				    : request->refresh_ms);
}

static int
set_get(const struct brine_request *request, struct message *message,
	const char **ret_why)
{
	if (request->lease > BRINE_ASK_WAIT) {
		*ret_why = "no such way to ask for a lease";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
	set_ages(request, message);
	if (request->lease)
		set_lease(request, message);
	return 0;
}

static int
set_incr(const struct brine_request *request, struct message *message,
	 const char **ret_why)
{
	if (request->condition != BRINE_ALWAYS &&
	    request->condition != BRINE_IF_PRESENT) {
		*ret_why = "a counter knows one condition, that it is present";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
	set_ttl(request, message);
	set_ack(request, message);
	if (request->condition)
		MESSAGE_SET(message, CONDITION, condition, request->condition);
	if (request->delta != 1)
		MESSAGE_SET(message, DELTA, delta, (uint64_t)request->delta);
	if (request->initial)
		MESSAGE_SET(message, INITIAL, initial, (uint64_t)request->initial);
	return 0;
}

static int
set_release(const struct brine_request *request, struct message *message,
	    const char **ret_why)
{
	if (request->give_up != BRINE_FAILED &&
	    request->give_up != BRINE_CANNOT_BE_KEPT) {
		*ret_why = "no such reason to give a lease up";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
	MESSAGE_SET(message, GIVE_UP, give_up, request->give_up);
	return set_token(request, message, ret_why);
}

static void
set_or_get(const struct brine_request *request, struct message *message)
{
	MESSAGE_SET(message, OR_GET, or_get, 1);
	if (request->not_version)
		MESSAGE_SET(message, NOT_VERSION, not_version, request->not_version);
}

static int
set_put(const struct brine_request *request, struct message *message,
	const char **ret_why)
{
	if (request->kind > BRINE_COUNTER || request->condition > BRINE_IF_VERSION) {
		*ret_why = "no such kind of object, or no such condition";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
	if (request->kind == BRINE_COUNTER && request->value_len != 8) {
		*ret_why = "a counter has 8 bytes";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
	if (request->or_get && request->condition != BRINE_IF_ABSENT) {
		*ret_why =
			"only a put that depends on nothing being there can be answered with it";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
	set_ttl(request, message);
	set_ack(request, message);
	if (request->or_get)
		set_or_get(request, message);
	if (request->codec)
		MESSAGE_SET(message, CODEC, codec, request->codec);
	if (request->kind)
		MESSAGE_SET(message, OBJECT_KIND, object_kind, request->kind);
	if (request->cost_us)
		MESSAGE_SET(message, COST, cost_us, request->cost_us);
	if (request->condition)
		MESSAGE_SET(message, CONDITION, condition, request->condition);
	if (request->condition == BRINE_IF_VERSION)
		MESSAGE_SET(message, VERSION, version, request->version);
	/* A value in one segment says its length itself. */
	if (request->value_len != BRINE_UNKNOWN &&
	    (!request->value || request->value_len > FRAME_SEGMENT_MAX))
		MESSAGE_SET(message, LENGTH, length, request->value_len);
	if (request->stale_ms)
		MESSAGE_SET(message, STALE_FOR, stale_for_ms, request->stale_ms);
	if (request->tags_len && set_tags(request, message, ret_why))
		return -BRINE_ERROR_BAD_ARGUMENT;
	return request->token ? set_token(request, message, ret_why) : 0;
}

static int
set_cursor(const struct brine_request *request, struct message *message,
	   const char **ret_why)
{
	if (request->cursor_len > MESSAGE_CURSOR_MAX) {
		*ret_why = "the cursor is not one";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
	if (request->cursor_len)
		MESSAGE_SET(message, CURSOR, cursor,
			    slice(request->cursor, request->cursor_len));
	return 0;
}

static int
set_scan(const struct brine_request *request, struct message *message,
	 const char **ret_why)
{
	if (request->prefix_len > KEY_MAX) {
		*ret_why = "the prefix is longer than any key";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
	if (request->prefix_len)
		MESSAGE_SET(message, PREFIX, prefix,
			    slice(request->prefix, request->prefix_len));
	if (request->limit)
		MESSAGE_SET(message, LIMIT, limit, request->limit);
	return set_cursor(request, message, ret_why);
}

/* The fields that no other command has. */
static int
set_rest(const struct brine_request *request, struct message *message,
	 const char **ret_why)
{
	switch (request->command) {
	case BRINE_GET:
		return set_get(request, message, ret_why);
	case BRINE_META:
		set_ages(request, message);
		return 0;
	case BRINE_PUT:
		return set_put(request, message, ret_why);
	case BRINE_INCR:
		return set_incr(request, message, ret_why);
	case BRINE_TOUCH:
		set_ttl(request, message);
		set_ack(request, message);
		return 0;
	case BRINE_DELETE:
	case BRINE_TAKE:
		if (request->version)
			MESSAGE_SET(message, VERSION, version, request->version);
		set_ack(request, message);
		return 0;
	case BRINE_FLUSH:
	case BRINE_BATCH:
		set_ack(request, message);
		return 0;
	case BRINE_INVALIDATE:
		set_ack(request, message);
		return set_tags(request, message, ret_why);
	case BRINE_RELEASE:
		return set_release(request, message, ret_why);
	case BRINE_RESUME:
		set_holder(request, message);
		return set_token(request, message, ret_why);
	case BRINE_SCAN:
		return set_scan(request, message, ret_why);
	case BRINE_VERIFY:
		return set_cursor(request, message, ret_why);
	default:
		return 0;
	}
}

int
request_message(const struct brine_request *request, struct message *message,
		const char **ret_why)
{
	uint64_t fields;
	int error = 0;

	if (request->command < BRINE_PING || request->ack > BRINE_ACK_DISK ||
	    !message_command_fields(request->command, &fields)) {
		*ret_why = "no such command, or no such acknowledgement";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
	memset(message, 0, sizeof(*message));
	if (fields >> FIELD_NAMESPACE & 1)
		error = set_namespace(request, message, ret_why);
	if (!error && fields >> FIELD_KEY & 1)
		error = set_key(request, message, ret_why);
	return error ? error : set_rest(request, message, ret_why);
}

bool
request_repeatable(const struct brine_request *request)
{
	switch (request->command) {
	case BRINE_PUT: /* a token is no condition: the second time it is old, and nothing is stored */
		/* What the first one stored is what the second one gets. */
		return request->condition == BRINE_ALWAYS || request->or_get;
	case BRINE_BATCH:
		return request->condition == BRINE_ALWAYS;
	case BRINE_DELETE:
		return request->version == 0;
	case BRINE_INCR:
	case BRINE_TAKE:
		return false;
	default:
		return true;
	}
}

/* Without an acknowledgement named, a batch waits for the disk if something is deleted in it. */
static bool
batch_waits(const struct brine_request *request)
{
	struct slice body = slice(request->value, request->value_len);
	struct batch_entry entry;
	size_t position = 0;

	if (request->ack != BRINE_ACK_DEFAULT)
		return request->ack == BRINE_ACK_DISK;
	while (batch_next(body, &position, &entry) == 1)
		if (entry.kind == COMMAND_DELETE)
			return true;
	return false;
}

bool
request_waits_for_disk(const struct brine_request *request)
{
	switch (request->command) {
	case BRINE_DELETE:
	case BRINE_FLUSH:
	case BRINE_TAKE:
	case BRINE_INVALIDATE:
		return request->ack != BRINE_ACK_MEMORY;
	case BRINE_BATCH:
		return batch_waits(request);
	case BRINE_PUT:
		/* A value of several segments is answered when it is on the disk, whatever was asked for. */
		return request->ack == BRINE_ACK_DISK ||
		       request->value_len > FRAME_SEGMENT_MAX;
	case BRINE_TOUCH:
	case BRINE_INCR:
		return request->ack == BRINE_ACK_DISK;
	case BRINE_SYNC:
		return true;
	default:
		return false;
	}
}

bool
request_parks(const struct brine_request *request)
{
	return request->command == BRINE_GET && request->lease &&
	       request->wait_ms != BRINE_NO_WAIT;
}

static bool
changes_something(const struct brine_request *request)
{
	switch (request->command) {
	case BRINE_PUT:
	case BRINE_DELETE:
	case BRINE_TOUCH:
	case BRINE_FLUSH:
	case BRINE_INCR:
	case BRINE_INVALIDATE:
	case BRINE_TAKE:
	case BRINE_BATCH:
		return true;
	default:
		return false;
	}
}

static bool
says_undone(int result)
{
	switch (-result) {
	case BRINE_ERROR_SHUTTING_DOWN:
	case BRINE_ERROR_DISK_FULL:
	case BRINE_ERROR_NO_MEMORY:
	case BRINE_ERROR_BUSY:
	case BRINE_ERROR_INTERNAL:
	case BRINE_ERROR_UNREACHABLE:
		return true;
	default:
		return false;
	}
}

int
brine_request_after_cut(const struct brine_request *request, int result)
{
	/* That the second put of a lease found the token old may be the first one's work. */
	bool unsure = result == -BRINE_ERROR_OLD_TOKEN
			      ? request->token != NULL
			      : changes_something(request) && says_undone(result);

	return unsure ? -BRINE_ERROR_CUT_OFF : result;
}

struct brine_request
request_of_get(const void *key, size_t key_len, const struct brine_get_options *options)
{
	static const struct brine_get_options defaults;
	const struct brine_get_options *o = options ? options : &defaults;

	return (struct brine_request){
		.command = BRINE_GET,
		.namespace_name = o->namespace_name,
		.key = key,
		.key_len = key_len,
		.max_age_ms = o->max_age_ms,
		.not_version = o->not_version,
		.refresh_ms = o->refresh_ms,
		.stale_ok = o->stale_ok,
		.quiet = o->quiet,
	};
}

struct brine_request
request_of_put(const void *key, size_t key_len, const struct brine_put_options *options)
{
	static const struct brine_put_options defaults;
	const struct brine_put_options *o = options ? options : &defaults;

	return (struct brine_request){
		.command = BRINE_PUT,
		.namespace_name = o->namespace_name,
		.key = key,
		.key_len = key_len,
		.ttl_ms = o->ttl_ms,
		.cost_us = o->cost_us,
		.version = o->version,
		.codec = o->codec,
		.kind = o->kind,
		.condition = o->condition,
		.ack = o->ack,
		.stale_ms = o->stale_ms,
		.tags = o->tags,
		.tags_len = o->tags_len,
		.token = o->token,
	};
}
