/* message.h - the header of a frame: a msgpack map from field numbers to values. Pure.
 *
 * One struct serves every command and both directions: fields.def is its only list. */
#ifndef PROTO_MESSAGE_H
#define PROTO_MESSAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/slice.h"

enum field {
#define F(name, member, number, type, text) FIELD_##name = number,
#include "proto/fields.def"
#undef F
};

enum command {
#define C(name, number, scope, right, text, fields) COMMAND_##name = number,
#include "proto/commands.def"
#undef C
};

/* In a shared namespace; each has those before it. */
enum right {
	RIGHT_NONE,
	RIGHT_READ,
	RIGHT_WRITE,
};

enum condition {
	CONDITION_NONE = 0,
	CONDITION_ABSENT = 1,
	CONDITION_PRESENT = 2,
	CONDITION_VERSION = 3,
};

enum ack {
	ACK_DEFAULT = 0,
	ACK_MEMORY = 1,
	ACK_DISK = 2,
};

/* The field LEASE in a request and in a reply; GIVE_UP. */
enum lease_wish {
	LEASE_WISH_NONE = 0,
	LEASE_WISH_COMPUTE = 1,
	LEASE_WISH_WAIT = 2,
};

enum lease_reply {
	LEASE_REPLY_NONE = 0,
	LEASE_REPLY_GRANTED = 1,
	LEASE_REPLY_ALONE = 2,
	LEASE_REPLY_VAIN = 3,
};

enum give_up {
	GIVE_UP_FAILED = 1,
	GIVE_UP_CANNOT_BE_KEPT = 2,
};

enum object_kind {
	OBJECT_BLOB = 0,
	OBJECT_COUNTER = 1,
};

enum status {
	STATUS_DONE = 0,
	STATUS_MISS = 1,
	STATUS_ALONE = 2, /* in a batch: ask for this one alone */
};

/* Fields from this number on may be ignored by who does not know them. */
#define FIELD_OPTIONAL 128
#define MESSAGE_DEPTH_MAX 4
/* Enough for every field at once; a longer map is refused. */
#define MESSAGE_FIELDS_MAX 64
#define MESSAGE_TEXT_MAX 1024
#define MESSAGE_CURSOR_MAX 64

#define MEMBER_NUMBER(member) uint64_t member;
#define MEMBER_BYTES(member) struct slice member;
#define MEMBER_TEXT(member) struct slice member;

/* Members are meaningful where message_has() says so and zero elsewhere.
 * Slices of a decoded message borrow the decoded bytes. */
struct message {
	uint64_t present[2];
#define F(name, member, number, type, text) MEMBER_##type(member)
#include "proto/fields.def"
#undef F
};

static inline bool
message_has(const struct message *message, enum field field)
{
	return message->present[field >> 6] >> (field & 63) & 1;
}

static inline void
message_mark(struct message *message, enum field field)
{
	message->present[field >> 6] |= 1ull << (field & 63);
}

/* Sets a field and marks it: MESSAGE_SET(&m, TTL, ttl_ms, 60000). */
#define MESSAGE_SET(message, NAME, member_, value)                                       \
	((message)->member_ = (value), message_mark((message), FIELD_##NAME))

enum message_result {
	MESSAGE_OK = 0,
	MESSAGE_MALFORMED = -1, /* not what PROTOCOL.md allows, or a wrong type */
	MESSAGE_UNKNOWN = -2,   /* well formed, with an unknown field below 128 */
};

/* Reads a whole header; an empty one is an empty map. Hostile input is expected.
 * On MESSAGE_UNKNOWN *ret_message holds what was understood and *ret_field the first field that was not;
 * a reader that may ignore such fields (of replies, of HELLO) goes on. On MESSAGE_MALFORMED what
 * *ret_message holds means nothing (it is the one output here that failure touches: a second struct of
 * this size would cost every request a copy). */
int message_decode(struct slice from, struct message *ret_message, unsigned *ret_field);

/* Writes the marked fields in ascending order. Returns the bytes written, 0 if they did not fit. */
size_t message_encode(const struct message *message, uint8_t *to, size_t size);

/* The mask (bit n: field n) of what a command understands; 0 and false for an unknown command. */
bool message_command_fields(unsigned kind, uint64_t *ret_fields);

/* What the command needs in a shared namespace. */
enum right message_command_right(unsigned kind);

/* The lowest field below 128 that is there and not in the mask; 0 if there is none. */
unsigned message_surplus(const struct message *message, uint64_t allowed);

/* "GET"; "UNKNOWN" for what is not in commands.def. Static storage. */
const char *message_command_name(unsigned kind);

#endif
