/* test_cache.c - the engine from its front door: what is put is got, after every kind of interruption. */
#include "tests/unit/engine.h"

#include <sched.h>
#include <sys/stat.h>

#include "daemon/cache_core.h"
#include "daemon/datadir.h"
#include "daemon/writer_core.h"

static uint8_t *
make_value(size_t len, unsigned seed)
{
	uint8_t *value = malloc(len + 1);

	for (size_t i = 0; i < len; i++)
		value[i] = (uint8_t)(i * 31 + i / 251 + seed);
	return value;
}

static void
a_value_is_got_as_it_was_put(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
	assert_int_equal(engine_put(&engine, "a", "one", 3), ANSWER_DONE);
	assert_int_equal(engine_get(&engine, "a"), ANSWER_DONE);
	assert_true(engine_has(&engine, "one", 3));
	engine_sync(&engine);
	assert_int_equal(engine_get(&engine, "a"), ANSWER_DONE);
	assert_true(engine_has(&engine, "one", 3));
	assert_int_equal(engine.answer.writer_uid, 1000);
	assert_true(engine.answer.ttl_left_ms == TTL_NEVER);
	engine_close(&engine);
}

static const size_t sizes[] = {
	0,      1,      100,     1900,    1901,    1902,    1903,    1904,  1905,
	1940,   1941,   1942,    1943,    1944,    1945,    1946,    1950,  1960,
	1964,   1965,   1966,    1967,    1968,    2000,    4055,    4056,  4057,
	8111,   8112,   8113,    60839,   60840,   60841,   65495,   65496, 65497,
	131071, 131072, 1047935, 1047936, 1047937, 1048575, 1048576,
};
#define SIZES (sizeof(sizes) / sizeof(sizes[0]))

static void
every_size_around_a_boundary_survives_a_restart(void **state)
{
	struct engine engine;
	char key[32];
	(void)state;

	engine_open(&engine);
	for (size_t i = 0; i < SIZES; i++) {
		uint8_t *value = make_value(sizes[i], (unsigned)i);

		snprintf(key, sizeof(key), "size-%zu", sizes[i]);
		assert_int_equal(engine_put(&engine, key, value, sizes[i]), ANSWER_DONE);
		assert_int_equal(engine_get(&engine, key), ANSWER_DONE);
		assert_true(engine_has(&engine, value, sizes[i]));
		free(value);
	}
	engine_stop(&engine);
	engine_reopen(&engine);
	for (size_t i = 0; i < SIZES; i++) {
		uint8_t *value = make_value(sizes[i], (unsigned)i);

		snprintf(key, sizeof(key), "size-%zu", sizes[i]);
		assert_int_equal(engine_get(&engine, key), ANSWER_DONE);
		assert_true(engine_has(&engine, value, sizes[i]));
		free(value);
	}
	engine_close(&engine);
}

static void
upload(struct engine *engine, const char *key, const uint8_t *value, size_t len,
       size_t part)
{
	struct put put = { .target = engine_target(key),
			   .ttl_ms = TTL_NEVER,
			   .payer = engine->payer };
	struct answer refused;
	struct upload *upload = upload_open(engine->cache, &put, UINT64_MAX, &refused);

	assert_non_null(upload);
	for (size_t at = 0; at < len; at += part) {
		size_t now = len - at < part ? len - at : part;

		while (!upload_ready(upload))
			engine_step(engine);
		cache_turn_begin(engine->cache);
		assert_int_equal(upload_write(upload, slice(value + at, now), &refused),
				 0);
		cache_turn_end(engine->cache);
	}
	ENGINE_CALL(engine, upload_finish(&upload, &later, &answer_));
	assert_int_equal(engine->answer.kind, ANSWER_DONE);
}

static void
a_value_that_arrives_in_parts_is_whole(void **state)
{
	static const size_t lengths[] = { 0,       10,      1047936, 1047937,
					  2095872, 5000000, 20000000 };
	struct engine engine;
	(void)state;

	engine_open(&engine);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint8_t *value = make_value(lengths[i], 7);

		upload(&engine, "big", value, lengths[i], i % 2 ? 1048576 : 100003);
		assert_int_equal(engine_get(&engine, "big"), ANSWER_DONE);
		assert_int_equal(engine.broken, ERROR_NONE);
		assert_true(engine_has(&engine, value, lengths[i]));
		free(value);
	}
	engine_close(&engine);
}

