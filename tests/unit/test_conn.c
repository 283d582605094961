/* test_conn.c - connections over socket pairs, with a cache that does as it is told and a virtual clock. */
#include "tests/unit/unit.h"

#include "tests/unit/fake/cache.c"
#include "tests/unit/fake/peer.h"

#include "proto/batch.h"

#include "daemon/batch.h"
#include "daemon/conn.h"

#define MIB (1u << 20)

static void
hello_tells_protocol_uid_and_limits(void **state)
{
	struct world world;
	struct peer peer;
	struct message none = { 0 };
	struct got got;

	(void)state;
	world_open(&world, NULL);
	peer = peer_connect_as(&world, 4242);
	peer_request(&world, &peer, COMMAND_HELLO, &none, FRAME_NONE, NULL, 0);
	got = peer_reply(&world, &peer, 0);
	assert_int_equal(got.message.protocol, 1);
	assert_int_equal(got.message.release, 256);
	assert_int_equal(got.message.uid, 4242);
	assert_int_equal(got.message.max_value, 64 << 20);
	assert_true(message_has(&got.message, FIELD_FEATURES));
	assert_int_equal(got.message.epoch, 0x0123456789abcdef);
	peer_close(&peer);
	world_close(&world);
}

static void
requests_may_come_byte_by_byte(void **state)
{
	struct world world;
	struct peer peer;
	struct message message = peer_key("k"), none = { 0 };
	uint8_t bytes[4096];
	size_t len = 0;
	struct got got;

	(void)state;
	world_open(&world, NULL);
	peer = peer_connect_as(&world, 1000);
	len += peer_frame(&peer, bytes + len, COMMAND_HELLO, &none, FRAME_NONE, NULL, 0);
	len += peer_frame(&peer, bytes + len, COMMAND_PUT, &message, FRAME_LAST, "value",
			  5);
	len += peer_frame(&peer, bytes + len, COMMAND_GET, &message, FRAME_NONE, NULL, 0);
	for (size_t i = 0; i < len; i++) {
		peer_send(&world, &peer, bytes + i, 1);
		world_turn(&world);
	}
	peer_reply(&world, &peer, 0);
	got = peer_reply(&world, &peer, 1);
	assert_int_equal(got.frame.kind, FRAME_REPLY);
	got = peer_reply(&world, &peer, 2);
	assert_memory_equal(got.body, "value", 5);
	free(got.body);
	peer_close(&peer);
	world_close(&world);
}

static void
a_hundred_gets_of_one_write_are_answered_with_one_send(void **state)
{
	struct world world;
	struct peer peer;
	struct message message = peer_key("k");
	static uint8_t bytes[64 * 1024];
	size_t len = 0;
	uint64_t sends;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	peer_put(&world, &peer, "k", "value", 5);
	peer_reply(&world, &peer, 1);
	for (int i = 0; i < 100; i++)
		len += peer_frame(&peer, bytes + len, COMMAND_GET, &message, FRAME_NONE,
				  NULL, 0);
	sends = world.sessions.pool.sends;
	peer_send(&world, &peer, bytes, len);
	world_turn(&world);
	assert_int_equal(world.sessions.pool.sends, sends + 1);
	for (uint32_t i = 0; i < 100; i++)
		free(peer_reply(&world, &peer, 2 + i).body);
	peer_close(&peer);
	world_close(&world);
}

static void
an_idle_connection_keeps_no_buffer(void **state)
{
	struct world world;
	struct peer peer;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	peer_ask(&world, &peer, COMMAND_PING, "");
	peer_reply(&world, &peer, 1);
	assert_int_equal(world.sessions.pool.bytes, 0);
	assert_int_equal(world.conns->first->input.size, 0);
	assert_false(conns_sweep(world.conns));
	peer_close(&peer);
	world_close(&world);
}

/* A value of this length, that tells its bytes apart. */
static uint8_t *
make_value(size_t len)
{
	uint8_t *value = malloc(len + 1);

	assert_non_null(value);
	for (size_t i = 0; i < len; i++)
		value[i] = (uint8_t)(i * 31 + i / 251);
	return value;
}

static void
check_value(size_t len, bool borrow)
{
	struct world world;
	struct peer peer;
	uint8_t *value = make_value(len);
	struct got got;

	world_open(&world, NULL);
	fake.borrow = borrow;
	peer = peer_greet(&world);
	if (len <= MIB) {
		peer_put(&world, &peer, "k", value, len);
	} else {
		struct message message = peer_key("k");

		MESSAGE_SET(&message, LENGTH, length, len);
		peer_request(&world, &peer, COMMAND_PUT, &message, FRAME_MORE, value,
			     MIB);
		for (size_t at = MIB; at < len; at += MIB) {
			size_t part = len - at < MIB ? len - at : MIB;

			peer_segment(&world, &peer,
				     at + part == len ? FRAME_LAST : FRAME_MORE,
				     value + at, part, 0);
		}
	}
	got = peer_reply(&world, &peer, 1);
	assert_int_equal(got.frame.kind, FRAME_REPLY);
	peer_ask(&world, &peer, COMMAND_GET, "k");
	got = peer_reply(&world, &peer, 2);
	assert_int_equal(got.end, FRAME_LAST);
	assert_int_equal(got.message.length, len);
	assert_int_equal(got.body_len, len);
	if (len)
		assert_memory_equal(got.body, value, len);
	free(got.body);
	free(value);
	peer_close(&peer);
	world_close(&world);
}

static void
values_of_every_size_come_back(void **state)
{
	static const size_t sizes[] = { 0,     1,       8192,    8193,       16383,
					16384, 16385,   262144,  300000,     MIB - 1,
					MIB,   MIB + 1, 3 * MIB, 3 * MIB + 7 };

	(void)state;
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		check_value(sizes[i], false);
		check_value(sizes[i], true);
	}
}

