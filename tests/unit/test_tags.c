/* test_tags.c - invalidated tags: what they void, from when on, and what becomes of the room. */
#include "tests/unit/engine.h"

#include <sys/wait.h>

#include "daemon/cache_core.h"
#include "proto/tag.h"

struct tags {
	uint8_t bytes[TAGS_SIZE_MAX];
	size_t len;
};

static void
add_tag(struct tags *tags, const char *tag)
{
	size_t len = strlen(tag);

	tags->bytes[tags->len] = (uint8_t)len;
	memcpy(tags->bytes + tags->len + 1, tag, len);
	tags->len += 1 + len;
}

static struct slice
one_tag(struct tags *tags, const char *tag)
{
	tags->len = 0;
	if (tag)
		add_tag(tags, tag);
	return slice(tags->bytes, tags->len);
}

static enum answer_kind
put_tagged(struct engine *engine, const char *key, const char *tag, size_t len)
{
	static uint8_t value[CACHE_PART_MAX];
	struct tags tags;
	struct put put = { .target = engine_target(key), .ttl_ms = TTL_NEVER };

	put.tags = one_tag(&tags, tag);
	return engine_put_as(engine, &put, value, len);
}

static enum answer_kind
invalidate_in(struct engine *engine, const struct target *target, struct slice tags,
	      enum ack ack)
{
	ENGINE_CALL(engine,
		    cache_invalidate(engine->cache, target, tags, ack, &later, &answer_));
	return engine->answer.kind;
}

static enum answer_kind
invalidate(struct engine *engine, const char *tag, enum ack ack)
{
	struct target target = engine_target("");
	struct tags tags;

	return invalidate_in(engine, &target, one_tag(&tags, tag), ack);
}

static uint64_t
figure(struct engine *engine, const char *name)
{
	return engine_figure(engine, "default", name);
}

/* Rows of stamps in the namespace; what waits is on the disk then. */
static uint64_t
stamps(struct engine *engine)
{
	struct namespace *namespace =
		names_find(&engine->cache->names, 1000, slice_text("default"));

	engine_sync(engine);
	return usage_figure(&namespace->usage->stamps);
}

static void
wait_for_no_stamps(struct engine *engine)
{
	while (stamps(engine))
		engine_step(engine);
}

/* ---- what is void */

static void
an_invalidated_object_is_absent_at_once_wherever_it_lies(void **state)
{
	static const size_t lengths[] = { 5, 3000, 60000, 900000 };
	struct engine engine;
	(void)state;

	engine_open(&engine);
	for (size_t i = 0; i < 4; i++) {
		for (int stored = 0; stored < 2; stored++) {
			put_tagged(&engine, "a", "red", lengths[i]);
			put_tagged(&engine, "b", "blue", lengths[i]);
			if (stored)
				engine_sync(&engine);
			assert_int_equal(engine_get(&engine, "a"), ANSWER_DONE);
			assert_int_equal(invalidate(&engine, "red", ACK_MEMORY),
					 ANSWER_DONE);
			assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
			engine_sync(&engine);
			assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
			assert_int_equal(engine_get(&engine, "b"), ANSWER_DONE);
		}
	}
	assert_true(figure(&engine, "misses_invalidated") > 0);
	engine_close(&engine);
}

static void
what_a_reader_brings_is_judged_by_what_was_invalidated_meanwhile(void **state)
{
	struct engine engine;
	struct target target = engine_target("a");
	struct get get = { .target = target, .max_age_ms = TTL_NEVER };
	struct later later = { .answered = engine_answered, .arg = &engine, .id = 0 };
	struct answer answer;
	struct tags tags;
	(void)state;

	engine_open(&engine);
	for (int chunks = 0; chunks < 2; chunks++) {
		put_tagged(&engine, "a", "red", chunks ? 60000 : 5);
		engine_stop(&engine);
		engine_reopen(&engine);
		/* Everything is cold: the look-up is a reader's. */
		engine.cache->cold_share = COLD_SHARE_ALL;
		engine.answered = false;
		cache_turn_begin(engine.cache);
		assert_int_equal(cache_get(engine.cache, &get, &later, &answer),
				 CACHE_LATER);
		assert_int_equal(cache_invalidate(engine.cache, &target,
						  one_tag(&tags, "red"), ACK_MEMORY,
						  &later, &answer),
				 CACHE_NOW);
		cache_turn_end(engine.cache);
		while (!engine.answered)
			engine_step(&engine);
		assert_int_equal(engine.answer.kind, ANSWER_MISS);
		/* Both on the disk, and read by a reader. */
		engine_sync(&engine);
		engine.cache->cold_share = COLD_SHARE_ALL;
		assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
	}
	engine_close(&engine);
}

