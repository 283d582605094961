/* test_random.c - random operations on the engine against a naive model, under a clock that the test moves,
 * with restarts in between. Up to FLYING operations are under way at once, at most one for each key, so
 * that the model knows each answer beforehand whatever the order in which they come.
 * BRINE_SEED repeats a run, BRINE_OPS sets its length. */
#include "tests/unit/engine.h"

#define KEYS 160
#define SPACES 4
#define FLYING 12
#define OPS 4000
#define VALUE_MAX (3u << 20)
#define UPLOAD_PART_MAX (1u << 20)
#define TAGS 8
#define TAG_LEN 6 /* and its length before it */

/* Two uids with a namespace of the same name, and one with two. */
static const struct space {
	uint32_t uid;
	const char *name;
} spaces[SPACES] = {
	{ 1000, "default" }, { 1001, "default" }, { 1001, "web" }, { 0, "a.b-c_d" }
};

enum what {
	DO_PUT,
	DO_GET,
	DO_META,
	DO_DELETE,
	DO_TOUCH,
	DO_UPLOAD,
};

/* What the model knows of a key. */
struct object {
	bool there;
	bool busy; /* an operation on it is under way */
	uint64_t version;
	uint32_t seed;
	size_t len;
	uint32_t codec;
	uint64_t cost_us;
	uint64_t created_ms;
	uint64_t expires_ms; /* TTL_NEVER */
	uint64_t ttl_ms;
	unsigned tags; /* a bit for each */
};

struct flight {
	struct run *run;
	bool used;
	enum what what;
	unsigned space, key;
	/* The answer that is due. */
	enum answer_kind kind;
	enum error error;
	struct object expected; /* of a get; of a put what is stored if it goes well */
	uint64_t not_version;
	/* A value that comes in parts. */
	struct download *download;
	bool asked;
	uint8_t *bytes;
	size_t len;
	/* A value that goes in parts. */
	struct upload *upload;
};

struct run {
	struct engine engine;
	uint64_t seed, state;
	unsigned op;
	bool may_evict;
	uint64_t now_ms;
	uint64_t last_version;
	struct object objects[SPACES][KEYS];
	struct flight flights[FLYING];
	unsigned flying;
	unsigned hits, misses, restarts, invalidated;
	uint8_t *value;
	uint8_t tags[TAGS * TAG_LEN + 1]; /* of the put that is being made */
};

#define MUST(run, condition)                                                             \
	do {                                                                             \
		if (!(condition))                                                        \
			fail_msg("%s:%d: %s; BRINE_SEED=%llu, operation %u", __FILE__,   \
				 __LINE__, #condition, (unsigned long long)(run)->seed,  \
				 (run)->op);                                             \
	} while (0)

/* xorshift64* */
static uint64_t
dice(struct run *run, uint64_t below)
{
	run->state ^= run->state >> 12;
	run->state ^= run->state << 25;
	run->state ^= run->state >> 27;
	return run->state * 0x2545f4914f6cdd1d % below;
}

static void
fill(uint8_t *to, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)((i ^ i >> 8 ^ i >> 16) * 167 + seed);
}

static bool
filled(const uint8_t *from, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++)
		if (from[i] != (uint8_t)((i ^ i >> 8 ^ i >> 16) * 167 + seed))
			return false;
	return true;
}

/* All layouts, their boundaries oftenest. */
static size_t
choose_len(struct run *run)
{
	static const size_t around[] = { 1,     1900,  1960,   4056,   8112,
					 61000, 65496, 130992, 1047936 };

	switch (dice(run, 16)) {
	case 0:
		return 0;
	case 1:
		return dice(run, VALUE_MAX);
	case 2:
	case 3:
		return around[dice(run, 9)] + dice(run, 5) - 1;
	case 4:
		return 1850 + dice(run, 150);
	case 5:
	case 6:
		return dice(run, 70000);
	default:
		return dice(run, 2500);
	}
}