static void
a_part_that_fails_aborts_only_its_reply(void **state)
{
	struct world world;
	struct peer peer;
	uint8_t *value = make_value(3 * MIB);
	struct message message = peer_key("k");
	struct got got;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	peer_request(&world, &peer, COMMAND_PUT, &message, FRAME_MORE, value, MIB);
	peer_segment(&world, &peer, FRAME_MORE, value, MIB, 0);
	peer_segment(&world, &peer, FRAME_LAST, value, MIB, 0);
	peer_reply(&world, &peer, 1);
	fake.part_fails = 2;
	peer_ask(&world, &peer, COMMAND_GET, "k");
	got = peer_reply(&world, &peer, 2);
	assert_int_equal(got.end, FRAME_ABORT);
	assert_int_equal(got.error, ERROR_DAMAGED);
	assert_int_equal(got.body_len, MIB);
	free(got.body);
	fake.part_fails = 1;
	peer_ask(&world, &peer, COMMAND_GET, "k");
	peer_expect_error(&world, &peer, ERROR_DAMAGED);
	peer_ask(&world, &peer, COMMAND_PING, "");
	free(value);
	peer_close(&peer);
	world_close(&world);
}

static void
ready_replies_overtake_a_stream_that_has_not_begun(void **state)
{
	struct world world;
	struct peer peer;
	uint8_t *value = make_value(2 * MIB);
	struct message message = peer_key("k"), none = { 0 };

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	peer_request(&world, &peer, COMMAND_PUT, &message, FRAME_MORE, value, MIB);
	peer_segment(&world, &peer, FRAME_LAST, value, MIB, 0);
	peer_reply(&world, &peer, 1);
	fake.hold_parts = true;
	peer_ask(&world, &peer, COMMAND_GET, "k");
	peer_request(&world, &peer, COMMAND_PING, &none, FRAME_NONE, NULL, 0);
	peer_reply(&world, &peer, 3);
	fake.hold_parts = false;
	fake_answer(world.sessions.cache);
	free(peer_reply(&world, &peer, 2).body);
	free(value);
	peer_close(&peer);
	world_close(&world);
}

static void
a_stream_that_is_refused_before_it_begins_is_counted_as_an_error(void **state)
{
	struct world world;
	struct peer peer;
	uint8_t *value = make_value(2 * MIB);
	struct message message = peer_key("k");

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	peer_request(&world, &peer, COMMAND_PUT, &message, FRAME_MORE, value, MIB);
	peer_segment(&world, &peer, FRAME_LAST, value, MIB, 0);
	peer_reply(&world, &peer, 1);
	fake.part_fails = 1;
	peer_ask(&world, &peer, COMMAND_GET, "k");
	peer_expect_error(&world, &peer, ERROR_DAMAGED);
	assert_int_equal(world.sessions.counters.errors[ERROR_DAMAGED], 1);
	free(value);
	peer_close(&peer);
	world_close(&world);
}

static void
an_aborted_upload_is_refused_and_the_connection_goes_on(void **state)
{
	struct world world;
	struct peer peer;
	struct message message = peer_key("k");
	struct got got;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	peer_request(&world, &peer, COMMAND_PUT, &message, FRAME_MORE, "hel", 3);
	peer_segment(&world, &peer, FRAME_ABORT, NULL, 0, ERROR_ABORTED);
	peer_expect_error(&world, &peer, ERROR_ABORTED);
	assert_int_equal(fake.aborted, 1);
	peer_ask(&world, &peer, COMMAND_GET, "k");
	got = peer_reply(&world, &peer, 2);
	assert_int_equal(got.message.status, STATUS_MISS);
	peer_close(&peer);
	world_close(&world);
}

static void
the_body_of_a_refused_request_is_thrown_away(void **state)
{
	struct world world;
	struct peer peer;
	struct message message = peer_key("k"), none = { 0 };
	uint8_t *value = make_value(MIB);

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	MESSAGE_SET(&message, LENGTH, length, 1 << 30);
	peer_request(&world, &peer, COMMAND_PUT, &message, FRAME_MORE, value, MIB);
	peer_expect_error(&world, &peer, ERROR_TOO_LARGE);
	peer_segment(&world, &peer, FRAME_MORE, value, MIB, 0);
	peer_segment(&world, &peer, FRAME_MORE, value, 0, 0);
	peer_segment(&world, &peer, FRAME_LAST, value, MIB, 0);
	peer_request(&world, &peer, COMMAND_PING, &none, FRAME_NONE, NULL, 0);
	peer_reply(&world, &peer, 2);
	/* An unknown command, too. */
	peer_request(&world, &peer, 99, &none, FRAME_MORE, value, MIB);
	peer_expect_error(&world, &peer, ERROR_UNSUPPORTED);
	peer_segment(&world, &peer, FRAME_ABORT, NULL, 0, 7);
	peer_request(&world, &peer, COMMAND_PING, &none, FRAME_NONE, NULL, 0);
	peer_reply(&world, &peer, 4);
	free(value);
	peer_close(&peer);
	world_close(&world);
}

static void
an_upload_of_another_length_than_announced_is_refused(void **state)
{
	static const uint64_t announced[] = { 5, 7, 2 };
	struct world world;
	struct peer peer;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	for (size_t i = 0; i < 3; i++) {
		struct message message = peer_key("k");

		MESSAGE_SET(&message, LENGTH, length, announced[i]);
		peer_request(&world, &peer, COMMAND_PUT, &message, FRAME_MORE, "abc", 3);
		peer_segment(&world, &peer, FRAME_LAST, "def", 3, 0);
		peer_expect_error(&world, &peer, ERROR_BAD_REQUEST);
	}
	assert_int_equal(fake.puts, 0);
	peer_close(&peer);
	world_close(&world);
}

static void
a_protocol_error_closes_without_a_reply(void **state)
{
	static const struct {
		uint8_t bytes[24];
		size_t len;
	} cases[] = {
		{ { 0, 1 }, 16 },                       /* version 0 */
		{ { 1, 0 }, 16 },                       /* kind 0 */
		{ { 1, 2 }, 16 },                       /* PING first */
		{ { 2, 1 }, 16 },                       /* HELLO of version 2 */
		{ { 1, 1, 0, 0, 1 }, 16 },              /* HELLO with id 1 */
		{ { 1, 1, [8] = 1, [16] = 0xc1 }, 17 }, /* a malformed header */
		{ { 1, 1, [8] = 0xff, [9] = 0xff, [10] = 2 }, 16 }, /* a long header */
		{ { 1, 1, [12] = 1, [15] = 0 }, 16 }, /* mark 0 with a length */
		{ { 1, 128 }, 16 },                   /* a reply */
	};
	struct world world;

	(void)state;
	world_open(&world, NULL);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct peer peer = peer_connect_as(&world, 1000);

		peer_send(&world, &peer, cases[i].bytes, cases[i].len);
		assert_true(peer_is_closed(&world, &peer));
		assert_int_equal(peer.len, 0);
		peer_close(&peer);
	}
	assert_int_equal(conns_count(world.conns), 0);
	world_close(&world);
}