static void
an_expired_object_is_a_miss_and_its_room_comes_back(void **state)
{
	struct engine engine;
	struct put put = { .target = engine_target("short"), .ttl_ms = 1000 };
	(void)state;

	engine_open(&engine);
	assert_int_equal(engine_put_as(&engine, &put, "x", 1), ANSWER_DONE);
	engine_pass_ms(999);
	assert_int_equal(engine_get(&engine, "short"), ANSWER_DONE);
	assert_int_equal(engine.answer.ttl_left_ms, 1);
	engine_pass_ms(1);
	assert_int_equal(engine_get(&engine, "short"), ANSWER_MISS);
	engine_sync(&engine);
	/* The writer waits for what the loop may be about to decide. */
	engine_pass_ms(2000);
	while (engine_figure(&engine, "default", "objects") > 0)
		engine_step(&engine);
	engine_close(&engine);
}

static void
a_touch_moves_the_expiry_of_small_and_large_values(void **state)
{
	struct engine engine;
	struct put put = { .ttl_ms = 1000 };
	uint8_t *value = make_value(3000000, 1);
	static const size_t lengths[] = { 10, 1940, 30000, 900000 };
	(void)state;

	engine_open(&engine);
	for (size_t i = 0; i < 4; i++) {
		put.target = engine_target("touched");
		put.ttl_ms = i % 2 ? TTL_NEVER : 1000;
		assert_int_equal(engine_put_as(&engine, &put, value, lengths[i]),
				 ANSWER_DONE);
		assert_int_equal(engine_touch(&engine, "touched", 5000), ANSWER_DONE);
		engine_pass_ms(4999);
		assert_int_equal(engine_get(&engine, "touched"), ANSWER_DONE);
		assert_true(engine_has(&engine, value, lengths[i]));
		engine_sync(&engine);
		assert_int_equal(engine_get(&engine, "touched"), ANSWER_DONE);
		assert_true(engine_has(&engine, value, lengths[i]));
		engine_pass_ms(1);
		assert_int_equal(engine_get(&engine, "touched"), ANSWER_MISS);
	}
	free(value);
	engine_close(&engine);
}

static void
a_deleted_object_stays_deleted_after_a_restart(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	engine_put(&engine, "gone", "x", 1);
	assert_int_equal(engine_delete(&engine, "gone"), ANSWER_DONE);
	assert_int_equal(engine_delete(&engine, "gone"), ANSWER_MISS);
	engine_stop(&engine);
	engine_reopen(&engine);
	assert_int_equal(engine_get(&engine, "gone"), ANSWER_MISS);
	engine_close(&engine);
}

static void
conditions_hold_before_and_after_the_commit(void **state)
{
	struct engine engine;
	struct put put = { .target = engine_target("k"), .ttl_ms = TTL_NEVER };
	uint64_t version;
	(void)state;

	engine_open(&engine);
	put.condition = CONDITION_PRESENT;
	assert_int_equal(engine_put_as(&engine, &put, "0", 1), ANSWER_ERROR);
	assert_int_equal(engine.answer.error, ERROR_ABSENT);
	for (int round = 0; round < 2; round++) {
		put.condition = CONDITION_ABSENT;
		assert_int_equal(engine_put_as(&engine, &put, "1", 1), ANSWER_DONE);
		version = engine.answer.version;
		if (round)
			engine_sync(&engine);
		assert_int_equal(engine_put_as(&engine, &put, "2", 1), ANSWER_ERROR);
		assert_int_equal(engine.answer.error, ERROR_EXISTS);
		put.condition = CONDITION_VERSION;
		put.version = version;
		assert_int_equal(engine_put_as(&engine, &put, "3", 1), ANSWER_DONE);
		assert_true(engine.answer.version > version);
		assert_int_equal(engine_put_as(&engine, &put, "4", 1), ANSWER_ERROR);
		assert_int_equal(engine.answer.error, ERROR_CHANGED);
		assert_int_equal(engine_get(&engine, "k"), ANSWER_DONE);
		assert_true(engine_has(&engine, "3", 1));
		engine_delete(&engine, "k");
	}
	engine_close(&engine);
}

/* ---- a put that is answered with what is there */

static struct put
or_get(const char *key, uint64_t not_version)
{
	return (struct put){ .target = engine_target(key),
			     .ttl_ms = TTL_NEVER,
			     .condition = CONDITION_ABSENT,
			     .or_get = true,
			     .not_version = not_version };
}

static bool
is_given(struct engine *engine, const char *key, const void *value, size_t len)
{
	struct put put = or_get(key, 0);

	assert_int_equal(engine_put_as(engine, &put, "mine", 4), ANSWER_DONE);
	if (!engine->answer.has_meta)
		return false;
	if (engine->answer.download)
		engine_drain(engine);
	assert_int_equal(engine->answer.writer_uid, 1000);
	assert_int_equal(engine->answer.length, len);
	assert_true(engine_has(engine, value, len));
	return true;
}

