/* test_client_wire.c - the sans-I/O core: what it sends, and that it believes nothing of what it is sent. */
#include "tests/unit/unit.h"

#include <string.h>

#include "client/brine.h"
#include "client/wire.h"
#include "proto/errors.h"
#include "proto/frame.h"
#include "proto/message.h"

#define BYTES_MAX (8u << 20)

/* What the daemon sends. */
struct script {
	uint8_t *bytes;
	size_t len;
};

static void
script_add(struct script *script, const void *bytes, size_t len)
{
	if (!script->bytes)
		script->bytes = malloc(BYTES_MAX);
	assert_true(script->len + len <= BYTES_MAX);
	if (len)
		memcpy(script->bytes + script->len, bytes, len);
	script->len += len;
}

static void
script_done(struct script *script)
{
	free(script->bytes);
	*script = (struct script){ 0 };
}

static void
add_frame(struct script *script, unsigned kind, uint32_t id,
	  const struct message *message, enum frame_mark mark, const void *body,
	  size_t len)
{
	uint8_t head[FRAME_PREAMBLE_SIZE + 4096];
	struct frame frame = { .version = 1,
			       .kind = (uint8_t)kind,
			       .id = id,
			       .first = { .mark = mark, .len = (uint32_t)len } };

	frame.header_len =
		(uint32_t)message_encode(message, head + FRAME_PREAMBLE_SIZE, 4096);
	if (mark == FRAME_ABORT)
		frame.first =
			(struct frame_segment){ .mark = mark, .error = (uint32_t)len };
	frame_write(head, &frame);
	script_add(script, head, FRAME_PREAMBLE_SIZE + frame.header_len);
	if (mark != FRAME_ABORT)
		script_add(script, body, len);
}

static void
add_segment(struct script *script, enum frame_mark mark, const void *bytes, size_t len)
{
	uint8_t word[FRAME_WORD_SIZE];
	struct frame_segment segment = { .mark = mark, .len = (uint32_t)len };

	if (mark == FRAME_ABORT)
		segment = (struct frame_segment){ .mark = mark, .error = (uint32_t)len };
	frame_write_segment(word, &segment);
	script_add(script, word, sizeof(word));
	if (mark != FRAME_ABORT)
		script_add(script, bytes, len);
}

static void
add_hello(struct script *script)
{
	struct message message = { 0 };

	MESSAGE_SET(&message, PROTOCOL, protocol, 1);
	MESSAGE_SET(&message, MAX_VALUE, max_value, 1000000);
	MESSAGE_SET(&message, EPOCH, epoch, 7);
	MESSAGE_SET(&message, UID, uid, 1000);
	add_frame(script, FRAME_REPLY, 0, &message, FRAME_NONE, NULL, 0);
}

static struct message
hit(uint64_t length)
{
	struct message message = { 0 };

	MESSAGE_SET(&message, VERSION, version, 99);
	MESSAGE_SET(&message, LENGTH, length, length);
	return message;
}

static struct brine_wire *
new_wire(void)
{
	struct brine_wire_options options = { .timeout_ms = 100 };
	struct brine_wire *wire;

	assert_int_equal(brine_wire_new(&options, &wire), 0);
	return wire;
}

static void
ask(struct brine_wire *wire, enum brine_command command, uint64_t token)
{
	struct brine_request request = {
		.command = command, .key = "k", .key_len = 1, .value = "v", .value_len = 1
	};

	assert_int_equal(brine_wire_request(wire, &request, token, 0), 0);
}

/* Takes everything to be sent as sent; returns how much it was. */
static size_t
drain(struct brine_wire *wire, struct script *ret_sent)
{
	struct iovec pieces[5];
	size_t total = 0, bytes;
	int count;

	while ((count = brine_wire_output(wire, pieces, 5)) > 0) {
		bytes = 0;
		for (int i = 0; i < count; i++) {
			if (ret_sent)
				script_add(ret_sent, pieces[i].iov_base,
					   pieces[i].iov_len);
			bytes += pieces[i].iov_len;
		}
		brine_wire_sent(wire, bytes, 0);
		total += bytes;
	}
	return total;
}