static void
a_second_hello_or_an_id_out_of_sequence_closes(void **state)
{
	struct message none = { 0 };
	struct world world;

	(void)state;
	world_open(&world, NULL);
	for (int i = 0; i < 3; i++) {
		struct peer peer = peer_greet(&world);

		peer.next_id += i == 1 ? 1 : i == 2 ? -1 : 0;
		peer_request(&world, &peer, i == 0 ? COMMAND_HELLO : COMMAND_PING, &none,
			     FRAME_NONE, NULL, 0);
		assert_true(peer_is_closed(&world, &peer));
		assert_int_equal(peer.len, 0);
		peer_close(&peer);
	}
	world_close(&world);
}

static void
a_client_that_does_not_read_is_not_read_from_and_later_goes_on(void **state)
{
	struct world world;
	struct peer peer;
	uint8_t *value = make_value(100000);
	struct message message = peer_key("k");
	static uint8_t bytes[64 * 1024];
	size_t len = 0;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	peer_put(&world, &peer, "k", value, 100000);
	peer_reply(&world, &peer, 1);
	for (int i = 0; i < 200; i++)
		len += peer_frame(&peer, bytes + len, COMMAND_GET, &message, FRAME_NONE,
				  NULL, 0);
	peer_send(&world, &peer, bytes, len);
	for (int i = 0; i < 50; i++)
		world_turn(&world);
	assert_in_range(fake.gets, 5, 20);
	assert_in_range(world.sessions.pool.bytes, 1, MIB);
	for (uint32_t i = 0; i < 200; i++) {
		struct got got = peer_reply(&world, &peer, 2 + i);

		assert_int_equal(got.body_len, 100000);
		free(got.body);
	}
	free(value);
	peer_close(&peer);
	world_close(&world);
}

static void
a_short_request_behind_the_one_that_filled_the_outbox_is_answered(void **state)
{
	struct world world;
	struct peer peer;
	uint8_t *value = make_value(MIB), bytes[4096];
	struct message message, none = { 0 };
	char key[1001] = { 0 };
	size_t len;

	(void)state;
	memset(key, 'k', 1000);
	world_open(&world, NULL);
	peer = peer_greet(&world);
	peer_put(&world, &peer, key, value, MIB);
	peer_reply(&world, &peer, 1);
	message = peer_key(key);
	len = peer_frame(&peer, bytes, COMMAND_GET, &message, FRAME_NONE, NULL, 0);
	len += peer_frame(&peer, bytes + len, COMMAND_PING, &none, FRAME_NONE, NULL, 0);
	peer_send(&world, &peer, bytes, len);
	free(peer_reply(&world, &peer, 2).body);
	peer_reply(&world, &peer, 3);
	free(value);
	peer_close(&peer);
	world_close(&world);
}

static void
one_round_serves_every_client(void **state)
{
	struct message message = peer_key("k");
	static uint8_t bytes[1 << 20];
	struct peer greedy, modest;
	struct world world;
	size_t len = 0;

	(void)state;
	world_open(&world, NULL);
	modest = peer_greet(&world);
	greedy = peer_greet(&world);
	for (int i = 0; i < 5000; i++)
		len += peer_frame(&greedy, bytes + len, COMMAND_GET, &message, FRAME_NONE,
				  NULL, 0);
	assert_true(send(greedy.fd, bytes, len, 0) > 100000);
	peer_ask(&world, &modest, COMMAND_PING, "");
	world_turn(&world);
	peer_receive(&modest, SIZE_MAX);
	assert_true(modest.len > 0);
	assert_in_range(fake.gets, 100, 1000);
	peer_close(&modest);
	peer_close(&greedy);
	world_close(&world);
}

static void
half_a_request_is_dropped_after_the_idle_timeout_and_silence_is_not(void **state)
{
	struct world world;
	struct peer half, silent;

	(void)state;
	world_open(&world, NULL);
	half = peer_greet(&world);
	silent = peer_greet(&world);
	peer_send(&world, &half, "\1\2\0", 3);
	world_turn(&world);
	assert_true(conns_owing(world.conns));
	peer_now_ns += 29 * SECOND_NS;
	assert_true(conns_sweep(world.conns));
	assert_false(peer_is_closed(&world, &half));
	peer_now_ns += 2 * SECOND_NS;
	assert_true(conns_sweep(world.conns));
	assert_true(peer_is_closed(&world, &half));
	assert_false(conns_sweep(world.conns));
	peer_now_ns += 1000000 * SECOND_NS;
	conns_sweep(world.conns);
	assert_false(peer_is_closed(&world, &silent));
	peer_close(&half);
	peer_close(&silent);
	world_close(&world);
}

static void
unread_replies_are_dropped_after_the_idle_timeout(void **state)
{
	struct world world;
	struct peer peer;
	uint8_t *value = make_value(MIB);

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	peer_put(&world, &peer, "k", value, MIB);
	peer_reply(&world, &peer, 1);
	peer_ask(&world, &peer, COMMAND_GET, "k");
	world_turn(&world);
	peer_now_ns += 20 * SECOND_NS;
	conns_sweep(world.conns);
	peer_receive(&peer, 100000); /* a sign of life */
	world_turn(&world);
	peer_now_ns += 20 * SECOND_NS;
	conns_sweep(world.conns);
	world_turn(&world);
	assert_int_equal(conns_count(world.conns), 1);
	peer_now_ns += 31 * SECOND_NS;
	conns_sweep(world.conns);
	assert_int_equal(conns_count(world.conns), 0);
	free(value);
	peer_close(&peer);
	world_close(&world);
}

