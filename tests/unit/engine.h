/* engine.h - a cache in a private directory, for unit tests: every call answered before it returns. */
#ifndef BRINE_TESTS_ENGINE_H
#define BRINE_TESTS_ENGINE_H

#include "tests/unit/unit.h"

#include <ftw.h>
#include <poll.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/cache.h"
#include "daemon/clock.h"
#include "daemon/log.h"

/* Only to notice that something hangs. */
#define ENGINE_HUNG_MS 60000

struct engine {
	char path[64];
	struct cache_config config;
	struct cache *cache;
	struct payer *payer;
	/* The answer of the last call; bytes is a copy of its value. */
	struct answer answer;
	uint8_t *bytes;
	size_t len;
	uint8_t cursor[MESSAGE_CURSOR_MAX];
	bool answered;
	bool part_came;
	bool last;
	enum error broken;
};

static _Atomic uint64_t engine_wall_us = 1700000000000000;

static inline uint64_t
engine_mono(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static inline uint64_t
engine_wall(void)
{
	return engine_wall_us;
}

/* Daemon time stands still until a test moves it. */
static const struct clock_source engine_clock = {
	.mono_ns = engine_mono,
	.boot_us = engine_wall,
	.wall_us = engine_wall,
};

static inline void
engine_pass_ms(uint64_t ms)
{
	engine_wall_us += ms * 1000;
	clock_tick();
}

static inline int
engine_remove_one(const char *path, const struct stat *status, int type,
		  struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static inline void
engine_reopen(struct engine *engine)
{
	char error[CACHE_ERROR_MAX];

	if (cache_open(&engine->config, 0, &engine->cache, error))
		fail_msg("%s", error);
	engine->payer = payer_new(engine->cache, 1000);
}

static inline void
engine_open_with(struct engine *engine, uint64_t max_size)
{
	memset(engine, 0, sizeof(*engine));
	clock_use(&engine_clock);
	log_set_level(LOG_ERROR);
	strcpy(engine->path, "/tmp/brine-unit-XXXXXX");
	assert_non_null(mkdtemp(engine->path));
	engine->config = (struct cache_config){
		.path = engine->path,
		.max_size = max_size,
		.commit_delay_ns = 5000000,
		.max_unflushed_ns = 250000000,
		.max_namespaces = 256,
		.reader_threads = 2,
		.pending_size = 64 << 20,
	};
	engine_reopen(engine);
}

static inline void
engine_open(struct engine *engine)
{
	engine_open_with(engine, 256 << 20);
}

static inline void
engine_stop(struct engine *engine)
{
	payer_release(&engine->payer);
	cache_close(&engine->cache);
}

static inline void
engine_close(struct engine *engine)
{
	engine_stop(engine);
	free(engine->bytes);
	nftw(engine->path, engine_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Lets the engine work until its next event. */
static inline void
engine_step(struct engine *engine)
{
	struct pollfd wake = { cache_wake_fd(engine->cache), POLLIN, 0 };
	uint64_t now = clock_mono_ns(), deadline = cache_deadline_ns(engine->cache);
	int wait = ENGINE_HUNG_MS;

	if (deadline != UINT64_MAX)
		wait = deadline > now ? (int)((deadline - now) / 1000000 + 1) : 0;
	if (poll(&wake, 1, wait) == 0 && wait == ENGINE_HUNG_MS)
		fail_msg("the engine hangs");
	if (wake.revents)
		cache_wake(engine->cache);
	cache_turn_begin(engine->cache);
	cache_turn_end(engine->cache);
}

static inline void
engine_take(struct engine *engine, const struct answer *answer)
{
	engine->answer = *answer;
	engine->len = answer->value.len;
	engine->bytes = realloc(engine->bytes, answer->value.len + 1);
	if (answer->value.len)
		memcpy(engine->bytes, answer->value.data, answer->value.len);
	if (answer->cursor.len) {
		memcpy(engine->cursor, answer->cursor.data, answer->cursor.len);
		engine->answer.cursor.data = engine->cursor;
	}
	free(answer->owner);
	engine->answered = true;
}

static inline void
engine_answered(void *arg, uint32_t id, const struct answer *answer)
{
	(void)id;
	engine_take(arg, answer);
}

static inline void
engine_part(void *arg, const struct part *part)
{
	struct engine *engine = arg;

	engine->part_came = true;
	engine->last = part->last;
	engine->broken = part->error;
	if (part->error)
		return;
	engine->bytes = realloc(engine->bytes, engine->len + part->bytes.len + 1);
	memcpy(engine->bytes + engine->len, part->bytes.data, part->bytes.len);
	engine->len += part->bytes.len;
}

/* Reads a streamed value to its end. */
static inline void
engine_drain(struct engine *engine)
{
	struct download *download = engine->answer.download;

	engine->last = false;
	engine->broken = ERROR_NONE;
	while (!engine->last && !engine->broken) {
		engine->part_came = false;
		download_next(download, engine_part, engine);
		while (!engine->part_came)
			engine_step(engine);
	}
	download_close(&download);
}

#define ENGINE_CALL(engine, call)                                                        \
	do {                                                                             \
		struct later later = { .answered = engine_answered,                      \
				       .arg = (engine),                                  \
				       .id = 0 };                                        \
		struct answer answer_;                                                   \
		(engine)->answered = false;                                              \
		cache_turn_begin((engine)->cache);                                       \
		if ((call) == CACHE_NOW)                                                 \
			engine_take((engine), &answer_);                                 \
		cache_turn_end((engine)->cache);                                         \
		while (!(engine)->answered)                                              \
			engine_step(engine);                                             \
		(void)later;                                                             \
	} while (0)

static inline struct target
engine_target(const char *key)
{
	return (struct target){ .uid = 1000,
				.namespace = slice_text("default"),
				.key = slice_text(key) };
}

static inline enum answer_kind
engine_put_as(struct engine *engine, const struct put *put, const void *value, size_t len)
{
	struct put paid = *put;

	paid.payer = engine->payer;
	ENGINE_CALL(engine,
		    cache_put(engine->cache, &paid, slice(value, len), &later, &answer_));
	return engine->answer.kind;
}

static inline enum answer_kind
engine_put(struct engine *engine, const char *key, const void *value, size_t len)
{
	struct put put = { .target = engine_target(key), .ttl_ms = TTL_NEVER };

	return engine_put_as(engine, &put, value, len);
}

static inline enum answer_kind
engine_get(struct engine *engine, const char *key)
{
	struct get get = { .target = engine_target(key), .max_age_ms = TTL_NEVER };

	ENGINE_CALL(engine, cache_get(engine->cache, &get, &later, &answer_));
	if (engine->answer.download)
		engine_drain(engine);
	return engine->answer.kind;
}

static inline enum answer_kind
engine_delete(struct engine *engine, const char *key)
{
	struct target target = engine_target(key);

	ENGINE_CALL(engine,
		    cache_delete(engine->cache, &target, 0, ACK_DISK, &later, &answer_));
	return engine->answer.kind;
}

static inline enum answer_kind
engine_touch(struct engine *engine, const char *key, uint64_t ttl_ms)
{
	struct target target = engine_target(key);

	ENGINE_CALL(engine, cache_touch(engine->cache, &target, ttl_ms, ACK_MEMORY,
					&later, &answer_));
	return engine->answer.kind;
}

static inline void
engine_sync(struct engine *engine)
{
	ENGINE_CALL(engine, cache_sync(engine->cache, 1000, &later, &answer_));
}

static inline bool
engine_admin(void *arg)
{
	(void)arg;
	return true;
}

/* A figure of STATS; scope "" for the daemon's. */
static inline uint64_t
engine_figure(struct engine *engine, const char *scope, const char *name)
{
	char line[128];
	const char *found;

	const struct stats_reader reader = { .uid = 1000, .admin = engine_admin };

	ENGINE_CALL(engine, cache_stats(engine->cache, &reader, &later, &answer_));
	engine->bytes[engine->len] = '\0';
	snprintf(line, sizeof(line), "%s\t%s\t", scope, name);
	found = strstr((const char *)engine->bytes, line);
	assert_non_null(found);
	return strtoull(found + strlen(line), NULL, 10);
}

static inline bool
engine_has(const struct engine *engine, const void *value, size_t len)
{
	return engine->len == len && memcmp(engine->bytes, value, len) == 0;
}

#endif
