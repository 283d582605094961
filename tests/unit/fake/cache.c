/* cache.c - implements cache.h over an array. One thread. */
#include "tests/unit/fake/cache.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/log.h"
#include "proto/tag.h"

#define OBJECTS_MAX 256
#define HELD_MAX 8192

struct fake fake;

/* Enough for the tests that use it. */
#define FAKE_TAGS_MAX 128

struct object {
	bool used;
	uint32_t uid;
	char name[NAMESPACE_NAME_MAX + 1];
	size_t key_len, len;
	uint8_t key[1024];
	uint8_t *value;
	uint32_t codec;
	uint8_t kind;
	uint64_t version, ttl_ms, cost_us;
	uint8_t tags[FAKE_TAGS_MAX];
	size_t tags_len;
};

struct held {
	struct later later;
	struct answer answer;
	struct download *download;
};

struct payer {
	struct cache *cache;
};

struct cache {
	struct object objects[OBJECTS_MAX];
	uint64_t version;
	struct held held[HELD_MAX];
	int wake_fd;
	void (*on_room)(void *arg);
	void *room_arg;
};

struct upload {
	struct cache *cache;
	struct put put;
	char name[NAMESPACE_NAME_MAX + 1];
	uint8_t key[1024];
	uint8_t *bytes;
	size_t len;
	uint8_t tags[FAKE_TAGS_MAX];
};

struct download {
	struct cache *cache;
	uint8_t *bytes;
	size_t len, at;
	uint32_t number;
	void (*ready)(void *arg, const struct part *part);
	void *arg;
};

int
cache_open(const struct cache_config *config, unsigned wait_ms, struct cache **ret_cache,
	   char error[static CACHE_ERROR_MAX])
{
	struct cache *cache = calloc(1, sizeof(*cache));

	(void)config;
	(void)wait_ms;
	(void)error;
	CHECK(cache);
	cache->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	CHECK(cache->wake_fd >= 0);
	cache->version = 1000;
	if (!fake.max_value)
		fake.max_value = 64 << 20;
	*ret_cache = cache;
	return 0;
}

void
cache_close(struct cache **cache)
{
	if (!*cache)
		return;
	for (int i = 0; i < OBJECTS_MAX; i++)
		free((*cache)->objects[i].value);
	for (unsigned i = 0; i < fake.held; i++)
		free((*cache)->held[i].answer.owner);
	close((*cache)->wake_fd);
	free(*cache);
	*cache = NULL;
	fake.held = 0;
}

void
cache_configure(struct cache *cache, const struct cache_config *config)
{
	(void)cache;
	(void)config;
}

int
cache_wake_fd(const struct cache *cache)
{
	return cache->wake_fd;
}

unsigned
fake_answer(struct cache *cache)
{
	unsigned count = fake.held;
	struct held *held = calloc(count ? count : 1, sizeof(*held));

	CHECK(held);
	memcpy(held, cache->held, count * sizeof(*held));
	fake.held = 0;
	for (unsigned i = 0; i < count; i++) {
		struct download *download = held[i].download;
		bool hold = fake.hold_parts;

		if (!download) {
			held[i].later.answered(held[i].later.arg, held[i].later.id,
					       &held[i].answer);
			continue;
		}
		if (!download->ready)
			continue;
		fake.hold_parts = false;
		download_next(download, download->ready, download->arg);
		fake.hold_parts = hold;
	}
	free(held);
	return count;
}

void
fake_give_room(struct cache *cache)
{
	fake.no_room = false;
	if (cache->on_room)
		cache->on_room(cache->room_arg);
}

void
cache_wake(struct cache *cache)
{
	uint64_t count;

	if (read(cache->wake_fd, &count, sizeof(count)) < 0)
		return;
	fake_answer(cache);
}

uint64_t
cache_turn_begin(struct cache *cache)
{
	(void)cache;
	fake.turns++;
	return clock_mono_ns();
}

void
cache_turn_end(struct cache *cache)
{
	(void)cache;
}

uint64_t
cache_deadline_ns(const struct cache *cache)
{
	(void)cache;
	return UINT64_MAX;
}

struct payer *
payer_new(struct cache *cache, uint32_t uid)
{
	struct payer *payer = calloc(1, sizeof(*payer));

	(void)uid;
	CHECK(payer);
	payer->cache = cache;
	fake.open_payers++;
	return payer;
}

void
payer_release(struct payer **payer)
{
	if (!*payer)
		return;
	fake.open_payers--;
	free(*payer);
	*payer = NULL;
}

