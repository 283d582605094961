/* test_verify.c - what VERIFY finds in a store, and what it does not. */
#include "tests/unit/engine.h"

#include "daemon/cache_core.h"
#include "daemon/object.h"
#include "proto/bytes.h"

#define LONG_SIZE 300000 /* four big rows and some small ones */
#define MANY (2 * VERIFY_ROWS_MAX + 100)
#define DOUBTS_TEXT_MAX 8192

/* What all pages of a walk came to. */
struct findings {
	uint64_t rows, bytes, damaged, misplaced, incomplete, unowned, not_counted;
	unsigned pages;
	char doubts[DOUBTS_TEXT_MAX]; /* the lines about namespaces */
};

static uint64_t *
find_total(struct findings *found, const char *name)
{
	const struct {
		const char *name;
		uint64_t *total;
	} totals[] = { { "rows", &found->rows },
		       { "bytes", &found->bytes },
		       { "damaged", &found->damaged },
		       { "misplaced", &found->misplaced },
		       { "incomplete", &found->incomplete },
		       { "unowned", &found->unowned },
		       { "not_counted", &found->not_counted } };

	for (size_t i = 0; i < sizeof(totals) / sizeof(totals[0]); i++)
		if (strcmp(totals[i].name, name) == 0)
			return totals[i].total;
	fail_msg("a total of another name: %s", name);
	return NULL;
}

static void
take_line(struct findings *found, const char *line)
{
	char name[32];
	unsigned long long value;

	if (line[0] != '\t') {
		assert_true(strlen(found->doubts) + strlen(line) + 2 < DOUBTS_TEXT_MAX);
		strcat(strcat(found->doubts, line), "\n");
		return;
	}
	assert_int_equal(sscanf(line, "\t%31[^\t]\t%llu", name, &value), 2);
	*find_total(found, name) += value;
}

/* One page, from the engine's last cursor on if `goes_on`. */
static bool
verify_one(struct engine *engine, struct findings *found, bool goes_on)
{
	struct slice cursor = goes_on ? engine->answer.cursor : slice(NULL, 0);
	char *line, *rest;

	ENGINE_CALL(engine, cache_verify(engine->cache, 0, cursor, &later, &answer_));
	assert_int_equal(engine->answer.kind, ANSWER_DONE);
	engine->bytes[engine->len] = '\0';
	found->pages++;
	for (line = strtok_r((char *)engine->bytes, "\n", &rest); line;
	     line = strtok_r(NULL, "\n", &rest))
		take_line(found, line);
	return engine->answer.cursor.len;
}

static struct findings
verify_all(struct engine *engine)
{
	struct findings found = { 0 };

	while (verify_one(engine, &found, found.pages > 0))
		;
	return found;
}

static void
assert_sound(const struct findings *found)
{
	assert_int_equal(found->damaged + found->misplaced + found->incomplete +
				 found->unowned + found->not_counted,
			 0);
	assert_string_equal(found->doubts, "");
}

/* ---- what is planted ---- */

static void
put_long(struct engine *engine, const char *key)
{
	uint8_t *value = malloc(LONG_SIZE);

	for (size_t i = 0; i < LONG_SIZE; i++)
		value[i] = (uint8_t)(i * 31 + i / 251);
	assert_int_equal(engine_put(engine, key, value, LONG_SIZE), ANSWER_DONE);
	free(value);
}

static void
put_for(struct engine *engine, uint32_t uid, const char *namespace, const char *key,
	uint64_t ttl_ms, const char *tag)
{
	char tags[64];
	struct put put = { .target = engine_target(key), .ttl_ms = ttl_ms };

	put.target.uid = uid;
	put.target.namespace = slice_text(namespace);
	if (tag) {
		tags[0] = (char)strlen(tag);
		strcpy(tags + 1, tag);
		put.tags = slice_text(tags);
	}
	assert_int_equal(engine_put_as(engine, &put, "value", 5), ANSWER_DONE);
}

static uint32_t
incarnation_of(struct engine *engine, uint32_t uid, const char *name)
{
	return names_find(&engine->cache->names, uid, slice_text(name))->incarnation;
}

