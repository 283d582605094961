/* wire.c - the sans-I/O core: requests to frames, frames to replies. Owns its buffers and the value that is
 * arriving; makes no system call. One thread at a time.
 *
 * Bytes are hostile until checked: whatever the daemon may not send breaks the wire (sticky), and the
 * connection with it. */
#include "client/wire.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/value.h"

#define DISK_PATIENCE 10
#define UNKNOWN_FIRST 16384

int
wire_break(struct brine_wire *wire, int error, const char *format, ...)
{
	va_list args;

	if (wire->error)
		return wire->error;
	va_start(args, format);
	vsnprintf(wire->message, sizeof(wire->message), format, args);
	va_end(args);
	wire->error = -error;
	return wire->error;
}

/* ---- requests */

static int
queue_result(struct brine_wire *wire, int result)
{
	if (result == OUTGOING_OK)
		return 0;
	snprintf(wire->message, sizeof(wire->message),
		 result == OUTGOING_FULL
			 ? "too many requests are waiting to be sent or answered"
			 : "no memory for another request");
	return result == OUTGOING_FULL ? -BRINE_ERROR_BUSY : -BRINE_ERROR_LOCAL_MEMORY;
}

/* Writes preamble and header. The first segment is the value's, or none. */
static size_t
write_head(uint8_t to[static FRAME_PREAMBLE_SIZE + REQUEST_HEADER_MAX], unsigned kind,
	   uint32_t id, const struct message *message, enum frame_mark mark,
	   uint64_t value_len)
{
	struct frame frame = { .version = FRAME_VERSION,
			       .kind = (uint8_t)kind,
			       .id = id };
	size_t len;

	len = message_encode(message, to + FRAME_PREAMBLE_SIZE, REQUEST_HEADER_MAX);
	assert(len != 0);
	frame.header_len = (uint32_t)len;
	frame.first.mark = mark;
	frame.first.len =
		value_len > FRAME_SEGMENT_MAX ? FRAME_SEGMENT_MAX : (uint32_t)value_len;
	frame_write(to, &frame);
	return FRAME_PREAMBLE_SIZE + len;
}

static int
say_hello(struct brine_wire *wire)
{
	uint8_t head[FRAME_PREAMBLE_SIZE + REQUEST_HEADER_MAX];
	struct message message = { 0 };
	struct asked asked = { .command = COMMAND_HELLO, .flags = ASKED_REPEATABLE };
	uint32_t id;
	size_t len;

	if (asked_reserve(&wire->asked))
		return -BRINE_ERROR_LOCAL_MEMORY;
	id = asked_add(&wire->asked, &asked);
	MESSAGE_SET(&message, FEATURES, features, 0);
	MESSAGE_SET(&message, RELEASE, release,
		    BRINE_VERSION_MAJOR << 16 | BRINE_VERSION_MINOR << 8 |
			    BRINE_VERSION_PATCH);
	len = write_head(head, COMMAND_HELLO, id, &message, FRAME_NONE, 0);
	return outgoing_add(&wire->outgoing, id, true, head, len, NULL, 0)
		       ? -BRINE_ERROR_LOCAL_MEMORY
		       : 0;
}

/* What every request begins with. */
static int
prepare(struct brine_wire *wire, const struct brine_request *request, uint64_t now_ms,
	struct message *ret_message)
{
	const char *why = "";
	int error;

	if (wire->error)
		return wire->error;
	if (wire->leaving || wire->cut)
		return -BRINE_ERROR_SHUTTING_DOWN;
	error = wire->uploading ? -BRINE_ERROR_BAD_ARGUMENT
				: request_message(request, ret_message, &why);
	if (error) {
		snprintf(wire->message, sizeof(wire->message), "%s",
			 wire->uploading
				 ? "a streamed put is under way on this connection"
				 : why);
		return error;
	}
	error = queue_result(wire, asked_reserve(&wire->asked));
	if (!error && brine_wire_outstanding(wire) == 0)
		wire->quiet_since_ms = now_ms;
	return error;
}

static uint8_t
asked_flags(const struct brine_request *request)
{
	return (request_repeatable(request) ? ASKED_REPEATABLE : 0) |
	       (request_waits_for_disk(request) ? ASKED_DISK : 0);
}