/* Gives the wire at most `most` bytes of the script at *at. Returns what received() said. */
static int
give(struct brine_wire *wire, const struct script *script, size_t *at, size_t most)
{
	struct iovec space[2];
	int count = brine_wire_space(wire, space);
	size_t given = 0;

	for (int i = 0; i < count && given < most && *at < script->len; i++) {
		size_t some = space[i].iov_len;

		if (some > most - given)
			some = most - given;
		if (some > script->len - *at)
			some = script->len - *at;
		memcpy(space[i].iov_base, script->bytes + *at, some);
		*at += some;
		given += some;
	}
	return brine_wire_received(wire, given, 0);
}

/* Feeds the script in runs of `most` bytes. Returns the count of replies, or the error that broke the wire. */
static int
play(struct brine_wire *wire, const struct script *script, size_t most,
     struct brine_reply *ret_replies, int max)
{
	size_t at = 0;
	int count = 0, result;

	for (;;) {
		struct brine_reply reply;

		while ((result = brine_wire_next(wire, &reply)) == 1) {
			assert_true(count < max);
			ret_replies[count++] = reply;
		}
		if (result < 0) {
			brine_replies_release(ret_replies, (size_t)count);
			return result;
		}
		if (at == script->len)
			return count;
		give(wire, script, &at, most);
	}
}

static void
hello_and_the_first_request_leave_together(void **state)
{
	struct brine_wire *wire = new_wire();
	struct script sent = { 0 };
	struct brine_daemon daemon;
	struct message message;
	struct frame frame;
	unsigned unknown;
	size_t at;

	(void)state;
	ask(wire, BRINE_GET, 5);
	drain(wire, &sent);
	assert_int_equal(frame_read(sent.bytes, &frame), 0);
	assert_int_equal(frame.kind, COMMAND_HELLO);
	assert_int_equal(frame.id, 0);
	at = frame_size(&frame);
	assert_int_equal(frame_read(sent.bytes + at, &frame), 0);
	assert_int_equal(frame.kind, COMMAND_GET);
	assert_int_equal(frame.id, 1);
	assert_int_equal(frame.first.mark, FRAME_NONE);
	assert_int_equal(message_decode(slice(sent.bytes + at + FRAME_PREAMBLE_SIZE,
					      frame.header_len),
					&message, &unknown),
			 MESSAGE_OK);
	assert_true(slice_equal(message.key, slice_text("k")));
	assert_int_equal(at + frame_size(&frame), sent.len);
	assert_int_equal(brine_wire_daemon(wire, &daemon), -BRINE_ERROR_BUSY);
	brine_wire_free(&wire);
	script_done(&sent);
}

static void
large_values_leave_in_segments_of_a_mebibyte(void **state)
{
	size_t len = 2 * FRAME_SEGMENT_MAX + 77;
	uint8_t *value = malloc(len), *joined = malloc(len);
	struct brine_request request = { .command = BRINE_PUT, .key = "k", .key_len = 1 };
	struct brine_wire *wire = new_wire();
	struct script sent = { 0 };
	struct frame_segment segment;
	struct frame frame;
	struct iovec piece;
	size_t at, have = 0;

	(void)state;
	for (size_t i = 0; i < len; i++)
		value[i] = (uint8_t)(i * 31 >> 3);
	request.value = value;
	request.value_len = len;
	assert_int_equal(brine_wire_request(wire, &request, 1, 0), 0);
	/* Sent in odd pieces, so that each position of the value is once where a send stopped. */
	while (brine_wire_output(wire, &piece, 1) == 1) {
		size_t some = piece.iov_len < 4099 ? piece.iov_len : 4099;

		script_add(&sent, piece.iov_base, some);
		brine_wire_sent(wire, some, 0);
	}
	assert_int_equal(frame_read(sent.bytes, &frame), 0);
	at = frame_size(&frame);
	assert_int_equal(frame_read(sent.bytes + at, &frame), 0);
	at += FRAME_PREAMBLE_SIZE + frame.header_len;
	segment = frame.first;
	for (;;) {
		memcpy(joined + have, sent.bytes + at, segment.len);
		have += segment.len;
		at += segment.len;
		if (segment.mark == FRAME_LAST)
			break;
		assert_int_equal(segment.len, FRAME_SEGMENT_MAX);
		assert_int_equal(frame_read_segment(sent.bytes + at, &segment), 0);
		at += FRAME_WORD_SIZE;
	}
	assert_int_equal(at, sent.len);
	assert_int_equal(have, len);
	assert_memory_equal(joined, value, len);
	brine_wire_free(&wire);
	script_done(&sent);
	free(value);
	free(joined);
}