static void
row_key_of(struct engine *engine, const char *key, uint8_t ret_key[static ROW_KEY_SIZE])
{
	store_row_key(engine->cache->store, incarnation_of(engine, 1000, "default"),
		      slice_text(key), ret_key);
}

/* Reads a row, and stores it again as `change` leaves it: under its own key, or another. */
static void
change_row(struct engine *engine, enum store_table table, struct slice from,
	   struct slice to, void (*change)(uint8_t *bytes, size_t len, struct slice key))
{
	struct write *write;
	struct slice row;
	uint8_t *bytes;

	assert_int_equal(write_begin(engine->cache->store, &write), STORE_HIT);
	assert_int_equal(write_get(write, table, from, &row), STORE_HIT);
	bytes = malloc(row.len);
	memcpy(bytes, row.data, row.len);
	change(bytes, row.len, to);
	assert_int_equal(write_put(write, table, to, slice(bytes, row.len)), STORE_HIT);
	free(bytes);
	assert_int_equal(write_commit(&write), STORE_HIT);
}

static void
delete_row(struct engine *engine, enum store_table table, struct slice key)
{
	struct write *write;

	assert_int_equal(write_begin(engine->cache->store, &write), STORE_HIT);
	assert_int_equal(write_delete(write, table, key), STORE_HIT);
	assert_int_equal(write_commit(&write), STORE_HIT);
}

static void
turn_a_bit(uint8_t *bytes, size_t len, struct slice key)
{
	(void)key;
	bytes[len / 2] ^= 4;
}

static void
seal_anew(uint8_t *bytes, size_t len, struct slice key)
{
	record_seal(bytes, len, key.data);
}

static void
count_one_more(uint8_t *bytes, size_t len, struct slice key)
{
	(void)len;
	(void)key;
	le64_store(bytes + 8, le64_load(bytes + 8) + 1);
}

static void
turn_record(struct engine *engine, const char *key)
{
	uint8_t row_key[ROW_KEY_SIZE];

	row_key_of(engine, key, row_key);
	change_row(engine, STORE_RECORDS, slice(row_key, ROW_KEY_SIZE),
		   slice(row_key, ROW_KEY_SIZE), turn_a_bit);
}

static void
change_count(struct engine *engine, uint32_t uid, const char *name)
{
	uint8_t key[5] = { 'N' };

	be32_store(key + 1, incarnation_of(engine, uid, name));
	change_row(engine, STORE_SYSTEM, slice(key, sizeof(key)), slice(key, sizeof(key)),
		   count_one_more);
}

static struct record
record_of(struct engine *engine, const char *key)
{
	struct snapshot *snapshot;
	uint8_t row_key[ROW_KEY_SIZE];
	struct record record;
	struct slice row;

	row_key_of(engine, key, row_key);
	assert_int_equal(snapshot_new(engine->cache->store, &snapshot), STORE_HIT);
	assert_int_equal(snapshot_take(snapshot), STORE_HIT);
	assert_int_equal(
		snapshot_get(snapshot, STORE_RECORDS, slice(row_key, ROW_KEY_SIZE), &row),
		STORE_HIT);
	assert_true(record_read(row, &record));
	snapshot_free(&snapshot);
	record.key = record.value = slice(NULL, 0); /* they were in the snapshot */
	return record;
}

/* ---- the tests ---- */

static void
a_store_that_is_as_it_was_written_is_sound(void **state)
{
	struct engine engine;
	struct findings found;
	struct target target = engine_target("");

	(void)state;
	engine_open(&engine);
	found = verify_all(&engine);
	assert_sound(&found);
	assert_int_equal(found.rows, 0);
	put_for(&engine, 1000, "default", "plain", TTL_NEVER, NULL);
	put_for(&engine, 1000, "default", "expires", 60000, NULL);
	put_for(&engine, 1000, "default", "tagged", TTL_NEVER, "a tag");
	put_for(&engine, 1000, "web", "k", TTL_NEVER, "a tag");
	put_for(&engine, 2000, "web", "k", TTL_NEVER, NULL);
	put_long(&engine, "long");
	put_long(&engine, "replaced");
	put_long(&engine, "replaced");
	engine_touch(&engine, "expires", 120000);
	target.namespace = slice_text("web");
	ENGINE_CALL(&engine, cache_invalidate(engine.cache, &target, slice("\5a tag", 6),
					      ACK_DISK, &later, &answer_));
	target.uid = 2000;
	ENGINE_CALL(&engine,
		    cache_flush(engine.cache, &target, ACK_DISK, &later, &answer_));
	engine_sync(&engine);
	found = verify_all(&engine);
	assert_sound(&found);
	assert_true(found.rows >= 5);
	assert_true(found.bytes >= 2 * LONG_SIZE);
	engine_close(&engine);
}

