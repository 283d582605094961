/* test_namespaces.c - how many namespaces a uid has, and which of them make room for another. */
#include "tests/unit/engine.h"

#include "daemon/cache_core.h"
#include "daemon/log.h"

static void
open_with_at_most(struct engine *engine, unsigned namespaces)
{
	engine_open(engine);
	engine->config.max_namespaces = namespaces;
	cache_configure(engine->cache, &engine->config);
}

static struct target
target_in(const char *name, const char *key)
{
	return (struct target){ .uid = 1000,
				.namespace = slice_text(name),
				.key = slice_text(key) };
}

static enum answer_kind
put_in(struct engine *engine, const char *name, enum ack ack)
{
	struct put put = { .target = target_in(name, "key"),
			   .ttl_ms = TTL_NEVER,
			   .ack = ack };

	return engine_put_as(engine, &put, name, strlen(name));
}

static enum answer_kind
delete_in(struct engine *engine, const char *name)
{
	struct target target = target_in(name, "key");

	ENGINE_CALL(engine,
		    cache_delete(engine->cache, &target, 0, ACK_DISK, &later, &answer_));
	return engine->answer.kind;
}

static enum answer_kind
flush_in(struct engine *engine, const char *name, enum ack ack)
{
	struct target target = target_in(name, "");

	ENGINE_CALL(engine, cache_flush(engine->cache, &target, ack, &later, &answer_));
	return engine->answer.kind;
}

static bool
is_there(struct engine *engine, const char *name)
{
	struct get get = { .target = target_in(name, "key"), .max_age_ms = TTL_NEVER };

	ENGINE_CALL(engine, cache_get(engine->cache, &get, &later, &answer_));
	return engine->answer.kind == ANSWER_DONE &&
	       engine_has(engine, name, strlen(name));
}

static bool
is_known(struct engine *engine, const char *name)
{
	return names_find(&engine->cache->names, 1000, slice_text(name));
}

/* A put into one more is refused. */
static void
assert_full(struct engine *engine)
{
	assert_int_equal(put_in(engine, "one-more", ACK_DISK), ANSWER_ERROR);
	assert_int_equal(engine->answer.error, ERROR_TOO_MANY);
	assert_int_equal(engine->answer.detail, engine->config.max_namespaces);
}

/* ---- what makes room ---- */

static void
an_emptied_namespace_makes_room_for_another(void **state)
{
	struct engine engine;
	char name[16];
	(void)state;

	open_with_at_most(&engine, 3);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(put_in(&engine, name, ACK_DISK), ANSWER_DONE);
		assert_true(is_there(&engine, name));
		assert_int_equal(delete_in(&engine, name), ANSWER_DONE);
	}
	assert_int_equal(engine.cache->names.count, 3);
	engine_close(&engine);
}

static void
a_flushed_namespace_makes_room_for_another(void **state)
{
	struct engine engine;
	char name[16];
	(void)state;

	open_with_at_most(&engine, 3);
	for (int i = 0; i < 50; i++) {
		snprintf(name, sizeof(name), "n%d", i);
		assert_int_equal(put_in(&engine, name, ACK_MEMORY), ANSWER_DONE);
		assert_int_equal(flush_in(&engine, name, ACK_DISK), ANSWER_DONE);
	}
	assert_int_equal(engine.cache->names.count, 3);
	engine_close(&engine);
}

static void
a_namespace_that_was_forgotten_begins_anew(void **state)
{
	struct engine engine;
	(void)state;

	open_with_at_most(&engine, 1);
	for (int i = 0; i < 3; i++) {
		assert_int_equal(put_in(&engine, "a", ACK_DISK), ANSWER_DONE);
		assert_true(is_there(&engine, "a"));
		assert_int_equal(delete_in(&engine, "a"), ANSWER_DONE);
		assert_int_equal(put_in(&engine, "b", ACK_DISK), ANSWER_DONE);
		assert_false(is_known(&engine, "a"));
		assert_false(is_there(&engine, "a"));
		assert_true(is_there(&engine, "b"));
		assert_int_equal(flush_in(&engine, "b", ACK_DISK), ANSWER_DONE);
	}
	engine_close(&engine);
}

static void
a_restart_does_not_bring_it_back(void **state)
{
	struct engine engine;
	(void)state;

	open_with_at_most(&engine, 1);
	assert_int_equal(put_in(&engine, "a", ACK_DISK), ANSWER_DONE);
	assert_int_equal(delete_in(&engine, "a"), ANSWER_DONE);
	assert_int_equal(put_in(&engine, "b", ACK_DISK), ANSWER_DONE);
	engine_stop(&engine);
	engine_reopen(&engine);
	assert_false(is_known(&engine, "a"));
	assert_true(is_there(&engine, "b"));
	assert_full(&engine);
	engine_close(&engine);
}