/* A stream with everything in it: replies out of order, a long value, an aborted one, errors. */
static void
write_stream(struct script *script, const uint8_t *value, size_t len)
{
	struct message message = hit(len), error = { 0 }, miss = { 0 };

	add_hello(script);
	add_frame(script, FRAME_REPLY, 2, &message, FRAME_MORE, value, 1000);
	add_segment(script, FRAME_MORE, value + 1000, 0);
	add_segment(script, FRAME_MORE, value + 1000, len - 1500);
	add_segment(script, FRAME_LAST, value + len - 500, 500);
	message = hit(5);
	add_frame(script, FRAME_REPLY, 1, &message, FRAME_LAST, "hello", 5);
	message = hit(5000);
	add_frame(script, FRAME_REPLY, 3, &message, FRAME_MORE, value, 100);
	add_segment(script, FRAME_ABORT, NULL, ERROR_DAMAGED);
	MESSAGE_SET(&error, ERROR, error, ERROR_TOO_LARGE);
	MESSAGE_SET(&error, DETAIL, detail, 1234);
	add_frame(script, FRAME_ERROR, 4, &error, FRAME_NONE, NULL, 0);
	MESSAGE_SET(&miss, STATUS, status, STATUS_MISS);
	add_frame(script, FRAME_REPLY, 5, &miss, FRAME_NONE, NULL, 0);
}

static void
replies_are_the_same_however_the_bytes_arrive(void **state)
{
	static const size_t sizes[] = { 1, 2, 3, 7, 16, 17, 1000, 65536, BYTES_MAX };
	size_t len = 300000;
	uint8_t *value = malloc(len);
	struct script script = { 0 };

	(void)state;
	for (size_t i = 0; i < len; i++)
		value[i] = (uint8_t)(i * 7 >> 2);
	write_stream(&script, value, len);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct brine_wire *wire = new_wire();
		struct brine_reply replies[8];
		struct brine_daemon daemon;

		for (uint64_t token = 11; token <= 13; token++)
			ask(wire, BRINE_GET, token);
		ask(wire, BRINE_PUT, 14);
		ask(wire, BRINE_GET, 15);
		drain(wire, NULL);
		assert_int_equal(play(wire, &script, sizes[i], replies, 8), 5);
		assert_int_equal(replies[0].token, 12);
		assert_int_equal(brine_value_len(replies[0].value), len);
		assert_memory_equal(brine_value_data(replies[0].value), value, len);
		assert_int_equal(((const char *)brine_value_data(replies[0].value))[len],
				 0);
		assert_int_equal(replies[1].token, 11);
		assert_string_equal(brine_value_data(replies[1].value), "hello");
		assert_int_equal(brine_value_meta(replies[1].value)->version, 99);
		assert_int_equal(replies[2].token, 13);
		assert_int_equal(replies[2].result, BRINE_MISS); /* damaged: a miss */
		assert_null(replies[2].value);
		assert_int_equal(replies[3].token, 14);
		assert_int_equal(replies[3].result, -BRINE_ERROR_TOO_LARGE);
		assert_int_equal(replies[3].detail, 1234);
		assert_int_equal(replies[4].result, BRINE_MISS);
		assert_int_equal(brine_wire_outstanding(wire), 0);
		assert_int_equal(brine_wire_daemon(wire, &daemon), 0);
		assert_int_equal(daemon.max_value, 1000000);
		brine_replies_release(replies, 5);
		brine_wire_free(&wire);
	}
	script_done(&script);
	free(value);
}