/* In memory, on the disk, known to be in memory or not, in one row, in chunks, and streamed. */
static void
a_put_or_get_gives_what_is_there_wherever_it_is(void **state)
{
	static const size_t lengths[] = { 0, 3, 30000, 1000000, 5000000 };
	struct engine engine;
	(void)state;

	engine_open(&engine);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint8_t *value = make_value(lengths[i], (unsigned)i);

		upload(&engine, "k", value, lengths[i], 1048576);
		assert_true(is_given(&engine, "k", value, lengths[i]));
		engine_sync(&engine);
		assert_true(is_given(&engine, "k", value, lengths[i]));
		engine.cache->cold_share = COLD_SHARE_ALL;
		engine_pass_ms(60000); /* it was not used lately any more */
		assert_true(is_given(&engine, "k", value, lengths[i]));
		engine.cache->cold_share = 0;
		engine_stop(&engine);
		engine_reopen(&engine);
		assert_true(is_given(&engine, "k", value, lengths[i]));
		free(value);
	}
	assert_int_equal(engine.cache->counts.puts, 0);
	assert_int_equal(engine.cache->counts.hits, 1);
	engine_close(&engine);
}

static void
a_put_or_get_stores_where_nothing_is(void **state)
{
	struct put put = or_get("k", 0);
	uint64_t version;
	struct engine engine;
	(void)state;

	engine_open(&engine);
	put.ttl_ms = 1000;
	put.stale_for_ms = 60000;
	assert_int_equal(engine_put_as(&engine, &put, "one", 3), ANSWER_DONE);
	assert_false(engine.answer.has_meta);
	version = engine.answer.version;
	assert_true(version > 0);
	assert_int_equal(engine_get(&engine, "k"), ANSWER_DONE);
	assert_true(engine_has(&engine, "one", 3));
	assert_int_equal(engine.answer.ttl_left_ms, 1000);
	assert_int_equal(engine_put_as(&engine, &put, "two", 3), ANSWER_DONE);
	assert_true(engine.answer.has_meta);
	assert_int_equal(engine.answer.version, version);
	engine_pass_ms(1000); /* stale: for a condition that is absent */
	assert_int_equal(engine_put_as(&engine, &put, "two", 3), ANSWER_DONE);
	assert_false(engine.answer.has_meta);
	assert_int_equal(engine_get(&engine, "k"), ANSWER_DONE);
	assert_true(engine_has(&engine, "two", 3));
	engine_close(&engine);
}

static void
a_put_or_get_takes_the_place_of_the_version_that_it_cannot_use(void **state)
{
	struct engine engine;
	struct put put;
	uint64_t refused;
	(void)state;

	engine_open(&engine);
	assert_int_equal(engine_put(&engine, "k", "theirs", 6), ANSWER_DONE);
	refused = engine.answer.version;
	put = or_get("k", refused);
	assert_int_equal(engine_put_as(&engine, &put, "ours", 4), ANSWER_DONE);
	assert_false(engine.answer.has_meta);
	assert_true(is_given(&engine, "k", "ours", 4));
	/* It is not that version any more. */
	assert_int_equal(engine_put_as(&engine, &put, "late", 4), ANSWER_DONE);
	assert_true(engine.answer.has_meta);
	assert_true(engine_has(&engine, "ours", 4));
	engine_close(&engine);
}

static void
an_upload_may_be_answered_with_what_came_before_it(void **state)
{
	static const size_t lengths[] = { 10, 3000000 };
	struct engine engine;
	struct answer answer;
	(void)state;

	engine_open(&engine);
	for (size_t i = 0; i < 2; i++) {
		uint8_t *value = make_value(lengths[i], 1);
		struct put put = or_get(i ? "b" : "a", 0);
		struct upload *late;

		put.payer = engine.payer;
		late = upload_open(engine.cache, &put, UINT64_MAX, &answer);
		assert_non_null(late);
		assert_true(upload_or_get(late));
		for (int part = 0; part < 3; part++) {
			cache_turn_begin(engine.cache);
			assert_int_equal(
				upload_write(late, slice(value, lengths[i] / 3), &answer),
				0);
			cache_turn_end(engine.cache);
		}
		assert_int_equal(engine_put(&engine, i ? "b" : "a", "first", 5),
				 ANSWER_DONE);
		ENGINE_CALL(&engine, upload_finish(&late, &later, &answer_));
		assert_int_equal(engine.answer.kind, ANSWER_DONE);
		assert_true(engine.answer.has_meta);
		assert_true(engine_has(&engine, "first", 5));
		free(value);
	}
	engine_sync(&engine);
	engine_close(&engine);
}