static uint64_t
choose_ttl(struct run *run)
{
	return dice(run, 2) ? TTL_NEVER : 1 + dice(run, dice(run, 2) ? 50 : 100000);
}

static struct object *
object_of(struct run *run, const struct flight *flight)
{
	return &run->objects[flight->space][flight->key];
}

static struct target
target_of(unsigned space, unsigned key, char text[static 1100])
{
	/* Every seventh key is as long as a key can be. */
	int len = snprintf(text, 1100, "key-%0*u", key % 7 == 0 ? 1019 : 3, key);

	return (struct target){ .uid = spaces[space].uid,
				.namespace = slice_text(spaces[space].name),
				.key = slice(text, (size_t)len) };
}

static bool
lives(const struct run *run, const struct object *object)
{
	return object->there &&
	       (object->expires_ms == TTL_NEVER || object->expires_ms > run->now_ms);
}

static void
land(struct run *run, struct flight *flight)
{
	object_of(run, flight)->busy = false;
	free(flight->bytes);
	*flight = (struct flight){ .used = false };
	run->flying--;
}

/* ---- answers */

static void
check_value(struct run *run, struct flight *flight, const uint8_t *bytes, size_t len)
{
	MUST(run, len == flight->expected.len);
	MUST(run, filled(bytes, len, flight->expected.seed));
	run->hits++;
	land(run, flight);
}

static void
check_meta(struct run *run, const struct flight *flight, const struct answer *answer)
{
	const struct object *object = &flight->expected;

	MUST(run, answer->has_meta);
	MUST(run, answer->version == object->version);
	MUST(run, answer->length == object->len);
	MUST(run, answer->codec == object->codec);
	MUST(run, answer->cost_us == object->cost_us);
	MUST(run, answer->writer_uid == spaces[flight->space].uid);
	MUST(run, answer->age_ms == run->now_ms - object->created_ms);
	MUST(run, answer->ttl_left_ms == (object->expires_ms == TTL_NEVER
						  ? TTL_NEVER
						  : object->expires_ms - run->now_ms));
}

static void
check_get(struct run *run, struct flight *flight, const struct answer *answer)
{
	if (answer->kind == ANSWER_MISS && run->may_evict && !flight->not_version)
		object_of(run, flight)->there = false;
	if (answer->kind == ANSWER_MISS) {
		MUST(run, flight->kind == ANSWER_MISS || run->may_evict);
		run->misses++;
		land(run, flight);
		return;
	}
	MUST(run, answer->kind == ANSWER_DONE && flight->kind == ANSWER_DONE);
	check_meta(run, flight, answer);
	flight->download = answer->download;
	if (flight->what == DO_META) {
		MUST(run, !answer->value.data && !answer->download);
		land(run, flight);
	} else if (!flight->download) {
		check_value(run, flight, answer->value.data, answer->value.len);
	}
	free(answer->owner);
}

/* A put's object counts from its acceptance on. */
static void
check_stored(struct run *run, struct flight *flight, const struct answer *answer)
{
	MUST(run, answer->kind == flight->kind);
	if (answer->kind == ANSWER_ERROR) {
		MUST(run, answer->error == flight->error);
	} else {
		MUST(run, answer->version > 0);
		*object_of(run, flight) = flight->expected;
		object_of(run, flight)->version = answer->version;
	}
	land(run, flight);
}