static void
what_is_put_after_the_invalidation_is_there(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	for (int round = 0; round < 4; round++) {
		put_tagged(&engine, "a", "red", 5);
		if (round & 1)
			engine_sync(&engine);
		invalidate(&engine, "red", round & 2 ? ACK_DISK : ACK_MEMORY);
		put_tagged(&engine, "a", "red", 7);
		assert_int_equal(engine_get(&engine, "a"), ANSWER_DONE);
		assert_int_equal(engine.len, 7);
		engine_sync(&engine);
		assert_int_equal(engine_get(&engine, "a"), ANSWER_DONE);
	}
	engine_close(&engine);
}

static void
one_of_several_tags_is_enough(void **state)
{
	struct engine engine;
	struct put put = { .target = engine_target("a"), .ttl_ms = TTL_NEVER };
	struct target target = engine_target("");
	struct tags tags = { .len = 0 }, both = { .len = 0 };
	char tag[8];
	(void)state;

	engine_open(&engine);
	for (int i = 0; i < 16; i++) {
		snprintf(tag, sizeof(tag), "t%d", i);
		add_tag(&tags, tag);
	}
	put.tags = slice(tags.bytes, tags.len);
	for (int i = 0; i < 16; i++) {
		snprintf(tag, sizeof(tag), "t%d", i);
		assert_int_equal(engine_put_as(&engine, &put, "x", 1), ANSWER_DONE);
		if (i % 2)
			engine_sync(&engine);
		invalidate(&engine, "t16", ACK_DISK);
		assert_int_equal(engine_get(&engine, "a"), ANSWER_DONE);
		invalidate(&engine, tag, i % 3 ? ACK_DISK : ACK_MEMORY);
		assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
	}
	put_tagged(&engine, "b", "red", 5);
	put_tagged(&engine, "c", "blue", 5);
	put_tagged(&engine, "d", "green", 5);
	add_tag(&both, "red");
	add_tag(&both, "green");
	invalidate_in(&engine, &target, slice(both.bytes, both.len), ACK_DISK);
	assert_int_equal(engine_get(&engine, "b"), ANSWER_MISS);
	assert_int_equal(engine_get(&engine, "c"), ANSWER_DONE);
	assert_int_equal(engine_get(&engine, "d"), ANSWER_MISS);
	engine_close(&engine);
}

static void
other_namespaces_and_untagged_objects_are_left_alone(void **state)
{
	struct engine engine;
	struct target other = { .uid = 1000,
				.namespace = slice_text("other"),
				.key = slice_text("a") };
	struct target stranger = { .uid = 1001,
				   .namespace = slice_text("default"),
				   .key = slice_text("a") };
	struct target nowhere = { .uid = 1002,
				  .namespace = slice_text("default"),
				  .key = slice_text("") };
	struct get get = { .max_age_ms = TTL_NEVER };
	struct put put = { .ttl_ms = TTL_NEVER };
	struct tags tags;
	(void)state;

	engine_open(&engine);
	put_tagged(&engine, "a", "red", 5);
	put_tagged(&engine, "red", NULL, 5);
	put.tags = one_tag(&tags, "red");
	put.target = other;
	engine_put_as(&engine, &put, "x", 1);
	put.target = stranger;
	engine_put_as(&engine, &put, "x", 1);
	invalidate(&engine, "red", ACK_DISK);
	invalidate_in(&engine, &nowhere, put.tags, ACK_DISK);
	assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
	assert_int_equal(engine_get(&engine, "red"), ANSWER_DONE);
	get.target = other;
	ENGINE_CALL(&engine, cache_get(engine.cache, &get, &later, &answer_));
	assert_int_equal(engine.answer.kind, ANSWER_DONE);
	get.target = stranger;
	ENGINE_CALL(&engine, cache_get(engine.cache, &get, &later, &answer_));
	assert_int_equal(engine.answer.kind, ANSWER_DONE);
	engine_close(&engine);
}