static void
a_put_that_others_wait_for_is_let_in_where_another_waits_for_room(void **state)
{
	struct message message = peer_key("k");
	struct world world;
	struct peer one, holder;

	(void)state;
	world_open(&world, NULL);
	one = peer_greet(&world);
	holder = peer_greet(&world);
	fake.no_room = true;
	fake.reserve = true;
	peer_put(&world, &one, "k", "value", 5);
	world_turn(&world);
	assert_int_equal(fake.puts, 0);
	MESSAGE_SET(&message, TOKEN, token, slice_text("sixteen bytes it"));
	peer_request(&world, &holder, COMMAND_PUT, &message, FRAME_LAST, "value", 5);
	peer_reply(&world, &holder, 1);
	assert_int_equal(fake.puts, 1);
	fake_give_room(world.sessions.cache);
	peer_reply(&world, &one, 1);
	assert_int_equal(fake.puts, 2);
	peer_close(&one);
	peer_close(&holder);
	world_close(&world);
}

static void
time_that_a_request_waits_for_room_is_not_the_clients_debt(void **state)
{
	struct world world;
	struct peer peer;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	fake.no_room = true;
	peer_put(&world, &peer, "k", "value", 5);
	peer_ask(&world, &peer, COMMAND_GET, "k");
	for (int i = 0; i < 100; i++) {
		world_turn(&world);
		peer_now_ns += SECOND_NS;
		assert_true(conns_sweep(world.conns));
	}
	assert_int_equal(fake.puts, 0);
	assert_int_equal(fake.gets, 0);
	fake_give_room(world.sessions.cache);
	peer_reply(&world, &peer, 1);
	free(peer_reply(&world, &peer, 2).body);
	peer_close(&peer);
	world_close(&world);
}

static void
who_closes_is_gone_for_what_waits_and_who_only_says_no_more_is_not(void **state)
{
	struct world world;
	struct peer peer;
	struct later later;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	fake.hold_answers = true;
	peer_put(&world, &peer, "k", "value", 5);
	world_turn(&world);
	assert_int_equal(fake.held, 1);
	later = world.sessions.cache->held[0].later;
	assert_false(later.asker->gone(later.arg));
	shutdown(peer.fd, SHUT_WR);
	world_turn(&world);
	assert_false(later.asker->gone(later.arg));
	peer_close(&peer);
	assert_true(later.asker->gone(
		later.arg)); /* also before the daemon has heard of it */
	world_turn(&world);
	assert_true(later.asker->gone(later.arg));
	assert_int_equal(fake_answer(world.sessions.cache), 1);
	world_close(&world);
}

/* It may have stored something newer on another connection since. */
static void
a_request_that_waits_for_room_is_not_carried_out_for_a_client_that_has_closed(
	void **state)
{
	struct world world;
	struct peer peer;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	fake.no_room = true;
	peer_put(&world, &peer, "k", "value", 5);
	world_turn(&world);
	peer_close(&peer);
	world_turn(&world);
	assert_int_equal(conns_count(world.conns), 1); /* it is not being read from */
	fake_give_room(world.sessions.cache);
	world_turn(&world);
	assert_int_equal(fake.puts, 0);
	assert_int_equal(conns_count(world.conns), 0);
	world_close(&world);
}

static void
a_request_that_waits_for_room_is_carried_out_for_a_client_that_only_says_no_more(
	void **state)
{
	struct world world;
	struct peer peer;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	fake.no_room = true;
	peer_put(&world, &peer, "k", "value", 5);
	world_turn(&world);
	shutdown(peer.fd, SHUT_WR);
	world_turn(&world);
	fake_give_room(world.sessions.cache);
	peer_reply(&world, &peer, 1);
	assert_int_equal(fake.puts, 1);
	peer_close(&peer);
	world_close(&world);
}

static void
an_upload_waits_for_room_and_goes_on(void **state)
{
	struct world world;
	struct peer peer;
	struct message message = peer_key("k");
	struct got got;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	peer_request(&world, &peer, COMMAND_PUT, &message, FRAME_MORE, "abc", 3);
	world_turn(&world);
	fake.no_room = true;
	peer_segment(&world, &peer, FRAME_MORE, "def", 3, 0);
	peer_segment(&world, &peer, FRAME_LAST, "", 0, 0);
	for (int i = 0; i < 10; i++)
		world_turn(&world);
	assert_int_equal(fake.puts, 0);
	fake_give_room(world.sessions.cache);
	got = peer_reply(&world, &peer, 1);
	assert_int_equal(got.frame.kind, FRAME_REPLY);
	peer_ask(&world, &peer, COMMAND_GET, "k");
	got = peer_reply(&world, &peer, 2);
	assert_memory_equal(got.body, "abcdef", 6);
	free(got.body);
	peer_close(&peer);
	world_close(&world);
}

static void
answers_that_come_after_the_client_is_gone_are_dropped(void **state)
{
	struct world world;
	struct peer peer;
	uint8_t *value = make_value(2 * MIB);
	struct message message = peer_key("big");

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	peer_put(&world, &peer, "k", "value", 5);
	peer_reply(&world, &peer, 1);
	peer_request(&world, &peer, COMMAND_PUT, &message, FRAME_MORE, value, MIB);
	peer_segment(&world, &peer, FRAME_LAST, value, MIB, 0);
	peer_reply(&world, &peer, 2);
	fake.hold_answers = true;
	peer_ask(&world, &peer, COMMAND_GET, "k");
	peer_ask(&world, &peer, COMMAND_GET, "big");
	peer_ask(&world, &peer, COMMAND_DELETE, "k");
	world_turn(&world);
	assert_int_equal(fake.held, 3);
	close(peer.fd);
	peer.fd = -1;
	/* It may only have ended its sending side: the answers are owed until sending fails. */
	world_turn(&world);
	conns_close_all(world.conns);
	assert_int_equal(fake_answer(world.sessions.cache), 3);
	assert_int_equal(fake.open_downloads, 0);
	assert_null(world.sessions.first);
	free(value);
	peer_close(&peer);
	world_close(&world);
}

static void
a_client_that_ends_its_sending_side_gets_all_replies(void **state)
{
	struct world world;
	struct peer peer;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	fake.hold_answers = true;
	peer_put(&world, &peer, "k", "value", 5);
	peer_put(&world, &peer, "l", "value", 5);
	shutdown(peer.fd, SHUT_WR);
	world_turn(&world);
	world_turn(&world);
	assert_false(peer_is_closed(&world, &peer));
	fake_answer(world.sessions.cache);
	peer_reply(&world, &peer, 1);
	peer_reply(&world, &peer, 2);
	assert_true(peer_is_closed(&world, &peer));
	peer_close(&peer);
	world_close(&world);
}

