/* test_dispatch.c - what the cache is asked for each request, and what is refused before it is asked. */
#include "tests/unit/unit.h"

#include "tests/unit/fake/cache.c"
#include "tests/unit/fake/peer.h"

#include "proto/batch.h"

/* A world with one greeted client. */
struct fixture {
	struct world world;
	struct peer peer;
};

static void
open_fixture(struct fixture *fixture)
{
	world_open(&fixture->world, NULL);
	fixture->peer = peer_greet(&fixture->world);
}

static void
close_fixture(struct fixture *fixture)
{
	peer_close(&fixture->peer);
	world_close(&fixture->world);
}

static struct got
ask(struct fixture *fixture, unsigned kind, const struct message *message,
    enum frame_mark mark, const char *body)
{
	uint32_t id = fixture->peer.next_id;

	peer_request(&fixture->world, &fixture->peer, kind, message, mark, body,
		     strlen(body));
	return peer_reply(&fixture->world, &fixture->peer, id);
}

static struct got
put(struct fixture *fixture, const struct message *message)
{
	return ask(fixture, COMMAND_PUT, message, FRAME_LAST, "eight by");
}

static void
a_put_carries_every_field_to_the_cache(void **state)
{
	struct fixture fixture;
	struct message message = peer_key("k");
	struct got got;

	(void)state;
	open_fixture(&fixture);
	got = put(&fixture, &message);
	assert_true(got.message.version > 0);
	assert_false(message_has(&got.message, FIELD_STATUS));
	assert_true(fake.last_put.ttl_ms == TTL_NEVER);
	assert_int_equal(fake.last_put.ack, ACK_MEMORY);
	assert_int_equal(fake.last_put.target.uid, 1000);
	assert_non_null(fake.last_put.payer);
	MESSAGE_SET(&message, TTL, ttl_ms, 1);
	MESSAGE_SET(&message, CODEC, codec, UINT32_MAX);
	MESSAGE_SET(&message, OBJECT_KIND, object_kind, OBJECT_COUNTER);
	MESSAGE_SET(&message, COST, cost_us, 77);
	MESSAGE_SET(&message, CONDITION, condition, CONDITION_VERSION);
	MESSAGE_SET(&message, VERSION, version, got.message.version);
	MESSAGE_SET(&message, ACK, ack, ACK_DISK);
	MESSAGE_SET(&message, LENGTH, length, 8);
	got = put(&fixture, &message);
	assert_int_equal(got.frame.kind, FRAME_REPLY);
	assert_int_equal(fake.last_put.ttl_ms, 1);
	assert_int_equal(fake.last_put.codec, UINT32_MAX);
	assert_int_equal(fake.last_put.object_kind, OBJECT_COUNTER);
	assert_int_equal(fake.last_put.cost_us, 77);
	assert_int_equal(fake.last_put.condition, CONDITION_VERSION);
	assert_int_equal(fake.last_put.ack, ACK_DISK);
	close_fixture(&fixture);
}

/* Whole, and in segments. */
static void
a_put_or_get_is_a_miss_and_a_version_or_a_hit_and_a_value(void **state)
{
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture);
	for (unsigned segments = 1; segments <= 2; segments++) {
		struct message message = peer_key(segments == 1 ? "k" : "l");
		uint64_t version = 0;

		MESSAGE_SET(&message, CONDITION, condition, CONDITION_ABSENT);
		MESSAGE_SET(&message, OR_GET, or_get, 1);
		for (int round = 0; round < 3; round++) {
			const char *body = round ? "later" : "first";
			uint32_t id = fixture.peer.next_id;
			struct got got;

			if (round == 2)
				MESSAGE_SET(&message, NOT_VERSION, not_version, version);
			peer_request(&fixture.world, &fixture.peer, COMMAND_PUT, &message,
				     segments == 1 ? FRAME_LAST : FRAME_MORE, body, 5);
			if (segments == 2)
				peer_segment(&fixture.world, &fixture.peer, FRAME_LAST,
					     "", 0, 0);
			got = peer_reply(&fixture.world, &fixture.peer, id);
			assert_int_equal(got.frame.kind, FRAME_REPLY);
			assert_true(fake.last_put.or_get);
			assert_int_equal(fake.last_put.not_version,
					 round == 2 ? version : 0);
			if (round == 1) {
				assert_false(message_has(&got.message, FIELD_STATUS));
				assert_int_equal(got.message.version, version);
				assert_int_equal(got.message.length, 5);
				assert_int_equal(got.message.writer_uid, 1000);
				assert_int_equal(got.body_len, 5);
				assert_memory_equal(got.body, "first", 5);
				free(got.body);
				continue;
			}
			assert_int_equal(got.message.status, STATUS_MISS);
			assert_true(got.message.version > version);
			assert_int_equal(got.end, FRAME_NONE);
			version = got.message.version;
		}
	}
	close_fixture(&fixture);
}

