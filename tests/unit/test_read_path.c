/* test_read_path.c - what the loop reads itself, and what it leaves to a reader. */
#include "tests/unit/engine.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include "daemon/cache_core.h"

#define LIST_SIZE 30000
/* So many more that reading the head of the file does not bring the list with it. */
#define BESIDE 100
#define SPARE 256

/* One get; was it answered at once? Its answer is in the engine in either case. */
static bool
get_now(struct engine *engine, const char *key)
{
	struct get get = { .target = engine_target(key), .max_age_ms = TTL_NEVER };
	struct later later = { .answered = engine_answered, .arg = engine, .id = 0 };
	struct answer answer;
	bool now;

	engine->answered = false;
	cache_turn_begin(engine->cache);
	now = cache_get(engine->cache, &get, &later, &answer) == CACHE_NOW;
	if (now)
		engine_take(engine, &answer);
	cache_turn_end(engine->cache);
	while (!engine->answered)
		engine_step(engine);
	return now;
}

/* A store with a value in chunk rows that this process has not used. */
static void
open_with_list(struct engine *engine, const uint8_t value[static LIST_SIZE])
{
	char key[16];

	engine_open(engine);
	for (unsigned i = 0; i < BESIDE; i++) {
		snprintf(key, sizeof(key), "beside-%u", i);
		assert_int_equal(engine_put(engine, key, value, LIST_SIZE), ANSWER_DONE);
	}
	engine_sync(engine);
	assert_int_equal(engine_put(engine, "list", value, LIST_SIZE), ANSWER_DONE);
	engine_sync(engine);
	engine_stop(engine);
}

static void
fill(uint8_t value[static LIST_SIZE])
{
	for (size_t i = 0; i < LIST_SIZE; i++)
		value[i] = (uint8_t)(i * 31 + i / 251);
}

static void
a_hot_value_in_chunks_is_answered_at_once(void **state)
{
	uint8_t value[LIST_SIZE];
	struct engine engine;
	(void)state;

	fill(value);
	open_with_list(&engine, value);
	engine_reopen(&engine);
	engine.cache->cold_share = COLD_SHARE_ALL;
	assert_false(get_now(&engine, "list")); /* nobody knows that it is hot */
	assert_true(engine_has(&engine, value, LIST_SIZE));
	assert_true(get_now(&engine, "list"));
	assert_true(engine_has(&engine, value, LIST_SIZE));
	engine_close(&engine);
}

/* Drops the file's pages from memory; false where they stay (a tmpfs). */
static bool
make_cold(const struct engine *engine)
{
	static unsigned char resident[1 << 20];
	char file[128];
	struct stat status;
	void *map;
	int fd;

	snprintf(file, sizeof(file), "%s/v1/data.mdb", engine->path);
	fd = open(file, O_RDONLY);
	assert_true(fd >= 0 && fstat(fd, &status) == 0);
	assert_int_equal(fsync(fd), 0);
	posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
	map = mmap(NULL, (size_t)status.st_size, PROT_READ, MAP_SHARED, fd, 0);
	assert_ptr_not_equal(map, MAP_FAILED);
	assert_true((size_t)status.st_size / 4096 <= sizeof(resident));
	assert_int_equal(mincore(map, (size_t)status.st_size, resident), 0);
	munmap(map, (size_t)status.st_size);
	close(fd);
	for (off_t page = 0; page < status.st_size / 4096; page++)
		if (resident[page] & 1)
			return false;
	return true;
}

static void
the_loop_does_not_wait_for_a_cold_value_in_chunks(void **state)
{
	uint8_t value[LIST_SIZE];
	struct engine engine;
	(void)state;

	fill(value);
	open_with_list(&engine, value);
	if (!make_cold(&engine)) {
		engine_reopen(&engine);
		engine_close(&engine);
		skip();
	}
	engine_reopen(&engine);
	assert_false(get_now(&engine, "list"));
	assert_true(engine_has(&engine, value, LIST_SIZE));
	engine_stop(&engine);
	engine_reopen(&engine); /* its pages are in memory now, whoever used it */
	assert_true(get_now(&engine, "list"));
	assert_true(engine_has(&engine, value, LIST_SIZE));
	engine_close(&engine);
}

