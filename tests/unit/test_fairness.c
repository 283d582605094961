/* test_fairness.c - what one uid, and one connection, leaves to the others: places, turns, memory and descriptors. */
#include "tests/unit/unit.h"

#include "tests/unit/fake/cache.c"
#include "tests/unit/fake/peer.h"

#include "proto/batch.h"

#include "daemon/batch.h"
#include "daemon/conn.h"

#define MIB (1u << 20)

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
		cmocka_unit_test(the_longest_idle_connection_gives_its_descriptor),
		cmocka_unit_test(who_holds_a_lease_is_not_idle),
		cmocka_unit_test(
			a_batch_that_waits_for_readers_counts_for_each_of_its_gets),
	};

	return unit_run(tests);
}