static void
a_record_that_was_changed_on_the_disk_is_found(void **state)
{
	struct engine engine;
	struct findings found;

	(void)state;
	engine_open(&engine);
	put_for(&engine, 1000, "default", "one", TTL_NEVER, NULL);
	put_for(&engine, 1000, "default", "two", TTL_NEVER, NULL);
	engine_sync(&engine);
	turn_record(&engine, "one");
	found = verify_all(&engine);
	assert_int_equal(found.damaged, 1);
	assert_int_equal(found.rows, 2);
	assert_string_equal(found.doubts, "");
	assert_int_equal(engine_figure(&engine, "", "damaged_rows"), 1);
	engine_close(&engine);
}

static void
a_record_in_anothers_place_is_found(void **state)
{
	struct engine engine;
	struct findings found;
	uint8_t from[ROW_KEY_SIZE], to[ROW_KEY_SIZE];

	(void)state;
	engine_open(&engine);
	put_for(&engine, 1000, "default", "one", TTL_NEVER, NULL);
	engine_sync(&engine);
	row_key_of(&engine, "one", from);
	row_key_of(&engine, "another", to);
	change_row(&engine, STORE_RECORDS, slice(from, ROW_KEY_SIZE),
		   slice(to, ROW_KEY_SIZE), seal_anew);
	delete_row(&engine, STORE_RECORDS, slice(from, ROW_KEY_SIZE));
	found = verify_all(&engine);
	assert_int_equal(found.misplaced, 1);
	assert_int_equal(found.damaged, 0);
	assert_string_equal(found.doubts, "");
	engine_close(&engine);
}

static void
a_row_of_no_namespace_is_found(void **state)
{
	struct engine engine;
	struct findings found;
	uint8_t from[ROW_KEY_SIZE], to[ROW_KEY_SIZE];

	(void)state;
	engine_open(&engine);
	put_for(&engine, 1000, "default", "one", TTL_NEVER, NULL);
	engine_sync(&engine);
	row_key_of(&engine, "one", from);
	store_row_key(engine.cache->store, 4711, slice_text("one"), to);
	change_row(&engine, STORE_RECORDS, slice(from, ROW_KEY_SIZE),
		   slice(to, ROW_KEY_SIZE), seal_anew);
	found = verify_all(&engine);
	assert_int_equal(found.unowned, 1);
	assert_int_equal(found.misplaced + found.damaged, 0);
	assert_string_equal(found.doubts, "");
	engine_close(&engine);
}

static void
a_chunk_that_was_changed_on_the_disk_is_found(void **state)
{
	struct engine engine;
	struct findings found;
	uint8_t key[CHUNK_KEY_SIZE];

	(void)state;
	engine_open(&engine);
	put_long(&engine, "long");
	engine_sync(&engine);
	chunk_key(record_of(&engine, "long").object_id, 2, key);
	change_row(&engine, STORE_CHUNKS, slice(key, sizeof(key)),
		   slice(key, sizeof(key)), turn_a_bit);
	found = verify_all(&engine);
	assert_int_equal(found.damaged, 1);
	assert_int_equal(found.incomplete, 0);
	engine_close(&engine);
}

static void
a_chunk_that_is_missing_is_found_wherever_it_was(void **state)
{
	struct engine engine;
	struct findings found;
	struct record record;
	uint8_t key[CHUNK_KEY_SIZE];

	(void)state;
	engine_open(&engine);
	put_long(&engine, "first");
	put_long(&engine, "middle");
	put_long(&engine, "last");
	put_long(&engine, "whole");
	engine_sync(&engine);
	chunk_key(record_of(&engine, "first").object_id, 0, key);
	delete_row(&engine, STORE_CHUNKS, slice(key, sizeof(key)));
	assert_int_equal(verify_all(&engine).incomplete, 1);
	chunk_key(record_of(&engine, "middle").object_id, 2, key);
	delete_row(&engine, STORE_CHUNKS, slice(key, sizeof(key)));
	assert_int_equal(verify_all(&engine).incomplete, 2);
	record = record_of(&engine, "last");
	chunk_key(record.object_id, record.big_rows + record.small_rows - 1, key);
	delete_row(&engine, STORE_CHUNKS, slice(key, sizeof(key)));
	found = verify_all(&engine);
	assert_int_equal(found.incomplete, 3);
	assert_int_equal(found.damaged, 0);
	assert_string_equal(found.doubts, "");
	engine_close(&engine);
}