static void
a_full_disk_does_not_keep_a_put_or_get_from_what_is_there(void **state)
{
	struct put put = or_get("new", 0);
	struct engine engine;
	(void)state;

	engine_open(&engine);
	assert_int_equal(engine_put(&engine, "old", "value", 5), ANSWER_DONE);
	engine_sync(&engine);
	engine.cache->disk_full = true;
	assert_true(is_given(&engine, "old", "value", 5));
	assert_int_equal(engine_put_as(&engine, &put, "x", 1), ANSWER_ERROR);
	assert_int_equal(engine.answer.error, ERROR_DISK_FULL);
	engine.cache->disk_full = false;
	assert_int_equal(engine_get(&engine, "new"), ANSWER_MISS);
	engine_close(&engine);
}

static void
scan_gives_every_object_once(void **state)
{
	struct engine engine;
	char key[32];
	bool seen[500] = { false };
	unsigned count = 0;
	struct target target = engine_target("");
	(void)state;

	engine_open(&engine);
	for (int i = 0; i < 500; i++) {
		snprintf(key, sizeof(key), "%s-%03d", i % 5 ? "many" : "few", i);
		engine_put(&engine, key, key, strlen(key));
	}
	engine.answer.cursor.len = 0;
	do {
		struct slice cursor = engine.answer.cursor;
		const uint8_t *at;

		ENGINE_CALL(&engine, cache_scan(engine.cache, &target, slice_text("few"),
						cursor, 7, &later, &answer_));
		assert_int_equal(engine.answer.kind, ANSWER_DONE);
		at = engine.bytes;
		for (uint64_t i = 0; i < engine.answer.count; i++) {
			int number;

			assert_int_equal(at[2] | at[3] << 8, 7);
			memcpy(key, at + 40, 7); // a key in an entry is not terminated
			key[7] = '\0';
			number = atoi(key + 4);
			assert_false(seen[number]);
			seen[number] = true;
			count++;
			at += at[0] | at[1] << 8;
		}
	} while (engine.answer.cursor.len);
	assert_int_equal(count, 100);
	engine_close(&engine);
}

static void
a_flush_hides_everything_at_once_and_frees_it_later(void **state)
{
	struct engine engine;
	struct target target = engine_target("");
	uint8_t *value = make_value(200000, 3);
	char key[32];
	(void)state;

	engine_open(&engine);
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		engine_put(&engine, key, value, i % 2 ? 100 : 200000);
	}
	ENGINE_CALL(&engine,
		    cache_flush(engine.cache, &target, ACK_DISK, &later, &answer_));
	assert_int_equal(engine.answer.kind, ANSWER_DONE);
	for (int i = 0; i < 50; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		assert_int_equal(engine_get(&engine, key), ANSWER_MISS);
	}
	assert_int_equal(engine_put(&engine, "k1", "new", 3), ANSWER_DONE);
	engine_sync(&engine);
	while (engine_figure(&engine, "", "used_bytes") > 200000)
		engine_step(&engine);
	engine_stop(&engine);
	engine_reopen(&engine);
	assert_int_equal(engine_get(&engine, "k1"), ANSWER_DONE);
	assert_int_equal(engine_get(&engine, "k2"), ANSWER_MISS);
	free(value);
	engine_close(&engine);
}

static void
another_uid_sees_nothing_of_mine(void **state)
{
	struct engine engine;
	struct get get = { .target = { .uid = 1001,
				       .namespace = slice_text("default"),
				       .key = slice_text("mine") },
			   .max_age_ms = TTL_NEVER };
	(void)state;

	engine_open(&engine);
	engine_put(&engine, "mine", "x", 1);
	ENGINE_CALL(&engine, cache_get(engine.cache, &get, &later, &answer_));
	assert_int_equal(engine.answer.kind, ANSWER_MISS);
	engine_close(&engine);
}

static void
a_value_over_the_limit_is_refused_with_the_limit(void **state)
{
	struct engine engine;
	struct put put = { .target = engine_target("k"), .ttl_ms = TTL_NEVER };
	struct answer refused;
	(void)state;

	engine_open(&engine);
	put.payer = engine.payer;
	assert_null(upload_open(engine.cache, &put, 65 << 20, &refused));
	assert_int_equal(refused.error, ERROR_TOO_LARGE);
	assert_int_equal(refused.detail, 64 << 20);
	engine_close(&engine);
}