static void
conditions_deletes_touches_and_scans_see_nothing_there(void **state)
{
	struct engine engine;
	struct put put = { .target = engine_target("a"), .ttl_ms = TTL_NEVER };
	struct target all = engine_target("");
	struct tags tags;
	uint64_t version;
	(void)state;

	engine_open(&engine);
	for (int stored = 0; stored < 2; stored++) {
		put_tagged(&engine, "b", NULL, 5);
		put_tagged(&engine, "a", "red", 5);
		version = engine.answer.version;
		if (stored)
			engine_sync(&engine);
		invalidate(&engine, "red", ACK_MEMORY);
		assert_int_equal(engine_touch(&engine, "a", 1000), ANSWER_MISS);
		assert_int_equal(engine_delete(&engine, "a"), ANSWER_MISS);
		put.condition = CONDITION_PRESENT;
		assert_int_equal(engine_put_as(&engine, &put, "x", 1), ANSWER_ERROR);
		assert_int_equal(engine.answer.error, ERROR_ABSENT);
		put.condition = CONDITION_VERSION;
		put.version = version;
		assert_int_equal(engine_put_as(&engine, &put, "x", 1), ANSWER_ERROR);
		assert_int_equal(engine.answer.error, ERROR_ABSENT);
		ENGINE_CALL(&engine, cache_scan(engine.cache, &all, slice("", 0),
						slice("", 0), 10, &later, &answer_));
		assert_int_equal(engine.answer.count, 1);
		put.condition = CONDITION_ABSENT;
		put.tags = one_tag(&tags, "red");
		assert_int_equal(engine_put_as(&engine, &put, "x", 1), ANSWER_DONE);
		ENGINE_CALL(&engine, cache_scan(engine.cache, &all, slice("", 0),
						slice("", 0), 10, &later, &answer_));
		assert_int_equal(engine.answer.count, 2);
		engine_delete(&engine, "a");
	}
	engine_close(&engine);
}

static void
a_touched_object_keeps_its_tags(void **state)
{
	static const size_t lengths[] = { 5, 1950, 60000 };
	struct engine engine;
	(void)state;

	engine_open(&engine);
	for (size_t i = 0; i < 3; i++) {
		put_tagged(&engine, "a", "red", lengths[i]);
		assert_int_equal(engine_touch(&engine, "a", 100000), ANSWER_DONE);
		if (i != 1)
			engine_sync(&engine);
		assert_int_equal(engine_get(&engine, "a"), ANSWER_DONE);
		invalidate(&engine, "red", ACK_MEMORY);
		assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
		engine_sync(&engine);
		assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
	}
	engine_close(&engine);
}

static void
sixteen_tags_and_the_longest_key_leave_room_for_every_value(void **state)
{
	static const size_t lengths[] = { 0, 1, 600, 620, 640, 660, 700, 2000, 60000 };
	struct engine engine;
	struct put put = { .ttl_ms = 100000 };
	struct tags tags = { .len = 0 };
	char key[KEY_MAX + 1], tag[TAG_MAX + 1];
	(void)state;

	memset(key, 'k', KEY_MAX);
	key[KEY_MAX] = '\0';
	for (int i = 0; i < TAGS_MAX; i++) {
		memset(tag, 'a' + i, TAG_MAX);
		tag[TAG_MAX] = '\0';
		add_tag(&tags, tag);
	}
	assert_int_equal(tags_count(slice(tags.bytes, tags.len)), TAGS_MAX);
	engine_open(&engine);
	put.target = engine_target(key);
	put.tags = slice(tags.bytes, tags.len);
	for (size_t i = 0; i < sizeof(lengths) / sizeof(lengths[0]); i++) {
		uint8_t *value = calloc(1, lengths[i] + 1);

		assert_int_equal(engine_put_as(&engine, &put, value, lengths[i]),
				 ANSWER_DONE);
		engine_sync(&engine);
		assert_int_equal(engine_get(&engine, key), ANSWER_DONE);
		assert_true(engine_has(&engine, value, lengths[i]));
		invalidate(&engine, tag, ACK_MEMORY);
		assert_int_equal(engine_get(&engine, key), ANSWER_MISS);
		free(value);
	}
	engine_close(&engine);
}