/* ---- what does not ---- */

static void
one_that_holds_something_stays(void **state)
{
	struct engine engine;
	(void)state;

	open_with_at_most(&engine, 2);
	assert_int_equal(put_in(&engine, "a", ACK_DISK), ANSWER_DONE);
	assert_int_equal(put_in(&engine, "b", ACK_DISK), ANSWER_DONE);
	assert_full(&engine);
	assert_true(is_there(&engine, "a"));
	assert_true(is_there(&engine, "b"));
	engine_close(&engine);
}

static void
one_whose_put_is_not_on_the_disk_yet_stays(void **state)
{
	struct engine engine;
	struct put put = { .target = target_in("a", "key"), .ttl_ms = TTL_NEVER };
	struct later later = { .answered = engine_answered, .arg = &engine };
	struct answer answer;
	(void)state;

	open_with_at_most(&engine, 1);
	assert_int_equal(put_in(&engine, "a", ACK_DISK), ANSWER_DONE);
	assert_int_equal(delete_in(&engine, "a"), ANSWER_DONE);
	/* One turn: no commit comes between. */
	cache_turn_begin(engine.cache);
	put.payer = engine.payer;
	assert_int_equal(cache_put(engine.cache, &put, slice_text("a"), &later, &answer),
			 CACHE_NOW);
	assert_int_equal(answer.kind, ANSWER_DONE);
	put.target.namespace = slice_text("b");
	assert_int_equal(cache_put(engine.cache, &put, slice_text("b"), &later, &answer),
			 CACHE_NOW);
	assert_int_equal(answer.error, ERROR_TOO_MANY);
	cache_turn_end(engine.cache);
	engine_sync(&engine);
	assert_true(is_there(&engine, "a"));
	engine_close(&engine);
}

/* The writer replaces an object by taking it out of the figures and counting it anew: in between the namespace holds
 * none, by its figures. */
static void
one_whose_only_object_is_touched_stays(void **state)
{
	struct engine engine;
	struct target target = target_in("a", "key");
	struct put put = { .target = target_in("b", "key"), .ttl_ms = TTL_NEVER };
	struct later later = { .answered = engine_answered, .arg = &engine };
	struct usage *usage;
	struct answer answer;
	(void)state;

	open_with_at_most(&engine, 1);
	assert_int_equal(put_in(&engine, "a", ACK_DISK), ANSWER_DONE);
	usage = names_find(&engine.cache->names, 1000, slice_text("a"))->usage;
	put.payer = engine.payer;
	cache_turn_begin(engine.cache);
	assert_int_equal(
		cache_touch(engine.cache, &target, 60000, ACK_MEMORY, &later, &answer),
		CACHE_NOW);
	assert_int_equal(answer.kind, ANSWER_DONE);
	atomic_store(&usage->objects, 0);
	assert_int_equal(cache_put(engine.cache, &put, slice_text("b"), &later, &answer),
			 CACHE_NOW);
	assert_int_equal(answer.error, ERROR_TOO_MANY);
	atomic_store(&usage->objects, 1);
	cache_turn_end(engine.cache);
	engine_sync(&engine);
	assert_true(is_there(&engine, "a"));
	engine_close(&engine);
}

static void
one_that_a_request_waits_in_stays_until_it_is_answered(void **state)
{
	struct engine engine;
	struct get get = { .target = target_in("a", "other"), .max_age_ms = TTL_NEVER };
	struct put put = { .target = target_in("b", "key"), .ttl_ms = TTL_NEVER };
	struct later later = { .answered = engine_answered, .arg = &engine };
	struct answer answer;
	(void)state;

	open_with_at_most(&engine, 1);
	assert_int_equal(put_in(&engine, "a", ACK_DISK), ANSWER_DONE);
	assert_int_equal(delete_in(&engine, "a"), ANSWER_DONE);
	/* Everything is cold: the look-up is a reader's. */
	engine.cache->cold_share = COLD_SHARE_ALL;
	engine.answered = false;
	put.payer = engine.payer;
	cache_turn_begin(engine.cache);
	assert_int_equal(cache_get(engine.cache, &get, &later, &answer), CACHE_LATER);
	assert_int_equal(cache_put(engine.cache, &put, slice_text("b"), &later, &answer),
			 CACHE_NOW);
	assert_int_equal(answer.error, ERROR_TOO_MANY);
	cache_turn_end(engine.cache);
	while (!engine.answered)
		engine_step(&engine);
	assert_int_equal(engine.answer.kind, ANSWER_MISS);
	assert_int_equal(put_in(&engine, "b", ACK_DISK), ANSWER_DONE);
	engine_close(&engine);
}

