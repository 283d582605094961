/* test_latency.c - counts in buckets of time, their text, and what the cache measures. */
#include "tests/unit/engine.h"

#include "proto/latency.h"

static void
a_time_is_counted_in_the_bucket_that_ends_there_or_soon_after(void **state)
{
	static const uint64_t times[] = { 0,    1,     127,          128,
					  129,  160,   161,          1000,
					  1024, 99999, 123456789012, UINT64_C(1) << 36 };
	(void)state;

	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		struct latency latency = { 0 };
		uint64_t bound;

		latency_add(&latency, times[i], 3);
		assert_int_equal(latency_count(&latency), 3);
		bound = latency_within_ns(&latency, 500);
		if (times[i] > UINT64_C(1) << LATENCY_LAST_BIT) {
			assert_int_equal(bound, UINT64_C(1) << LATENCY_LAST_BIT);
			continue;
		}
		assert_true(bound >= times[i]);
		assert_true(bound == 128 || bound <= times[i] + times[i] / 4);
	}
	for (unsigned i = 1; i < LATENCY_BUCKETS; i++)
		assert_true(latency_bound_ns(i) > latency_bound_ns(i - 1));
}

static void
so_many_of_a_thousand_were_done_within_the_time(void **state)
{
	struct latency latency = { 0 };
	(void)state;

	assert_int_equal(latency_within_ns(&latency, 999), 0);
	latency_add(&latency, 1000, 990);
	latency_add(&latency, 1000000, 9);
	latency_add(&latency, UINT64_C(1) << 40, 1);
	assert_int_equal(latency_within_ns(&latency, 0), 1024);
	assert_int_equal(latency_within_ns(&latency, 990), 1024);
	assert_int_equal(latency_within_ns(&latency, 991), 1048576);
	assert_int_equal(latency_within_ns(&latency, 999), 1048576);
	assert_int_equal(latency_within_ns(&latency, 1000), UINT64_C(1)
								    << LATENCY_LAST_BIT);
	assert_int_equal(latency.sum_ns, 990 * 1000 + 9 * 1000000 + (UINT64_C(1) << 40));
}

static void
what_was_written_is_read_again(void **state)
{
	static char text[LATENCY_TEXT_MAX];
	struct latency latency = { 0 }, read;
	size_t len;
	(void)state;

	assert_int_equal(latency_write(&latency, text), 0);
	assert_int_equal(latency_read(slice_text(text), &read), 0);
	assert_int_equal(latency_count(&read), 0);
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		latency.counts[i] = UINT64_MAX - i;
	len = latency_write(&latency, text);
	assert_true(len < sizeof(text));
	assert_int_equal(latency_read(slice(text, len), &read), 0);
	assert_memory_equal(read.counts, latency.counts, sizeof(read.counts));
	assert_int_equal(latency_read(slice_text("130:1 131:2 -:4"), &read), 0);
	assert_int_equal(latency_count(&read), 7);
	assert_int_equal(latency_within_ns(&read, 400), 160);
}

static void
what_is_no_latency_is_not_read(void **state)
{
	static const char *const texts[] = {
		"1",    "1:",   ":1",   "1:2:3", "1:2,3:4", "-1:2",
		"--:1", "1:-2", " 1:2", "1 2",   "a:1",     "18446744073709551616:1",
	};
	struct latency read = { .sum_ns = 7 };
	(void)state;

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(latency_read(slice_text(texts[i]), &read), -1);
	assert_int_equal(read.sum_ns, 7);
}

static bool
told(const struct engine *engine, const char *name)
{
	return memmem(engine->bytes, engine->len, name, strlen(name)) != NULL;
}

static void
requests_are_counted_and_measured_by_what_they_waited_for(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	for (int i = 0; i < 14; i++) {
		engine_put(&engine, "k", "v", 1);
		engine_get(&engine, "k");
	}
	assert_int_equal(engine_delete(&engine, "k"), ANSWER_DONE);
	assert_int_equal(engine_figure(&engine, "default", "requests"), 29);
	assert_true(engine_figure(&engine, "default", "latency_get_p99_ns") > 0);
	assert_true(engine_figure(&engine, "", "latency_put_p50_ns") > 0);
	/* It waited for a commit, which takes longer than the clock's step. */
	assert_true(engine_figure(&engine, "", "latency_disk_sum_ns") > 0);
	for (int i = 0; i < 7; i++)
		engine_figure(&engine, "", "gets");
	assert_true(engine_figure(&engine, "", "latency_scan_p50_ns") > 0);
	engine_close(&engine);
}

static void
how_long_others_took_is_told_to_administrators_alone(void **state)
{
	const struct stats_reader own = { .uid = 1000 };
	struct engine engine;
	(void)state;

	engine_open(&engine);
	engine_put(&engine, "k", "v", 1);
	for (int i = 0; i < 14; i++)
		engine_get(&engine, "k");
	ENGINE_CALL(&engine, cache_stats(engine.cache, &own, &later, &answer_));
	assert_true(told(&engine, "default\tlatency_get_p50_ns\t"));
	assert_false(told(&engine, "\n\tlatency_"));
	engine_close(&engine);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_time_is_counted_in_the_bucket_that_ends_there_or_soon_after),
		cmocka_unit_test(so_many_of_a_thousand_were_done_within_the_time),
		cmocka_unit_test(what_was_written_is_read_again),
		cmocka_unit_test(what_is_no_latency_is_not_read),
		cmocka_unit_test(
			requests_are_counted_and_measured_by_what_they_waited_for),
		cmocka_unit_test(how_long_others_took_is_told_to_administrators_alone),
	};
	return unit_run(tests);
}