static int
queue_request(struct brine_wire *wire, const struct brine_request *request,
	      uint64_t token, uint8_t flags, uint64_t now_ms)
{
	uint8_t head[FRAME_PREAMBLE_SIZE + REQUEST_HEADER_MAX];
	struct message message;
	bool put = request->command == BRINE_PUT;
	uint64_t value_len = put ? request->value_len : 0;
	enum frame_mark mark;
	size_t len;
	int error = prepare(wire, request, now_ms, &message);

	if (error)
		return error;
	mark = !put                            ? FRAME_NONE
	       : value_len > FRAME_SEGMENT_MAX ? FRAME_MORE
					       : FRAME_LAST;
	len = write_head(head, request->command, wire->asked.next, &message, mark,
			 value_len);
	error = queue_result(wire, outgoing_add(&wire->outgoing, wire->asked.next, true,
						head, len, request->value, value_len));
	if (error)
		return error;
	asked_add(&wire->asked, &(struct asked){ .token = token,
						 .command = (uint8_t)request->command,
						 .flags = flags | asked_flags(request) });
	return 0;
}

int
brine_wire_request(struct brine_wire *wire, const struct brine_request *request,
		   uint64_t token, uint64_t now_ms)
{
	return queue_request(wire, request, token, 0, now_ms);
}

int
wire_request_streamed(struct brine_wire *wire, const struct brine_request *request,
		      uint64_t token, uint64_t now_ms)
{
	return queue_request(wire, request, token, ASKED_STREAMED, now_ms);
}

int
wire_upload_begin(struct brine_wire *wire, const struct brine_request *request,
		  uint64_t token, uint64_t now_ms)
{
	struct message message;
	int error = prepare(wire, request, now_ms, &message);

	if (error)
		return error;
	wire->head_len = write_head(wire->head, BRINE_PUT, wire->asked.next, &message,
				    FRAME_MORE, 0);
	wire->upload_id = asked_add(&wire->asked, &(struct asked){ .token = token,
								   .command = BRINE_PUT,
								   .flags = ASKED_DISK });
	wire->uploading = true;
	return 0;
}

int
wire_upload_segment(struct brine_wire *wire, enum frame_mark mark, const void *bytes,
		    size_t len)
{
	struct frame_segment segment = { .mark = mark, .len = (uint32_t)len };
	uint8_t word[FRAME_WORD_SIZE];
	bool ends = mark != FRAME_MORE;
	int error;

	assert(wire->uploading && len <= FRAME_SEGMENT_MAX);
	if (wire->error)
		return wire->error;
	if (mark == FRAME_ABORT)
		segment.error = BRINE_ERROR_ABORTED;
	frame_write_segment(word, &segment);
	if (wire->head_len) {
		/* The preamble's last bytes are the first segment's word. */
		memcpy(wire->head + FRAME_PREAMBLE_SIZE - FRAME_WORD_SIZE, word,
		       sizeof(word));
		error = outgoing_add(&wire->outgoing, wire->upload_id, ends, wire->head,
				     wire->head_len, bytes, len);
	} else {
		error = outgoing_add(&wire->outgoing, wire->upload_id, ends, word,
				     sizeof(word), bytes, len);
	}
	if (error)
		return queue_result(wire, error);
	wire->head_len = 0;
	wire->uploading = !ends;
	return 0;
}

bool
wire_upload_open(const struct brine_wire *wire)
{
	return asked_find(&wire->asked, wire->upload_id) != NULL;
}

/* ---- sending */

int
brine_wire_output(struct brine_wire *wire, struct iovec *to, int count)
{
	if (wire->error || wire->cut)
		return 0;
	return outgoing_fill(&wire->outgoing, to, count);
}

void
brine_wire_sent(struct brine_wire *wire, size_t bytes, uint64_t now_ms)
{
	struct asked *asked;
	uint32_t id;

	if (bytes)
		wire->quiet_since_ms = now_ms;
	while (outgoing_sent(&wire->outgoing, &bytes, &id)) {
		asked = asked_find(&wire->asked, id);
		if (asked) /* an early refusal has answered it already */
			asked->flags |= ASKED_SENT;
	}
}

/* ---- receiving */

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

