/* test_client_patience.c - how long a wire waits in silence, on a clock that the test moves. */
#include "tests/unit/unit.h"

#include <string.h>

#include "client/brine.h"
#include "proto/frame.h"
#include "proto/message.h"

#define TIMEOUT 100

static struct brine_wire *
new_wire(int64_t timeout_ms)
{
	struct brine_wire_options options = { .timeout_ms = timeout_ms };
	struct brine_wire *wire;

	assert_int_equal(brine_wire_new(&options, &wire), 0);
	return wire;
}

/* The daemon sends a frame. */
static void
give(struct brine_wire *wire, unsigned kind, uint32_t id, const struct message *message,
     uint64_t now_ms)
{
	struct frame frame = { .version = FRAME_VERSION,
			       .kind = (uint8_t)kind,
			       .id = id };
	uint8_t bytes[FRAME_PREAMBLE_SIZE + 256];
	struct iovec space[2];
	size_t len;

	frame.header_len =
		(uint32_t)message_encode(message, bytes + FRAME_PREAMBLE_SIZE, 256);
	frame_write(bytes, &frame);
	len = FRAME_PREAMBLE_SIZE + frame.header_len;
	brine_wire_space(wire, space);
	assert_true(space[0].iov_len >= len);
	memcpy(space[0].iov_base, bytes, len);
	assert_int_equal(brine_wire_received(wire, len, now_ms), 0);
}

static void
answer(struct brine_wire *wire, uint32_t id, uint64_t now_ms)
{
	give(wire, FRAME_REPLY, id, &(struct message){ 0 }, now_ms);
}

/* Sends what is queued; returns the kind of the last frame, 0 if there was nothing. */
static unsigned
send_all(struct brine_wire *wire, uint64_t now_ms)
{
	uint8_t bytes[4096], *at = bytes;
	struct iovec pieces[8];
	struct frame frame = { 0 };
	size_t len = 0;
	int count;

	while ((count = brine_wire_output(wire, pieces, 8)) > 0) {
		size_t sent = 0;

		for (int i = 0; i < count; i++) {
			memcpy(bytes + len, pieces[i].iov_base, pieces[i].iov_len);
			len += pieces[i].iov_len;
			sent += pieces[i].iov_len;
		}
		brine_wire_sent(wire, sent, now_ms);
	}
	for (; at < bytes + len; at += FRAME_PREAMBLE_SIZE + frame.header_len)
		assert_int_equal(frame_read(at, &frame), 0);
	return frame.kind;
}

static void
ask(struct brine_wire *wire, enum brine_command command, uint8_t lease, uint64_t wait_ms)
{
	struct brine_request request = { .command = command,
					 .key = "k",
					 .key_len = 1,
					 .lease = lease,
					 .wait_ms = wait_ms };

	assert_int_equal(brine_wire_request(wire, &request, 7, 0), 0);
}

/* A wire whose HELLO was answered at 0, and that waits for a lease since then (id 1). */
static struct brine_wire *
waiting_wire(void)
{
	struct brine_wire *wire = new_wire(TIMEOUT);
	struct brine_reply reply;

	ask(wire, BRINE_GET, BRINE_ASK_LEASE, 0);
	assert_int_equal(send_all(wire, 0), COMMAND_GET);
	answer(wire, 0, 0);
	assert_int_equal(brine_wire_next(wire, &reply), 0);
	return wire;
}