/* Plays the script after HELLO to one GET (id 1) and expects the wire to break. */
static void
breaks(struct script *script)
{
	static const size_t sizes[] = { 1, 5, BYTES_MAX };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		struct brine_wire *wire = new_wire();
		struct brine_reply replies[4], reply;

		ask(wire, BRINE_GET, 1);
		drain(wire, NULL);
		assert_int_equal(play(wire, script, sizes[i], replies, 4),
				 -BRINE_ERROR_BAD_PEER);
		assert_true(brine_wire_message(wire)[0]);
		/* Sticky, and the request still gets its end. */
		assert_int_equal(brine_wire_next(wire, &reply), -BRINE_ERROR_BAD_PEER);
		brine_wire_cut(wire);
		brine_wire_free(&wire);
	}
	script_done(script);
}

static void
what_a_daemon_may_not_send_breaks_the_wire(void **state)
{
	struct script script = { 0 };
	struct message message = hit(5), nothing = { 0 };
	uint8_t garbage[64];

	(void)state;
	add_frame(&script, FRAME_REPLY, 1, &message, FRAME_LAST, "hello",
		  5); /* before HELLO's */
	breaks(&script);
	add_hello(&script);
	add_hello(&script); /* twice */
	breaks(&script);
	add_hello(&script);
	add_frame(&script, FRAME_REPLY, 2, &message, FRAME_LAST, "hello",
		  5); /* not asked */
	breaks(&script);
	add_hello(&script);
	add_frame(&script, FRAME_REPLY, 1, &message, FRAME_LAST, "hell",
		  4); /* too short */
	breaks(&script);
	add_hello(&script);
	add_frame(&script, FRAME_REPLY, 1, &message, FRAME_LAST, "hello!",
		  6); /* too long */
	breaks(&script);
	add_hello(&script);
	add_frame(&script, FRAME_REPLY, 1, &message, FRAME_MORE, "hel", 3);
	add_segment(&script, FRAME_LAST, "lo!", 3); /* too long in the second */
	breaks(&script);
	add_hello(&script);
	add_frame(&script, FRAME_REPLY, 1, &message, FRAME_NONE, NULL,
		  0); /* no body at all */
	breaks(&script);
	add_hello(&script);
	add_frame(&script, FRAME_REPLY, 1, &message, FRAME_MORE, "hel", 3);
	script_add(&script, "\0\0\0\0", 4); /* mark 0 after the first segment */
	breaks(&script);
	add_hello(&script);
	add_frame(&script, COMMAND_GET, 1, &nothing, FRAME_NONE, NULL, 0); /* a request */
	breaks(&script);
	add_hello(&script);
	add_frame(&script, 131, 1, &nothing, FRAME_NONE, NULL, 0); /* an unknown kind */
	breaks(&script);
	add_hello(&script);
	add_frame(&script, FRAME_GOAWAY, 0, &nothing, FRAME_NONE, NULL,
		  0); /* names no id */
	breaks(&script);
	memset(garbage, 0xff, sizeof(garbage));
	script_add(&script, garbage, sizeof(garbage));
	breaks(&script);
	memset(garbage, 0, sizeof(garbage));
	script_add(&script, garbage, sizeof(garbage));
	breaks(&script);
	add_hello(&script);
	add_frame(&script, FRAME_REPLY, 1, &nothing, FRAME_NONE, NULL, 0);
	script.bytes[script.len - 1] = 0xc1; /* a header that is no map */
	breaks(&script);
}

static void
random_damage_is_survived(void **state)
{
	size_t len = 20000;
	uint8_t *value = calloc(1, len), original;
	struct script script = { 0 };
	uint32_t seed = 12345;

	(void)state;
	write_stream(&script, value, len);
	for (int round = 0; round < 3000; round++) {
		struct brine_wire *wire = new_wire();
		struct brine_reply replies[8];
		size_t where;
		int count;

		seed = seed * 1664525 + 1013904223;
		/* Mostly where the structure is. */
		where = round % 3 ? (seed >> 8) % 200 : (seed >> 8) % script.len;
		original = script.bytes[where];
		script.bytes[where] ^= (uint8_t)(1u << (seed >> 5 & 7));
		for (uint64_t token = 1; token <= 5; token++)
			ask(wire, token == 4 ? BRINE_PUT : BRINE_GET, token);
		drain(wire, NULL);
		count = play(wire, &script, 1 + (seed >> 20) % 5000, replies, 8);
		for (int i = 0; i < count; i++)
			if (replies[i].value && replies[i].result != BRINE_HIT)
				fail_msg("seed round %d: a value with result %d", round,
					 replies[i].result);
		if (count > 0)
			brine_replies_release(replies, (size_t)count);
		brine_wire_cut(wire);
		brine_wire_free(&wire);
		script.bytes[where] = original;
	}
	script_done(&script);
	free(value);
}

