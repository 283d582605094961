/* test_waiting_rights.c - a request that waits is carried out with the rights of the end of its wait. */
#include "tests/unit/engine.h"

#include "conf/conf.h"
#include "daemon/cache_core.h"

static enum right right_now; /* of the one client, in the one shared namespace */
static bool admin_now;

static enum right
may(void *arg, struct slice namespace)
{
	(void)arg;
	assert_true(slice_equal(namespace, slice_text("/s")));
	return right_now;
}

static bool
admin(void *arg)
{
	(void)arg;
	return admin_now;
}

static const struct asker asker = { .may = may };

static struct later
later_of(struct engine *engine)
{
	engine->answered = false;
	return (struct later){ .answered = engine_answered,
			       .arg = engine,
			       .asker = &asker };
}

static struct target
target_of(enum right right)
{
	return (struct target){ .uid = 1,
				.namespace = slice_text("/s"),
				.key = slice_text("k"),
				.right = right };
}

static void
open_engine(struct engine *engine)
{
	static struct conf conf;
	struct conf_error error;
	char text[] = "[namespace /s]\nwriters = *\n";
	FILE *stream = fmemopen(text, strlen(text), "r");
	struct put put = { .target = target_of(RIGHT_WRITE), .ttl_ms = TTL_NEVER };

	engine_open(engine);
	conf_defaults(&conf);
	assert_int_equal(conf_read_stream(&conf, stream, "test", &error), 0);
	fclose(stream);
	engine->config.tenants = &conf.tenants;
	cache_configure(engine->cache, &engine->config);
	right_now = RIGHT_WRITE;
	assert_int_equal(engine_put_as(engine, &put, "value", 5), ANSWER_DONE);
}

static void
wait_for_answer(struct engine *engine)
{
	cache_turn_end(engine->cache);
	while (!engine->answered)
		engine_step(engine);
}

/* What is not in memory for sure is a reader's to find. */
static void
leave_to_readers(struct engine *engine)
{
	engine_sync(engine);
	while (pending_bytes(engine->cache->pending))
		engine_step(engine);
	engine_pass_ms(3600 * 1000);
	cache_turn_begin(engine->cache);
	engine->cache->cold_share = COLD_SHARE_ALL;
}

static void
a_page_of_keys_is_not_for_who_may_not_read_them_any_more(void **state)
{
	static const enum right rights[] = { RIGHT_READ, RIGHT_NONE };
	struct engine engine;
	(void)state;

	for (unsigned i = 0; i < 2; i++) {
		struct target target = target_of(RIGHT_READ);
		struct later asked;
		struct answer answer;

		open_engine(&engine);
		asked = later_of(&engine);
		cache_turn_begin(engine.cache);
		assert_int_equal(cache_scan(engine.cache, &target, slice(NULL, 0),
					    slice(NULL, 0), 10, &asked, &answer),
				 CACHE_LATER);
		right_now = rights[i];
		wait_for_answer(&engine);
		assert_int_equal(engine.answer.error, i ? ERROR_FORBIDDEN : ERROR_NONE);
		assert_int_equal(engine.answer.count, i ? 0 : 1);
		engine_close(&engine);
	}
}

static void
a_value_that_was_looked_for_is_not_for_who_may_not_read_it_any_more(void **state)
{
	static const enum right rights[] = { RIGHT_READ, RIGHT_NONE };
	struct engine engine;
	(void)state;

	for (unsigned i = 0; i < 2; i++) {
		struct get get = { .target = target_of(RIGHT_READ),
				   .max_age_ms = TTL_NEVER };
		struct later asked;
		struct answer answer;

		open_engine(&engine);
		leave_to_readers(&engine);
		asked = later_of(&engine);
		assert_int_equal(cache_get(engine.cache, &get, &asked, &answer),
				 CACHE_LATER);
		right_now = rights[i];
		wait_for_answer(&engine);
		assert_int_equal(engine.answer.error, i ? ERROR_FORBIDDEN : ERROR_NONE);
		assert_int_equal(engine.answer.kind, i ? ANSWER_ERROR : ANSWER_DONE);
		assert_int_equal(engine.len, i ? 0 : 5);
		engine_close(&engine);
	}
}