static void
on_answer(void *arg, uint32_t id, const struct answer *answer)
{
	struct flight *flight = arg;
	struct run *run = flight->run;

	(void)id;
	if (answer->kind == ANSWER_ERROR && answer->error != flight->error)
		fail_msg("error %d; BRINE_SEED=%llu, operation %u", answer->error,
			 (unsigned long long)run->seed, run->op);
	switch (flight->what) {
	case DO_GET:
	case DO_META:
		check_get(run, flight, answer);
		return;
	case DO_PUT:
	case DO_UPLOAD:
		check_stored(run, flight, answer);
		return;
	case DO_DELETE:
		MUST(run, answer->kind == flight->kind || run->may_evict);
		if (answer->kind != ANSWER_ERROR)
			object_of(run, flight)->there = false;
		land(run, flight);
		return;
	case DO_TOUCH:
		MUST(run, answer->kind == flight->kind || run->may_evict);
		if (answer->kind == ANSWER_DONE) {
			MUST(run, answer->version == flight->expected.version);
			*object_of(run, flight) = flight->expected;
		}
		land(run, flight);
		return;
	}
}

static void
on_part(void *arg, const struct part *part)
{
	struct flight *flight = arg;
	struct run *run = flight->run;

	MUST(run, part->error == ERROR_NONE);
	MUST(run, flight->len + part->bytes.len <= flight->expected.len);
	flight->bytes = realloc(flight->bytes, flight->expected.len + 1);
	memcpy(flight->bytes + flight->len, part->bytes.data, part->bytes.len);
	flight->len += part->bytes.len;
	flight->asked = false;
	if (!part->last)
		return;
	download_close(&flight->download);
	check_value(run, flight, flight->bytes, flight->len);
}

/* ---- operations */

/* A key of which nothing is under way; NULL when all flights are taken. */
static struct flight *
start(struct run *run, enum what what)
{
	struct flight *flight = run->flights;

	while (flight < run->flights + FLYING && flight->used)
		flight++;
	if (flight == run->flights + FLYING)
		return NULL;
	*flight = (struct flight){ .run = run,
				   .used = true,
				   .what = what,
				   .space = (unsigned)dice(run, SPACES),
				   .key = (unsigned)dice(run, KEYS) };
	if (object_of(run, flight)->busy) {
		flight->used = false;
		return NULL;
	}
	object_of(run, flight)->busy = true;
	flight->expected = *object_of(run, flight);
	run->flying++;
	return flight;
}

static struct later
later_of(struct flight *flight)
{
	return (struct later){ .answered = on_answer, .arg = flight };
}

static void
get(struct run *run, enum what what)
{
	struct flight *flight = start(run, what);
	struct answer answer;
	struct later later;
	char text[1100];
	struct get get;

	if (!flight)
		return;
	later = later_of(flight);
	get = (struct get){ .target = target_of(flight->space, flight->key, text),
			    .max_age_ms = TTL_NEVER,
			    .meta_only = what == DO_META };
	flight->kind = lives(run, &flight->expected) ? ANSWER_DONE : ANSWER_MISS;
	if (dice(run, 8) == 0) {
		get.max_age_ms = dice(run, 1000);
		if (flight->expected.created_ms + get.max_age_ms < run->now_ms)
			flight->kind = ANSWER_MISS;
	}
	if (flight->kind == ANSWER_DONE && dice(run, 16) == 0) {
		get.not_version = flight->not_version = flight->expected.version;
		flight->kind = ANSWER_MISS;
	}
	/* A miss for this get alone must not make the model forget the object. */
	if (flight->kind == ANSWER_MISS)
		flight->not_version = 1;
	if (flight->kind == ANSWER_DONE && dice(run, 8) == 0) {
		uint64_t ttl_ms = get.refresh_ms = dice(run, 2) * dice(run, 5000);
		struct object *object = object_of(run, flight);

		get.refresh = true;
		if (!ttl_ms)
			ttl_ms = object->expires_ms == TTL_NEVER ? TTL_NEVER
								 : object->ttl_ms;
		object->ttl_ms = ttl_ms;
		object->expires_ms =
			ttl_ms == TTL_NEVER ? TTL_NEVER : run->now_ms + ttl_ms;
	}
	if (cache_get(run->engine.cache, &get, &later, &answer) == CACHE_NOW)
		on_answer(flight, later.id, &answer);
}