static void
a_value_over_the_callers_limit_fails_alone(void **state)
{
	struct brine_wire_options options = { .max_value = 100 };
	struct script script = { 0 };
	struct brine_reply replies[2];
	struct message message = hit(101);
	struct brine_wire *wire;
	char bytes[101] = { 0 };

	(void)state;
	assert_int_equal(brine_wire_new(&options, &wire), 0);
	ask(wire, BRINE_GET, 1);
	ask(wire, BRINE_GET, 2);
	drain(wire, NULL);
	add_hello(&script);
	add_frame(&script, FRAME_REPLY, 1, &message, FRAME_LAST, bytes, 101);
	message = hit(100);
	add_frame(&script, FRAME_REPLY, 2, &message, FRAME_LAST, bytes, 100);
	assert_int_equal(play(wire, &script, 10, replies, 2), 2);
	assert_int_equal(replies[0].result, -BRINE_ERROR_TOO_LARGE);
	assert_int_equal(replies[1].result, BRINE_HIT);
	brine_replies_release(replies, 2);
	brine_wire_free(&wire);
	script_done(&script);
}

static void
a_length_that_memory_does_not_hold_fails_alone(void **state)
{
	struct script script = { 0 };
	struct brine_reply replies[2];
	struct message message = hit(UINT64_MAX / 4);
	struct brine_wire *wire = new_wire();

	(void)state;
	ask(wire, BRINE_GET, 1);
	ask(wire, BRINE_GET, 2);
	drain(wire, NULL);
	add_hello(&script);
	add_frame(&script, FRAME_REPLY, 1, &message, FRAME_MORE, "abc", 3);
	add_segment(&script, FRAME_ABORT, NULL, ERROR_INTERNAL);
	message = hit(2);
	add_frame(&script, FRAME_REPLY, 2, &message, FRAME_LAST, "ab", 2);
	assert_int_equal(play(wire, &script, 10, replies, 2), 2);
	assert_int_equal(replies[0].result, -BRINE_ERROR_LOCAL_MEMORY);
	assert_int_equal(replies[1].result, BRINE_HIT);
	brine_replies_release(replies, 2);
	brine_wire_free(&wire);
	script_done(&script);
}

static void
goaway_gives_back_what_will_not_be_executed(void **state)
{
	struct script script = { 0 };
	struct brine_reply replies[4];
	struct brine_wire *wire = new_wire();
	struct brine_request late = { .command = BRINE_PING };
	struct message goaway = { 0 }, message = hit(2);

	(void)state;
	ask(wire, BRINE_GET, 1);
	ask(wire, BRINE_PUT, 2);
	ask(wire, BRINE_GET, 3);
	drain(wire, NULL);
	add_hello(&script);
	MESSAGE_SET(&goaway, LAST_ID, last_id, 1);
	/* Its id is that of an open request, and means nothing. */
	add_frame(&script, FRAME_GOAWAY, 1, &goaway, FRAME_NONE, NULL, 0);
	add_frame(&script, FRAME_REPLY, 1, &message, FRAME_LAST, "ab", 2);
	assert_int_equal(play(wire, &script, 1000, replies, 4), 3);
	assert_true(brine_wire_leaving(wire));
	assert_int_equal(replies[0].token, 2);
	assert_int_equal(replies[0].result, -BRINE_ERROR_SHUTTING_DOWN);
	assert_int_equal(replies[0].again, 1);
	assert_int_equal(replies[1].token, 3);
	assert_int_equal(replies[2].token, 1);
	assert_int_equal(replies[2].result, BRINE_HIT);
	assert_int_equal(brine_wire_request(wire, &late, 9, 0),
			 -BRINE_ERROR_SHUTTING_DOWN);
	brine_replies_release(replies, 3);
	brine_wire_free(&wire);
	script_done(&script);
}