static void
body_advance(struct incoming *incoming, size_t bytes)
{
	incoming->left -= (uint32_t)bytes;
	incoming->taken += bytes;
	if (incoming->discarded)
		return;
	incoming->to += bytes;
	incoming->room -= bytes;
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
	char text[256], detail[48] = "";
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
	snprintf(wire->message, sizeof(wire->message), "%s: %s%s [%s]",
		 message_command_name(command), text, detail, brine_error_name(error));
}

static void
fill_meta(const struct message *message, struct brine_meta *meta)
{
	*meta = (struct brine_meta){
		.version = message->version,
		.length = message->length,
		.age_ms = message->age_ms,
		.ttl_left_ms = message_has(message, FIELD_TTL_LEFT) ? message->ttl_left_ms
								    : BRINE_NEVER,
		.cost_us = message->cost_us,
		.codec = (uint32_t)message->codec,
		.kind = (uint32_t)message->object_kind,
		.writer_uid = BRINE_NOBODY,
	};
	/* A uid of more than 32 bits is nobody's. */
	if (message_has(message, FIELD_WRITER) && message->writer_uid < BRINE_NOBODY)
		meta->writer_uid = (uint32_t)message->writer_uid;
}

/* What a body is for depends on what was asked. */
static bool
wants_body(const struct asked *asked, const struct brine_reply *reply)
{
	if (reply->result != BRINE_HIT)
		return false;
	return asked->command == BRINE_GET || asked->command == BRINE_SCAN ||
	       asked->command == BRINE_STATS;
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

/* The reply's own fields, by what its message says. */
static void
fill_reply(struct brine_wire *wire, const struct frame *frame, const struct asked *asked,
	   const struct message *message, struct brine_reply *reply)
{
	*reply = (struct brine_reply){ .token = asked->token };
	if (frame->kind == FRAME_ERROR) {
		int error =
			message->error == 0 || message->error >= BRINE_ERROR_UNREACHABLE
				? BRINE_ERROR_INTERNAL
				: (int)message->error;

		reply->result = -error;
		reply->detail = message->detail;
		/* These two say that nothing was done. */
		reply->again =
			error == BRINE_ERROR_SHUTTING_DOWN || error == BRINE_ERROR_BUSY;
		explain_error(wire, asked->command, message);
		return;
	}
	reply->result = message->status == STATUS_DONE ? BRINE_DONE : BRINE_MISS;
	fill_meta(message, &reply->meta);
	if (asked->command == BRINE_SCAN && message->cursor.len) {
		memcpy(reply->cursor, message->cursor.data, message->cursor.len);
		reply->cursor_len = message->cursor.len;
	}
}

static int
take_hello(struct brine_wire *wire, const struct frame *frame,
	   const struct message *message)
{
	struct brine_daemon *daemon = &wire->daemon;

	if (frame->kind == FRAME_ERROR) {
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
static void
open_body(struct brine_wire *wire, const struct frame *frame, const struct asked *asked,
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
	} else if (too_long(incoming)) {
		refuse_length(wire);
	} else if (asked->flags & ASKED_STREAMED) {
		incoming->streamed = true;
	} else {
		make_value(wire);
	}
}

/* A header was read. Returns 0 or the error that broke the wire. */
static int
take_head(struct brine_wire *wire, const struct frame *frame,
	  const struct message *message)
{
	struct incoming *incoming = &wire->incoming;
	struct asked *asked = NULL;

	incoming->id = frame->id;
	incoming->reply = (struct brine_reply){ 0 };
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
		} else {
			fill_reply(wire, frame, asked, message, &incoming->reply);
		}
	}
	open_body(wire, frame, asked, message);
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
static int
read_body(struct brine_wire *wire)
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

/* Gives an error reply for the first open request at `from` or later. */
static int
fail_next(struct brine_wire *wire, uint32_t from, struct brine_reply *ret_reply)
{
	struct asked *asked;
	uint32_t id;
	bool unseen;

	if (!asked_first(&wire->asked, from, &id))
		return 0;
	asked = asked_find(&wire->asked, id);
	/* After GOAWAY's number, or not sent to its last byte: certainly not executed. */
	unseen = (wire->leaving && frame_id_before(wire->last_id, id)) ||
		 !(asked->flags & ASKED_SENT);
	*ret_reply = (struct brine_reply){
		.token = asked->token,
		.result = wire->leaving && unseen ? -BRINE_ERROR_SHUTTING_DOWN
			  : wire->error           ? wire->error
			  : unseen                ? -BRINE_ERROR_UNREACHABLE
						  : -BRINE_ERROR_CUT_OFF,
		.again = unseen || asked->flags & ASKED_REPEATABLE,
	};
	if (ret_reply->result == -BRINE_ERROR_CUT_OFF ||
	    ret_reply->result == -BRINE_ERROR_UNREACHABLE)
		snprintf(wire->message, sizeof(wire->message),
			 "the daemon closed the connection before it answered%s",
			 unseen ? "; nothing was done" : "");
	else if (ret_reply->result == -BRINE_ERROR_SHUTTING_DOWN)
		snprintf(wire->message, sizeof(wire->message),
			 "the daemon is shutting down; nothing was done");
	asked_close(&wire->asked, id);
	return asked->command == COMMAND_HELLO ? fail_next(wire, from, ret_reply) : 1;
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
		result = read_body(wire);
		if (result <= 0)
			return result;
		if (!incoming->answers)
			continue; /* GOAWAY, or the rest of a stream */
		*ret_reply = incoming->reply;
		result = asked_find(&wire->asked, incoming->id)->command;
		/* Whether it was noticed before the reply or in it: a damaged value is a miss. */
		if (ret_reply->result == -BRINE_ERROR_DAMAGED && result == BRINE_GET)
			ret_reply->result = BRINE_MISS;
		asked_close(&wire->asked, incoming->id);
		if (result != COMMAND_HELLO)
			return 1;
	}
	return wire->error;
}

