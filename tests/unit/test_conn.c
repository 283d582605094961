/* test_conn.c - connections over socket pairs, with a cache that does as it is told and a virtual clock. */
#include "tests/unit/unit.h"

#include "tests/unit/fake/cache.c"
#include "tests/unit/fake/peer.h"

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
		cmocka_unit_test(descriptors_that_are_sent_along_do_not_arrive),
	};

	return unit_run(tests);
}