static void
an_object_that_is_being_freed_from_its_beginning_is_sound(void **state)
{
	struct engine engine;
	struct findings found;
	struct record record;
	uint8_t key[CHUNK_KEY_SIZE];
	struct write *write;
	struct objects objects = { 0 };

	(void)state;
	engine_open(&engine);
	put_long(&engine, "long");
	engine_sync(&engine);
	record = record_of(&engine, "long");
	assert_int_equal(write_begin(engine.cache->store, &write), STORE_HIT);
	objects.write = write;
	chunk_key(record.object_id, 0, key);
	assert_int_equal(write_delete(write, STORE_CHUNKS, slice(key, sizeof(key))),
			 STORE_HIT);
	assert_int_equal(object_list(&objects, record.object_id, LISTED_UNLINKED, 1000),
			 STORE_HIT);
	assert_int_equal(write_commit(&write), STORE_HIT);
	found = verify_all(&engine);
	assert_sound(&found);
	engine_close(&engine);
}

static void
a_namespace_row_that_counts_wrongly_is_found(void **state)
{
	struct engine engine;
	struct findings found;

	(void)state;
	engine_open(&engine);
	put_for(&engine, 1000, "default", "one", TTL_NEVER, NULL);
	put_for(&engine, 2000, "web", "two", TTL_NEVER, NULL);
	put_for(&engine, 2000, "other", "three", TTL_NEVER, NULL);
	engine_sync(&engine);
	change_count(&engine, 2000, "web");
	found = verify_all(&engine);
	assert_string_equal(found.doubts, "2000:web\tobjects\t2\t1\n");
	assert_int_equal(found.damaged, 0);
	/* One that has no object left. */
	ENGINE_CALL(&engine,
		    cache_delete(engine.cache,
				 &(struct target){ .uid = 2000,
						   .namespace = slice_text("other"),
						   .key = slice_text("three") },
				 0, ACK_DISK, &later, &answer_));
	change_count(&engine, 2000, "other");
	change_count(&engine, 2000, "web");
	found = verify_all(&engine);
	assert_non_null(strstr(found.doubts, "2000:other\tobjects\t1\t0\n"));
	assert_non_null(strstr(found.doubts, "2000:web\tobjects\t3\t1\n"));
	engine_close(&engine);
}

static void
put_many(struct engine *engine)
{
	char key[16];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "key %u", i);
		put_for(engine, 1000, "default", key, TTL_NEVER, NULL);
	}
	engine_sync(engine);
}

static void
what_takes_several_pages_is_counted_as_one(void **state)
{
	struct engine engine;
	struct findings found;

	(void)state;
	engine_open(&engine);
	put_many(&engine);
	put_for(&engine, 2000, "web", "k", TTL_NEVER, NULL);
	engine_sync(&engine);
	found = verify_all(&engine);
	assert_sound(&found);
	assert_true(found.pages >= 3);
	assert_int_equal(found.rows, MANY + 1);
	turn_record(&engine, "key 17");
	turn_record(&engine, "key 5017");
	change_count(&engine, 2000, "web");
	found = verify_all(&engine);
	assert_int_equal(found.rows, MANY + 1);
	assert_int_equal(found.damaged, 2);
	assert_string_equal(found.doubts, "2000:web\tobjects\t2\t1\n");
	engine_close(&engine);
}

/* A key that the first page has counted. */
static unsigned
find_counted(struct engine *engine)
{
	uint8_t row_key[ROW_KEY_SIZE];
	char key[16];

	for (unsigned i = 0; i < MANY; i++) {
		snprintf(key, sizeof(key), "key %u", i);
		row_key_of(engine, key, row_key);
		if (memcmp(row_key, engine->cursor + 1, ROW_KEY_SIZE) < 0)
			return i;
	}
	fail_msg("the first page had no row");
	return 0;
}