bool
cache_admits(struct cache *cache, const struct payer *payer, size_t bytes)
{
	(void)cache;
	(void)payer;
	(void)bytes;
	return !fake.no_room;
}

bool
cache_admits_awaited(struct cache *cache, const struct payer *payer, size_t bytes)
{
	(void)cache;
	(void)payer;
	(void)bytes;
	return !fake.no_room || fake.reserve;
}

void
cache_on_room(struct cache *cache, void (*room)(void *arg), void *arg)
{
	cache->on_room = room;
	cache->room_arg = arg;
}

/* ---- values that many get */

void
cache_keep(struct keeper *keeper)
{
	(void)keeper;
	fake.kept++;
}

void
cache_let_go(struct keeper *keeper)
{
	(void)keeper;
	fake.kept--;
}

/* ---- leases: there are none here, but each peer is counted */

struct peer *
cache_peer_new(struct cache *cache, uint32_t uid)
{
	struct peer *peer = malloc(1);

	(void)cache;
	(void)uid;
	fake.open_peers += peer != NULL;
	return peer;
}

void
cache_peer_free(struct cache *cache, struct peer **peer)
{
	(void)cache;
	if (!*peer)
		return;
	fake.open_peers--;
	free(*peer);
	*peer = NULL;
}

void
cache_peer_died(struct cache *cache, struct peer *peer)
{
	(void)cache;
	(void)peer;
	fake.dead_peers++;
}

bool
cache_peer_holds(const struct peer *peer)
{
	(void)peer;
	return fake.hold_leases;
}

size_t
cache_waiting(const struct cache *cache)
{
	(void)cache;
	return 0;
}

size_t
cache_peer_waiting(const struct peer *peer)
{
	(void)peer;
	return 0;
}

void
cache_leave(struct cache *cache)
{
	(void)cache;
	fake.left = true;
}

int
cache_release(struct cache *cache, const struct target *target,
	      const uint8_t token[static CACHE_TOKEN_SIZE], enum give_up why,
	      struct answer *ret_answer)
{
	(void)cache;
	(void)target;
	(void)token;
	(void)why;
	*ret_answer = (struct answer){ .kind = ANSWER_MISS };
	return CACHE_NOW;
}

int
cache_resume(struct cache *cache, const struct target *target, struct peer *peer,
	     const uint8_t token[static CACHE_TOKEN_SIZE], struct answer *ret_answer)
{
	(void)cache;
	(void)target;
	(void)peer;
	(void)token;
	*ret_answer = (struct answer){ .kind = ANSWER_MISS };
	return CACHE_NOW;
}

/* ---- answers */

static int
give(struct cache *cache, const struct answer *answer, const struct later *later,
     struct answer *ret_answer)
{
	struct held *held;

	fake.last_later = *later;
	if (!fake.hold_answers) {
		*ret_answer = *answer;
		return CACHE_NOW;
	}
	CHECK(fake.held < HELD_MAX);
	held = &cache->held[fake.held++];
	*held = (struct held){ .later = *later, .answer = *answer };
	/* What is borrowed must live until then. */
	if (answer->value.data && !answer->owner && !answer->download) {
		held->answer.owner = malloc(answer->value.len + 1);
		CHECK(held->answer.owner);
		memcpy(held->answer.owner, answer->value.data, answer->value.len);
		held->answer.value.data = held->answer.owner;
	}
	return CACHE_LATER;
}

static struct answer
error_answer(enum error error, uint64_t detail)
{
	return (struct answer){ .kind = ANSWER_ERROR, .error = error, .detail = detail };
}

static bool
same(const struct object *object, const struct target *target)
{
	return object->used && object->uid == target->uid &&
	       slice_equal(slice_text(object->name), target->namespace) &&
	       slice_equal(slice(object->key, object->key_len), target->key);
}

static struct object *
find(struct cache *cache, const struct target *target)
{
	for (int i = 0; i < OBJECTS_MAX; i++)
		if (same(&cache->objects[i], target))
			return &cache->objects[i];
	return NULL;
}

static void
fill_meta(struct answer *answer, const struct object *object)
{
	answer->has_meta = true;
	answer->version = object->version;
	answer->codec = object->codec;
	answer->object_kind = object->kind;
	answer->writer_uid = object->uid;
	answer->length = object->len;
	answer->ttl_left_ms = object->ttl_ms;
	answer->cost_us = object->cost_us;
}