static void
a_get_carries_every_field_to_the_cache(void **state)
{
	struct fixture fixture;
	struct message message = peer_key("k");

	(void)state;
	open_fixture(&fixture);
	ask(&fixture, COMMAND_GET, &message, FRAME_NONE, "");
	assert_true(fake.last_get.max_age_ms == TTL_NEVER);
	assert_false(fake.last_get.refresh);
	assert_false(fake.last_get.meta_only);
	MESSAGE_SET(&message, MAX_AGE, max_age_ms, 0);
	MESSAGE_SET(&message, NOT_VERSION, not_version, 9);
	MESSAGE_SET(&message, REFRESH, refresh_ms, 0);
	ask(&fixture, COMMAND_META, &message, FRAME_NONE, "");
	assert_int_equal(fake.last_get.max_age_ms, 0);
	assert_int_equal(fake.last_get.not_version, 9);
	assert_true(fake.last_get.refresh);
	assert_int_equal(fake.last_get.refresh_ms, 0);
	assert_true(fake.last_get.meta_only);
	close_fixture(&fixture);
}

static void
meta_tells_everything_but_the_value(void **state)
{
	struct fixture fixture;
	struct message message = peer_key("k");
	struct got got;

	(void)state;
	open_fixture(&fixture);
	MESSAGE_SET(&message, TTL, ttl_ms, 60000);
	MESSAGE_SET(&message, CODEC, codec, 6);
	MESSAGE_SET(&message, OBJECT_KIND, object_kind, OBJECT_COUNTER);
	MESSAGE_SET(&message, COST, cost_us, 5);
	put(&fixture, &message);
	message = peer_key("k");
	got = ask(&fixture, COMMAND_META, &message, FRAME_NONE, "");
	assert_int_equal(got.end, FRAME_NONE);
	assert_int_equal(got.message.length, 8);
	assert_int_equal(got.message.codec, 6);
	assert_int_equal(got.message.object_kind, OBJECT_COUNTER);
	assert_int_equal(got.message.cost_us, 5);
	assert_int_equal(got.message.ttl_left_ms, 60000);
	assert_int_equal(got.message.writer_uid, 1000);
	assert_false(message_has(&got.message, FIELD_STATUS));
	close_fixture(&fixture);
}

static void
deletes_and_flushes_wait_for_the_disk_unless_told_otherwise(void **state)
{
	static const struct {
		unsigned kind;
		uint64_t ack;
		enum ack expected;
	} cases[] = {
		{ COMMAND_DELETE, 0, ACK_DISK },  { COMMAND_DELETE, 1, ACK_MEMORY },
		{ COMMAND_FLUSH, 0, ACK_DISK },   { COMMAND_FLUSH, 1, ACK_MEMORY },
		{ COMMAND_TOUCH, 0, ACK_MEMORY }, { COMMAND_TOUCH, 2, ACK_DISK },
	};
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct message message = { 0 };
		struct got got;

		if (cases[i].kind != COMMAND_FLUSH)
			MESSAGE_SET(&message, KEY, key, slice_text("k"));
		if (cases[i].ack)
			MESSAGE_SET(&message, ACK, ack, cases[i].ack);
		got = ask(&fixture, cases[i].kind, &message, FRAME_NONE, "");
		assert_int_equal(got.frame.kind, FRAME_REPLY);
		assert_true(message_has(&got.message, FIELD_STATUS));
		assert_int_equal(fake.last_ack, cases[i].expected);
	}
	close_fixture(&fixture);
}