/* ---- a streamed body */

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
		result = read_body(wire);
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

/* ---- the end, and what is known */

void
brine_wire_cut(struct brine_wire *wire)
{
	struct incoming *incoming = &wire->incoming;

	brine_value_release(&incoming->value);
	if (incoming->open && incoming->streamed && incoming->reply.result >= 0)
		incoming->reply.result = -BRINE_ERROR_CUT_OFF;
	incoming->open = false;
	wire->cut = true;
}

uint64_t
brine_wire_deadline(const struct brine_wire *wire)
{
	int64_t timeout =
		wire->options.timeout_ms ? wire->options.timeout_ms : BRINE_TIMEOUT_MS;

	if (timeout < 0 || wire->cut || brine_wire_outstanding(wire) == 0)
		return BRINE_NEVER;
	if (wire->asked.disk)
		timeout *= DISK_PATIENCE;
	return wire->quiet_since_ms + (uint64_t)timeout;
}

size_t
brine_wire_outstanding(const struct brine_wire *wire)
{
	return wire->asked.open - (asked_find(&wire->asked, 0) && !wire->greeted ? 1 : 0);
}

int
brine_wire_leaving(const struct brine_wire *wire)
{
	return wire->leaving;
}

int
brine_wire_daemon(const struct brine_wire *wire, struct brine_daemon *ret_daemon)
{
	if (!wire->greeted)
		return -BRINE_ERROR_BUSY;
	*ret_daemon = wire->daemon;
	return 0;
}

const char *
brine_wire_message(const struct brine_wire *wire)
{
	return wire->message;
}

int
brine_wire_new(const struct brine_wire_options *options, struct brine_wire **ret_wire)
{
	struct brine_wire *wire = calloc(1, sizeof(*wire));

	if (!wire)
		return -BRINE_ERROR_LOCAL_MEMORY;
	if (options)
		wire->options = *options;
	wire->input = malloc(WIRE_INPUT_SIZE);
	if (!wire->input || say_hello(wire)) {
		brine_wire_free(&wire);
		return -BRINE_ERROR_LOCAL_MEMORY;
	}
	*ret_wire = wire;
	return 0;
}

void
brine_wire_free(struct brine_wire **wire)
{
	if (!wire || !*wire)
		return;
	brine_value_release(&(*wire)->incoming.value);
	outgoing_free(&(*wire)->outgoing);
	asked_free(&(*wire)->asked);
	free((*wire)->input);
	free(*wire);
	*wire = NULL;
}