static void
a_value_under_way_meets_a_limit_that_has_come_down(void **state)
{
	static const uint8_t part[CACHE_PART_MAX];
	struct engine engine;
	struct put put = { .target = engine_target("k"), .ttl_ms = TTL_NEVER };
	struct cache_config config;
	struct answer refused;
	struct upload *upload;
	(void)state;

	engine_open(&engine);
	put.payer = engine.payer;
	upload = upload_open(engine.cache, &put, UINT64_MAX, &refused);
	assert_non_null(upload);
	assert_int_equal(upload_write(upload, slice(part, sizeof(part)), &refused), 0);
	config = engine.config;
	config.max_value = sizeof(part) / 2;
	cache_configure(engine.cache, &config);
	assert_int_equal(upload_write(upload, slice(part, 1), &refused), -1);
	assert_int_equal(refused.error, ERROR_TOO_LARGE);
	assert_int_equal(refused.detail, config.max_value);
	upload_abort(&upload);
	engine_close(&engine);
}

static void
flush(struct engine *engine)
{
	struct target target = engine_target("");

	ENGINE_CALL(engine,
		    cache_flush(engine->cache, &target, ACK_DISK, &later, &answer_));
	assert_int_equal(engine->answer.kind, ANSWER_DONE);
}

/* Each is answered at once only while the disk keeps up. */
static void
a_flood_of_flushes_is_held_back_like_any_other(void **state)
{
	struct engine engine;
	struct target target = engine_target("a");
	struct later later = { .answered = engine_answered, .arg = &engine };
	struct answer answer = { .kind = ANSWER_DONE };
	int done = CACHE_NOW;
	(void)state;

	engine_open(&engine);
	engine.config.pending_size = 1 << 20;
	cache_configure(engine.cache, &engine.config);
	assert_int_equal(engine_put(&engine, "a", "x", 1), ANSWER_DONE);
	cache_turn_begin(engine.cache);
	for (int i = 0; i < 100000 && done == CACHE_NOW && answer.kind != ANSWER_ERROR;
	     i++)
		done = cache_flush(engine.cache, &target, ACK_MEMORY, &later, &answer);
	assert_true(done == CACHE_LATER || answer.error == ERROR_BUSY);
	cache_turn_end(engine.cache);
	engine_sync(&engine);
	assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
	engine_close(&engine);
}

static uint32_t
incarnation_of(struct engine *engine, const char *name)
{
	struct namespace *namespace =
		names_find(&engine->cache->names, 1000, slice_text(name));

	assert_non_null(namespace);
	return namespace->incarnation;
}

static void
incarnations_come_round_and_pass_those_in_use_over(void **state)
{
	struct engine engine;
	struct put put = { .target = engine_target("k"), .ttl_ms = TTL_NEVER };
	(void)state;

	engine_open(&engine);
	put.target.namespace = slice_text("first");
	assert_int_equal(engine_put_as(&engine, &put, "x", 1), ANSWER_DONE);
	assert_int_equal(incarnation_of(&engine, "first"), 1);
	engine_sync(&engine);
	engine.cache->next_incarnation = INCARNATION_MAX;
	assert_int_equal(engine_put(&engine, "a", "old", 3), ANSWER_DONE);
	assert_int_equal(incarnation_of(&engine, "default"), INCARNATION_MAX);
	flush(&engine);
	assert_int_equal(incarnation_of(&engine, "default"), 2);
	assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
	assert_int_equal(engine_put(&engine, "a", "new", 3), ANSWER_DONE);
	engine_sync(&engine);
	engine_stop(&engine);
	engine_reopen(&engine);
	assert_int_equal(engine_get(&engine, "a"), ANSWER_DONE);
	assert_true(engine_has(&engine, "new", 3));
	flush(&engine);
	assert_int_equal(incarnation_of(&engine, "default"), 3);
	assert_int_equal(incarnation_of(&engine, "first"), 1);
	engine_close(&engine);
}

static void
a_second_daemon_on_the_same_directory_is_refused(void **state)
{
	struct engine engine;
	struct cache *second;
	char error[CACHE_ERROR_MAX];
	(void)state;

	engine_open(&engine);
	assert_int_equal(cache_open(&engine.config, 0, &second, error), -1);
	assert_non_null(strstr(error, "serves"));
	engine_close(&engine);
}