static int
ask(struct engine *engine, struct peer *peer, enum lease_wish wish, uint64_t wait_ms,
    struct answer *ret_answer)
{
	struct get get = { .target = target_in("a", "key"),
			   .max_age_ms = TTL_NEVER,
			   .peer = peer,
			   .lease = wish,
			   .wait_ms = wait_ms };
	struct later later = { .answered = engine_answered, .arg = engine };
	int done;

	engine->answered = false;
	cache_turn_begin(engine->cache);
	done = cache_get(engine->cache, &get, &later, ret_answer);
	cache_turn_end(engine->cache);
	return done;
}

static void
one_that_somebody_computes_for_stays_until_the_lease_is_over(void **state)
{
	struct engine engine;
	struct peer *peer;
	struct target target = target_in("a", "key");
	struct answer answer;
	(void)state;

	open_with_at_most(&engine, 1);
	for (int dies = 0; dies < 2; dies++) {
		peer = cache_peer_new(engine.cache, 1000);
		assert_int_equal(ask(&engine, peer, LEASE_WISH_COMPUTE, 0, &answer),
				 CACHE_NOW);
		assert_int_equal(answer.lease, LEASE_REPLY_GRANTED);
		engine_sync(&engine);
		assert_full(&engine);
		if (!dies)
			cache_release(engine.cache, &target, answer.token, GIVE_UP_FAILED,
				      &answer);
		cache_peer_free(engine.cache, &peer);
		core_release_stamps(engine.cache);
		assert_int_equal(put_in(&engine, "b", ACK_DISK), ANSWER_DONE);
		assert_int_equal(delete_in(&engine, "b"), ANSWER_DONE);
	}
	engine_close(&engine);
}

static void
one_that_somebody_waits_in_stays(void **state)
{
	struct engine engine;
	struct peer *peer;
	struct answer answer;
	(void)state;

	open_with_at_most(&engine, 1);
	peer = cache_peer_new(engine.cache, 1000);
	/* Nobody computes: whoever stores it is waited for. */
	assert_int_equal(ask(&engine, peer, LEASE_WISH_WAIT, TTL_NEVER, &answer),
			 CACHE_LATER);
	engine_sync(&engine);
	assert_full(&engine);
	engine.answered = false;
	cache_peer_free(engine.cache, &peer);
	while (!engine.answered)
		engine_step(&engine);
	assert_int_equal(put_in(&engine, "b", ACK_DISK), ANSWER_DONE);
	engine_close(&engine);
}

static void
a_lease_that_is_taken_up_again_keeps_its_namespace(void **state)
{
	struct engine engine;
	struct peer *peer, *again;
	struct target target = target_in("a", "key");
	struct answer answer, resumed;
	(void)state;

	open_with_at_most(&engine, 1);
	peer = cache_peer_new(engine.cache, 1000);
	assert_int_equal(ask(&engine, peer, LEASE_WISH_COMPUTE, 0, &answer), CACHE_NOW);
	cache_peer_free(engine.cache, &peer);
	core_release_stamps(engine.cache);
	again = cache_peer_new(engine.cache, 1000);
	cache_resume(engine.cache, &target, again, answer.token, &resumed);
	assert_int_equal(resumed.kind, ANSWER_DONE);
	engine_sync(&engine);
	assert_full(&engine);
	cache_peer_free(engine.cache, &again);
	engine_close(&engine);
}

/* ---- what is left of them ---- */

static void
one_that_was_flushed_when_it_was_empty_leaves_no_row(void **state)
{
	struct engine engine;
	struct pollfd wake;
	uint32_t incarnation;
	int used = STORE_HIT;
	(void)state;

	open_with_at_most(&engine, 3);
	assert_int_equal(put_in(&engine, "a", ACK_DISK), ANSWER_DONE);
	assert_int_equal(delete_in(&engine, "a"), ANSWER_DONE);
	incarnation =
		names_find(&engine.cache->names, 1000, slice_text("a"))->incarnation;
	assert_int_equal(flush_in(&engine, "a", ACK_DISK), ANSWER_DONE);
	/* Each commit wakes us; where none comes any more, this is how long it is waited for. */
	for (wake = (struct pollfd){ cache_wake_fd(engine.cache), POLLIN, 0 };
	     used == STORE_HIT && poll(&wake, 1, 5000) == 1;) {
		cache_wake(engine.cache);
		assert_true(core_snapshot(engine.cache) >= 0);
		used = incarnation_used(engine.cache->snapshot, incarnation);
		snapshot_release(engine.cache->snapshot);
	}
	assert_int_equal(used, STORE_MISS);
	engine_close(&engine);
}

/* ---- whose limit it is ---- */

