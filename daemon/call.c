/* call.c - checks what several commands have in common. Owns nothing. Loop thread only. */
#include "daemon/call.h"

#include <stdio.h>

#include "proto/key.h"
#include "proto/tag.h"

#define NS_PER_MS UINT64_C(1000000)

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
is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_';
}

static bool
name_valid(struct slice name)
{
	const char *text = name.data;

	if (name.len == 0 || name.len > NAMESPACE_NAME_MAX || !is_plain(text[0]))
		return false;
	for (size_t i = 1; i < name.len; i++)
		if (!is_plain(text[i]) && text[i] != '.' && text[i] != '-')
			return false;
	return true;
}

static bool
refuse_name(const struct call *call)
{
	struct slice name = call->target.namespace;
	char text[MESSAGE_TEXT_MAX];

	if (name.len && memchr(name.data, '/', name.len)) {
		snprintf(text, sizeof(text),
			 "Brine has namespaces, not directories; your data is in %s",
			 call->session->all->data);
		call_refuse(call, ERROR_BAD_NAMESPACE, 0, text);
	} else {
		call_refuse(call, ERROR_BAD_NAMESPACE, 0, NULL);
	}
	return false;
}

/* Whose command it is decides, and what it asks for besides: a lease keeps others from computing, and a new time to
 * live is a change. */
static enum right
right_needed(const struct call *call)
{
	if ((call->kind == COMMAND_GET || call->kind == COMMAND_META) &&
	    (call->message.lease == LEASE_WISH_COMPUTE ||
	     message_has(&call->message, FIELD_REFRESH)))
		return RIGHT_WRITE;
	return message_command_right(call->kind);
}

/* A name that starts with a slash. */
static bool
check_shared(struct call *call)
{
	struct slice name = call->target.namespace;
	enum right right = RIGHT_NONE, needed = call->target.right;
	char text[MESSAGE_TEXT_MAX];

	if (!name_valid(slice((const char *)name.data + 1, name.len - 1)) ||
	    name.len > NAMESPACE_NAME_MAX)
		return refuse_name(call);
	call->declared = session_declaration(call->session, name, &right);
	if (call->declared && right >= needed)
		return true;
	if (call->declared)
		snprintf(text, sizeof(text),
			 "uid %u may not %s in %.*s; brined.conf says who may "
			 "(%s)",
			 (unsigned)call->session->uid,
			 needed == RIGHT_WRITE ? "write" : "read", (int)name.len,
			 (const char *)name.data,
			 needed == RIGHT_WRITE ? "writers" : "readers, writers");
	else
		snprintf(text, sizeof(text),
			 "no shared namespace %.*s is declared in brined.conf; Brine has "
			 "namespaces, not directories; your data is in %s",
			 (int)name.len, (const char *)name.data,
			 call->session->all->data);
	call_refuse(call, call->declared ? ERROR_FORBIDDEN : ERROR_BAD_NAMESPACE, 0,
		    text);
	return false;
}

bool
call_check_namespace(struct call *call)
{
	const struct message *message = &call->message;

	call->target.uid = call->session->uid;
	call->target.right = right_needed(call);
	call->target.key = slice(NULL, 0); /* SCAN and FLUSH have none */
	call->target.namespace = message_has(message, FIELD_NAMESPACE)
					 ? message->namespace
					 : slice("default", 7);
	call->declared = NULL;
	if (name_valid(call->target.namespace))
		return true;
	if (call->target.namespace.len &&
	    *(const char *)call->target.namespace.data == '/')
		return check_shared(call);
	return refuse_name(call);
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
		message->ttl_ms = call->declared && call->declared->default_ttl_ns
					  ? call->declared->default_ttl_ns / NS_PER_MS
					  : TTL_NEVER;
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