#define BAD(name_, set, error_, detail_)                                                 \
	do {                                                                             \
		struct message m = peer_key("k");                                        \
		struct got got;                                                          \
		set;                                                                     \
		got = ask(&fixture, COMMAND_##name_, &m,                                 \
			  COMMAND_##name_ == COMMAND_PUT ? FRAME_LAST : FRAME_NONE,      \
			  COMMAND_##name_ == COMMAND_PUT ? "body" : "");                 \
		assert_int_equal(got.frame.kind, FRAME_ERROR);                           \
		assert_int_equal(got.message.error, ERROR_##error_);                     \
		assert_int_equal(got.message.detail, detail_);                           \
		assert_true(got.message.text.len > 0);                                   \
	} while (0)

static void
what_is_out_of_range_is_refused_and_nothing_done(void **state)
{
	struct fixture fixture;
	unsigned puts;

	(void)state;
	open_fixture(&fixture);
	puts = fake.puts;
	BAD(PUT, MESSAGE_SET(&m, TTL, ttl_ms, 0), BAD_REQUEST, 0);
	BAD(TOUCH, MESSAGE_SET(&m, TTL, ttl_ms, 0), BAD_REQUEST, 0);
	BAD(PUT, MESSAGE_SET(&m, CODEC, codec, UINT64_C(1) << 32), BAD_REQUEST, 0);
	BAD(PUT, MESSAGE_SET(&m, CONDITION, condition, 4), UNSUPPORTED, FIELD_CONDITION);
	BAD(PUT, MESSAGE_SET(&m, CONDITION, condition, 3), BAD_REQUEST, 0);
	BAD(PUT, MESSAGE_SET(&m, VERSION, version, 3), BAD_REQUEST, 0);
	BAD(PUT, MESSAGE_SET(&m, OBJECT_KIND, object_kind, 2), UNSUPPORTED,
	    FIELD_OBJECT_KIND);
	BAD(PUT, MESSAGE_SET(&m, OBJECT_KIND, object_kind, 1), BAD_REQUEST, 0);
	BAD(PUT, MESSAGE_SET(&m, ACK, ack, 3), UNSUPPORTED, FIELD_ACK);
	BAD(DELETE, MESSAGE_SET(&m, ACK, ack, UINT64_MAX), UNSUPPORTED, FIELD_ACK);
	BAD(PUT, MESSAGE_SET(&m, LENGTH, length, 5), BAD_REQUEST, 0);
	BAD(GET, MESSAGE_SET(&m, KEY, key, slice("", 0)), BAD_KEY, 0);
	BAD(GET, MESSAGE_SET(&m, KEY, key, slice("\xc3", 1)), BAD_KEY, 0);
	BAD(GET, MESSAGE_SET(&m, NAMESPACE, namespace, slice_text(".web")), BAD_NAMESPACE,
	    0);
	BAD(GET, MESSAGE_SET(&m, NAMESPACE, namespace, slice_text("")), BAD_NAMESPACE, 0);
	BAD(PUT, MESSAGE_SET(&m, OR_GET, or_get, 1), BAD_REQUEST, 0);
	BAD(PUT, MESSAGE_SET(&m, NOT_VERSION, not_version, 1), BAD_REQUEST, 0);
	BAD(PUT, MESSAGE_SET(&m, OR_GET, or_get, 2), UNSUPPORTED, FIELD_OR_GET);
	BAD(SYNC, (void)0, UNSUPPORTED, FIELD_KEY);
	BAD(SCAN, (void)0, UNSUPPORTED, FIELD_KEY);
	assert_int_equal(fake.puts, puts);
	assert_int_equal(fake.gets, 0);
	close_fixture(&fixture);
}

static void
a_field_of_another_command_is_unsupported(void **state)
{
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture);
	BAD(GET, MESSAGE_SET(&m, TTL, ttl_ms, 5), UNSUPPORTED, FIELD_TTL);
	BAD(GET, MESSAGE_SET(&m, EPOCH, epoch, 5), UNSUPPORTED, FIELD_EPOCH);
	BAD(DELETE, MESSAGE_SET(&m, CURSOR, cursor, slice_text("c")), UNSUPPORTED,
	    FIELD_CURSOR);
	close_fixture(&fixture);
}

static void
a_path_is_not_a_namespace_and_the_text_says_where_the_data_is(void **state)
{
	static const char expected[] = "Brine has namespaces, not directories; your data "
				       "is in /home/ada/.cache/brine";
	struct fixture fixture;
	struct message message = peer_key("k");
	struct got got;

	(void)state;
	open_fixture(&fixture);
	MESSAGE_SET(&message, NAMESPACE, namespace, slice_text("./cache"));
	got = ask(&fixture, COMMAND_GET, &message, FRAME_NONE, "");
	assert_int_equal(got.message.error, ERROR_BAD_NAMESPACE);
	assert_int_equal(got.message.text.len, strlen(expected));
	assert_memory_equal(got.message.text.data, expected, strlen(expected));
	close_fixture(&fixture);
}

static void
a_put_without_a_body_and_a_get_with_one_are_refused(void **state)
{
	struct fixture fixture;
	struct message message = peer_key("k");
	struct got got;

	(void)state;
	open_fixture(&fixture);
	got = ask(&fixture, COMMAND_PUT, &message, FRAME_NONE, "");
	assert_int_equal(got.message.error, ERROR_BAD_REQUEST);
	got = ask(&fixture, COMMAND_GET, &message, FRAME_LAST, "");
	assert_int_equal(got.message.error, ERROR_BAD_REQUEST);
	got = ask(&fixture, COMMAND_PUT, &message, FRAME_LAST, "");
	assert_int_equal(got.frame.kind, FRAME_REPLY);
	got = ask(&fixture, COMMAND_GET, &message, FRAME_NONE, "");
	assert_int_equal(got.end, FRAME_LAST);
	assert_int_equal(got.body_len, 0);
	close_fixture(&fixture);
}

static void
a_counter_may_come_in_segments_of_eight_bytes_in_all(void **state)
{
	struct fixture fixture;
	struct message message = peer_key("k");
	struct got got;

	(void)state;
	open_fixture(&fixture);
	MESSAGE_SET(&message, OBJECT_KIND, object_kind, OBJECT_COUNTER);
	peer_request(&fixture.world, &fixture.peer, COMMAND_PUT, &message, FRAME_MORE,
		     "1234", 4);
	peer_segment(&fixture.world, &fixture.peer, FRAME_LAST, "5678", 4, 0);
	got = peer_reply(&fixture.world, &fixture.peer, 1);
	assert_int_equal(got.frame.kind, FRAME_REPLY);
	peer_request(&fixture.world, &fixture.peer, COMMAND_PUT, &message, FRAME_MORE,
		     "1234", 4);
	peer_segment(&fixture.world, &fixture.peer, FRAME_LAST, "567", 3, 0);
	peer_expect_error(&fixture.world, &fixture.peer, ERROR_BAD_REQUEST);
	close_fixture(&fixture);
}

static void
a_later_version_an_unknown_flag_or_command_is_unsupported(void **state)
{
	struct fixture fixture;
	uint8_t bytes[64];
	size_t len;

	(void)state;
	open_fixture(&fixture);
	for (int i = 0; i < 3; i++) {
		struct message none = { 0 };
		struct got got;

		len = peer_frame(&fixture.peer, bytes, COMMAND_PING, &none, FRAME_NONE,
				 NULL, 0);
		bytes[i == 0 ? 0 : i == 1 ? 2 : 1] = i == 2 ? 127 : 2;
		peer_send(&fixture.world, &fixture.peer, bytes, len);
		got = peer_reply(&fixture.world, &fixture.peer, 1 + (uint32_t)i);
		assert_int_equal(got.message.error, ERROR_UNSUPPORTED);
		assert_false(message_has(&got.message, FIELD_DETAIL));
	}
	close_fixture(&fixture);
}

static void
a_malformed_header_is_a_bad_request(void **state)
{
	static const uint8_t frame[] = {
		1, COMMAND_PING, 0, 0, 1, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0xc1
	};
	struct fixture fixture;

	(void)state;
	open_fixture(&fixture);
	peer_send(&fixture.world, &fixture.peer, frame, sizeof(frame));
	peer_expect_error(&fixture.world, &fixture.peer, ERROR_BAD_REQUEST);
	close_fixture(&fixture);
}

static void
figures_of_the_whole_daemon_are_for_root_and_its_own_uid(void **state)
{
	static const uint32_t uids[] = { 0, 1000, 1001 };
	struct world world;

	(void)state;
	world_open(&world, NULL);
	for (size_t i = 0; i < 3; i++) {
		struct peer peer = peer_greet_as(&world, uids[i]);
		struct message none = { 0 };
		struct got got;

		peer_request(&world, &peer, COMMAND_STATS, &none, FRAME_NONE, NULL, 0);
		got = peer_reply(&world, &peer, 1);
		assert_int_equal(fake.last_everybody, i < 2);
		assert_non_null(memmem(got.body, got.body_len, "web\tobjects\t12\n", 15));
		assert_int_equal(
			memmem(got.body, got.body_len, "\trequests_hello\t", 16) != NULL,
			i < 2);
		if (i < 2)
			assert_memory_equal(got.body, "\trelease\t", 9);
		free(got.body);
		peer_close(&peer);
	}
	world_close(&world);
}

static void
the_whole_store_is_verified_for_root_and_the_daemons_own_uid(void **state)
{
	static const uint32_t uids[] = { 0, 1000, 1001 };
	struct world world;

	(void)state;
	world_open(&world, NULL);
	for (size_t i = 0; i < 3; i++) {
		struct peer peer = peer_greet_as(&world, uids[i]);
		struct message message = { 0 };
		struct got got;

		peer_request(&world, &peer, COMMAND_VERIFY, &message, FRAME_NONE, NULL,
			     0);
		got = peer_reply(&world, &peer, 1);
		if (i < 2) {
			assert_true(got.body_len == 9 &&
				    memcmp(got.body, "\trows\t12\n", 9) == 0);
			assert_true(slice_equal(got.message.cursor, slice_text("next")));
			MESSAGE_SET(&message, CURSOR, cursor, slice_text("next"));
			free(got.body);
			peer_request(&world, &peer, COMMAND_VERIFY, &message, FRAME_NONE,
				     NULL, 0);
			got = peer_reply(&world, &peer, 2);
			assert_false(message_has(&got.message, FIELD_CURSOR));
		} else {
			assert_int_equal(got.message.error, ERROR_FORBIDDEN);
		}
		free(got.body);
		peer_close(&peer);
	}
	world_close(&world);
}

static void
unknown_commands_have_one_line_of_stats_together(void **state)
{
	static const uint8_t kinds[] = { 100, 101, 101 };
	const struct message none = { 0 };
	struct fixture fixture;
	struct got got;
	const char *line;

	(void)state;
	open_fixture(&fixture);
	for (size_t i = 0; i < sizeof(kinds); i++) {
		got = ask(&fixture, kinds[i], &none, FRAME_NONE, "");
		assert_int_equal(got.message.error, ERROR_UNSUPPORTED);
	}
	got = ask(&fixture, COMMAND_STATS, &none, FRAME_NONE, "");
	line = memmem(got.body, got.body_len, "\trequests_unknown\t3\n", 20);
	assert_non_null(line);
	assert_null(memmem(line + 20,
			   got.body_len - (size_t)(line + 20 - (char *)got.body),
			   "requests_unknown", 16));
	free(got.body);
	close_fixture(&fixture);
}

static void
scan_gives_entries_cursor_and_count(void **state)
{
	struct fixture fixture;
	struct message message = { 0 };
	struct got got;

	(void)state;
	open_fixture(&fixture);
	got = ask(&fixture, COMMAND_SCAN, &message, FRAME_NONE, "");
	assert_int_equal(got.message.count, 256);
	assert_memory_equal(got.body, "entries", 7);
	assert_memory_equal(got.message.cursor.data, "next", 4);
	free(got.body);
	MESSAGE_SET(&message, LIMIT, limit, 4096);
	got = ask(&fixture, COMMAND_SCAN, &message, FRAME_NONE, "");
	assert_int_equal(got.message.count, 4096);
	free(got.body);
	close_fixture(&fixture);
}

static void
answers_that_come_later_are_each_requests_own(void **state)
{
	struct fixture fixture;
	struct message none = { 0 };
	struct got got;
	unsigned seen = 0;

	(void)state;
	open_fixture(&fixture);
	peer_put(&fixture.world, &fixture.peer, "a", "A", 1);
	peer_put(&fixture.world, &fixture.peer, "b", "B", 1);
	peer_reply(&fixture.world, &fixture.peer, 1);
	peer_reply(&fixture.world, &fixture.peer, 2);
	fake.hold_answers = true;
	peer_ask(&fixture.world, &fixture.peer, COMMAND_GET, "a");
	peer_ask(&fixture.world, &fixture.peer, COMMAND_META, "b");
	peer_ask(&fixture.world, &fixture.peer, COMMAND_DELETE, "c");
	peer_request(&fixture.world, &fixture.peer, COMMAND_SYNC, &none, FRAME_NONE, NULL,
		     0);
	peer_request(&fixture.world, &fixture.peer, COMMAND_PING, &none, FRAME_NONE, NULL,
		     0);
	peer_reply(&fixture.world, &fixture.peer, 7); /* PING waits for nobody */
	assert_int_equal(fake_answer(fixture.world.sessions.cache), 4);
	while (seen != 0xf && peer_get(&fixture.world, &fixture.peer, &got)) {
		seen |= 1u << (got.frame.id - 3);
		if (got.frame.id == 3)
			assert_memory_equal(got.body, "A", 1);
		if (got.frame.id == 5)
			assert_int_equal(got.message.status, STATUS_MISS);
		free(got.body);
	}
	assert_int_equal(seen, 0xf);
	close_fixture(&fixture);
}

static void
check_asker(void)
{
	assert_non_null(fake.last_later.asker);
	assert_int_equal(
		fake.last_later.asker->may(fake.last_later.arg, slice_text("/models")),
		RIGHT_READ);
	fake.last_later = (struct later){ 0 };
}

/* The cache asks what it may do by then. */
static void
whatever_is_answered_later_knows_the_rights_of_its_client(void **state)
{
	static struct conf conf;
	struct fixture fixture;
	struct message message = peer_key("k"), none = { 0 };
	uint8_t body[64];
	size_t len;
	char text[] = "[namespace /models]\nreaders = 1000\nwriters = 1\n";
	FILE *stream = fmemopen(text, strlen(text), "r");
	struct conf_error error;

	(void)state;
	conf_defaults(&conf);
	assert_int_equal(conf_read_stream(&conf, stream, "test", &error), 0);
	fclose(stream);
	open_fixture(&fixture);
	fixture.world.sessions.conf = &conf;
	fake.hold_answers = true;
	peer_ask(&fixture.world, &fixture.peer, COMMAND_GET, "k");
	ask(&fixture, COMMAND_PING, &none, FRAME_NONE, "");
	check_asker();
	peer_request(&fixture.world, &fixture.peer, COMMAND_SCAN, &none, FRAME_NONE, NULL,
		     0);
	ask(&fixture, COMMAND_PING, &none, FRAME_NONE, "");
	check_asker();
	len = message_encode(&message, body + BATCH_HEAD, sizeof(body) - BATCH_HEAD);
	batch_write_head(body, COMMAND_GET, len, 0);
	peer_request(&fixture.world, &fixture.peer, COMMAND_BATCH, &none, FRAME_LAST,
		     (const char *)body, BATCH_HEAD + len);
	ask(&fixture, COMMAND_PING, &none, FRAME_NONE, "");
	check_asker();
	assert_int_equal(fake_answer(fixture.world.sessions.cache), 3);
	fixture.world.sessions.conf = NULL;
	close_fixture(&fixture);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			whatever_is_answered_later_knows_the_rights_of_its_client),
		cmocka_unit_test(a_put_carries_every_field_to_the_cache),
		cmocka_unit_test(
			a_put_or_get_is_a_miss_and_a_version_or_a_hit_and_a_value),
		cmocka_unit_test(a_get_carries_every_field_to_the_cache),
		cmocka_unit_test(meta_tells_everything_but_the_value),
		cmocka_unit_test(
			deletes_and_flushes_wait_for_the_disk_unless_told_otherwise),
		cmocka_unit_test(what_is_out_of_range_is_refused_and_nothing_done),
		cmocka_unit_test(a_field_of_another_command_is_unsupported),
		cmocka_unit_test(
			a_path_is_not_a_namespace_and_the_text_says_where_the_data_is),
		cmocka_unit_test(a_put_without_a_body_and_a_get_with_one_are_refused),
		cmocka_unit_test(a_counter_may_come_in_segments_of_eight_bytes_in_all),
		cmocka_unit_test(
			a_later_version_an_unknown_flag_or_command_is_unsupported),
		cmocka_unit_test(a_malformed_header_is_a_bad_request),
		cmocka_unit_test(
			figures_of_the_whole_daemon_are_for_root_and_its_own_uid),
		cmocka_unit_test(
			the_whole_store_is_verified_for_root_and_the_daemons_own_uid),
		cmocka_unit_test(unknown_commands_have_one_line_of_stats_together),
		cmocka_unit_test(scan_gives_entries_cursor_and_count),
		cmocka_unit_test(answers_that_come_later_are_each_requests_own),
	};

	return unit_run(tests);
}