static void
a_change_that_waited_is_not_made_by_who_may_not_write_any_more(void **state)
{
	struct put put = { .target = target_of(RIGHT_WRITE),
			   .ttl_ms = TTL_NEVER,
			   .condition = CONDITION_PRESENT };
	struct get get = { .target = target_of(RIGHT_READ), .max_age_ms = TTL_NEVER };
	struct engine engine;
	struct later asked;
	struct answer answer;
	(void)state;

	open_engine(&engine);
	leave_to_readers(&engine);
	put.payer = engine.payer;
	asked = later_of(&engine);
	assert_int_equal(
		cache_put(engine.cache, &put, slice_text("other"), &asked, &answer),
		CACHE_LATER);
	right_now = RIGHT_READ;
	wait_for_answer(&engine);
	assert_int_equal(engine.answer.error, ERROR_FORBIDDEN);
	ENGINE_CALL(&engine, cache_get(engine.cache, &get, &later, &answer_));
	assert_true(engine_has(&engine, "value", 5));
	engine_close(&engine);
}

static void
nobody_is_granted_a_lease_who_lost_the_right_while_it_waited(void **state)
{
	struct get get = { .target = target_of(RIGHT_WRITE),
			   .max_age_ms = TTL_NEVER,
			   .lease = LEASE_WISH_COMPUTE,
			   .wait_ms = TTL_NEVER };
	struct put put = { .target = target_of(RIGHT_WRITE), .ttl_ms = TTL_NEVER };
	struct peer *holder, *waiter;
	struct engine engine;
	struct later asked;
	struct answer answer;
	(void)state;

	open_engine(&engine);
	get.target.key = put.target.key = slice_text("computed");
	put.payer = engine.payer;
	holder = cache_peer_new(engine.cache, 1);
	waiter = cache_peer_new(engine.cache, 2);
	get.peer = holder;
	ENGINE_CALL(&engine, cache_get(engine.cache, &get, &later, &answer_));
	assert_int_equal(engine.answer.lease, LEASE_REPLY_GRANTED);
	/* It waits, and is told to look at a value that is too old for it as soon as it is there. */
	get.peer = waiter;
	get.not_version = engine.cache->clock + 1;
	asked = later_of(&engine);
	cache_turn_begin(engine.cache);
	assert_int_equal(cache_get(engine.cache, &get, &asked, &answer), CACHE_LATER);
	assert_int_equal(cache_put(engine.cache, &put, slice_text("v"),
				   &(struct later){ 0 }, &answer),
			 CACHE_NOW);
	right_now = RIGHT_READ;
	wait_for_answer(&engine);
	assert_int_equal(engine.answer.error, ERROR_FORBIDDEN);
	assert_false(cache_peer_holds(waiter));
	cache_peer_free(engine.cache, &holder);
	cache_peer_free(engine.cache, &waiter);
	engine_close(&engine);
}

static void
figures_of_everybody_are_not_for_who_is_no_administrator_any_more(void **state)
{
	const struct stats_reader reader = { .uid = 2, .admin = admin, .may = may };
	struct engine engine;
	(void)state;

	for (unsigned i = 0; i < 2; i++) {
		struct later asked;
		struct answer answer;

		open_engine(&engine);
		asked = later_of(&engine);
		cache_turn_begin(engine.cache);
		admin_now = true;
		assert_int_equal(cache_stats(engine.cache, &reader, &asked, &answer),
				 CACHE_LATER);
		admin_now = i == 0;
		wait_for_answer(&engine);
		engine.bytes[engine.len] = '\0';
		assert_int_equal(strstr((const char *)engine.bytes, "used_bytes") != NULL,
				 i == 0);
		engine_close(&engine);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_page_of_keys_is_not_for_who_may_not_read_them_any_more),
		cmocka_unit_test(
			a_value_that_was_looked_for_is_not_for_who_may_not_read_it_any_more),
		cmocka_unit_test(
			a_change_that_waited_is_not_made_by_who_may_not_write_any_more),
		cmocka_unit_test(
			nobody_is_granted_a_lease_who_lost_the_right_while_it_waited),
		cmocka_unit_test(
			figures_of_everybody_are_not_for_who_is_no_administrator_any_more),
	};
	return unit_run(tests);
}
