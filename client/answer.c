/* answer.c - received bytes to replies. Part of a wire, which owns it. One thread at a time.
 *
 * Bytes are hostile until checked: whatever the daemon may not send breaks the wire (sticky), and the
 * connection with it. */
#include "client/wire.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

int
brine_wire_space(struct brine_wire *wire, struct iovec to[2])
{
	struct incoming *incoming = &wire->incoming;
	size_t held = wire->end - wire->start;
	int count = 0;

	if (wire->start) {
		memmove(wire->input, wire->input + wire->start, held);
		wire->start = 0;
		wire->end = held;
	}
	wire->direct = 0;
	if (incoming->open && held == 0 && incoming->left && incoming->room) {
		wire->direct =
			incoming->left < incoming->room ? incoming->left : incoming->room;
		to[count++] = (struct iovec){ incoming->to, wire->direct };
	}
	if (wire->end < WIRE_INPUT_SIZE)
		to[count++] = (struct iovec){ wire->input + wire->end,
					      WIRE_INPUT_SIZE - wire->end };
	assert(count); /* else replies were left lying */
	return count;
}

int
brine_wire_received(struct brine_wire *wire, size_t bytes, uint64_t now_ms)
{
	size_t direct = bytes < wire->direct ? bytes : wire->direct;

	assert(bytes - direct <= WIRE_INPUT_SIZE - wire->end);
	wire->quiet_since_ms = now_ms;
	if (direct)
		body_advance(&wire->incoming, direct);
	wire->end += bytes - direct;
	wire->direct = 0;
	return wire->error;
}

/* Copies text of the daemon's; what a terminal might obey becomes a question mark. */
static void
clean_text(struct slice from, char *to, size_t size)
{
	const unsigned char *text = from.data;
	size_t len = from.len < size - 1 ? from.len : size - 1;

	for (size_t i = 0; i < len; i++)
		to[i] = text[i] < 0x20 || text[i] == 0x7f ? '?' : (char)text[i];
	to[len] = 0;
}

static void
explain_error(struct brine_wire *wire, unsigned command, const struct message *message)
{
	char text[256], detail[48] = "", entry[48] = "";
	int error = message->error < BRINE_ERROR_UNREACHABLE ? (int)message->error : 0;

	if (message_has(message, FIELD_TEXT) && message->text.len)
		clean_text(message->text, text, sizeof(text));
	else
		snprintf(text, sizeof(text), "%s", brine_error_text(error));
	if (message_has(message, FIELD_DETAIL))
		snprintf(detail, sizeof(detail),
			 error == BRINE_ERROR_UNSUPPORTED ? " (field %llu)"
							  : " (limit %llu)",
			 (unsigned long long)message->detail);
	if (message_has(message, FIELD_ENTRY))
		snprintf(entry, sizeof(entry), " (entry %llu)",
			 (unsigned long long)message->entry);
	snprintf(wire->message, sizeof(wire->message), "%s: %s%s%s [%s]",
		 message_command_name(command), text, detail, entry,
		 brine_error_name(error));
}

void
answer_meta(const struct message *message, struct brine_meta *meta)
{
	*meta = (struct brine_meta){
		.version = message->version,
		.length = message->length,
		.age_ms = message->age_ms,
		.ttl_left_ms = message_has(message, FIELD_TTL_LEFT) ? message->ttl_left_ms
								    : BRINE_NEVER,
		.cost_us = message->cost_us,
		.stale_ms = message_has(message, FIELD_STALE) && !message->stale_ms
				    ? 1
				    : message->stale_ms,
		.stale_for_ms = message->stale_for_ms,
		.codec = (uint32_t)message->codec,
		.kind = (uint32_t)message->object_kind,
		.writer_uid = BRINE_NOBODY,
	};
	/* A uid of more than 32 bits is nobody's. */
	if (message_has(message, FIELD_WRITER) && message->writer_uid < BRINE_NOBODY)
		meta->writer_uid = (uint32_t)message->writer_uid;
}

/* UNSUPPORTED: an older daemon. What it lacks is remembered, and some of it has an answer without it. */
static void
fill_unsupported(struct brine_wire *wire, unsigned command, const struct message *message,
		 struct brine_reply *reply)
{
	reply->again = lacks_learn(&wire->lacks, command, message->detail);
	/* A daemon that knows no leases has not granted this one. */
	if (command == BRINE_PUT && message->detail == FIELD_TOKEN)
		reply->result = -BRINE_ERROR_OLD_TOKEN;
	else if (command == BRINE_RELEASE || command == BRINE_RESUME)
		reply->result = BRINE_MISS;
}

static void
fill_error(struct brine_wire *wire, unsigned command, const struct message *message,
	   struct brine_reply *reply)
{
	int error = message->error == 0 || message->error >= BRINE_ERROR_UNREACHABLE
			    ? BRINE_ERROR_INTERNAL
			    : (int)message->error;