static void
fill_value(struct cache *cache, struct answer *answer, const struct object *object)
{
	uint8_t *copy;

	if (fake.borrow && object->len <= CACHE_PART_MAX) {
		answer->value = slice(object->value, object->len);
		return;
	}
	copy = malloc(object->len + 1);
	CHECK(copy);
	memcpy(copy, object->value, object->len);
	if (object->len <= CACHE_PART_MAX) {
		answer->owner = copy;
		answer->value = slice(copy, object->len);
		return;
	}
	answer->download = calloc(1, sizeof(*answer->download));
	CHECK(answer->download);
	*answer->download =
		(struct download){ .cache = cache, .bytes = copy, .len = object->len };
	fake.open_downloads++;
}

int
cache_get(struct cache *cache, const struct get *get, const struct later *later,
	  struct answer *ret_answer)
{
	struct object *object = find(cache, &get->target);
	struct answer answer = { .kind = ANSWER_MISS };

	fake.gets++;
	fake.last_get = *get;
	if (object && object->version != get->not_version) {
		answer.kind = ANSWER_DONE;
		fill_meta(&answer, object);
		if (!get->meta_only)
			fill_value(cache, &answer, object);
	}
	return give(cache, &answer, later, ret_answer);
}

/* Takes value. */
static struct answer
store(struct cache *cache, const struct put *put, uint8_t *value, size_t len)
{
	struct object *object = find(cache, &put->target);
	struct answer answer = { .kind = ANSWER_DONE };

	fake.puts++;
	fake.last_put = *put;
	if ((put->condition == CONDITION_ABSENT && object &&
	     !(put->or_get && object->version == put->not_version)) ||
	    (put->condition == CONDITION_PRESENT && !object) ||
	    (put->condition == CONDITION_VERSION &&
	     (!object || object->version != put->version))) {
		free(value);
		if (put->or_get) {
			fill_meta(&answer, object);
			fill_value(cache, &answer, object);
			return answer;
		}
		if (put->condition == CONDITION_ABSENT)
			return error_answer(ERROR_EXISTS, 0);
		return error_answer(object ? ERROR_CHANGED : ERROR_ABSENT, 0);
	}
	for (int i = 0; !object && i < OBJECTS_MAX; i++)
		if (!cache->objects[i].used)
			object = &cache->objects[i];
	CHECK(object);
	free(object->value);
	*object = (struct object){
		.used = true,
		.uid = put->target.uid,
		.key_len = put->target.key.len,
		.value = value,
		.len = len,
		.codec = put->codec,
		.kind = put->object_kind,
		.ttl_ms = put->ttl_ms,
		.cost_us = put->cost_us,
		.version = ++cache->version,
	};
	memcpy(object->name, put->target.namespace.data, put->target.namespace.len);
	memcpy(object->key, put->target.key.data, put->target.key.len);
	CHECK(put->tags.len <= FAKE_TAGS_MAX);
	if (put->tags.len)
		memcpy(object->tags, put->tags.data, put->tags.len);
	object->tags_len = put->tags.len;
	answer.version = object->version;
	return answer;
}

int
cache_put(struct cache *cache, const struct put *put, struct slice value,
	  const struct later *later, struct answer *ret_answer)
{
	uint8_t *copy = malloc(value.len + 1);
	struct answer answer;

	CHECK(copy && value.len <= CACHE_PART_MAX);
	if (value.len)
		memcpy(copy, value.data, value.len);
	answer = store(cache, put, copy, value.len);
	return give(cache, &answer, later, ret_answer);
}

struct upload *
upload_open(struct cache *cache, const struct put *put, uint64_t length,
	    struct answer *ret_answer)
{
	struct upload *upload;

	if (length != UINT64_MAX && length > fake.max_value) {
		*ret_answer = error_answer(ERROR_TOO_LARGE, fake.max_value);
		return NULL;
	}
	upload = calloc(1, sizeof(*upload));
	CHECK(upload);
	upload->cache = cache;
	upload->put = *put;
	memcpy(upload->name, put->target.namespace.data, put->target.namespace.len);
	memcpy(upload->key, put->target.key.data, put->target.key.len);
	upload->put.target.namespace = slice(upload->name, put->target.namespace.len);
	upload->put.target.key = slice(upload->key, put->target.key.len);
	CHECK(put->tags.len <= FAKE_TAGS_MAX);
	if (put->tags.len)
		memcpy(upload->tags, put->tags.data, put->tags.len);
	upload->put.tags.data = upload->tags;
	fake.uploads++;
	return upload;
}