/* Half of all objects have none. */
static unsigned
choose_tags(struct run *run)
{
	return dice(run, 2) ? 0 : 1u << dice(run, TAGS) | 1u << dice(run, TAGS);
}

static struct slice
write_tags(struct run *run, unsigned tags)
{
	size_t len = 0;

	for (unsigned i = 0; i < TAGS; i++)
		if (tags & 1u << i)
			len += (size_t)snprintf((char *)run->tags + len, TAG_LEN + 1,
						"\5tag-%u", i);
	return slice(run->tags, len);
}

/* Chooses what is stored, and under which condition; says what will come of it. */
static struct put
prepare(struct run *run, struct flight *flight, char text[static 1100])
{
	struct object old = flight->expected;
	bool lived = lives(run, &old);
	struct put put = { .target = target_of(flight->space, flight->key, text),
			   .payer = run->engine.payer,
			   .ttl_ms = choose_ttl(run),
			   .codec = (uint32_t)dice(run, UINT32_MAX),
			   .cost_us = dice(run, 2) * dice(run, 1000000),
			   .condition = (enum condition)(dice(run, 3) ? 0 : dice(run, 4)),
			   .ack = (enum ack)dice(run, 3) };

	if (run->may_evict)
		put.condition = CONDITION_NONE;
	flight->expected = (struct object){
		.there = true,
		.busy = true,
		.seed = (uint32_t)dice(run, UINT32_MAX),
		.len = choose_len(run),
		.codec = put.codec,
		.cost_us = put.cost_us,
		.created_ms = run->now_ms,
		.ttl_ms = put.ttl_ms,
		.expires_ms =
			put.ttl_ms == TTL_NEVER ? TTL_NEVER : run->now_ms + put.ttl_ms,
		.tags = choose_tags(run),
	};
	put.tags = write_tags(run, flight->expected.tags);
	flight->kind = ANSWER_DONE;
	if (put.condition == CONDITION_ABSENT && lived)
		flight->error = ERROR_EXISTS;
	if (put.condition == CONDITION_PRESENT && !lived)
		flight->error = ERROR_ABSENT;
	if (put.condition == CONDITION_VERSION) {
		put.version = old.version + (dice(run, 3) == 0) + !old.version;
		if (!lived)
			flight->error = ERROR_ABSENT;
		else if (put.version != old.version)
			flight->error = ERROR_CHANGED;
	}
	if (flight->error)
		flight->kind = ANSWER_ERROR;
	return put;
}

static void
put(struct run *run)
{
	struct flight *flight = start(run, DO_PUT);
	struct answer answer;
	struct later later;
	char text[1100];
	struct put put;

	if (!flight)
		return;
	put = prepare(run, flight, text);
	if (flight->expected.len > CACHE_PART_MAX)
		flight->expected.len = CACHE_PART_MAX;
	fill(run->value, flight->expected.len, flight->expected.seed);
	later = later_of(flight);
	if (cache_put(run->engine.cache, &put, slice(run->value, flight->expected.len),
		      &later, &answer) == CACHE_NOW)
		on_answer(flight, later.id, &answer);
}

/* Whole in one turn or not at all: the model's time of a put is that of its last byte. */
static void
upload(struct run *run)
{
	struct flight *flight = start(run, DO_UPLOAD);
	struct answer answer;
	struct later later;
	char text[1100];
	struct put put;
	bool known = dice(run, 2), give_up = dice(run, 4) == 0;
	size_t at = 0, len;

	if (!flight)
		return;
	put = prepare(run, flight, text);
	len = flight->expected.len;
	fill(run->value, len, flight->expected.seed);
	flight->upload =
		upload_open(run->engine.cache, &put, known ? len : UINT64_MAX, &answer);
	MUST(run, flight->upload);
	while (at < len) {
		size_t part = 1 + dice(run, dice(run, 2) ? UPLOAD_PART_MAX : 30000);

		if (part > len - at)
			part = len - at;
		if (give_up && at > len / 2)
			break;
		MUST(run, upload_write(flight->upload, slice(run->value + at, part),
				       &answer) == 0);
		at += part;
	}
	if (give_up) {
		upload_abort(&flight->upload);
		land(run, flight);
		return;
	}
	later = later_of(flight);
	if (upload_finish(&flight->upload, &later, &answer) == CACHE_NOW)
		on_answer(flight, later.id, &answer);
}