static void
a_store_of_another_release_goes_before_anything_live(void **state)
{
	struct engine engine;
	char other[96], file[128], key[32];
	uint8_t *value = make_value(1 << 20, 5);
	FILE *old;
	(void)state;

	engine_open_with(&engine, 64 << 20);
	engine_stop(&engine);
	snprintf(other, sizeof(other), "%s/v0", engine.path);
	snprintf(file, sizeof(file), "%s/data.mdb", other);
	assert_int_equal(mkdir(other, 0700), 0);
	old = fopen(file, "w");
	for (int i = 0; i < 40; i++)
		fwrite(value, 1, 1 << 20, old);
	fclose(old);
	engine_reopen(&engine);
	for (int i = 0; i < 40; i++) {
		snprintf(key, sizeof(key), "k%d", i);
		while (!cache_admits(engine.cache, engine.payer, 1 << 20))
			engine_step(&engine);
		engine_put(&engine, key, value, 1 << 20);
		engine_sync(&engine);
	}
	assert_int_not_equal(access(file, F_OK), 0);
	assert_int_equal(engine_figure(&engine, "", "evicted_objects"), 0);
	free(value);
	engine_close(&engine);
}

static void
a_full_store_evicts_and_stays_within_its_limit(void **state)
{
	struct engine engine;
	uint8_t *value = make_value(100000, 5);
	char key[32];
	(void)state;

	engine_open_with(&engine, 64 << 20);
	for (int i = 0; i < 1500; i++) {
		size_t len = i % 3 ? (size_t)i * 64 % 100000 : 65497;

		snprintf(key, sizeof(key), "k%d", i);
		while (!cache_admits(engine.cache, engine.payer, len))
			engine_step(&engine);
		assert_int_equal(engine_put(&engine, key, value, len), ANSWER_DONE);
		assert_true(datadir_bytes(engine.path) <= (64 << 20) / 10 * 11);
	}
	assert_true(engine_figure(&engine, "", "evicted_objects") > 0);
	free(value);
	engine_close(&engine);
}

/* So full that the file has every page that it may have. */
static void
fill_the_file(struct engine *engine, const uint8_t *value)
{
	char key[32];

	for (int i = 0;
	     i < 4000 &&
	     store_file_size(engine->cache->store) <
		     limit_pages(&engine->cache->writer->room.limit) * PAGE_SIZE_BYTES;
	     i++) {
		snprintf(key, sizeof(key), "fill-%d", i);
		while (!cache_admits(engine->cache, engine->payer, 65497))
			engine_step(engine);
		assert_int_equal(engine_put(engine, key, value, 65497), ANSWER_DONE);
	}
	engine_sync(engine);
	assert_true(room_file_full(&engine->cache->writer->room));
}

static void
commits_become_smaller_each_time_that_a_full_file_has_grown(void **state)
{
	struct engine engine;
	uint8_t *value = make_value(100000, 5);
	struct room room;
	uint64_t most;
	(void)state;

	engine_open_with(&engine, 256 << 20);
	room = engine.cache->writer->room; /* a copy: the writer has its own */
	most = limit_commit_pages(&room.limit);
	assert_int_equal(room_commit_pages(&room), most);
	room.limit.max_size = LIMIT_SIZE_MIN;
	room.limit.disk_size = 0; /* so the file, however small it is, is full */
	assert_true(room_file_full(&room));
	most = limit_commit_pages(&room.limit);
	room_committed(&room, 1);
	room_committed(&room, 1);
	assert_int_equal(room_commit_pages(&room), most);
	assert_int_equal(engine_put(&engine, "k", value, 100000), ANSWER_DONE);
	engine_sync(&engine);
	room_committed(&room, 1);
	assert_int_equal(room_commit_pages(&room), most / 2);
	free(value);
	engine_close(&engine);
}

/* What somebody looks at cannot be used again. A full file would grow instead, by all that is committed meanwhile. */
static void
a_full_file_waits_for_who_still_looks_at_an_old_state(void **state)
{
	struct engine engine;
	struct put put = { .target = engine_target("k"),
			   .ttl_ms = TTL_NEVER,
			   .ack = ACK_DISK };
	struct later later = { .answered = engine_answered, .arg = &engine };
	uint8_t *value = make_value(100000, 5);
	const struct writer_counts *counts;
	struct snapshot *old;
	struct answer answer;
	(void)state;

	engine_open_with(&engine, 64 << 20);
	put.payer = engine.payer;
	fill_the_file(&engine, value);
	counts = writer_counts(engine.cache->writer);
	assert_int_equal(snapshot_new(engine.cache->store, &old), STORE_HIT);
	assert_int_equal(snapshot_take(old), STORE_HIT);
	assert_int_equal(store_oldest_seen(engine.cache->store), snapshot_txn(old));
	for (int i = 0; i < 3 && !counts->reader_waits; i++)
		assert_int_equal(engine_put_as(&engine, &put, "x", 1), ANSWER_DONE);
	engine.answered = false;
	cache_turn_begin(engine.cache);
	assert_int_equal(cache_put(engine.cache, &put, slice_text("y"), &later, &answer),
			 CACHE_LATER);
	cache_turn_end(engine.cache);
	while (!atomic_load(&counts->reader_waits))
		sched_yield();
	snapshot_free(&old);
	while (!engine.answered)
		engine_step(&engine);
	assert_int_equal(engine.answer.kind, ANSWER_DONE);
	assert_int_equal(store_oldest_seen(engine.cache->store), UINT64_MAX);
	free(value);
	engine_close(&engine);
}

