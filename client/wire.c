/* wire.c - the sans-I/O core: requests to frames; answer.c and body.c turn frames to replies. Owns its buffers and
 * the value that is arriving; makes no system call. One thread at a time. */
#include "client/wire.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/value.h"

#define DISK_PATIENCE 10

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
	struct asked asked = { .command = COMMAND_HELLO,
			       .flags = ASKED_REPEATABLE | ASKED_OURS };
	uint32_t id;
	size_t len;

	if (asked_reserve(&wire->asked))
		return -BRINE_ERROR_LOCAL_MEMORY;
	id = asked_add(&wire->asked, &asked);
	MESSAGE_SET(&message, FEATURES, features, 0);
	MESSAGE_SET(&message, RELEASE, release, WIRE_RELEASE);
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
	lacks_apply(&wire->lacks, request->command, ret_message);
	error = queue_result(wire, asked_reserve(&wire->asked));
	if (!error && brine_wire_outstanding(wire) == 0)
		wire->quiet_since_ms = now_ms;
	return error;
}

static uint16_t
asked_flags(const struct brine_request *request)
{
	return (request_repeatable(request) ? ASKED_REPEATABLE : 0) |
	       (request_waits_for_disk(request) ? ASKED_DISK : 0) |
	       (request_parks(request) ? ASKED_PARKS : 0) |
	       (request->command == BRINE_GET && request->lease ? ASKED_LEASE : 0) |
	       (request->command == BRINE_PUT && request->or_get ? ASKED_OR_GET : 0);
}

static int
queue_request(struct brine_wire *wire, const struct brine_request *request,
	      uint64_t token, uint16_t flags, uint64_t now_ms)
{
	uint8_t head[FRAME_PREAMBLE_SIZE + REQUEST_HEADER_MAX];
	struct message message;
	bool put = request->command == BRINE_PUT || request->command == BRINE_BATCH;
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
wire_resume(struct brine_wire *wire, const struct brine_request *request, unsigned place,
	    uint64_t now_ms)
{
	return queue_request(wire, request, place, ASKED_OURS, now_ms);
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

/* While gets are parked, an answer to this shows that the daemon lives. Returns false where it cannot be asked: after
 * GOAWAY, when it answers what is parked, or behind a queue that it does not take. */
static bool
queue_ping(struct brine_wire *wire, uint64_t now_ms)
{
	static const struct brine_request ping = { .command = BRINE_PING };

	if (queue_request(wire, &ping, 0, ASKED_OURS, now_ms))
		return false;
	wire->quiet_since_ms = now_ms;
	return true;
}

int
brine_wire_tick(struct brine_wire *wire, uint64_t now_ms)
{
	uint64_t deadline = brine_wire_deadline(wire);

	if (deadline == BRINE_NEVER || now_ms < deadline)
		return 0;
	if (wire->asked.open == wire->asked.parked && queue_ping(wire, now_ms))
		return 0;
	return wire_break(wire, BRINE_ERROR_TIMED_OUT,
			  "the daemon was silent for more than %lld ms",
			  (long long)(deadline - wire->quiet_since_ms));
}

size_t
brine_wire_outstanding(const struct brine_wire *wire)
{
	return wire->asked.open - wire->asked.ours;
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
