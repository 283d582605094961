/* body.c - the value that is arriving: where its bytes go, and whether they are as many as announced. Part of a wire,
 * which owns it. One thread at a time. */
#include "client/wire.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "client/value.h"

#define UNKNOWN_FIRST 16384

void
body_advance(struct incoming *incoming, size_t bytes)
{
	incoming->left -= (uint32_t)bytes;
	incoming->taken += bytes;
	if (incoming->discarded)
		return;
	incoming->to += bytes;
	incoming->room -= bytes;
}

/* Is a hit somebody's value? */
static bool
is_value(const struct asked *asked)
{
	return asked->command == BRINE_GET || asked->command == BRINE_TAKE ||
	       asked->flags & ASKED_OR_GET;
}

/* What a body is for depends on what was asked. */
static bool
wants_body(const struct asked *asked, const struct brine_reply *reply)
{
	if (reply->result != BRINE_HIT)
		return false;
	return is_value(asked) || asked->command == BRINE_SCAN ||
	       asked->command == BRINE_STATS || asked->command == BRINE_BATCH ||
	       asked->command == BRINE_CONFIG || asked->command == BRINE_VERIFY;
}

static void
discard(struct incoming *incoming)
{
	brine_value_release(&incoming->value);
	incoming->streamed = false;
	incoming->discarded = true;
	incoming->to = NULL;
	incoming->room = 0;
}

/* Gets the memory for a value whose reply has begun. */
static void
make_value(struct brine_wire *wire)
{
	struct incoming *incoming = &wire->incoming;
	uint64_t len = incoming->known ? incoming->length : UNKNOWN_FIRST;
	uint64_t max = wire->options.max_value ? wire->options.max_value : BRINE_UNKNOWN;

	if (incoming->known && len > max) {
		snprintf(
			wire->message, sizeof(wire->message),
			"the value has %llu bytes, more than the %llu that were asked for",
			(unsigned long long)len, (unsigned long long)max);
		incoming->reply.result = -BRINE_ERROR_TOO_LARGE;
		incoming->reply.detail = max;
		discard(incoming);
		return;
	}
	incoming->value = len > SIZE_MAX ? NULL : value_new((size_t)len);
	if (!incoming->value) {
		snprintf(wire->message, sizeof(wire->message),
			 "no memory for a value of %llu bytes; read it in pieces",
			 (unsigned long long)len);
		incoming->reply.result = -BRINE_ERROR_LOCAL_MEMORY;
		discard(incoming);
		return;
	}
	incoming->to = incoming->value->data;
	incoming->room = (size_t)len;
}

/* Would the segment pass the length that was announced? */
static bool
too_long(const struct incoming *incoming)
{
	return incoming->known && incoming->left > incoming->length - incoming->taken;
}

static int
refuse_length(struct brine_wire *wire)
{
	return wire_break(wire, BRINE_ERROR_BAD_PEER,
			  "the daemon sent more than the %llu bytes that it announced",
			  (unsigned long long)wire->incoming.length);
}

/* Opens the body of the reply that stands in incoming.reply. */
void
body_open(struct brine_wire *wire, const struct frame *frame, const struct asked *asked,
	  const struct message *message)
{
	struct incoming *incoming = &wire->incoming;

	incoming->open = true;
	incoming->left = frame->first.len;
	incoming->mark = frame->first.mark;
	incoming->known = message_has(message, FIELD_LENGTH);
	incoming->length = message->length;
	incoming->taken = 0;
	incoming->room = 0;
	incoming->to = NULL;
	incoming->value = NULL;
	incoming->answers = asked != NULL;
	incoming->discarded = incoming->streamed = false;
	if (!incoming->known && incoming->mark != FRAME_MORE) {
		incoming->known = true;
		incoming->length = incoming->left;
	}
	if (!asked || !wants_body(asked, &incoming->reply)) {
		discard(incoming);
		incoming->known = false;
	} else if (incoming->mark == FRAME_NONE && is_value(asked)) {
		/* No body is not an empty one. */
		wire_break(wire, BRINE_ERROR_BAD_PEER,
			   "the daemon announced a value and sent none");
	} else if (too_long(incoming)) {
		refuse_length(wire);
	} else if (asked->flags & ASKED_STREAMED) {
		incoming->streamed = true;
	} else {
		make_value(wire);
	}
}

/* A value of unknown length is full and more bytes come. Returns 0, or an error that broke the wire. */
static int
widen_value(struct brine_wire *wire)
{
	struct incoming *incoming = &wire->incoming;
	size_t len = incoming->value->len;

	if (len >= WIRE_UNKNOWN_MAX)
		return wire_break(wire, BRINE_ERROR_BAD_PEER,
				  "the daemon's answer does not end after %u bytes",
				  WIRE_UNKNOWN_MAX);
	if (value_resize(&incoming->value, 2 * len)) {
		snprintf(wire->message, sizeof(wire->message),
			 "no memory for an answer of more than %zu bytes", len);
		incoming->reply.result = -BRINE_ERROR_LOCAL_MEMORY;
		discard(incoming);
		return 0;
	}
	incoming->to = incoming->value->data + len;
	incoming->room = len;
	return 0;
}