static void
goaway_names_the_last_request_and_its_answer_still_comes(void **state)
{
	struct world world;
	struct peer busy, idle, uploading;
	struct message message = peer_key("k");
	struct got got;

	(void)state;
	world_open(&world, NULL);
	busy = peer_greet(&world);
	idle = peer_greet(&world);
	uploading = peer_greet(&world);
	peer_request(&world, &uploading, COMMAND_PUT, &message, FRAME_MORE, "abc", 3);
	fake.hold_answers = true;
	peer_put(&world, &busy, "k", "value", 5);
	world_turn(&world);
	conns_leave(world.conns);
	peer_put(&world, &busy, "k", "too late", 8);
	got = peer_reply(&world, &busy, 0);
	assert_int_equal(got.frame.kind, FRAME_GOAWAY);
	assert_int_equal(got.message.last_id, 1);
	got = peer_reply(&world, &idle, 0);
	assert_int_equal(got.message.last_id, 0);
	assert_true(peer_is_closed(&world, &idle));
	/* A value that is half here was not executed. */
	got = peer_reply(&world, &uploading, 0);
	assert_int_equal(got.message.last_id, 0);
	assert_true(peer_is_closed(&world, &uploading));
	assert_false(peer_is_closed(&world, &busy));
	assert_int_equal(fake_answer(world.sessions.cache), 1);
	got = peer_reply(&world, &busy, 1);
	assert_int_equal(got.frame.kind, FRAME_REPLY);
	assert_true(peer_is_closed(&world, &busy));
	assert_int_equal(fake.puts, 1);
	assert_int_equal(conns_count(world.conns), 0);
	peer_close(&busy);
	peer_close(&idle);
	peer_close(&uploading);
	world_close(&world);
}

static void
too_many_connections_are_told_so(void **state)
{
	struct conns_limits limits = { 3, false, 64 << 20, 30 * SECOND_NS };
	struct peer peers[4];
	struct world world;

	(void)state;
	world_open(&world, &limits);
	log_set_level(LOG_ERROR);
	for (int i = 0; i < 4; i++)
		peers[i] = peer_connect_as(&world, 1000);
	peer_expect_error(&world, &peers[3], ERROR_BUSY);
	assert_true(peer_is_closed(&world, &peers[3]));
	assert_int_equal(world.sessions.counters.connections_refused, 1);
	for (int i = 0; i < 4; i++)
		peer_close(&peers[i]);
	world_close(&world);
}

static void
another_uid_never_takes_all_connections(void **state)
{
	struct conns_limits limits = { 16, false, 64 << 20, 30 * SECOND_NS };
	struct peer peers[20];
	struct world world;

	(void)state;
	world_open(&world, &limits);
	log_set_level(LOG_ERROR);
	for (int i = 0; i < 20; i++)
		peers[i] = peer_connect_as(&world, i < 10 ? 7 : 8);
	/* Half of sixteen, and half of what that leaves; the daemon's own uid gets in. */
	assert_int_equal(conns_count(world.conns), 8 + 4);
	for (int i = 0; i < 20; i++)
		peer_close(&peers[i]);
	peers[0] = peer_greet_as(&world, 1000);
	peer_close(&peers[0]);
	world_close(&world);
}

static void
an_administrator_gets_in_when_others_have_all_the_rest(void **state)
{
	struct conns_limits limits = { 32, false, 64 << 20, 30 * SECOND_NS };
	struct peer peers[100], root;
	struct world world;

	(void)state;
	world_open(&world, &limits);
	log_set_level(LOG_ERROR);
	for (int i = 0; i < 100; i++)
		peers[i] = peer_connect_as(&world, 2000 + (uint32_t)i / 20);
	assert_int_equal(conns_count(world.conns), 30);
	root = peer_greet_as(&world, 0);
	peer_close(&root);
	for (int i = 0; i < 100; i++)
		peer_close(&peers[i]);
	world_close(&world);
}

static void
where_descriptors_are_short_the_uid_with_most_gives_and_for_nobody_beyond_its_share(
	void **state)
{
	struct conns_limits limits = { 8, true, 64 << 20, 30 * SECOND_NS };
	struct peer own[7], quiet, greedy, late;
	struct world world;

	(void)state;
	world_open(&world, &limits);
	log_set_level(LOG_ERROR);
	quiet = peer_greet_as(&world, 7);
	for (int i = 0; i < 7; i++) {
		peer_now_ns += SECOND_NS;
		own[i] = peer_greet_as(&world, 1000);
	}
	/* One more than its share: nobody is closed for it. */
	greedy = peer_connect_as(&world, 7);
	peer_expect_error(&world, &greedy, ERROR_BUSY);
	assert_int_equal(conns_count(world.conns), 8);
	/* One who has none: not the longest idle one gives, but one of those who have most. */
	late = peer_greet_as(&world, 8);
	assert_false(peer_is_closed(&world, &quiet));
	assert_true(peer_is_closed(&world, &own[0]));
	for (int i = 0; i < 7; i++)
		peer_close(&own[i]);
	peer_close(&quiet);
	peer_close(&greedy);
	peer_close(&late);
	world_close(&world);
}