static void delete (struct run *run)
{
	struct flight *flight = start(run, DO_DELETE);
	struct answer answer;
	struct later later;
	struct target target;
	uint64_t version = 0;
	char text[1100];

	if (!flight)
		return;
	target = target_of(flight->space, flight->key, text);
	later = later_of(flight);
	flight->kind = lives(run, &flight->expected) ? ANSWER_DONE : ANSWER_MISS;
	if (flight->kind == ANSWER_DONE && dice(run, 4) == 0 && !run->may_evict) {
		version = flight->expected.version + dice(run, 2);
		if (version != flight->expected.version) {
			flight->kind = ANSWER_ERROR;
			flight->error = ERROR_CHANGED;
		}
	}
	if (cache_delete(run->engine.cache, &target, version, (enum ack)dice(run, 3),
			 &later, &answer) == CACHE_NOW)
		on_answer(flight, later.id, &answer);
}

static void
touch(struct run *run)
{
	struct flight *flight = start(run, DO_TOUCH);
	struct answer answer;
	struct later later;
	struct target target;
	uint64_t ttl_ms = choose_ttl(run);
	char text[1100];

	if (!flight)
		return;
	target = target_of(flight->space, flight->key, text);
	later = later_of(flight);
	flight->kind = lives(run, &flight->expected) ? ANSWER_DONE : ANSWER_MISS;
	flight->expected.ttl_ms = ttl_ms;
	flight->expected.expires_ms =
		ttl_ms == TTL_NEVER ? TTL_NEVER : run->now_ms + ttl_ms;
	if (cache_touch(run->engine.cache, &target, ttl_ms, (enum ack)dice(run, 3),
			&later, &answer) == CACHE_NOW)
		on_answer(flight, later.id, &answer);
}

/* ---- what concerns many keys: everything under way lands first */

static void
ask_for_parts(struct run *run)
{
	for (struct flight *at = run->flights; at < run->flights + FLYING; at++) {
		if (!at->used || !at->download || at->asked)
			continue;
		at->asked = true;
		download_next(at->download, on_part, at);
	}
}

/* What has happened by now. */
static void
look(struct run *run)
{
	struct pollfd wake = { cache_wake_fd(run->engine.cache), POLLIN, 0 };

	if (poll(&wake, 1, 0) == 1)
		cache_wake(run->engine.cache);
}

static void
settle(struct run *run)
{
	while (run->flying) {
		ask_for_parts(run);
		if (run->flying)
			engine_step(&run->engine);
	}
}

static void
flush(struct run *run)
{
	unsigned space = (unsigned)dice(run, SPACES);
	struct target target = { .uid = spaces[space].uid,
				 .namespace = slice_text(spaces[space].name),
				 .key = slice("", 0) };
	enum ack ack = (enum ack)dice(run, 3);

	settle(run);
	ENGINE_CALL(&run->engine,
		    cache_flush(run->engine.cache, &target, ack, &later, &answer_));
	MUST(run, run->engine.answer.kind == ANSWER_DONE);
	for (unsigned key = 0; key < KEYS; key++)
		run->objects[space][key].there = false;
}

/* Does the order matter, of this and of what is under way? */
static bool
concerns(const struct run *run, unsigned space, unsigned tags)
{
	for (const struct flight *at = run->flights; at < run->flights + FLYING; at++)
		if (at->used && at->space == space &&
		    (run->objects[space][at->key].tags | at->expected.tags) & tags)
			return true;
	return false;
}