static void
a_value_that_arrives_in_parts_has_its_tags(void **state)
{
	static uint8_t part[CACHE_PART_MAX];
	static const size_t lengths[] = { 10, 3000000 };
	struct engine engine;
	struct tags tags;
	struct answer refused;
	(void)state;

	engine_open(&engine);
	for (size_t i = 0; i < 2; i++) {
		struct put put = { .target = engine_target("a"),
				   .ttl_ms = TTL_NEVER,
				   .payer = engine.payer,
				   .tags = one_tag(&tags, "red") };
		struct upload *upload =
			upload_open(engine.cache, &put, UINT64_MAX, &refused);

		assert_non_null(upload);
		memset(&tags, 0, sizeof(tags)); /* it has a copy */
		for (size_t left = lengths[i]; left;) {
			size_t now = left < sizeof(part) ? left : sizeof(part);

			while (!upload_ready(upload))
				engine_step(&engine);
			cache_turn_begin(engine.cache);
			assert_int_equal(upload_write(upload, slice(part, now), &refused),
					 0);
			cache_turn_end(engine.cache);
			left -= now;
		}
		ENGINE_CALL(&engine, upload_finish(&upload, &later, &answer_));
		assert_int_equal(engine_get(&engine, "a"), ANSWER_DONE);
		assert_int_equal(engine.len, lengths[i]);
		invalidate(&engine, "red", ACK_DISK);
		assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
	}
	engine_close(&engine);
}

/* ---- what survives */

/* In a process of its own, which ends without closing anything. */
static void
crash_after_invalidating(struct engine *engine)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		engine_reopen(engine);
		put_tagged(engine, "a", "red", 5);
		put_tagged(engine, "b", "blue", 5);
		put_tagged(engine, "c", "red", 60000);
		engine_sync(engine);
		invalidate(engine, "red", ACK_DISK);
		put_tagged(engine, "d", "red", 5);
		engine_sync(engine);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

static void
an_acknowledged_invalidation_survives_a_crash(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	engine_stop(&engine);
	crash_after_invalidating(&engine);
	engine_reopen(&engine);
	assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
	assert_int_equal(engine_get(&engine, "b"), ANSWER_DONE);
	assert_int_equal(engine_get(&engine, "c"), ANSWER_MISS);
	assert_int_equal(engine_get(&engine, "d"), ANSWER_DONE);
	invalidate(&engine, "blue", ACK_DISK);
	assert_int_equal(engine_get(&engine, "b"), ANSWER_MISS);
	engine_close(&engine);
}

/* ---- room */

#define MANY 5000

static void
put_many(struct engine *engine, unsigned count, const char *tag)
{
	char key[16];

	for (unsigned i = 0; i < count; i++) {
		snprintf(key, sizeof(key), "%s-%u", tag, i);
		assert_int_equal(put_tagged(engine, key, tag, i % 100 ? 100 : 60000),
				 ANSWER_DONE);
	}
	engine_sync(engine);
}