/* Sends so many PINGs at once; no round of the daemon is needed to take them. */
static void
send_pings(struct peer *peer, unsigned count)
{
	struct message none = { 0 };
	uint8_t *bytes = malloc((size_t)count * 64);
	size_t len = 0;

	assert_non_null(bytes);
	for (unsigned i = 0; i < count; i++)
		len += peer_frame(peer, bytes + len, COMMAND_PING, &none, FRAME_NONE,
				  NULL, 0);
	assert_int_equal(send(peer->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	free(bytes);
}

static void
a_flood_of_small_requests_of_one_uid_waits_for_its_turn(void **state)
{
	enum { CROWD = 16, EACH = 900 };
	struct peer crowd[CROWD], other;
	struct world world;
	struct got got;
	uint64_t *served, before;
	unsigned rounds = 0;

	(void)state;
	world_open(&world, NULL);
	served = &world.sessions.counters.requests[COMMAND_PING];
	for (int i = 0; i < CROWD; i++)
		crowd[i] = peer_greet_as(&world, 2000);
	other = peer_greet_as(&world, 3000);
	for (int i = 0; i < CROWD; i++)
		send_pings(&crowd[i], EACH);
	send_pings(&other, 1);
	for (before = *served; *served < before + CROWD * EACH + 1; rounds++) {
		uint64_t now = *served;

		assert_true(rounds < 1000);
		conns_turn(world.conns); /* a round begins */
		uv_run(&world.loop, UV_RUN_NOWAIT);
		assert_true(*served - now <= USER_REQUESTS_MAX + 1);
		peer_receive(&other, SIZE_MAX);
		if (rounds == 1) /* while most of the others' still wait */
			assert_true(peer_take(&other, &got));
	}
	assert_true(rounds >= CROWD * EACH / USER_REQUESTS_MAX);
	for (int i = 0; i < CROWD; i++) {
		for (uint32_t id = 1; id <= EACH; id++)
			peer_reply(&world, &crowd[i], id);
		peer_close(&crowd[i]);
	}
	peer_close(&other);
	world_close(&world);
}

/* Rounds until one who came behind the crowd, whose bytes are there, has its answer; and no more than `most`. */
static void
expect_answer_soon(struct world *world, struct peer *other, unsigned most)
{
	struct got got;

	for (unsigned rounds = 0; !peer_take(other, &got); rounds++) {
		assert_true(rounds <= most);
		conns_turn(world->conns);
		uv_run(&world->loop, UV_RUN_NOWAIT);
		peer_receive(other, SIZE_MAX);
	}
}

/* A value of parts without bytes, which costs its sender four bytes each. */
static void
parts_of_a_value_count_like_requests(void **state)
{
	static uint8_t words[4 * 4000];
	struct message message = peer_key("k");
	struct peer crowd, other;
	struct world world;
	struct user *user;
	uint8_t bytes[256];
	size_t len;

	(void)state;
	world_open(&world, NULL);
	crowd = peer_greet_as(&world, 2000);
	other = peer_greet_as(&world, 3000);
	len = peer_frame(&crowd, bytes, COMMAND_PUT, &message, FRAME_MORE, NULL, 0);
	for (size_t i = 3; i < sizeof(words); i += 4)
		words[i] = FRAME_MORE << 6;
	assert_int_equal(send(crowd.fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	assert_int_equal(send(crowd.fd, words, sizeof(words), MSG_NOSIGNAL),
			 (ssize_t)sizeof(words));
	send_pings(&other, 1);
	user = user_find(&world.sessions.users, 2000);
	for (unsigned rounds = 0; rounds < 4; rounds++) {
		conns_turn(world.conns);
		uv_run(&world.loop, UV_RUN_NOWAIT);
		assert_in_range(user->requests, 0, USER_REQUESTS_MAX);
		if (rounds == 1)
			assert_int_equal(user->requests, USER_REQUESTS_MAX);
	}
	expect_answer_soon(&world, &other, 1);
	peer_close(&crowd);
	peer_close(&other);
	world_close(&world);
}

/* What it counts for, in the round in which it is carried out. */
static unsigned
count_of(struct world *world, struct peer *peer, unsigned kind,
	 const struct message *message, size_t body_len)
{
	static uint8_t bytes[128 * 1024], body[100 * 1024];
	const struct user *user = user_find(&world->sessions.users, 2000);
	uint64_t *served = &world->sessions.counters.requests[kind], before = *served;
	size_t len;

	assert_in_range(body_len, 0, sizeof(body));
	len = peer_frame(peer, bytes, kind, message, body_len ? FRAME_LAST : FRAME_NONE,
			 body, body_len);
	assert_int_equal(send(peer->fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
	for (unsigned rounds = 0; *served == before; rounds++) {
		assert_true(rounds < 1000);
		conns_turn(world->conns); /* a round begins */
		uv_run(&world->loop, UV_RUN_NOWAIT);
	}
	return user->requests;
}

static void
a_request_counts_by_its_bytes_its_tags_and_the_page_it_asks_for(void **state)
{
	static const uint8_t tags[] = { 1, 'a', 1, 'b', 1, 'c' };
	struct message none = { 0 }, key = peer_key("k"), tagged = { 0 };
	struct world world;
	struct peer peer;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet_as(&world, 2000);
	MESSAGE_SET(&tagged, TAGS, tags, slice(tags, sizeof(tags)));
	assert_int_equal(count_of(&world, &peer, COMMAND_PING, &none, 0), 1);
	assert_int_equal(count_of(&world, &peer, COMMAND_INVALIDATE, &tagged, 0), 3);
	assert_int_equal(count_of(&world, &peer, COMMAND_SCAN, &none, 0), USER_SCAN);
	assert_in_range(count_of(&world, &peer, COMMAND_PUT, &key, 100 * 1024),
			1 + 100 * 1024 / USER_REQUEST_BYTES, USER_REQUESTS_MAX);
	peer_close(&peer);
	world_close(&world);
}

static void
who_asks_for_figures_or_a_flush_has_had_its_turn(void **state)
{
	static const uint8_t kinds[] = { COMMAND_STATS, COMMAND_FLUSH };
	enum { EACH = 5 };
	struct message none = { 0 };
	struct world world;
	struct peer peer;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet_as(&world, 2000);
	for (size_t i = 0; i < sizeof(kinds); i++) {
		uint64_t *served = &world.sessions.counters.requests[kinds[i]];
		uint8_t bytes[EACH * 64];
		size_t len = 0;

		for (int j = 0; j < EACH; j++)
			len += peer_frame(&peer, bytes + len, kinds[i], &none, FRAME_NONE,
					  NULL, 0);
		assert_int_equal(send(peer.fd, bytes, len, MSG_NOSIGNAL), (ssize_t)len);
		for (unsigned rounds = 0; *served < EACH; rounds++) {
			uint64_t now = *served;

			assert_true(rounds < 1000);
			conns_turn(world.conns); /* a round begins */
			uv_run(&world.loop, UV_RUN_NOWAIT);
			assert_true(*served - now <= 1);
		}
	}
	peer_close(&peer);
	world_close(&world);
}

static void
of_the_memory_for_half_received_requests_a_uid_leaves_others_half(void **state)
{
	struct conns_limits limits = { 64, false, 8 << 20, 30 * SECOND_NS };
	struct message message = peer_key("k");
	uint8_t *value = make_value(MIB), *bytes = malloc(MIB + 4096);
	struct peer half[12], other[2];
	struct world world;

	(void)state;
	assert_non_null(bytes);
	world_open(&world, &limits);
	for (int i = 0; i < 12; i++) {
		half[i] = peer_greet_as(&world, 2000);
		peer_frame(&half[i], bytes, COMMAND_PUT, &message, FRAME_LAST, value,
			   MIB);
		peer_send(&world, &half[i], bytes, 50000);
		world_turn(&world);
	}
	assert_in_range(world.conns->budget.used, 3 * MIB, 4 * MIB + 4096);
	/* Nobody has stalled for long enough to be closed for it: this is room that was left. */
	for (int i = 0; i < 2; i++) {
		other[i] = peer_greet_as(&world, 3000);
		peer_put(&world, &other[i], "k", value, MIB - 1);
		free(peer_reply(&world, &other[i], 1).body);
	}
	assert_int_equal(conns_count(world.conns), 14);
	for (int i = 0; i < 12; i++)
		peer_close(&half[i]);
	peer_close(&other[0]);
	peer_close(&other[1]);
	free(bytes);
	free(value);
	world_close(&world);
}

static void
of_the_memory_for_half_received_batches_a_uid_leaves_others_half(void **state)
{
	struct message none = { 0 };
	struct peer peers[20], other;
	struct world world;
	struct got got;
	uint8_t *part = make_value(MIB);
	unsigned busy = 0;

	(void)state;
	world_open(&world, NULL);
	for (int i = 0; i < 20; i++) {
		peers[i] = peer_greet_as(&world, 2000);
		peer_request(&world, &peers[i], COMMAND_BATCH, &none, FRAME_MORE, part,
			     MIB);
		for (int j = 0; j < 3; j++)
			peer_segment(&world, &peers[i], FRAME_MORE, part, MIB, 0);
		for (int round = 0; round < 20; round++)
			world_turn(&world);
		peer_receive(&peers[i], SIZE_MAX);
		if (!peer_take(&peers[i], &got))
			continue;
		assert_int_equal(got.message.error, ERROR_BUSY);
		busy++;
	}
	assert_in_range(busy, 10, 19);
	assert_true(world.sessions.batch_bytes <= BATCH_ARRIVING_MAX / 2);
	other = peer_greet_as(&world, 3000);
	peer_request(&world, &other, COMMAND_BATCH, &none, FRAME_MORE, part, MIB);
	for (int j = 0; j < 6; j++)
		peer_segment(&world, &other, FRAME_MORE, part, MIB, 0);
	for (int round = 0; round < 20; round++)
		world_turn(&world);
	peer_receive(&other, SIZE_MAX);
	assert_false(peer_take(&other, &got));
	for (int i = 0; i < 20; i++)
		peer_close(&peers[i]);
	peer_close(&other);
	free(part);
	world_close(&world);
}

static void
the_longest_stalled_half_request_gives_way_to_others(void **state)
{
	struct conns_limits limits = { 64, false, 4 << 20, 3600 * SECOND_NS };
	struct message message = peer_key("k");
	uint8_t *value = make_value(MIB), *bytes = malloc(MIB + 4096);
	struct peer stalled[4], late;
	struct world world;
	size_t len;

	(void)state;
	assert_non_null(bytes);
	world_open(&world, &limits);
	for (int i = 0; i < 4; i++) {
		stalled[i] = peer_greet(&world);
		len = peer_frame(&stalled[i], bytes, COMMAND_PUT, &message, FRAME_LAST,
				 value, MIB);
		peer_send(&world, &stalled[i], bytes, 50000);
		world_turn(&world);
		peer_now_ns += SECOND_NS / 10;
	}
	/* The fourth had no room; it has been waiting since, and so does the fifth. */
	late = peer_greet(&world);
	peer_frame(&late, bytes, COMMAND_PUT, &message, FRAME_LAST, value, MIB);
	assert_true(send(late.fd, bytes, len, MSG_NOSIGNAL) > 0);
	for (int i = 0; i < 10; i++)
		world_turn(&world);
	assert_int_equal(conns_count(world.conns), 5);
	/* Small requests are served all the while. */
	{
		struct peer small = peer_greet(&world);

		peer_put(&world, &small, "s", "value", 5);
		peer_reply(&world, &small, 1);
		peer_close(&small);
		world_turn(&world);
	}
	peer_now_ns += 2 * SECOND_NS;
	conns_sweep(world.conns);
	for (int i = 0; i < 10; i++)
		world_turn(&world);
	assert_true(peer_is_closed(&world, &stalled[0]));
	assert_true(conns_count(world.conns) >= 2);
	for (int i = 0; i < 4; i++)
		peer_close(&stalled[i]);
	peer_close(&late);
	free(bytes);
	free(value);
	world_close(&world);
}

static void
descriptors_that_are_sent_along_do_not_arrive(void **state)
{
	struct message none = { 0 };
	struct world world;
	struct peer peer;
	uint8_t bytes[64];
	char control[CMSG_SPACE(4 * sizeof(int))] = { 0 };
	int fds[4], before, after;
	struct iovec vector = { bytes, 0 };
	struct msghdr header = { .msg_iov = &vector,
				 .msg_iovlen = 1,
				 .msg_control = control,
				 .msg_controllen = sizeof(control) };
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&header);

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	vector.iov_len =
		peer_frame(&peer, bytes, COMMAND_PING, &none, FRAME_NONE, NULL, 0);
	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
	for (int i = 0; i < 4; i++)
		fds[i] = peer.fd;
	memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
	before = dup(0);
	close(before);
	assert_true(sendmsg(peer.fd, &header, 0) > 0);
	peer_reply(&world, &peer, 1);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	peer_close(&peer);
	world_close(&world);
}

static void
the_longest_idle_connection_gives_its_descriptor(void **state)
{
	struct world world;
	struct peer first, second, half;

	(void)state;
	world_open(&world, NULL);
	half = peer_greet(&world);
	peer_send(&world, &half, "\1", 1);
	world_turn(&world);
	peer_now_ns += SECOND_NS;
	first = peer_greet(&world);
	peer_now_ns += SECOND_NS;
	second = peer_greet(&world);
	assert_true(conns_drop_idle(world.conns));
	assert_true(peer_is_closed(&world, &first));
	assert_false(peer_is_closed(&world, &second));
	assert_true(conns_drop_idle(world.conns));
	assert_false(conns_drop_idle(world.conns));
	peer_close(&first);
	peer_close(&second);
	peer_close(&half);
	world_close(&world);
}

static void
who_holds_a_lease_is_not_idle(void **state)
{
	struct world world;
	struct peer holder;

	(void)state;
	world_open(&world, NULL);
	holder = peer_greet(&world);
	fake.hold_leases = true;
	assert_false(conns_drop_idle(world.conns));
	fake.hold_leases = false;
	assert_true(conns_drop_idle(world.conns));
	peer_close(&holder);
	world_close(&world);
}

#define BATCH_GETS 64

static void
ask_batch(struct world *world, struct peer *peer)
{
	const struct message none = { 0 }, key = peer_key("k");
	uint8_t body[BATCH_GETS * 64];
	size_t len = 0;

	for (int i = 0; i < BATCH_GETS; i++) {
		size_t header = message_encode(&key, body + len + BATCH_HEAD, 32);

		batch_write_head(body + len, COMMAND_GET, header, 0);
		len += BATCH_HEAD + header;
	}
	peer_request(world, peer, COMMAND_BATCH, &none, FRAME_LAST, body, len);
}

static void
a_batch_that_waits_for_readers_counts_for_each_of_its_gets(void **state)
{
	struct world world;
	struct peer peer;

	(void)state;
	world_open(&world, NULL);
	peer = peer_greet(&world);
	fake.hold_answers = true;
	for (int i = 0; i < 3; i++)
		ask_batch(&world, &peer);
	for (unsigned batch = 1; batch <= 3; batch++) {
		world_turn(&world);
		assert_int_equal(fake.gets, batch * BATCH_GETS);
		assert_int_equal(world.sessions.outstanding, BATCH_GETS + 1);
		assert_int_equal(fake_answer(world.sessions.cache), BATCH_GETS);
		free(peer_reply(&world, &peer, batch).body);
	}
	assert_int_equal(world.sessions.outstanding, 0);
	ask_batch(&world, &peer);
	world_turn(&world);
	peer_close(&peer);
	world_turn(&world);
	assert_int_equal(fake_answer(world.sessions.cache), BATCH_GETS);
	assert_int_equal(world.sessions.outstanding, 0);
	world_close(&world);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(hello_tells_protocol_uid_and_limits),
		cmocka_unit_test(requests_may_come_byte_by_byte),
		cmocka_unit_test(a_hundred_gets_of_one_write_are_answered_with_one_send),
		cmocka_unit_test(an_idle_connection_keeps_no_buffer),
		cmocka_unit_test(values_of_every_size_come_back),
		cmocka_unit_test(a_part_that_fails_aborts_only_its_reply),
		cmocka_unit_test(ready_replies_overtake_a_stream_that_has_not_begun),
		cmocka_unit_test(
			a_stream_that_is_refused_before_it_begins_is_counted_as_an_error),
		cmocka_unit_test(an_aborted_upload_is_refused_and_the_connection_goes_on),
		cmocka_unit_test(the_body_of_a_refused_request_is_thrown_away),
		cmocka_unit_test(an_upload_of_another_length_than_announced_is_refused),
		cmocka_unit_test(a_protocol_error_closes_without_a_reply),
		cmocka_unit_test(a_second_hello_or_an_id_out_of_sequence_closes),
		cmocka_unit_test(
			a_client_that_does_not_read_is_not_read_from_and_later_goes_on),
		cmocka_unit_test(
			a_short_request_behind_the_one_that_filled_the_outbox_is_answered),
		cmocka_unit_test(one_round_serves_every_client),
		cmocka_unit_test(
			half_a_request_is_dropped_after_the_idle_timeout_and_silence_is_not),
		cmocka_unit_test(unread_replies_are_dropped_after_the_idle_timeout),
		cmocka_unit_test(
			a_put_that_others_wait_for_is_let_in_where_another_waits_for_room),
		cmocka_unit_test(
			time_that_a_request_waits_for_room_is_not_the_clients_debt),
		cmocka_unit_test(
			who_closes_is_gone_for_what_waits_and_who_only_says_no_more_is_not),
		cmocka_unit_test(
			a_request_that_waits_for_room_is_not_carried_out_for_a_client_that_has_closed),
		cmocka_unit_test(
			a_request_that_waits_for_room_is_carried_out_for_a_client_that_only_says_no_more),
		cmocka_unit_test(an_upload_waits_for_room_and_goes_on),
		cmocka_unit_test(answers_that_come_after_the_client_is_gone_are_dropped),
		cmocka_unit_test(a_client_that_ends_its_sending_side_gets_all_replies),
		cmocka_unit_test(
			goaway_names_the_last_request_and_its_answer_still_comes),
		cmocka_unit_test(too_many_connections_are_told_so),
		cmocka_unit_test(another_uid_never_takes_all_connections),
		cmocka_unit_test(an_administrator_gets_in_when_others_have_all_the_rest),
		cmocka_unit_test(
			where_descriptors_are_short_the_uid_with_most_gives_and_for_nobody_beyond_its_share),
		cmocka_unit_test(a_flood_of_small_requests_of_one_uid_waits_for_its_turn),
		cmocka_unit_test(parts_of_a_value_count_like_requests),
		cmocka_unit_test(
			a_request_counts_by_its_bytes_its_tags_and_the_page_it_asks_for),
		cmocka_unit_test(who_asks_for_figures_or_a_flush_has_had_its_turn),
		cmocka_unit_test(
			of_the_memory_for_half_received_requests_a_uid_leaves_others_half),
		cmocka_unit_test(
			of_the_memory_for_half_received_batches_a_uid_leaves_others_half),
		cmocka_unit_test(the_longest_stalled_half_request_gives_way_to_others),
		cmocka_unit_test(descriptors_that_are_sent_along_do_not_arrive),
		cmocka_unit_test(the_longest_idle_connection_gives_its_descriptor),
		cmocka_unit_test(who_holds_a_lease_is_not_idle),
		cmocka_unit_test(
			a_batch_that_waits_for_readers_counts_for_each_of_its_gets),
	};

	return unit_run(tests);
}