static void
invalidate(struct run *run)
{
	unsigned space = (unsigned)dice(run, SPACES);
	unsigned tags = 1u << dice(run, TAGS) | 1u << dice(run, TAGS);
	struct target target = { .uid = spaces[space].uid,
				 .namespace = slice_text(spaces[space].name),
				 .key = slice("", 0) };
	enum ack ack = (enum ack)dice(run, 3);

	if (concerns(run, space, tags))
		settle(run);
	ENGINE_CALL(&run->engine,
		    cache_invalidate(run->engine.cache, &target, write_tags(run, tags),
				     ack, &later, &answer_));
	MUST(run, run->engine.answer.kind == ANSWER_DONE);
	for (unsigned key = 0; key < KEYS; key++) {
		struct object *object = &run->objects[space][key];

		if (!(object->tags & tags))
			continue;
		run->invalidated += object->there;
		object->there = false;
	}
}

/* Every live key exactly once, nothing else. */
static void
scan(struct run *run)
{
	unsigned space = (unsigned)dice(run, SPACES), limit = 1 + (unsigned)dice(run, 60);
	struct target target = { .uid = spaces[space].uid,
				 .namespace = slice_text(spaces[space].name),
				 .key = slice("", 0) };
	bool seen[KEYS] = { false };
	struct slice cursor = slice("", 0);
	uint8_t kept[MESSAGE_CURSOR_MAX];

	settle(run);
	do {
		const uint8_t *at;

		ENGINE_CALL(&run->engine,
			    cache_scan(run->engine.cache, &target, slice("key-", 4),
				       cursor, limit, &later, &answer_));
		MUST(run, run->engine.answer.kind == ANSWER_DONE);
		MUST(run, run->engine.answer.count <= limit);
		at = run->engine.bytes;
		for (unsigned i = 0; i < run->engine.answer.count; i++) {
			uint16_t len, key_len;
			char text[KEY_MAX + 1];
			unsigned key;

			memcpy(&len, at, 2);
			memcpy(&key_len, at + 2, 2);
			MUST(run, key_len <= KEY_MAX);
			memcpy(text, at + 40, key_len);
			text[key_len] = '\0';
			key = (unsigned)strtoul(text + 4, NULL, 10);
			MUST(run, key < KEYS && !seen[key]);
			MUST(run, lives(run, &run->objects[space][key]));
			MUST(run,
			     memcmp(at + 24, &run->objects[space][key].version, 8) == 0);
			seen[key] = true;
			at += len;
		}
		MUST(run, at == run->engine.bytes + run->engine.len);
		cursor = run->engine.answer.cursor;
		memcpy(kept, cursor.data ? cursor.data : "", cursor.len);
		cursor.data = kept;
	} while (cursor.len);
	for (unsigned key = 0; key < KEYS && !run->may_evict; key++)
		MUST(run, seen[key] == lives(run, &run->objects[space][key]));
}

static void
pass_time(struct run *run)
{
	settle(run);
	engine_pass_ms(1 + dice(run, dice(run, 4) ? 20 : 20000));
	run->now_ms = clock_now_ms();
}

static void
restart(struct run *run)
{
	settle(run);
	engine_stop(&run->engine);
	if (dice(run, 2))
		engine_pass_ms(dice(run, 1000));
	engine_reopen(&run->engine);
	run->now_ms = clock_now_ms();
	run->restarts++;
}

