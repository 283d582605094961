/* test_accepted.c - what is accepted is kept, what is refused was not done. */
#include "tests/unit/engine.h"

#include "daemon/cache_core.h"
#include "daemon/namespace.h"

/* A conditional put waits for a cold read; meanwhile its namespace is flushed. */
static void
a_put_that_is_overtaken_by_a_flush_is_stored_behind_it(void **state)
{
	struct put put = { .target = engine_target("new"),
			   .ttl_ms = TTL_NEVER,
			   .condition = CONDITION_ABSENT };
	struct target all = engine_target("");
	struct answer answer;
	struct engine engine;
	struct later later = { .answered = engine_answered, .arg = &engine, .id = 0 };
	(void)state;

	engine_open(&engine);
	assert_int_equal(engine_put(&engine, "old", "old", 3), ANSWER_DONE);
	engine_sync(&engine);
	engine.cache->cold_share = COLD_SHARE_ALL;
	put.payer = engine.payer;
	engine.answered = false;
	cache_turn_begin(engine.cache);
	assert_int_equal(cache_put(engine.cache, &put, slice("new", 3), &later, &answer),
			 CACHE_LATER);
	assert_int_equal(cache_flush(engine.cache, &all, ACK_MEMORY, &later, &answer),
			 CACHE_NOW);
	cache_turn_end(engine.cache);
	while (!engine.answered)
		engine_step(&engine);
	engine.cache->cold_share = 0;
	assert_int_equal(engine.answer.kind, ANSWER_DONE);
	assert_int_equal(engine_get(&engine, "old"), ANSWER_MISS);
	assert_int_equal(engine_get(&engine, "new"), ANSWER_DONE);
	assert_true(engine_has(&engine, "new", 3));
	engine_close(&engine);
}

static bool
nobody_is_there(void *arg)
{
	(void)arg;
	return true;
}

/* A reader is slow; the client has given its delete up and stored another value, on a new connection. */
static void
a_delete_that_was_given_up_does_not_come_behind_a_later_put(void **state)
{
	static const struct asker nobody = { .gone = nobody_is_there };
	struct target target = engine_target("a");
	struct engine engine;
	struct later later = { .answered = engine_answered,
			       .arg = &engine,
			       .asker = &nobody };
	struct answer answer;
	(void)state;

	engine_open(&engine);
	assert_int_equal(engine_put(&engine, "a", "old", 3), ANSWER_DONE);
	engine_sync(&engine);
	engine_pass_ms(60000); /* it was not used lately any more */
	engine.cache->cold_share = COLD_SHARE_ALL;
	cache_turn_begin(engine.cache);
	assert_int_equal(
		cache_delete(engine.cache, &target, 0, ACK_MEMORY, &later, &answer),
		CACHE_LATER);
	engine.cache->cold_share = 0;
	assert_int_equal(engine_put(&engine, "a", "new", 3), ANSWER_DONE);
	while (engine.cache->jobs_first)
		engine_step(&engine);
	engine_sync(&engine);
	assert_int_equal(engine_get(&engine, "a"), ANSWER_DONE);
	assert_true(engine_has(&engine, "new", 3));
	assert_int_equal(engine.cache->parked, 0);
	engine_close(&engine);
}

static void
who_is_told_busy_has_changed_nothing(void **state)
{
	struct put put = { .target = engine_target("a"),
			   .ttl_ms = TTL_NEVER,
			   .ack = ACK_DISK };
	struct engine engine;
	size_t parked;
	(void)state;

	engine_open(&engine);
	assert_int_equal(engine_put(&engine, "there", "x", 1), ANSWER_DONE);
	parked = engine.cache->parked;
	engine.cache->parked = PARKED_MAX;
	assert_int_equal(engine_put_as(&engine, &put, "one", 3), ANSWER_ERROR);
	assert_int_equal(engine.answer.error, ERROR_BUSY);
	assert_int_equal(engine_delete(&engine, "there"), ANSWER_ERROR);
	assert_int_equal(engine.answer.error, ERROR_BUSY);
	engine.cache->parked = parked;
	assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
	assert_int_equal(engine_get(&engine, "there"), ANSWER_DONE);
	engine_close(&engine);
}

static void
a_full_disk_refuses_a_touch_and_a_get_leaves_its_refresh_out(void **state)
{
	struct get get = { .target = engine_target("a"),
			   .max_age_ms = TTL_NEVER,
			   .refresh = true,
			   .refresh_ms = 5000 };
	struct put put = { .target = engine_target("a"), .ttl_ms = 1000 };
	struct engine engine;
	(void)state;

	engine_open(&engine);
	assert_int_equal(engine_put_as(&engine, &put, "x", 1), ANSWER_DONE);
	ENGINE_CALL(&engine, cache_get(engine.cache, &get, &later, &answer_));
	assert_int_equal(engine.answer.ttl_left_ms, 1000); /* of before */
	engine_sync(&engine);
	engine.cache->disk_full = true;
	assert_int_equal(engine_touch(&engine, "a", 9000), ANSWER_ERROR);
	assert_int_equal(engine.answer.error, ERROR_DISK_FULL);
	get.refresh_ms = 7000;
	ENGINE_CALL(&engine, cache_get(engine.cache, &get, &later, &answer_));
	assert_int_equal(engine.answer.kind, ANSWER_DONE);
	assert_int_equal(engine.answer.ttl_left_ms, 5000);
	assert_false(pending_gathers(engine.cache->pending));
	engine.cache->disk_full = false;
	engine_close(&engine);
}

/* A batch with a flush in it fails and is done again later; what is committed in between is not to
 * hold half of that flush. */
static void
a_flush_that_was_taken_back_has_not_happened(void **state)
{
	struct ledger ledger = { .count = 0 };
	struct usage *old = usage_new(1, 1000, slice_text("web")),
		     *new = usage_new(2, 1000, slice_text("web"));
	(void)state;

	ledger_add(&ledger, old);
	ledger_committed(&ledger);
	assert_true(old->stored);
	old->flushed = old->changed = true;
	ledger_add(&ledger, new);
	ledger_aborted(&ledger);
	assert_false(old->flushed);
	assert_false(new->changed);
	old->flushed = old->changed = new->changed = true;
	ledger_committed(&ledger);
	ledger_aborted(&ledger);
	assert_true(old->flushed);
	assert_true(new->stored);
	ledger_done(&ledger);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_put_that_is_overtaken_by_a_flush_is_stored_behind_it),
		cmocka_unit_test(
			a_delete_that_was_given_up_does_not_come_behind_a_later_put),
		cmocka_unit_test(who_is_told_busy_has_changed_nothing),
		cmocka_unit_test(
			a_full_disk_refuses_a_touch_and_a_get_leaves_its_refresh_out),
		cmocka_unit_test(a_flush_that_was_taken_back_has_not_happened),
	};
	return unit_run(tests);
}