int
upload_write(struct upload *upload, struct slice part, struct answer *ret_answer)
{
	uint8_t *bytes;

	CHECK(part.len && part.len <= CACHE_PART_MAX);
	if (upload->len + part.len > fake.max_value) {
		*ret_answer = error_answer(ERROR_TOO_LARGE, fake.max_value);
		return -1;
	}
	bytes = realloc(upload->bytes, upload->len + part.len);
	CHECK(bytes);
	memcpy(bytes + upload->len, part.data, part.len);
	upload->bytes = bytes;
	upload->len += part.len;
	return 0;
}

bool
upload_or_get(const struct upload *upload)
{
	return upload->put.or_get;
}

bool
upload_ready(const struct upload *upload)
{
	(void)upload;
	return !fake.no_room;
}

int
upload_finish(struct upload **upload, const struct later *later,
	      struct answer *ret_answer)
{
	struct upload *done = *upload;
	uint8_t *bytes = done->bytes ? done->bytes : malloc(1);
	struct answer answer = store(done->cache, &done->put, bytes, done->len);
	int result = give(done->cache, &answer, later, ret_answer);

	fake.uploads--;
	free(done);
	*upload = NULL;
	return result;
}

void
upload_abort(struct upload **upload)
{
	if (!*upload)
		return;
	fake.uploads--;
	fake.aborted++;
	free((*upload)->bytes);
	free(*upload);
	*upload = NULL;
}

void
download_next(struct download *download,
	      void (*ready)(void *arg, const struct part *part), void *arg)
{
	struct cache *cache = download->cache;
	size_t len = download->len - download->at;
	struct part part = { 0 };

	download->ready = ready;
	download->arg = arg;
	if (fake.hold_parts) {
		CHECK(fake.held < HELD_MAX);
		cache->held[fake.held++] = (struct held){ .download = download };
		return;
	}
	if (len > CACHE_PART_MAX)
		len = CACHE_PART_MAX;
	download->ready = NULL;
	if (++download->number == fake.part_fails) {
		part.error = ERROR_DAMAGED;
	} else {
		part.bytes = slice(download->bytes + download->at, len);
		part.last = download->at + len == download->len;
		download->at += len;
	}
	ready(arg, &part);
}

void
download_close(struct download **download)
{
	struct download *gone = *download;

	if (!gone)
		return;
	for (unsigned i = 0; i < fake.held; i++)
		if (gone->cache->held[i].download == gone)
			gone->cache->held[i--] = gone->cache->held[--fake.held];
	fake.open_downloads--;
	free(gone->bytes);
	free(gone);
	*download = NULL;
}

int
cache_delete(struct cache *cache, const struct target *target, uint64_t only_version,
	     enum ack ack, const struct later *later, struct answer *ret_answer)
{
	struct object *object = find(cache, target);
	struct answer answer = { .kind = object ? ANSWER_DONE : ANSWER_MISS };

	fake.last_ack = ack;
	if (object && only_version && object->version != only_version) {
		answer = error_answer(ERROR_CHANGED, 0);
	} else if (object) {
		free(object->value);
		*object = (struct object){ 0 };
	}
	return give(cache, &answer, later, ret_answer);
}

int
cache_take(struct cache *cache, const struct target *target, uint64_t only_version,
	   enum ack ack, const struct later *later, struct answer *ret_answer)
{
	struct answer answer = { .kind = ANSWER_MISS };

	(void)target;
	(void)only_version;
	fake.last_ack = ack;
	return give(cache, &answer, later, ret_answer);
}

int
cache_incr(struct cache *cache, const struct incr *incr, const struct later *later,
	   struct answer *ret_answer)
{
	struct answer answer = { .kind = ANSWER_DONE, .version = ++cache->version };

	if (__builtin_add_overflow(incr->initial, incr->delta, &answer.counter))
		answer = (struct answer){ .kind = ANSWER_ERROR, .error = ERROR_OVERFLOW };
	fake.last_ack = incr->ack;
	return give(cache, &answer, later, ret_answer);
}

void
bundle_free(struct bundle **bundle)
{
	if (!*bundle)
		return;
	free((*bundle)->bytes);
	free(*bundle);
	*bundle = NULL;
}

uint64_t
cache_bundle_max(const struct cache *cache)
{
	(void)cache;
	return 8 << 20;
}

int
cache_bundle(struct cache *cache, struct bundle **bundle, const struct later *later,
	     struct answer *ret_answer)
{
	struct answer answer = { .kind = ANSWER_DONE, .bundle = *bundle };

	for (size_t i = 0; i < (*bundle)->count; i++)
		(*bundle)->items[i].version = ++cache->version;
	fake.last_ack = (*bundle)->ack;
	*bundle = NULL;
	return give(cache, &answer, later, ret_answer);
}