static void
a_cut_wire_says_which_requests_may_be_sent_again(void **state)
{
	struct brine_request conditional = { .command = BRINE_PUT,
					     .key = "k",
					     .key_len = 1,
					     .value = "v",
					     .value_len = 1,
					     .condition = BRINE_IF_ABSENT };
	struct brine_wire *wire = new_wire();
	struct brine_reply reply;

	(void)state;
	ask(wire, BRINE_GET, 1);
	assert_int_equal(brine_wire_request(wire, &conditional, 2, 0), 0);
	drain(wire, NULL);
	assert_int_equal(brine_wire_request(wire, &conditional, 3, 0),
			 0); /* never sent */
	assert_int_equal(brine_wire_outstanding(wire), 3);
	brine_wire_cut(wire);
	assert_int_equal(brine_wire_next(wire, &reply), 1);
	assert_int_equal(reply.token, 1);
	assert_int_equal(reply.result, -BRINE_ERROR_CUT_OFF);
	assert_int_equal(reply.again, 1);
	assert_int_equal(brine_wire_next(wire, &reply), 1);
	assert_int_equal(reply.token, 2);
	assert_int_equal(reply.again, 0);
	assert_int_equal(brine_wire_next(wire, &reply), 1);
	assert_int_equal(reply.token, 3);
	assert_int_equal(reply.result, -BRINE_ERROR_UNREACHABLE);
	assert_int_equal(reply.again, 1);
	assert_int_equal(brine_wire_next(wire, &reply), 0);
	brine_wire_free(&wire);
}

static void
the_deadline_moves_with_every_byte_and_waits_longer_for_the_disk(void **state)
{
	struct brine_request sync = { .command = BRINE_SYNC };
	struct brine_request get = { .command = BRINE_GET, .key = "k", .key_len = 1 };
	struct brine_wire *wire = new_wire();
	struct iovec pieces[4], space[2];
	int count;
	size_t total = 0;

	(void)state;
	assert_true(brine_wire_deadline(wire) == BRINE_NEVER);
	assert_int_equal(brine_wire_request(wire, &get, 1, 5000), 0);
	assert_int_equal(brine_wire_deadline(wire), 5100);
	count = brine_wire_output(wire, pieces, 4);
	for (int i = 0; i < count; i++)
		total += pieces[i].iov_len;
	brine_wire_sent(wire, total, 5020);
	assert_int_equal(brine_wire_deadline(wire), 5120);
	brine_wire_space(wire, space);
	*(uint8_t *)space[0].iov_base = 1;
	assert_int_equal(brine_wire_received(wire, 1, 5060), 0);
	assert_int_equal(brine_wire_deadline(wire), 5160);
	assert_int_equal(brine_wire_request(wire, &sync, 1, 5070), 0);
	assert_int_equal(brine_wire_deadline(wire), 6060);
	brine_wire_free(&wire);
}

static void
a_full_queue_says_so_and_goes_on_when_it_was_sent(void **state)
{
	struct brine_request request = { .command = BRINE_GET, .key = "k", .key_len = 1 };
	struct brine_wire *wire = new_wire();
	uint64_t queued = 0;
	int result;

	(void)state;
	for (int round = 0; round < 3; round++) {
		while ((result = brine_wire_request(wire, &request, queued, 0)) == 0)
			queued++;
		assert_int_equal(result, -BRINE_ERROR_BUSY);
		drain(wire, NULL);
	}
	assert_int_equal(brine_wire_outstanding(wire), queued);
	/* And never more than the protocol allows. */
	for (;;) {
		while ((result = brine_wire_request(wire, &request, queued, 0)) == 0)
			queued++;
		if (drain(wire, NULL) == 0)
			break;
	}
	assert_int_equal(queued + 1, BRINE_WIRE_OUTSTANDING); /* HELLO counts */
	brine_wire_free(&wire);
}