static void
one_wait_for_the_disk_hands_over_and_a_dozen_looks_without_take_back(void **state)
{
	struct engine engine;
	unsigned looks = 0;
	(void)state;

	engine_open(&engine);
	assert_true(core_inline_allowed(engine.cache, false));
	core_note_look(engine.cache, true);
	assert_false(core_inline_allowed(engine.cache, false));
	assert_true(core_inline_allowed(engine.cache, true));
	for (; !core_inline_allowed(engine.cache, false); looks++)
		core_note_look(engine.cache, false);
	assert_in_range(looks, 6, 16);
	/* While all are cold, nothing is left to the loop; it takes longer to come back from there. */
	for (unsigned i = 0; i < 1000; i++)
		core_note_look(engine.cache, true);
	for (looks = 0; !core_inline_allowed(engine.cache, false); looks++)
		core_note_look(engine.cache, false);
	assert_in_range(looks, 32, 96);
	engine_close(&engine);
}

static void
readers_that_never_wait_hand_back_to_the_loop(void **state)
{
	struct engine engine;
	char key[16];
	bool now = false;
	(void)state;

	engine_open(&engine);
	for (unsigned i = 0; i < BESIDE + SPARE; i++) {
		snprintf(key, sizeof(key), "small-%u", i);
		assert_int_equal(engine_put(&engine, key, "x", 1), ANSWER_DONE);
	}
	engine_sync(&engine);
	engine_stop(&engine);
	engine_reopen(&engine);
	engine.cache->cold_share = COLD_SHARE_ALL;
	assert_false(get_now(&engine, "small-0"));
	for (unsigned i = 1; i < BESIDE - 1; i++) {
		snprintf(key, sizeof(key), "small-%u", i);
		get_now(&engine, key);
		assert_true(engine_has(&engine, "x", 1));
	}
	/* A reader may have waited indeed: the machine takes pages away when it likes. */
	for (unsigned i = BESIDE - 1; i < BESIDE + SPARE && !now; i++) {
		snprintf(key, sizeof(key), "small-%u", i);
		now = get_now(&engine, key);
	}
	assert_true(now);
	engine_close(&engine);
}

static void
what_was_not_used_for_long_is_not_taken_for_hot(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	assert_int_equal(engine_put(&engine, "a", "x", 1), ANSWER_DONE);
	engine_sync(&engine);
	/* What was committed may be pending still, where it would be found in any case. */
	while (pending_bytes(engine.cache->pending))
		engine_step(&engine);
	engine.cache->cold_share = COLD_SHARE_ALL;
	engine_pass_ms(10000);
	assert_true(get_now(&engine, "a"));
	engine_pass_ms(60000);
	assert_false(get_now(&engine, "a"));
	assert_true(get_now(&engine, "a"));
	engine_close(&engine);
}

/* Each was parked for a reader once, and had its payer held for as long. */
static void
a_batch_that_waited_for_a_reader_holds_its_payer_no_longer_than_it_lives(void **state)
{
	struct engine engine;
	struct bundle *bundle;
	(void)state;

	engine_open(&engine);
	assert_int_equal(engine_put(&engine, "a", "x", 1), ANSWER_DONE);
	engine_sync(&engine);
	engine_stop(&engine);
	engine_reopen(&engine);
	engine.cache->cold_share = COLD_SHARE_ALL;
	bundle = calloc(1, sizeof(*bundle) + sizeof(bundle->items[0]));
	assert_non_null(bundle);
	bundle->uid = engine_target("a").uid;
	bundle->namespace = engine_target("a").namespace;
	bundle->payer = engine.payer;
	bundle->ack = ACK_DISK;
	bundle->count = 1;
	bundle->items[0].remove = true;
	bundle->items[0].put.target = engine_target("a");
	ENGINE_CALL(&engine, cache_bundle(engine.cache, &bundle, &later, &answer_));
	assert_int_equal(engine.answer.kind, ANSWER_DONE);
	assert_true(engine.cache->counts.cold_reads > 0);
	assert_true(engine.answer.bundle->items[0].there);
	bundle_free(&engine.answer.bundle);
	assert_int_equal(engine.payer->refs, 1);
	engine_close(&engine);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_hot_value_in_chunks_is_answered_at_once),
		cmocka_unit_test(the_loop_does_not_wait_for_a_cold_value_in_chunks),
		cmocka_unit_test(
			one_wait_for_the_disk_hands_over_and_a_dozen_looks_without_take_back),
		cmocka_unit_test(readers_that_never_wait_hand_back_to_the_loop),
		cmocka_unit_test(what_was_not_used_for_long_is_not_taken_for_hot),
		cmocka_unit_test(
			a_batch_that_waited_for_a_reader_holds_its_payer_no_longer_than_it_lives),
	};
	return unit_run(tests);
}