int
cache_touch(struct cache *cache, const struct target *target, uint64_t ttl_ms,
	    enum ack ack, const struct later *later, struct answer *ret_answer)
{
	struct object *object = find(cache, target);
	struct answer answer = { .kind = object ? ANSWER_DONE : ANSWER_MISS };

	fake.last_ack = ack;
	if (object) {
		object->ttl_ms = ttl_ms;
		answer.version = object->version;
	}
	return give(cache, &answer, later, ret_answer);
}

int
cache_flush(struct cache *cache, const struct target *target, enum ack ack,
	    const struct later *later, struct answer *ret_answer)
{
	struct answer answer = { .kind = ANSWER_DONE };

	fake.last_ack = ack;
	for (int i = 0; i < OBJECTS_MAX; i++) {
		struct object *object = &cache->objects[i];

		if (!object->used || object->uid != target->uid ||
		    !slice_equal(slice_text(object->name), target->namespace))
			continue;
		free(object->value);
		*object = (struct object){ 0 };
	}
	return give(cache, &answer, later, ret_answer);
}

static bool
has_one_of(const struct object *object, struct slice tags)
{
	struct slice mine, tag;
	size_t at = 0;

	while (tags_next(slice(object->tags, object->tags_len), &at, &mine))
		for (size_t position = 0; tags_next(tags, &position, &tag);)
			if (slice_equal(mine, tag))
				return true;
	return false;
}

int
cache_invalidate(struct cache *cache, const struct target *target, struct slice tags,
		 enum ack ack, const struct later *later, struct answer *ret_answer)
{
	struct answer answer = { .kind = ANSWER_DONE };

	fake.last_ack = ack;
	for (int i = 0; i < OBJECTS_MAX; i++) {
		struct object *object = &cache->objects[i];

		if (!object->used || object->uid != target->uid ||
		    !slice_equal(slice_text(object->name), target->namespace) ||
		    !has_one_of(object, tags))
			continue;
		free(object->value);
		*object = (struct object){ 0 };
	}
	return give(cache, &answer, later, ret_answer);
}

int
cache_sync(struct cache *cache, uint32_t uid, const struct later *later,
	   struct answer *ret_answer)
{
	(void)uid;
	struct answer answer = { .kind = ANSWER_DONE };

	return give(cache, &answer, later, ret_answer);
}

int
cache_scan(struct cache *cache, const struct target *target, struct slice prefix,
	   struct slice cursor, unsigned limit, const struct later *later,
	   struct answer *ret_answer)
{
	struct answer answer = { .kind = ANSWER_DONE, .count = limit };

	(void)target;
	(void)prefix;
	(void)cursor;
	answer.value = slice_text("entries");
	answer.cursor = slice_text("next");
	return give(cache, &answer, later, ret_answer);
}

int
cache_stats(struct cache *cache, const struct stats_reader *reader,
	    const struct later *later, struct answer *ret_answer)
{
	struct answer answer = { .kind = ANSWER_DONE };

	fake.last_everybody = reader->admin && reader->admin(reader->arg);
	answer.value = slice_text("web\tobjects\t12\n");
	return give(cache, &answer, later, ret_answer);
}

int
cache_verify(struct cache *cache, uint32_t uid, struct slice cursor,
	     const struct later *later, struct answer *ret_answer)
{
	struct answer answer = { .kind = ANSWER_DONE };

	(void)uid;
	answer.value = slice_text("\trows\t12\n");
	if (!cursor.len)
		answer.cursor = slice_text("next");
	return give(cache, &answer, later, ret_answer);
}

uint64_t
cache_max_size(const struct cache *cache, const char **ret_why)
{
	(void)cache;
	*ret_why = "configured";
	return 1 << 30;
}

uint64_t
cache_max_value(const struct cache *cache)
{
	(void)cache;
	return fake.max_value;
}

void
cache_examine(struct cache *cache, struct cache_health *ret_health)
{
	(void)cache;
	fake.examined++;
	*ret_health = fake.health;
}

uint64_t
cache_epoch(const struct cache *cache)
{
	(void)cache;
	return 0x0123456789abcdef;
}

struct slice
upload_namespace(const struct upload *upload)
{
	return upload->put.target.namespace;
}

void
cache_bar(struct cache *cache, struct peer *peer, enum cache_bar what,
	  enum right (*may)(void *arg, struct slice namespace), void *arg)
{
	(void)cache;
	(void)peer;
	(void)what;
	(void)may;
	(void)arg;
}
