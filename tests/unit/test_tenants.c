/* test_tenants.c - who gives when room is short: quotas, fair shares, what nobody can reach. */
#include "tests/unit/engine.h"

#include "conf/conf.h"
#include "daemon/cache_core.h"

#define MIB (UINT64_C(1) << 20)
#define VALUE 20000
#define OWN 100 /* objects of the one who must not lose any */

static char value[VALUE];

/* The sections apply from now on. */
static void
configure(struct engine *engine, const char *text)
{
	static struct conf conf;
	struct conf_error error;
	FILE *stream = fmemopen((void *)(uintptr_t)text, strlen(text), "r");

	assert_non_null(stream);
	conf_defaults(&conf);
	if (conf_read_stream(&conf, stream, "test", &error))
		fail_msg("%s", error.text);
	fclose(stream);
	engine->config.tenants = &conf.tenants;
	cache_configure(engine->cache, &engine->config);
}

static struct target
target_of(uint32_t uid, const char *name, unsigned number)
{
	static char key[16];

	snprintf(key, sizeof(key), "%u", number);
	return (struct target){ uid, slice_text(name), slice_text(key) };
}

static enum answer_kind
put(struct engine *engine, uint32_t uid, const char *name, unsigned number)
{
	struct put what = { .target = target_of(uid, name, number), .ttl_ms = TTL_NEVER };

	return engine_put_as(engine, &what, value, sizeof(value));
}

static unsigned
count_there(struct engine *engine, uint32_t uid, const char *name, unsigned numbers)
{
	unsigned there = 0;

	for (unsigned i = 0; i < numbers; i++) {
		struct get get = { .target = target_of(uid, name, i),
				   .max_age_ms = TTL_NEVER,
				   .meta_only = true };

		ENGINE_CALL(engine, cache_get(engine->cache, &get, &later, &answer_));
		there += engine->answer.kind == ANSWER_DONE;
	}
	return there;
}

static void
fill(struct engine *engine, uint32_t uid, const char *name, unsigned from, unsigned to)
{
	for (unsigned i = from; i < to; i++) {
		assert_int_equal(put(engine, uid, name, i), ANSWER_DONE);
		if (i % 64 == 0)
			engine_sync(engine);
	}
	engine_sync(engine);
}

static uint64_t
charged(struct engine *engine, uint32_t uid, const char *name)
{
	const struct namespace *namespace =
		names_find(&engine->cache->names, uid, slice_text(name));

	assert_non_null(namespace);
	return usage_figure(&namespace->usage->leaf_bytes) +
	       usage_figure(&namespace->usage->chunk_pages) * PAGE_SIZE_BYTES;
}

static void
who_is_over_its_quota_gives_of_its_own_though_the_store_has_room(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	configure(&engine, "[user 1]\nquota = 4M\n");
	fill(&engine, 1, "a", 0, OWN);
	fill(&engine, 1, "b", 0, OWN);
	fill(&engine, 2, "a", 0, OWN);
	fill(&engine, 1, "a", OWN, 10 * OWN);
	assert_in_range(charged(&engine, 1, "a") + charged(&engine, 1, "b"), MIB,
			4 * MIB);
	assert_int_equal(count_there(&engine, 2, "a", OWN), OWN);
	engine_close(&engine);
}

static void
a_shared_namespace_is_charged_to_itself_and_not_to_who_writes_there(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	configure(&engine, "[namespace /s]\nwriters = 1\nquota = 3M\n"
			   "[user 1]\nquota = 4M\n");
	fill(&engine, 1, "a", 0, OWN);
	fill(&engine, 1, "/s", 0, 10 * OWN);
	assert_in_range(charged(&engine, 1, "/s"), MIB, 3 * MIB);
	assert_int_equal(count_there(&engine, 1, "a", OWN), OWN);
	assert_int_equal(count_there(&engine, 2, "/s", 10 * OWN),
			 count_there(&engine, 1, "/s", 10 * OWN));
	engine_close(&engine);
}

static void
a_lower_quota_is_kept_at_once_and_by_itself(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	fill(&engine, 1, "a", 0, 4 * OWN);
	fill(&engine, 2, "a", 0, OWN);
	configure(&engine, "[user *]\nquota = 3M\n");
	while (charged(&engine, 1, "a") > 3 * MIB) {
		fill(&engine, 3, "other", 0, 1);
		engine_sync(&engine);
	}
	assert_int_equal(count_there(&engine, 2, "a", OWN), OWN);
	engine_close(&engine);
}

static void
in_a_full_store_one_below_its_share_loses_nothing(void **state)
{
	struct engine engine;
	(void)state;

	engine_open_with(&engine, 64 * MIB);
	fill(&engine, 2, "mine", 0, OWN);
	/* Three times the store. */
	fill(&engine, 1, "flood", 0, 8000);
	assert_true(engine_figure(&engine, "", "evicted_objects") > 4000);
	assert_int_equal(count_there(&engine, 2, "mine", OWN), OWN);
	engine_close(&engine);
}

static void
what_is_not_declared_any_more_is_the_first_to_go(void **state)
{
	struct engine engine;
	(void)state;

	engine_open_with(&engine, 64 * MIB);
	configure(&engine, "[namespace /s]\nwriters = 1\n[namespace /t]\nwriters = 1\n");
	fill(&engine, 1, "/s", 0, 4 * OWN);
	fill(&engine, 1, "/t", 0, OWN);
	configure(&engine, "[namespace /t]\nwriters = 1\n");
	/* It is there as long as there is room. */
	assert_true(charged(&engine, 1, "/s") > 4 * MIB);
	for (unsigned i = 0; charged(&engine, 1, "/s") > MIB; i += 100) {
		fill(&engine, 1, "flood", i, i + 100);
		assert_int_equal(count_there(&engine, 1, "/t", OWN), OWN);
	}
	engine_close(&engine);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			who_is_over_its_quota_gives_of_its_own_though_the_store_has_room),
		cmocka_unit_test(
			a_shared_namespace_is_charged_to_itself_and_not_to_who_writes_there),
		cmocka_unit_test(a_lower_quota_is_kept_at_once_and_by_itself),
		cmocka_unit_test(in_a_full_store_one_below_its_share_loses_nothing),
		cmocka_unit_test(what_is_not_declared_any_more_is_the_first_to_go),
	};
	return unit_run(tests);
}