static void
a_namespace_that_changes_while_it_is_walked_over_is_not_judged(void **state)
{
	struct engine engine;
	struct findings found = { 0 };
	char key[16];

	(void)state;
	engine_open(&engine);
	put_many(&engine);
	assert_true(verify_one(&engine, &found, false));
	snprintf(key, sizeof(key), "key %u", find_counted(&engine));
	engine_delete(&engine, key);
	engine_sync(&engine);
	/* verify_one() reads the cursor that these calls have left alone. */
	engine.answer.cursor = slice(engine.cursor, VERIFY_PLACE_SIZE);
	while (verify_one(&engine, &found, true))
		;
	assert_string_equal(found.doubts, "");
	assert_int_equal(found.not_counted, 1);
	assert_int_equal(found.damaged + found.misplaced + found.unowned, 0);
	engine_close(&engine);
}

static void
a_wrong_count_is_found_over_several_pages_while_others_are_written(void **state)
{
	struct engine engine;
	struct findings found = { 0 };

	(void)state;
	engine_open(&engine);
	put_many(&engine);
	change_count(&engine, 1000, "default");
	assert_true(verify_one(&engine, &found, false));
	put_for(&engine, 2000, "web", "k", TTL_NEVER, NULL);
	ENGINE_CALL(&engine, cache_sync(engine.cache, 2000, &later, &answer_));
	engine.answer.cursor = slice(engine.cursor, VERIFY_PLACE_SIZE);
	while (verify_one(&engine, &found, true))
		;
	assert_int_equal(found.not_counted, 0);
	assert_non_null(strstr(found.doubts, "1000:default\tobjects\t"));
	engine_close(&engine);
}

static void
a_cursor_that_is_none_is_refused(void **state)
{
	uint8_t cursor[VERIFY_PLACE_SIZE + 1] = { 0 };
	struct engine engine;

	(void)state;
	engine_open(&engine);
	put_for(&engine, 1000, "default", "one", TTL_NEVER, NULL);
	for (size_t len = 1; len <= sizeof(cursor); len++) {
		cursor[0] = len == VERIFY_PLACE_SIZE ? VERIFY_DONE : VERIFY_RECORDS;
		ENGINE_CALL(&engine, cache_verify(engine.cache, 0, slice(cursor, len),
						  &later, &answer_));
		assert_int_equal(engine.answer.kind, ANSWER_ERROR);
		assert_int_equal(engine.answer.error, ERROR_BAD_REQUEST);
	}
	/* One that was made up ends like any other. */
	for (unsigned part = VERIFY_RECORDS; part < VERIFY_DONE; part++) {
		memset(cursor, 0xff, sizeof(cursor));
		cursor[0] = (uint8_t)part;
		ENGINE_CALL(&engine, cache_verify(engine.cache, 0,
						  slice(cursor, VERIFY_PLACE_SIZE),
						  &later, &answer_));
		assert_int_equal(engine.answer.kind, ANSWER_DONE);
		assert_int_equal(engine.answer.cursor.len, 0);
	}
	engine_close(&engine);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_store_that_is_as_it_was_written_is_sound),
		cmocka_unit_test(a_record_that_was_changed_on_the_disk_is_found),
		cmocka_unit_test(a_record_in_anothers_place_is_found),
		cmocka_unit_test(a_row_of_no_namespace_is_found),
		cmocka_unit_test(a_chunk_that_was_changed_on_the_disk_is_found),
		cmocka_unit_test(a_chunk_that_is_missing_is_found_wherever_it_was),
		cmocka_unit_test(
			an_object_that_is_being_freed_from_its_beginning_is_sound),
		cmocka_unit_test(a_namespace_row_that_counts_wrongly_is_found),
		cmocka_unit_test(what_takes_several_pages_is_counted_as_one),
		cmocka_unit_test(
			a_namespace_that_changes_while_it_is_walked_over_is_not_judged),
		cmocka_unit_test(
			a_wrong_count_is_found_over_several_pages_while_others_are_written),
		cmocka_unit_test(a_cursor_that_is_none_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