static void
who_waits_for_a_lease_asks_after_each_silence_whether_the_daemon_is_there(void **state)
{
	struct brine_wire *wire = waiting_wire();
	struct brine_reply reply;
	struct message miss = { 0 };
	uint64_t now = 0;

	(void)state;
	for (uint32_t ping = 2; ping < 12; ping++) {
		assert_int_equal(brine_wire_deadline(wire), now + TIMEOUT);
		assert_int_equal(brine_wire_tick(wire, now + TIMEOUT - 1), 0);
		assert_int_equal(send_all(wire, now), 0);
		now += TIMEOUT;
		assert_int_equal(brine_wire_tick(wire, now), 0);
		assert_int_equal(send_all(wire, now), COMMAND_PING);
		assert_int_equal(brine_wire_deadline(wire), now + TIMEOUT);
		now += TIMEOUT - 1;
		answer(wire, ping, now);
		assert_int_equal(brine_wire_next(wire, &reply), 0); /* nobody's */
		assert_int_equal(brine_wire_outstanding(wire), 1);
	}
	MESSAGE_SET(&miss, STATUS, status, STATUS_MISS);
	MESSAGE_SET(&miss, LEASE, lease, BRINE_LEASE_WAITED);
	give(wire, FRAME_REPLY, 1, &miss, now);
	assert_int_equal(brine_wire_next(wire, &reply), 1);
	assert_int_equal(reply.token, 7);
	assert_int_equal(reply.lease.state, BRINE_LEASE_WAITED);
	assert_true(brine_wire_deadline(wire) == BRINE_NEVER);
	brine_wire_free(&wire);
}

static void
a_question_that_gets_no_answer_is_the_end(void **state)
{
	struct brine_wire *wire = waiting_wire();
	struct brine_reply reply;

	(void)state;
	assert_int_equal(brine_wire_tick(wire, TIMEOUT), 0);
	send_all(wire, TIMEOUT);
	assert_int_equal(brine_wire_tick(wire, 2 * TIMEOUT - 1), 0);
	assert_int_equal(brine_wire_tick(wire, 2 * TIMEOUT), -BRINE_ERROR_TIMED_OUT);
	assert_non_null(strstr(brine_wire_message(wire), "silent for more than 100 ms"));
	brine_wire_cut(wire);
	assert_int_equal(brine_wire_next(wire, &reply), 1);
	assert_int_equal(reply.result, -BRINE_ERROR_TIMED_OUT);
	assert_int_equal(reply.again, 1);
	assert_int_equal(brine_wire_next(wire, &reply), 0);
	brine_wire_free(&wire);
}

static void
a_question_that_cannot_even_leave_is_the_end_too(void **state)
{
	struct brine_wire *wire = waiting_wire();

	(void)state;
	assert_int_equal(brine_wire_tick(wire, TIMEOUT), 0);
	assert_int_equal(brine_wire_tick(wire, 2 * TIMEOUT), -BRINE_ERROR_TIMED_OUT);
	brine_wire_cut(wire);
	brine_wire_free(&wire);
}

static void
whatever_arrives_shows_that_the_daemon_is_there(void **state)
{
	struct brine_wire *wire = waiting_wire();
	struct brine_reply reply;

	(void)state;
	ask(wire, BRINE_META, 0, 0); /* id 2 */
	send_all(wire, 0);
	answer(wire, 2, 60);
	assert_int_equal(brine_wire_next(wire, &reply), 1);
	assert_int_equal(brine_wire_deadline(wire), 60 + TIMEOUT);
	assert_int_equal(brine_wire_tick(wire, TIMEOUT), 0);
	assert_int_equal(send_all(wire, TIMEOUT), 0);
	brine_wire_free(&wire);
}

static void
beside_anything_else_a_wait_makes_no_silence_longer(void **state)
{
	struct brine_wire *wire = waiting_wire();

	(void)state;
	ask(wire, BRINE_GET, 0, 0);
	send_all(wire, 0);
	assert_int_equal(brine_wire_tick(wire, TIMEOUT), -BRINE_ERROR_TIMED_OUT);
	brine_wire_cut(wire);
	brine_wire_free(&wire);
}

static void
who_does_not_want_to_wait_is_not_waited_for(void **state)
{
	struct brine_wire *wire = new_wire(TIMEOUT);
	struct brine_reply reply;

	(void)state;
	ask(wire, BRINE_GET, BRINE_ASK_LEASE, BRINE_NO_WAIT);
	send_all(wire, 0);
	answer(wire, 0, 0);
	brine_wire_next(wire, &reply);
	assert_int_equal(brine_wire_tick(wire, TIMEOUT), -BRINE_ERROR_TIMED_OUT);
	brine_wire_free(&wire);
}

