/* request.c - turns the caller's structs into messages and knows what may be sent twice. Pure. */
#include "client/request.h"

#include <stddef.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/key.h"

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

static void
set_get(const struct brine_request *request, struct message *message)
{
	if (request->max_age_ms)
		MESSAGE_SET(message, MAX_AGE, max_age_ms, request->max_age_ms);
	if (request->not_version)
		MESSAGE_SET(message, NOT_VERSION, not_version, request->not_version);
	if (request->refresh_ms)
		MESSAGE_SET(message, REFRESH, refresh_ms,
			    request->refresh_ms == BRINE_REFRESH_SAME
				    ? 0
				    : request->refresh_ms);
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
	set_ttl(request, message);
	set_ack(request, message);
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
	return 0;
}

static int
set_scan(const struct brine_request *request, struct message *message,
	 const char **ret_why)
{
	if (request->prefix_len > KEY_MAX || request->cursor_len > MESSAGE_CURSOR_MAX) {
		*ret_why = "the prefix is longer than any key, or the cursor is not one";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
	if (request->prefix_len)
		MESSAGE_SET(message, PREFIX, prefix,
			    slice(request->prefix, request->prefix_len));
	if (request->cursor_len)
		MESSAGE_SET(message, CURSOR, cursor,
			    slice(request->cursor, request->cursor_len));
	if (request->limit)
		MESSAGE_SET(message, LIMIT, limit, request->limit);
	return 0;
}

/* The fields that no other command has. */
static int
set_rest(const struct brine_request *request, struct message *message,
	 const char **ret_why)
{
	switch (request->command) {
	case BRINE_GET:
	case BRINE_META:
		set_get(request, message);
		return 0;
	case BRINE_PUT:
		return set_put(request, message, ret_why);
	case BRINE_TOUCH:
		set_ttl(request, message);
		set_ack(request, message);
		return 0;
	case BRINE_DELETE:
		if (request->version)
			MESSAGE_SET(message, VERSION, version, request->version);
		set_ack(request, message);
		return 0;
	case BRINE_FLUSH:
		set_ack(request, message);
		return 0;
	case BRINE_SCAN:
		return set_scan(request, message, ret_why);
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
	case BRINE_PUT:
		return request->condition == BRINE_ALWAYS;
	case BRINE_DELETE:
		return request->version == 0;
	default:
		return true;
	}
}

bool
request_waits_for_disk(const struct brine_request *request)
{
	switch (request->command) {
	case BRINE_DELETE:
	case BRINE_FLUSH:
		return request->ack != BRINE_ACK_MEMORY;
	case BRINE_PUT:
		/* A value of several segments is answered when it is on the disk, whatever was asked for. */
		return request->ack == BRINE_ACK_DISK ||
		       request->value_len > FRAME_SEGMENT_MAX;
	case BRINE_TOUCH:
		return request->ack == BRINE_ACK_DISK;
	case BRINE_SYNC:
		return true;
	default:
		return false;
	}
}
