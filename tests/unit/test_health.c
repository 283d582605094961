/* test_health.c - threads that get nowhere are noticed, and slow disks are not taken for that. */
#include "tests/unit/unit.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

#include <lmdb.h>

#include "tests/unit/engine.h"

#define MINUTE_NS (60 * UINT64_C(1000000000))

/* Where a call into the disk stops, when it is told to. */
struct gate {
	_Atomic bool closed;
	_Atomic bool reached;
};

static struct gate flushes, look_ups;
static pthread_t loop_thread;
static _Atomic uint64_t skew_ns;

static uint64_t
skewed_mono(void)
{
	return engine_mono() + skew_ns;
}

static const struct clock_source clocks = {
	.mono_ns = skewed_mono,
	.boot_us = engine_wall,
	.wall_us = engine_wall,
};

static void
pass(struct gate *gate)
{
	if (pthread_equal(pthread_self(), loop_thread))
		return;
	while (gate->closed) {
		gate->reached = true;
		sched_yield();
	}
}

static void *
real(const char *name)
{
	void *found = dlsym(RTLD_NEXT, name);

	if (!found)
		abort();
	return found;
}

/* The C library's, as LMDB calls it. */
int
fdatasync(int fd)
{
	int (*call)(int) = real("fdatasync");

	pass(&flushes);
	return call(fd);
}

/* LMDB's, as the store calls it. */
int
mdb_get(MDB_txn *txn, MDB_dbi table, MDB_val *key, MDB_val *value)
{
	int (*call)(MDB_txn *, MDB_dbi, MDB_val *, MDB_val *) = real("mdb_get");

	pass(&look_ups);
	return call(txn, table, key, value);
}

static void
gate_close(struct gate *gate)
{
	gate->reached = false;
	gate->closed = true;
}

static void
gate_await(struct gate *gate)
{
	while (!gate->reached)
		sched_yield();
}

static const char *
silent(struct engine *engine)
{
	struct cache_health health;

	cache_examine(engine->cache, &health);
	return health.silent;
}

/* Until whoever was held up has shown that he lives. */
static void
await_life(struct engine *engine)
{
	while (silent(engine)) {
		struct pollfd wake = { cache_wake_fd(engine->cache), POLLIN, 0 };

		poll(&wake, 1, 1);
		cache_wake(engine->cache);
	}
}

static void
open_skewed(struct engine *engine)
{
	loop_thread = pthread_self();
	skew_ns = 0;
	engine_open(engine);
	clock_use(&clocks);
}

/* Sends what gathers to the disk, and does not wait. */
static void
start_sync(struct engine *engine)
{
	struct later later = { .answered = engine_answered, .arg = engine };
	struct answer answer;

	cache_turn_begin(engine->cache);
	assert_int_equal(cache_sync(engine->cache, 1000, &later, &answer), CACHE_LATER);
	cache_turn_end(engine->cache);
}

static void
a_flush_may_take_five_minutes_and_not_more(void **state)
{
	struct engine engine;
	(void)state;

	open_skewed(&engine);
	assert_null(silent(&engine));
	gate_close(&flushes);
	assert_int_equal(engine_put(&engine, "key", "value", 5), ANSWER_DONE);
	start_sync(&engine);
	gate_await(&flushes);
	skew_ns += 4 * MINUTE_NS;
	assert_null(silent(&engine));
	skew_ns += 2 * MINUTE_NS;
	assert_string_equal(silent(&engine), "the writer");
	flushes.closed = false;
	await_life(&engine);
	engine_close(&engine);
}

static void
a_reader_that_never_comes_back_is_noticed(void **state)
{
	struct engine engine;
	(void)state;

	open_skewed(&engine);
	gate_close(&look_ups);
	assert_null(silent(&engine)); /* and a reader is sent */
	gate_await(&look_ups);
	skew_ns += 4 * MINUTE_NS;
	assert_null(silent(&engine));
	skew_ns += 2 * MINUTE_NS;
	assert_non_null(silent(&engine));
	look_ups.closed = false;
	await_life(&engine);
	engine_close(&engine);
}

static void
a_daemon_with_nothing_to_do_is_well_for_ever(void **state)
{
	struct engine engine;
	(void)state;

	open_skewed(&engine);
	for (int i = 0; i < 3; i++) {
		skew_ns += 60 * MINUTE_NS;
		await_life(&engine);
	}
	engine_close(&engine);
}

static void
a_cache_that_is_closed_takes_its_probe_back(void **state)
{
	struct engine engine;
	(void)state;

	open_skewed(&engine);
	assert_null(silent(&engine));
	engine_close(&engine);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_flush_may_take_five_minutes_and_not_more),
		cmocka_unit_test(a_reader_that_never_comes_back_is_noticed),
		cmocka_unit_test(a_daemon_with_nothing_to_do_is_well_for_ever),
		cmocka_unit_test(a_cache_that_is_closed_takes_its_probe_back),
	};

	return unit_run(tests);
}