	reply->result = -error;
	reply->meta = (struct brine_meta){ .writer_uid = BRINE_NOBODY };
	reply->detail = message->detail;
	reply->entry = message_has(message, FIELD_ENTRY) ? message->entry : BRINE_UNKNOWN;
	/* These two say that nothing was done. */
	reply->again = error == BRINE_ERROR_SHUTTING_DOWN || error == BRINE_ERROR_BUSY;
	if (error == BRINE_ERROR_UNSUPPORTED)
		fill_unsupported(wire, command, message, reply);
	explain_error(wire, command, message);
}

/* Of a get that asked for a lease. Returns 0 or the error that broke the wire. */
static int
fill_lease(struct brine_wire *wire, const struct message *message,
	   struct brine_reply *reply)
{
	struct brine_lease *lease = &reply->lease;

	if (message->lease == BRINE_LEASE_GRANTED) {
		if (message->token.len != BRINE_TOKEN_SIZE)
			return wire_break(wire, BRINE_ERROR_BAD_PEER,
					  "the daemon granted a lease without a token");
		lease->state = BRINE_LEASE_GRANTED;
		memcpy(lease->token, message->token.data, BRINE_TOKEN_SIZE);
	} else if (reply->result == BRINE_MISS) {
		/* Without the field it is an older daemon's. */
		lease->state = message->lease == BRINE_LEASE_WAITED ? BRINE_LEASE_WAITED
								    : BRINE_LEASE_ALONE;
	}
	return 0;
}

/* The reply's own fields, by what its message says. Returns 0 or the error that broke the wire. */
static int
fill_reply(struct brine_wire *wire, const struct frame *frame, const struct asked *asked,
	   const struct message *message, struct brine_reply *reply)
{
	/* Member by member: the cursor's bytes need no clearing for every answer. */
	reply->token = asked->token;
	reply->value = NULL;
	reply->cursor_len = 0;
	reply->detail = 0;
	reply->again = 0;
	reply->lease = (struct brine_lease){ 0 };
	reply->counter = (int64_t)message->counter;
	reply->entry = BRINE_UNKNOWN;
	if (frame->kind == FRAME_ERROR) {
		fill_error(wire, asked->command, message, reply);
		return 0;
	}
	reply->result = message->status == STATUS_DONE ? BRINE_DONE : BRINE_MISS;
	answer_meta(message, &reply->meta);
	if (asked->command == BRINE_SCAN)
		reply->detail = message->damaged;
	if ((asked->command == BRINE_SCAN || asked->command == BRINE_VERIFY) &&
	    message->cursor.len) {
		memcpy(reply->cursor, message->cursor.data, message->cursor.len);
		reply->cursor_len = message->cursor.len;
	}
	return asked->flags & ASKED_LEASE ? fill_lease(wire, message, reply) : 0;
}

static int
take_hello(struct brine_wire *wire, const struct frame *frame,
	   const struct message *message)
{
	struct brine_daemon *daemon = &wire->daemon;

	if (frame->kind == FRAME_ERROR) {
		wire->refused = true;
		explain_error(wire, COMMAND_HELLO, message);
		wire->error = -(message->error && message->error < BRINE_ERROR_UNREACHABLE
					? (int)message->error
					: BRINE_ERROR_BAD_PEER);
		return wire->error;
	}
	*daemon = (struct brine_daemon){
		.max_value = message->max_value,
		.epoch = message->epoch,
		.release = (uint32_t)message->release,
		.uid = message->uid < BRINE_NOBODY ? (uint32_t)message->uid
						   : BRINE_NOBODY,
		.server_uid = BRINE_NOBODY,
	};
	wire->makes_room = message->makes_room != 0;
	wire->greeted = true;
	return 0;
}

static int
take_goaway(struct brine_wire *wire, const struct message *message)
{
	if (!message_has(message, FIELD_LAST_ID) || message->last_id > UINT32_MAX)
		return wire_break(wire, BRINE_ERROR_BAD_PEER,
				  "the daemon's GOAWAY names no request");
	/* A second one may only lower it. */
	if (!wire->leaving || frame_id_before((uint32_t)message->last_id, wire->last_id))
		wire->last_id = (uint32_t)message->last_id;
	wire->leaving = true;
	outgoing_drop_after(&wire->outgoing, wire->last_id);
	return 0;
}

/* A header was read. Returns 0 or the error that broke the wire. */
static int
take_head(struct brine_wire *wire, const struct frame *frame,
	  const struct message *message)
{
	struct incoming *incoming = &wire->incoming;
	struct asked *asked = NULL;

	incoming->id = frame->id;
	incoming->reply.result =
		0; /* of the rest a frame that is no reply needs nothing */
	if (frame->kind == FRAME_GOAWAY) {
		if (take_goaway(wire, message))
			return wire->error;
	} else {
		asked = asked_find(&wire->asked, frame->id);
		if (!asked)
			return wire_break(
				wire, BRINE_ERROR_BAD_PEER,
				"the daemon answered request %u, which is not open",
				frame->id);
		if (!wire->greeted && asked->command != COMMAND_HELLO)
			return wire_break(wire, BRINE_ERROR_BAD_PEER,
					  "the daemon answered a request before HELLO");
		if (asked->command == COMMAND_HELLO) {
			if (take_hello(wire, frame, message))
				return wire->error;
		} else if (fill_reply(wire, frame, asked, message, &incoming->reply)) {
			return wire->error;
		}
	}
	body_open(wire, frame, asked, message);
	return wire->error;
}