static void
ids_wrap_around(void **state)
{
	struct script script = { 0 };
	struct brine_reply replies[4];
	struct message message = { 0 };
	struct brine_wire *wire = new_wire();

	(void)state;
	add_hello(&script);
	drain(wire, NULL);
	assert_int_equal(play(wire, &script, 1000, replies, 1), 0);
	wire->asked.first = wire->asked.next = UINT32_MAX;
	script.len = 0;
	for (uint64_t token = 0; token < 3; token++)
		ask(wire, BRINE_PING, token);
	drain(wire, NULL);
	add_frame(&script, FRAME_REPLY, 1, &message, FRAME_NONE, NULL, 0);
	add_frame(&script, FRAME_REPLY, UINT32_MAX, &message, FRAME_NONE, NULL, 0);
	add_frame(&script, FRAME_REPLY, 0, &message, FRAME_NONE, NULL, 0);
	assert_int_equal(play(wire, &script, 1000, replies, 4), 3);
	assert_int_equal(replies[0].token, 2);
	assert_int_equal(replies[1].token, 0);
	assert_int_equal(replies[2].token, 1);
	brine_wire_free(&wire);
	script_done(&script);
}

static void
an_error_to_hello_is_the_error_of_everything(void **state)
{
	struct script script = { 0 };
	struct brine_reply reply;
	struct message message = { 0 };
	struct brine_wire *wire = new_wire();

	(void)state;
	ask(wire, BRINE_GET, 4);
	drain(wire, NULL);
	MESSAGE_SET(&message, ERROR, error, ERROR_BUSY);
	MESSAGE_SET(&message, TEXT, text, slice_text("too many \x1b connections"));
	add_frame(&script, FRAME_ERROR, 0, &message, FRAME_NONE, NULL, 0);
	assert_int_equal(play(wire, &script, 1000, &reply, 1), -BRINE_ERROR_BUSY);
	assert_non_null(strstr(brine_wire_message(wire), "too many ? connections"));
	brine_wire_cut(wire);
	assert_int_equal(brine_wire_next(wire, &reply), 1);
	assert_int_equal(reply.token, 4);
	assert_int_equal(reply.result, -BRINE_ERROR_BUSY);
	brine_wire_free(&wire);
	script_done(&script);
}

static void
a_page_of_keys_is_read_to_its_last_byte_or_refused(void **state)
{
	struct script script = { 0 };
	struct brine_reply reply;
	struct brine_entry entry;
	struct brine_wire *wire;
	struct message message = { 0 };
	uint8_t page[60];
	size_t position;

	(void)state;
	for (size_t cut = 0; cut < sizeof(page); cut++) {
		wire = new_wire();
		ask(wire, BRINE_SCAN, 1);
		drain(wire, NULL);
		memset(page, 0, sizeof(page));
		page[0] = sizeof(page);
		page[2] = 5;
		add_hello(&script);
		add_frame(&script, FRAME_REPLY, 1, &message, FRAME_LAST, page,
			  sizeof(page) - cut);
		assert_int_equal(play(wire, &script, 1000, &reply, 1), 1);
		position = 0;
		assert_int_equal(brine_page_next(reply.value, &position, &entry),
				 cut ? -BRINE_ERROR_BAD_PEER : BRINE_HIT);
		if (!cut)
			assert_int_equal(brine_page_next(reply.value, &position, &entry),
					 BRINE_MISS);
		brine_replies_release(&reply, 1);
		brine_wire_free(&wire);
		script_done(&script);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_and_the_first_request_leave_together),
		cmocka_unit_test(large_values_leave_in_segments_of_a_mebibyte),
		cmocka_unit_test(replies_are_the_same_however_the_bytes_arrive),
		cmocka_unit_test(what_a_daemon_may_not_send_breaks_the_wire),
		cmocka_unit_test(random_damage_is_survived),
		cmocka_unit_test(a_value_over_the_callers_limit_fails_alone),
		cmocka_unit_test(a_length_that_memory_does_not_hold_fails_alone),
		cmocka_unit_test(goaway_gives_back_what_will_not_be_executed),
		cmocka_unit_test(a_cut_wire_says_which_requests_may_be_sent_again),
		cmocka_unit_test(
			the_deadline_moves_with_every_byte_and_waits_longer_for_the_disk),
		cmocka_unit_test(a_full_queue_says_so_and_goes_on_when_it_was_sent),
		cmocka_unit_test(ids_wrap_around),
		cmocka_unit_test(an_error_to_hello_is_the_error_of_everything),
		cmocka_unit_test(a_page_of_keys_is_read_to_its_last_byte_or_refused),
	};

	return unit_run(tests);
}