/* Every row is as it was written, and every namespace counts what it holds. */
static void
verify(struct run *run)
{
	struct slice cursor = slice(NULL, 0);
	struct engine *engine = &run->engine;
	unsigned long long rows, bytes, moving;
	int end;

	do {
		ENGINE_CALL(engine,
			    cache_verify(engine->cache, 0, cursor, &later, &answer_));
		MUST(run, engine->answer.kind == ANSWER_DONE);
		engine->bytes[engine->len] = '\0';
		end = 0;
		sscanf((const char *)engine->bytes,
		       "\trows\t%llu\n\tbytes\t%llu\n\tdamaged\t0\n\tmisplaced\t0\n"
		       "\tincomplete\t0\n\tunowned\t0\n\tnot_counted\t%llu\n%n",
		       &rows, &bytes, &moving, &end);
		if ((size_t)end != engine->len)
			print_error("%s", (const char *)engine->bytes);
		MUST(run, (size_t)end == engine->len);
		cursor = engine->answer.cursor;
	} while (cursor.len);
}

static void
check_everything(struct run *run)
{
	settle(run);
	verify(run);
	for (unsigned space = 0; space < SPACES; space++) {
		for (unsigned key = 0; key < KEYS; key++) {
			struct object *object = &run->objects[space][key];
			char text[1100];
			struct get get = { .target = target_of(space, key, text),
					   .max_age_ms = TTL_NEVER };

			ENGINE_CALL(&run->engine,
				    cache_get(run->engine.cache, &get, &later, &answer_));
			if (run->engine.answer.download)
				engine_drain(&run->engine);
			if (run->engine.answer.kind == ANSWER_MISS) {
				MUST(run, run->may_evict || !lives(run, object));
				continue;
			}
			MUST(run, lives(run, object));
			MUST(run, run->engine.answer.version == object->version);
			MUST(run, run->engine.len == object->len);
			MUST(run, filled(run->engine.bytes, object->len, object->seed));
		}
	}
}

static void
step(struct run *run)
{
	unsigned what = (unsigned)dice(run, 1000);

	if (what < 3)
		restart(run);
	else if (what < 6)
		flush(run);
	else if (what < 12)
		invalidate(run);
	else if (what < 24)
		scan(run);
	else if (what < 60)
		pass_time(run);
	else if (what < 61)
		engine_sync(&run->engine);
	else if (what < 62)
		verify(run);
	else if (what < 120)
		look(run);
	else if (what < 400)
		put(run);
	else if (what < 430)
		upload(run);
	else if (what < 510)
		delete (run);
	else if (what < 590)
		touch(run);
	else if (what < 640)
		get(run, DO_META);
	else
		get(run, DO_GET);
}

static void
play(uint64_t max_size, bool may_evict)
{
	const char *seed = getenv("BRINE_SEED"), *ops = getenv("BRINE_OPS");
	struct run *run = calloc(1, sizeof(*run));
	unsigned count = ops ? (unsigned)strtoul(ops, NULL, 10) : OPS;

	assert_non_null(run);
	run->seed = seed ? strtoull(seed, NULL, 10) : engine_mono() | 1;
	run->state = run->seed;
	run->may_evict = may_evict;
	run->value = malloc(VALUE_MAX + 1);
	engine_open_with(&run->engine, max_size);
	run->now_ms = clock_now_ms();
	for (run->op = 0; run->op < count; run->op++) {
		cache_turn_begin(run->engine.cache);
		step(run);
		ask_for_parts(run);
		cache_turn_end(run->engine.cache);
		if (run->flying == FLYING)
			engine_step(&run->engine);
	}
	check_everything(run);
	restart(run);
	check_everything(run);
	MUST(run, run->hits && run->misses && run->invalidated);
	engine_close(&run->engine);
	free(run->value);
	free(run);
}

static void
the_engine_answers_what_a_naive_model_answers(void **state)
{
	(void)state;
	play(UINT64_C(2) << 30, false);
}

static void
a_full_engine_forgets_objects_and_never_mixes_them_up(void **state)
{
	(void)state;
	play(UINT64_C(64) << 20, true);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_engine_answers_what_a_naive_model_answers),
		cmocka_unit_test(a_full_engine_forgets_objects_and_never_mixes_them_up),
	};
	return unit_run(tests);
}