/* The word before a further segment. Returns 1, 0 or an error. */
static int
read_word(struct brine_wire *wire)
{
	struct incoming *incoming = &wire->incoming;
	struct frame_segment segment;

	if (wire->end - wire->start < FRAME_WORD_SIZE)
		return 0;
	if (frame_read_segment(wire->input + wire->start, &segment))
		return wire_break(wire, BRINE_ERROR_BAD_PEER,
				  "the daemon's answer is malformed");
	wire->start += FRAME_WORD_SIZE;
	incoming->mark = segment.mark;
	incoming->left = segment.len;
	if (too_long(incoming))
		return refuse_length(wire);
	if (segment.mark == FRAME_ABORT && incoming->reply.result >= 0) {
		int error = segment.error ? (int)segment.error : BRINE_ERROR_ABORTED;

		incoming->reply.result = -error;
		snprintf(wire->message, sizeof(wire->message),
			 "the daemon gave the value up half way: %s [%s]",
			 brine_error_text(error), brine_error_name(error));
	}
	return 1;
}

/* Moves what is there of the segment. Returns 1 when the segment is used up, 0 or an error. */
static int
read_segment(struct brine_wire *wire)
{
	struct incoming *incoming = &wire->incoming;

	while (incoming->left) {
		size_t bytes = wire->end - wire->start;

		if (bytes > incoming->left)
			bytes = incoming->left;
		if (!incoming->discarded) {
			if (incoming->room == 0 && incoming->value && widen_value(wire))
				return wire->error;
			if (!incoming->discarded && bytes > incoming->room)
				bytes = incoming->room;
		}
		if (bytes == 0)
			return 0;
		if (!incoming->discarded)
			memcpy(incoming->to, wire->input + wire->start, bytes);
		wire->start += bytes;
		body_advance(incoming, bytes);
	}
	return 1;
}

/* The body has ended in one way or the other. Returns 1 or an error that broke the wire. */
static int
end_body(struct brine_wire *wire)
{
	struct incoming *incoming = &wire->incoming;
	struct brine_reply *reply = &incoming->reply;

	incoming->open = false;
	if (reply->result < 0 || incoming->mark == FRAME_ABORT) {
		brine_value_release(&incoming->value);
		return 1;
	}
	if (incoming->known && incoming->taken != incoming->length)
		return wire_break(wire, BRINE_ERROR_BAD_PEER,
				  "the daemon announced %llu bytes and sent %llu",
				  (unsigned long long)incoming->length,
				  (unsigned long long)incoming->taken);
	if (!incoming->value)
		return 1;
	if (incoming->value->len != incoming->taken)
		value_resize(&incoming->value,
			     (size_t)incoming->taken); /* shrinks: cannot fail */
	incoming->value->len = (size_t)incoming->taken;
	incoming->value->data[incoming->taken] = 0;
	reply->meta.length = incoming->taken;
	incoming->value->meta = reply->meta;
	reply->value = incoming->value;
	incoming->value = NULL;
	return 1;
}

/* Reads on in the body. Returns 1 at its end, 0 (needs more bytes or room) or an error. */
int
body_read(struct brine_wire *wire)
{
	struct incoming *incoming = &wire->incoming;
	int result;

	for (;;) {
		result = read_segment(wire);
		if (result <= 0)
			return result;
		if (incoming->mark != FRAME_MORE)
			return end_body(wire);
		result = read_word(wire);
		if (result <= 0)
			return result;
	}
}

void
wire_body_into(struct brine_wire *wire, void *to, size_t room)
{
	wire->incoming.to = to;
	wire->incoming.room = room;
}

int
wire_body_step(struct brine_wire *wire)
{
	struct incoming *incoming = &wire->incoming;
	int result;

	assert(incoming->streamed);
	if (wire->error)
		return wire->error;
	if (incoming->open) {
		result = body_read(wire);
		if (result < 0)
			return result;
		if (result == 0)
			return WIRE_BODY_MORE;
		asked_close(&wire->asked, incoming->id);
	}
	return incoming->reply.result < 0 ? incoming->reply.result : WIRE_BODY_END;
}

void
wire_body_discard(struct brine_wire *wire)
{
	if (wire->incoming.open)
		asked_close(&wire->asked, wire->incoming.id);
	wire->incoming.answers = false;
	discard(&wire->incoming);
}