static void
a_damaged_file_is_moved_aside_and_replaced_by_an_empty_one(void **state)
{
	struct engine engine;
	char file[128];
	FILE *data;
	(void)state;

	engine_open(&engine);
	engine_put(&engine, "k", "x", 1);
	engine_stop(&engine);
	snprintf(file, sizeof(file), "%s/v1/data.mdb", engine.path);
	data = fopen(file, "r+");
	for (int i = 0; i < 2 * 4096; i++)
		fputc(0x5a, data);
	fclose(data);
	log_set_level(LOG_ERROR);
	engine_reopen(&engine);
	assert_int_equal(engine_get(&engine, "k"), ANSWER_MISS);
	assert_int_equal(engine_put(&engine, "k", "y", 1), ANSWER_DONE);
	snprintf(file, sizeof(file), "%s/v1.damaged/data.mdb", engine.path);
	assert_int_equal(access(file, F_OK), 0);
	engine_close(&engine);
}

static void
versions_never_repeat_even_after_the_store_is_replaced(void **state)
{
	struct engine engine;
	uint64_t version;
	char file[128];
	(void)state;

	engine_open(&engine);
	engine_put(&engine, "k", "x", 1);
	version = engine.answer.version;
	engine_sync(&engine);
	engine_stop(&engine);
	snprintf(file, sizeof(file), "%s/v1/data.mdb", engine.path);
	assert_int_equal(unlink(file), 0);
	engine_wall_us -= 3600 * UINT64_C(1000000); /* and the clock was set back */
	engine_reopen(&engine);
	engine_put(&engine, "k", "x", 1);
	assert_true(engine.answer.version > version);
	engine_close(&engine);
}

static void
count_answer(void *arg, uint32_t id, const struct answer *answer)
{
	(void)id;
	assert_int_equal(answer->kind, ANSWER_DONE);
	++*(unsigned *)arg;
}

/* After a commit that several waited for, the next one waits for them to ask again, but not for ever. */
static void
one_change_after_a_shared_commit_is_committed_without_the_others(void **state)
{
	struct engine engine;
	struct put put = { .ttl_ms = TTL_NEVER, .ack = ACK_DISK };
	unsigned answered = 0;
	struct later later = { .answered = count_answer, .arg = &answered, .id = 0 };
	struct answer answer;
	uint64_t begun_ns;
	(void)state;

	engine_open(&engine);
	engine.config.commit_delay_ns = 60 * UINT64_C(1000000000);
	cache_configure(engine.cache, &engine.config);
	put.payer = engine.payer;
	cache_turn_begin(engine.cache);
	for (unsigned i = 0; i < 8; i++) {
		char key[] = { 'k', (char)('0' + i), '\0' };

		put.target = engine_target(key);
		assert_int_equal(
			cache_put(engine.cache, &put, slice("x", 1), &later, &answer),
			CACHE_LATER);
	}
	cache_turn_end(engine.cache);
	while (answered < 8)
		engine_step(&engine);
	begun_ns = clock_mono_ns();
	put.target = engine_target("alone");
	assert_int_equal(engine_put_as(&engine, &put, "x", 1), ANSWER_DONE);
	assert_true(clock_mono_ns() - begun_ns < engine.config.commit_delay_ns);
	engine_close(&engine);
}

static void
a_delete_that_finds_nothing_waits_for_the_flush_that_removed_it(void **state)
{
	struct engine engine;
	struct target target = engine_target("a");
	struct later later = { .answered = engine_answered, .arg = &engine };
	struct answer answer;
	(void)state;

	engine_open(&engine);
	for (int take = 0; take < 2; take++) {
		engine_put(&engine, "a", "x", 1);
		engine_sync(&engine);
		engine.answered = false;
		cache_turn_begin(engine.cache);
		assert_int_equal(
			cache_flush(engine.cache, &target, ACK_MEMORY, &later, &answer),
			CACHE_NOW);
		/* A crash now would bring the object back. */
		assert_int_equal((take ? cache_take : cache_delete)(engine.cache, &target,
								    0, ACK_DISK, &later,
								    &answer),
				 CACHE_LATER);
		cache_turn_end(engine.cache);
		while (!engine.answered)
			engine_step(&engine);
		assert_int_equal(engine.answer.kind, ANSWER_MISS);
		/* Nothing is on its way any more: it is answered at once. */
		engine.cache->cold_share = 0; /* whatever the machine took away */
		cache_turn_begin(engine.cache);
		assert_int_equal((take ? cache_take : cache_delete)(engine.cache, &target,
								    0, ACK_DISK, &later,
								    &answer),
				 CACHE_NOW);
		cache_turn_end(engine.cache);
	}
	engine_close(&engine);
}