static void
a_daemon_that_does_not_greet_is_not_asked_again(void **state)
{
	struct brine_wire *wire = new_wire(TIMEOUT);

	(void)state;
	ask(wire, BRINE_GET, BRINE_ASK_LEASE, 0);
	send_all(wire, 0);
	assert_int_equal(brine_wire_tick(wire, TIMEOUT), -BRINE_ERROR_TIMED_OUT);
	brine_wire_free(&wire);
}

static void
a_daemon_that_leaves_answers_those_who_wait_in_time(void **state)
{
	struct brine_wire *wire = waiting_wire();
	struct brine_reply reply;
	struct message goaway = { 0 };

	(void)state;
	MESSAGE_SET(&goaway, LAST_ID, last_id, 1);
	give(wire, FRAME_GOAWAY, 0, &goaway, 10);
	assert_int_equal(brine_wire_next(wire, &reply), 0);
	assert_int_equal(brine_wire_tick(wire, 10 + TIMEOUT), -BRINE_ERROR_TIMED_OUT);
	brine_wire_free(&wire);
}

static void
without_a_timeout_nobody_asks(void **state)
{
	struct brine_wire *wire = new_wire(-1);

	(void)state;
	ask(wire, BRINE_GET, BRINE_ASK_WAIT, 0);
	send_all(wire, 0);
	assert_true(brine_wire_deadline(wire) == BRINE_NEVER);
	assert_int_equal(brine_wire_tick(wire, 1u << 30), 0);
	assert_int_equal(send_all(wire, 0), 0);
	brine_wire_free(&wire);
}

static void
what_waits_for_the_disk_has_ten_times_as_long(void **state)
{
	static const enum brine_command slow[] = { BRINE_DELETE, BRINE_TAKE,
						   BRINE_INVALIDATE, BRINE_SYNC };
	struct brine_request request = {
		.key = "k", .key_len = 1, .tags = "\3tag", .tags_len = 4
	};

	(void)state;
	for (size_t i = 0; i < sizeof(slow) / sizeof(*slow); i++) {
		struct brine_wire *wire = new_wire(TIMEOUT);

		request.command = slow[i];
		assert_int_equal(brine_wire_request(wire, &request, 1, 0), 0);
		assert_int_equal(brine_wire_deadline(wire), 10 * TIMEOUT);
		brine_wire_free(&wire);
	}
}

static void
a_batch_waits_for_the_disk_if_it_deletes(void **state)
{
	struct brine_request entry = { .command = BRINE_PUT, .key = "k", .key_len = 1 };
	struct brine_request batch = { .command = BRINE_BATCH };
	char body[256];
	size_t len = 0;

	(void)state;
	for (int deletes = 0; deletes < 2; deletes++) {
		struct brine_wire *wire = new_wire(TIMEOUT);

		entry.command = deletes ? BRINE_DELETE : BRINE_PUT;
		assert_int_equal(brine_batch_add(body, sizeof(body), &len, &entry), 0);
		batch.value = body;
		batch.value_len = len;
		assert_int_equal(brine_wire_request(wire, &batch, 1, 0), 0);
		assert_int_equal(brine_wire_deadline(wire), (deletes ? 10 : 1) * TIMEOUT);
		brine_wire_free(&wire);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			who_waits_for_a_lease_asks_after_each_silence_whether_the_daemon_is_there),
		cmocka_unit_test(a_question_that_gets_no_answer_is_the_end),
		cmocka_unit_test(a_question_that_cannot_even_leave_is_the_end_too),
		cmocka_unit_test(whatever_arrives_shows_that_the_daemon_is_there),
		cmocka_unit_test(beside_anything_else_a_wait_makes_no_silence_longer),
		cmocka_unit_test(who_does_not_want_to_wait_is_not_waited_for),
		cmocka_unit_test(a_daemon_that_does_not_greet_is_not_asked_again),
		cmocka_unit_test(a_daemon_that_leaves_answers_those_who_wait_in_time),
		cmocka_unit_test(without_a_timeout_nobody_asks),
		cmocka_unit_test(what_waits_for_the_disk_has_ten_times_as_long),
		cmocka_unit_test(a_batch_waits_for_the_disk_if_it_deletes),
	};

	return unit_run(tests);
}