static void
the_room_comes_back_and_the_stamps_go(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	put_many(&engine, MANY, "red");
	put_many(&engine, 10, "blue");
	invalidate(&engine, "red", ACK_DISK);
	while (figure(&engine, "objects") > 10)
		engine_step(&engine);
	wait_for_no_stamps(&engine);
	assert_int_equal(figure(&engine, "objects"), 10);
	assert_int_equal(figure(&engine, "invalidated"), MANY);
	assert_int_equal(engine_figure(&engine, "", "invalidated_objects"), MANY);
	assert_int_equal(engine_get(&engine, "red-7"), ANSWER_MISS);
	assert_int_equal(engine_get(&engine, "blue-7"), ANSWER_DONE);
	put_tagged(&engine, "red-7", "red", 5);
	assert_int_equal(engine_get(&engine, "red-7"), ANSWER_DONE);
	engine_close(&engine);
}

static void
a_sweep_goes_on_where_it_was_after_a_restart(void **state)
{
	struct engine engine;
	uint64_t left;
	(void)state;

	engine_open(&engine);
	put_many(&engine, MANY, "red");
	put_many(&engine, 10, "blue");
	invalidate(&engine, "red", ACK_DISK);
	engine_stop(&engine);
	engine_reopen(&engine);
	left = figure(&engine, "objects");
	assert_true(left > 10);
	assert_int_equal(engine_get(&engine, "red-3"), ANSWER_MISS);
	while (figure(&engine, "objects") > 10)
		engine_step(&engine);
	wait_for_no_stamps(&engine);
	/* Counted since the start: none was looked at twice, and none was forgotten. */
	assert_int_equal(figure(&engine, "invalidated"), left - 10);
	assert_int_equal(engine_get(&engine, "blue-3"), ANSWER_DONE);
	engine_close(&engine);
}

static void
where_nothing_has_tags_an_invalidation_leaves_nothing_behind(void **state)
{
	struct engine engine;
	(void)state;

	engine_open(&engine);
	put_tagged(&engine, "a", NULL, 5);
	invalidate(&engine, "red", ACK_DISK);
	assert_int_equal(stamps(&engine), 0);
	assert_int_equal(engine_get(&engine, "a"), ANSWER_DONE);
	engine_close(&engine);
}

/* Asks for a lease of the key, which is missing; it is the peer's. */
static void
hold_lease(struct engine *engine, struct peer *peer, const char *key,
	   uint8_t ret_token[static CACHE_TOKEN_SIZE])
{
	struct get get = { .target = engine_target(key),
			   .max_age_ms = TTL_NEVER,
			   .lease = LEASE_WISH_COMPUTE,
			   .peer = peer };

	ENGINE_CALL(engine, cache_get(engine->cache, &get, &later, &answer_));
	assert_int_equal(engine->answer.kind, ANSWER_MISS);
	assert_int_equal(engine->answer.lease, LEASE_REPLY_GRANTED);
	memcpy(ret_token, engine->answer.token, CACHE_TOKEN_SIZE);
}

static enum answer_kind
publish(struct engine *engine, const char *key, const char *tag,
	const uint8_t token[static CACHE_TOKEN_SIZE])
{
	struct tags tags;
	struct put put = { .target = engine_target(key),
			   .ttl_ms = TTL_NEVER,
			   .tokened = true };

	put.tags = one_tag(&tags, tag);
	memcpy(put.token, token, CACHE_TOKEN_SIZE);
	return engine_put_as(engine, &put, "x", 1);
}

static void
a_flushed_namespace_leaves_no_stamps(void **state)
{
	struct engine engine;
	struct target target = engine_target("");
	struct peer *peer;
	uint8_t token[CACHE_TOKEN_SIZE];
	(void)state;

	engine_open(&engine);
	put_many(&engine, 100, "red");
	peer = cache_peer_new(engine.cache, 1000);
	hold_lease(&engine, peer, "held", token); /* or a sweep may be faster */
	invalidate(&engine, "red", ACK_DISK);
	invalidate(&engine, "blue", ACK_DISK);
	assert_int_equal(stamps(&engine), 2);
	ENGINE_CALL(&engine,
		    cache_flush(engine.cache, &target, ACK_DISK, &later, &answer_));
	cache_peer_free(engine.cache, &peer);
	put_tagged(&engine, "red-1", "red", 5);
	assert_int_equal(engine_get(&engine, "red-1"), ANSWER_DONE);
	assert_int_equal(figure(&engine, "flushed") + figure(&engine, "invalidated"),
			 100);
	assert_int_equal(stamps(&engine), 0);
	engine_stop(&engine);
	engine_reopen(&engine);
	assert_int_equal(engine_get(&engine, "red-1"), ANSWER_DONE);
	assert_int_equal(stamps(&engine), 0);
	engine_close(&engine);
}