/* The touch gathers while the writer looks for what is over. */
static void
what_is_touched_in_time_does_not_expire_before_the_touch_is_on_the_disk(void **state)
{
	struct engine engine;
	struct put put = { .target = engine_target("gone"), .ttl_ms = 2000 };
	(void)state;

	engine_open(&engine);
	engine.config.commit_delay_ns = 3600 * UINT64_C(1000000000);
	cache_configure(engine.cache, &engine.config);
	engine_put_as(&engine, &put, "x", 1);
	put.target = engine_target("kept");
	put.ttl_ms = 3000;
	engine_put_as(&engine, &put, "x", 1);
	engine_sync(&engine);
	engine_pass_ms(2500);
	assert_int_equal(engine_touch(&engine, "kept", 3600000), ANSWER_DONE);
	engine_pass_ms(10000);
	/* The settings wake it; it has looked when the other one is removed. */
	cache_configure(engine.cache, &engine.config);
	while (!count_figure(&writer_counts(engine.cache->writer)->expired))
		engine_step(&engine);
	engine_sync(&engine);
	assert_int_equal(engine_get(&engine, "gone"), ANSWER_MISS);
	assert_int_equal(engine_get(&engine, "kept"), ANSWER_DONE);
	engine_close(&engine);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_is_got_as_it_was_put),
		cmocka_unit_test(every_size_around_a_boundary_survives_a_restart),
		cmocka_unit_test(a_value_that_arrives_in_parts_is_whole),
		cmocka_unit_test(an_expired_object_is_a_miss_and_its_room_comes_back),
		cmocka_unit_test(a_touch_moves_the_expiry_of_small_and_large_values),
		cmocka_unit_test(a_deleted_object_stays_deleted_after_a_restart),
		cmocka_unit_test(conditions_hold_before_and_after_the_commit),
		cmocka_unit_test(a_put_or_get_gives_what_is_there_wherever_it_is),
		cmocka_unit_test(a_put_or_get_stores_where_nothing_is),
		cmocka_unit_test(
			a_put_or_get_takes_the_place_of_the_version_that_it_cannot_use),
		cmocka_unit_test(an_upload_may_be_answered_with_what_came_before_it),
		cmocka_unit_test(
			a_full_disk_does_not_keep_a_put_or_get_from_what_is_there),
		cmocka_unit_test(scan_gives_every_object_once),
		cmocka_unit_test(a_flush_hides_everything_at_once_and_frees_it_later),
		cmocka_unit_test(another_uid_sees_nothing_of_mine),
		cmocka_unit_test(a_value_over_the_limit_is_refused_with_the_limit),
		cmocka_unit_test(a_store_of_another_release_goes_before_anything_live),
		cmocka_unit_test(a_full_store_evicts_and_stays_within_its_limit),
		cmocka_unit_test(
			commits_become_smaller_each_time_that_a_full_file_has_grown),
		cmocka_unit_test(a_full_file_waits_for_who_still_looks_at_an_old_state),
		cmocka_unit_test(
			a_damaged_file_is_moved_aside_and_replaced_by_an_empty_one),
		cmocka_unit_test(versions_never_repeat_even_after_the_store_is_replaced),
		cmocka_unit_test(a_value_under_way_meets_a_limit_that_has_come_down),
		cmocka_unit_test(a_flood_of_flushes_is_held_back_like_any_other),
		cmocka_unit_test(incarnations_come_round_and_pass_those_in_use_over),
		cmocka_unit_test(a_second_daemon_on_the_same_directory_is_refused),
		cmocka_unit_test(
			one_change_after_a_shared_commit_is_committed_without_the_others),
		cmocka_unit_test(
			a_delete_that_finds_nothing_waits_for_the_flush_that_removed_it),
		cmocka_unit_test(
			what_is_touched_in_time_does_not_expire_before_the_touch_is_on_the_disk),
	};

	return unit_run(tests);
}
