/* call.c - checks what several commands have in common. Owns nothing. Loop thread only. */
#include "daemon/call.h"

#include <stdio.h>

#include "proto/key.h"
#include "proto/tag.h"

void
call_refuse(const struct call *call, enum error error, uint64_t detail, const char *text)
{
	if (call->entry < 0)
		reply_error(call->session, call->frame->id, error, detail, text);
	else
		reply_entry_error(call->session, call->frame->id, error, detail, text,
				  (uint32_t)call->entry);
}

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

bool
call_check_namespace(struct call *call)
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
		call_refuse(call, ERROR_BAD_NAMESPACE, 0, text);
	} else {
		call_refuse(call, ERROR_BAD_NAMESPACE, 0, NULL);
	}
	return false;
}

bool
call_check_target(struct call *call)
{
	if (!call_check_namespace(call))
		return false;
	call->target.key = call->message.key;
	if (!message_has(&call->message, FIELD_KEY)) {
		call_refuse(call, ERROR_BAD_REQUEST, 0, "the request has no KEY");
		return false;
	}
	if (key_valid(call->target.key))
		return true;
	call_refuse(call, ERROR_BAD_KEY, 0, NULL);
	return false;
}

bool
call_check_ttl(struct call *call)
{
	struct message *message = &call->message;

	if (!message_has(message, FIELD_TTL))
		message->ttl_ms = TTL_NEVER;
	if (message->ttl_ms)
		return true;
	call_refuse(call, ERROR_BAD_REQUEST, 0,
		    "TTL is 0; leave it away for never, or delete the object");
	return false;
}

bool
call_check_choice(struct call *call, enum field field, uint64_t value, uint64_t highest)
{
	if (value <= highest)
		return true;
	call_refuse(call, ERROR_UNSUPPORTED, field, NULL);
	return false;
}

bool
call_check_ack(struct call *call)
{
	return call_check_choice(call, FIELD_ACK, call->message.ack, ACK_DISK);
}

bool
call_check_tags(struct call *call)
{
	if (tags_count(call->message.tags))
		return true;
	call_refuse(call, ERROR_BAD_REQUEST, 0,
		    "TAGS must be 1 to 16 tags of 1 to 255 bytes");
	return false;
}

enum ack
call_ack_or(const struct call *call, enum ack initial)
{
	return call->message.ack ? (enum ack)call->message.ack : initial;
}