static void
a_token_is_old_once_a_tag_of_its_value_was_invalidated(void **state)
{
	struct engine engine;
	struct peer *peer, *next;
	uint8_t token[CACHE_TOKEN_SIZE];
	(void)state;

	engine_open(&engine);
	peer = cache_peer_new(engine.cache, 1000);
	next = cache_peer_new(engine.cache, 1000);
	put_tagged(&engine, "beside", NULL, 5);
	for (int stored = 0; stored < 2; stored++) {
		invalidate(&engine, "red", ACK_DISK);
		hold_lease(&engine, peer, "a", token);
		/* What was invalidated before the grant does not count, nor another tag. */
		invalidate(&engine, "green", ACK_MEMORY);
		assert_int_equal(publish(&engine, "a", "red", token), ANSWER_DONE);
		engine_delete(&engine, "a");

		hold_lease(&engine, peer, "a", token);
		invalidate(&engine, "red", ACK_MEMORY);
		/* Some commits later it is the store that knows. */
		for (int i = 0; stored && i < 3; i++) {
			put_tagged(&engine, "beside", NULL, 5);
			engine_sync(&engine);
		}
		assert_int_equal(publish(&engine, "a", "red", token), ANSWER_ERROR);
		assert_int_equal(engine.answer.error, ERROR_OLD_TOKEN);
		assert_int_equal(engine_get(&engine, "a"), ANSWER_MISS);
		/* The lease is over: the next one computes. */
		hold_lease(&engine, next, "a", token);
		assert_int_equal(publish(&engine, "a", "red", token), ANSWER_DONE);
		assert_int_equal(engine_get(&engine, "a"), ANSWER_DONE);
		engine_delete(&engine, "a");
	}
	cache_peer_free(engine.cache, &next);
	cache_peer_free(engine.cache, &peer);
	wait_for_no_stamps(&engine);
	engine_close(&engine);
}

static void
stamps_are_kept_for_a_lease_that_a_restart_saves(void **state)
{
	struct engine engine;
	struct peer *peer;
	uint8_t red[CACHE_TOKEN_SIZE], blue[CACHE_TOKEN_SIZE];
	(void)state;

	engine_open(&engine);
	peer = cache_peer_new(engine.cache, 1000);
	put_tagged(&engine, "beside", NULL, 5);
	hold_lease(&engine, peer, "a", red);
	hold_lease(&engine, peer, "b", blue);
	invalidate(&engine, "red", ACK_DISK);
	cache_leave(engine.cache);
	cache_peer_free(engine.cache, &peer);
	engine_stop(&engine);
	engine_reopen(&engine);
	assert_int_equal(publish(&engine, "a", "red", red), ANSWER_ERROR);
	assert_int_equal(engine.answer.error, ERROR_OLD_TOKEN);
	assert_int_equal(publish(&engine, "b", "blue", blue), ANSWER_DONE);
	wait_for_no_stamps(&engine);
	engine_close(&engine);
}