static void
where_the_daemon_has_too_many_the_uid_is_not_blamed(void **state)
{
	struct engine engine;
	size_t count;
	(void)state;

	open_with_at_most(&engine, 256);
	assert_int_equal(put_in(&engine, "a", ACK_DISK), ANSWER_DONE);
	count = engine.cache->names.count;
	engine.cache->names.count = NAMESPACES_TOTAL_MAX;
	assert_int_equal(put_in(&engine, "b", ACK_DISK), ANSWER_ERROR);
	assert_int_equal(engine.answer.error, ERROR_TOO_MANY);
	assert_int_equal(engine.answer.detail, NAMESPACES_TOTAL_MAX);
	assert_null(strstr(engine.answer.text, "this uid"));
	engine.cache->names.count = count;
	engine_close(&engine);
}

static void
where_the_daemon_has_too_many_an_empty_one_of_anybody_goes(void **state)
{
	struct engine engine;
	struct put put = { .target = target_in("a", "key"), .ttl_ms = TTL_NEVER };
	size_t count;
	(void)state;

	open_with_at_most(&engine, 1);
	assert_int_equal(put_in(&engine, "a", ACK_DISK), ANSWER_DONE);
	assert_int_equal(delete_in(&engine, "a"), ANSWER_DONE);
	count = NAMESPACES_TOTAL_MAX - engine.cache->names.count;
	engine.cache->names.count += count;
	put.target.uid = 2000;
	assert_int_equal(engine_put_as(&engine, &put, "a", 1), ANSWER_DONE);
	assert_false(is_known(&engine, "a"));
	engine.cache->names.count -= count;
	engine_close(&engine);
}

static unsigned
walk(const struct names *names, const uint32_t *uid)
{
	unsigned met = 0;

	for (struct namespace *at = uid ? names_next_of(names, *uid, NULL)
					: names_next(names, NULL);
	     at; at = uid ? names_next_of(names, *uid, at) : names_next(names, at)) {
		if (uid)
			assert_int_equal(at->uid, *uid);
		met = met * 10 + (unsigned)(at->name[0] - 'a') + 1;
	}
	return met;
}

/* Also of two uids in one list, whichever of the names went meanwhile. */
static void
a_walk_meets_each_name_once_and_a_uid_s_walk_its_own_alone(void **state)
{
	static struct names names;
	uint32_t one = 1000, fellow = 1000 + NAMES_OWNERS, other = 7;
	const uint32_t owners[] = { one, fellow, one, other, fellow, one };
	struct usage *usages[6];
	struct namespace *made[6];
	(void)state;

	assert_null(names_next(&names, NULL));
	for (uint32_t i = 0; i < 6; i++) {
		char name[] = { (char)('a' + i), 0 };

		usages[i] = usage_new(i + 1, owners[i], slice_text(name));
		assert_non_null(usages[i]);
		made[i] = names_add(&names, usages[i]);
		assert_non_null(made[i]);
	}
	assert_int_equal(walk(&names, NULL), 465321);
	assert_int_equal(walk(&names, &one), 631);
	assert_int_equal(walk(&names, &fellow), 52);
	assert_int_equal(names_count(&names, one), 3);
	names_remove(&names, made[5]); /* the first of its list, */
	names_remove(&names, made[0]); /* the last, */
	names_remove(&names, made[2]); /* and one between others */
	assert_int_equal(walk(&names, NULL), 452);
	assert_int_equal(walk(&names, &one), 0);
	assert_int_equal(walk(&names, &fellow), 52);
	names_done(&names);
	assert_null(names_next(&names, NULL));
	assert_int_equal(names.count, 0);
	for (size_t i = 0; i < 6; i++)
		free(usages[i]);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_walk_meets_each_name_once_and_a_uid_s_walk_its_own_alone),
		cmocka_unit_test(an_emptied_namespace_makes_room_for_another),
		cmocka_unit_test(a_flushed_namespace_makes_room_for_another),
		cmocka_unit_test(a_namespace_that_was_forgotten_begins_anew),
		cmocka_unit_test(a_restart_does_not_bring_it_back),
		cmocka_unit_test(one_that_holds_something_stays),
		cmocka_unit_test(one_whose_put_is_not_on_the_disk_yet_stays),
		cmocka_unit_test(one_whose_only_object_is_touched_stays),
		cmocka_unit_test(one_that_a_request_waits_in_stays_until_it_is_answered),
		cmocka_unit_test(
			one_that_somebody_computes_for_stays_until_the_lease_is_over),
		cmocka_unit_test(one_that_somebody_waits_in_stays),
		cmocka_unit_test(a_lease_that_is_taken_up_again_keeps_its_namespace),
		cmocka_unit_test(one_that_was_flushed_when_it_was_empty_leaves_no_row),
		cmocka_unit_test(where_the_daemon_has_too_many_the_uid_is_not_blamed),
		cmocka_unit_test(
			where_the_daemon_has_too_many_an_empty_one_of_anybody_goes),
	};

	return unit_run(tests);
}