/* Reads preamble and header once both are there. Returns 1, 0 (needs more) or an error. */
static int
read_head(struct brine_wire *wire)
{
	const uint8_t *at = wire->input + wire->start;
	size_t held = wire->end - wire->start;
	struct message message;
	struct frame frame;
	unsigned unknown;

	if (held < FRAME_PREAMBLE_SIZE)
		return 0;
	if (frame_read(at, &frame) || frame.version != FRAME_VERSION)
		return wire_break(wire, BRINE_ERROR_BAD_PEER,
				  "the peer does not speak Brine's protocol");
	if (frame.kind < FRAME_REPLY || frame.kind > FRAME_GOAWAY)
		return wire_break(wire, BRINE_ERROR_BAD_PEER,
				  "the daemon sent a frame of kind %u", frame.kind);
	if (held - FRAME_PREAMBLE_SIZE < frame.header_len)
		return 0;
	if (message_decode(slice(at + FRAME_PREAMBLE_SIZE, frame.header_len), &message,
			   &unknown) == MESSAGE_MALFORMED ||
	    message.cursor.len > MESSAGE_CURSOR_MAX)
		return wire_break(wire, BRINE_ERROR_BAD_PEER,
				  "the daemon's answer is malformed");
	wire->start += FRAME_PREAMBLE_SIZE + frame.header_len;
	return take_head(wire, &frame, &message) ? wire->error : 1;
}

/* Gives an error reply for the first open request at `from` or later. */
static int
fail_next(struct brine_wire *wire, uint32_t from, struct brine_reply *ret_reply)
{
	struct asked *asked;
	uint32_t id;
	bool unseen, ours;

	if (!asked_first(&wire->asked, from, &id))
		return 0;
	asked = asked_find(&wire->asked, id);
	/* After GOAWAY's number, behind a HELLO that was refused, or not sent to its last byte: certainly not
	 * executed. */
	unseen = (wire->leaving && frame_id_before(wire->last_id, id)) || wire->refused ||
		 !(asked->flags & ASKED_SENT);
	*ret_reply = (struct brine_reply){
		.token = asked->token,
		.result = wire->leaving && unseen ? -BRINE_ERROR_SHUTTING_DOWN
			  : wire->error           ? wire->error
			  : unseen                ? -BRINE_ERROR_UNREACHABLE
						  : -BRINE_ERROR_CUT_OFF,
		.again = unseen || asked->flags & ASKED_REPEATABLE,
		.entry = BRINE_UNKNOWN,
	};
	if (ret_reply->result == -BRINE_ERROR_CUT_OFF ||
	    ret_reply->result == -BRINE_ERROR_UNREACHABLE)
		snprintf(wire->message, sizeof(wire->message),
			 "the daemon closed the connection before it answered%s",
			 unseen ? "; nothing was done" : "");
	else if (ret_reply->result == -BRINE_ERROR_SHUTTING_DOWN)
		snprintf(wire->message, sizeof(wire->message),
			 "the daemon is shutting down; nothing was done");
	ours = asked->flags & ASKED_OURS;
	asked_close(&wire->asked, id);
	return ours ? fail_next(wire, from, ret_reply) : 1;
}

/* The reply is complete. Returns true if it is the caller's. */
static bool
close_request(struct brine_wire *wire, struct brine_reply *reply)
{
	uint32_t id = wire->incoming.id;
	const struct asked *asked = asked_find(&wire->asked, id);
	bool ours = asked->flags & ASKED_OURS;

	/* Whether it was noticed before the reply or in it: a damaged value is a miss. */
	if (reply->result == -BRINE_ERROR_DAMAGED &&
	    (asked->command == BRINE_GET || asked->command == BRINE_TAKE))
		reply->result = BRINE_MISS;
	if (ours && asked->command == BRINE_RESUME && reply->result != BRINE_DONE)
		wire->not_resumed |= 1ull << (asked->token & 63);
	asked_close(&wire->asked, id);
	return !ours;
}

int
brine_wire_next(struct brine_wire *wire, struct brine_reply *ret_reply)
{
	struct incoming *incoming = &wire->incoming;
	int result;

	if (wire->cut)
		return fail_next(wire, wire->asked.first, ret_reply);
	while (!wire->error) {
		if (!incoming->open) {
			if (wire->leaving &&
			    fail_next(wire, wire->last_id + 1, ret_reply))
				return 1;
			result = read_head(wire);
			if (result <= 0)
				return result;
			if (incoming->streamed) {
				*ret_reply = incoming->reply;
				return 1;
			}
		}
		if (incoming->streamed)
			return 0; /* wire_body_step() goes on */
		result = body_read(wire);
		if (result <= 0)
			return result;
		if (!incoming->answers)
			continue; /* GOAWAY, or the rest of a stream */
		*ret_reply = incoming->reply;
		if (close_request(wire, ret_reply))
			return 1;
	}
	return wire->error;
}