/* A namespace that is mostly stamps, in a store that is full: they make room themselves. */
static void
more_stamps_than_objects_are_replaced_by_one_for_all(void **state)
{
	struct engine engine;
	struct target other = { .uid = 1000,
				.namespace = slice_text("other"),
				.key = slice_text("") };
	struct target target = engine_target("");
	struct put put = { .ttl_ms = TTL_NEVER };
	struct peer *peer;
	uint8_t token[CACHE_TOKEN_SIZE];
	static uint8_t value[60000];
	char name[32];
	(void)state;

	engine_open_with(&engine, 64 << 20);
	peer = cache_peer_new(engine.cache, 1000);
	put_tagged(&engine, "old", "red", 5);
	engine_sync(&engine);
	hold_lease(&engine, peer, "held", token); /* no sweep drops what comes now */
	invalidate(&engine, "red", ACK_DISK);
	for (unsigned i = 0; i < 20000; i++) {
		struct tags tags = { .len = 0 };

		for (unsigned j = 0; j < TAGS_MAX; j++) {
			snprintf(name, sizeof(name), "tag-%u-%u", i, j);
			add_tag(&tags, name);
		}
		invalidate_in(&engine, &target, slice(tags.bytes, tags.len), ACK_MEMORY);
	}
	assert_int_equal(stamps(&engine), 1 + 20000 * TAGS_MAX);
	for (unsigned i = 0; stamps(&engine) > 1000; i++) {
		snprintf(name, sizeof(name), "%u", i);
		put.target = other;
		put.target.key = slice_text(name);
		engine_put_as(&engine, &put, value, sizeof(value));
	}
	assert_int_equal(engine_get(&engine, "old"), ANSWER_MISS);
	put_tagged(&engine, "new", "red", 5);
	engine_sync(&engine);
	assert_int_equal(engine_get(&engine, "new"), ANSWER_DONE);
	/* It stands for every tag: which of them were invalidated nobody knows any more. */
	assert_int_equal(publish(&engine, "held", "another", token), ANSWER_ERROR);
	assert_int_equal(engine.answer.error, ERROR_OLD_TOKEN);
	cache_peer_free(engine.cache, &peer);
	engine_close(&engine);
}

/* ---- the field */

static void
only_a_sound_list_of_tags_is_one(void **state)
{
	uint8_t bytes[TAGS_SIZE_MAX + 2] = { 0 };
	(void)state;

	assert_int_equal(tags_count(slice("", 0)), 0);
	assert_int_equal(tags_count(slice("\0", 1)), 0);
	assert_int_equal(tags_count(slice("\1a", 2)), 1);
	assert_int_equal(tags_count(slice("\1a\0", 3)), 0);
	assert_int_equal(tags_count(slice("\2a", 2)), 0);
	assert_int_equal(tags_count(slice("\1a\1", 3)), 0);
	assert_int_equal(tags_count(slice("\xff", 1)), 0);
	for (size_t i = 0; i < 17; i++)
		bytes[2 * i] = 1;
	assert_int_equal(tags_count(slice(bytes, 32)), 16);
	assert_int_equal(tags_count(slice(bytes, 34)), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			an_invalidated_object_is_absent_at_once_wherever_it_lies),
		cmocka_unit_test(
			what_a_reader_brings_is_judged_by_what_was_invalidated_meanwhile),
		cmocka_unit_test(what_is_put_after_the_invalidation_is_there),
		cmocka_unit_test(one_of_several_tags_is_enough),
		cmocka_unit_test(other_namespaces_and_untagged_objects_are_left_alone),
		cmocka_unit_test(conditions_deletes_touches_and_scans_see_nothing_there),
		cmocka_unit_test(a_touched_object_keeps_its_tags),
		cmocka_unit_test(
			sixteen_tags_and_the_longest_key_leave_room_for_every_value),
		cmocka_unit_test(a_value_that_arrives_in_parts_has_its_tags),
		cmocka_unit_test(an_acknowledged_invalidation_survives_a_crash),
		cmocka_unit_test(the_room_comes_back_and_the_stamps_go),
		cmocka_unit_test(a_sweep_goes_on_where_it_was_after_a_restart),
		cmocka_unit_test(
			where_nothing_has_tags_an_invalidation_leaves_nothing_behind),
		cmocka_unit_test(a_flushed_namespace_leaves_no_stamps),
		cmocka_unit_test(a_token_is_old_once_a_tag_of_its_value_was_invalidated),
		cmocka_unit_test(stamps_are_kept_for_a_lease_that_a_restart_saves),
		cmocka_unit_test(more_stamps_than_objects_are_replaced_by_one_for_all),
		cmocka_unit_test(only_a_sound_list_of_tags_is_one),
	};

	return unit_run(tests);
}
