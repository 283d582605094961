/* invalidate.c - tags as requests have them: their keys, and the stamps that invalidate them. Loop thread. Owns
 * nothing. */
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"
#include "daemon/log.h"
#include "daemon/stamp.h"
#include "proto/tag.h"

unsigned
core_tag_keys(const struct cache *cache, const struct namespace *namespace,
	      struct slice tags, uint8_t ret_keys[static TAG_KEYS_SIZE])
{
	struct slice tag;
	size_t position = 0;
	unsigned count = 0;

	while (count < TAGS_MAX && tags_next(tags, &position, &tag))
		store_tag_key(cache->store, namespace->incarnation, tag,
			      ret_keys + (size_t)count++ * RECORD_TAG_SIZE);
	return count;
}

struct change *
core_pending_stamp(const struct cache *cache, const uint8_t *tag_keys, unsigned count)
{
	struct change *newest = NULL;

	for (unsigned i = 0; i < count; i++) {
		struct change *change = pending_find(
			cache->pending, tag_keys + (size_t)i * RECORD_TAG_SIZE);

		if (change && change->kind == CHANGE_STAMP &&
		    (!newest || change->version > newest->version))
			newest = change;
	}
	return newest;
}

bool
core_stamped_since(struct cache *cache, const struct namespace *namespace,
		   struct slice tags, uint64_t number)
{
	uint8_t keys[TAG_KEYS_SIZE];
	const struct change *pending;
	uint64_t stored = 0;
	unsigned count;

	if (!tags.len || number >= namespace->stamped)
		return false;
	if (number < namespace->unkept)
		return true;
	count = core_tag_keys(cache, namespace, tags, keys);
	pending = core_pending_stamp(cache, keys, count);
	if (pending && pending->version > number)
		return true;
	if (core_snapshot(cache) < 0 ||
	    stamp_newest(cache->snapshot, keys, count, &stored) < 0)
		return true;
	return stored > number;
}

static uint64_t
kept_above(const struct namespace *namespace)
{
	return usage_figure(&namespace->usage->keep_above);
}

static void
keep_above(struct cache *cache, struct namespace *namespace, uint64_t number)
{
	uint64_t newest = number < namespace->stamped ? number : namespace->stamped;

	cache->keeping -= kept_above(namespace) != UINT64_MAX;
	cache->keeping += number != UINT64_MAX;
	atomic_store_explicit(&namespace->usage->keep_above, number,
			      memory_order_relaxed);
	if (newest > namespace->unkept)
	namespace->unkept = newest;
}

void
core_keep_stamps(struct cache *cache, struct namespace *namespace, uint64_t number)
{
	/* An older lease asks for more. */
	if (kept_above(namespace) == UINT64_MAX)
		keep_above(cache, namespace, number);
}

struct keeper {
	struct namespace *namespace;
	uint64_t oldest; /* grant of those that are held */
};

struct keepers {
	struct keeper *all;
	size_t count;
};

static int
by_incarnation(const void *a, const void *b)
{
	const struct keeper *left = a, *right = b;

	return (left->namespace->incarnation > right->namespace->incarnation) -
	       (left->namespace->incarnation < right->namespace->incarnation);
}

static void
note_lease(void *arg, uint32_t incarnation, uint64_t number)
{
	struct keepers *keepers = arg;
	struct namespace wanted = { .incarnation = incarnation };
	struct keeper *keeper =
		bsearch(&(struct keeper){ .namespace = &wanted }, keepers->all,
			keepers->count, sizeof(keepers->all[0]), by_incarnation);

	if (keeper && number < keeper->oldest)
		keeper->oldest = number;
}

void
core_release_stamps(struct cache *cache)
{
	struct keepers keepers = { .all = calloc(cache->keeping + 1,
						 sizeof(keepers.all[0])) };

	cache->keep_looked_ns = cache->now_ns;
	if (!keepers.all)
		return; /* kept a while longer */
	for (struct namespace *at = names_next(&cache->names, NULL); at;
	     at = names_next(&cache->names, at))
		if (kept_above(at) != UINT64_MAX)
			keepers.all[keepers.count++] =
				(struct keeper){ .namespace = at, .oldest = UINT64_MAX };
	CHECK(keepers.count == cache->keeping);
	qsort(keepers.all, keepers.count, sizeof(keepers.all[0]), by_incarnation);
	lease_each(cache->leases, note_lease, &keepers);
	for (size_t i = 0; i < keepers.count; i++)
		keep_above(cache, keepers.all[i].namespace, keepers.all[i].oldest);
	free(keepers.all);
}

/* A change for each tag, none of them accepted. NULL: there is no memory. */
static struct change *
make_stamps(const uint8_t *keys, unsigned count, uint64_t number)
{
	struct change *first = NULL;

	while (count--) {
		struct change *change = change_new(CHANGE_STAMP, 0);

		if (change) {
			memcpy(change->row_key, keys + (size_t)count * RECORD_TAG_SIZE,
			       RECORD_TAG_SIZE);
			change->version = number;
			change->with_next = first;
			change->next = first;
			first = change;
			continue;
		}
		while ((change = first)) {
			first = change->next;
			free(change);
		}
		return NULL;
	}
	return first;
}

/* There is one stamp for each tag, and all have the same number: nothing is looked up between the first and the
 * last, and they leave for the disk in one transaction. */
static void
accept_stamps(struct cache *cache, struct change *first)
{
	while (first) {
		struct change *next = first->next;

		core_accept(cache, first, NULL);
		first = next;
	}
}

int
cache_invalidate(struct cache *cache, const struct target *target, struct slice tags,
		 enum ack ack, const struct later *later, struct answer *ret_answer)
{
	struct namespace *namespace =
		names_find(&cache->names, target->uid, target->namespace);
	uint8_t keys[TAG_KEYS_SIZE];
	struct change *first;
	uint64_t number;

	*ret_answer = (struct answer){ .kind = ANSWER_DONE };
	if (!namespace)
		return CACHE_NOW;
	core_count_requests(namespace, 1);
	if (core_crowded(cache, target->uid) || core_stuffed(cache)) {
		cache->counts.busy++;
		return answer_refuse(ret_answer, ERROR_BUSY);
	}
	number = core_number(cache);
	first = make_stamps(keys, core_tag_keys(cache, namespace, tags, keys), number);
	if (!first)
		return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	accept_stamps(cache, first);
	namespace->stamped = number;
	if (kept_above(namespace) == UINT64_MAX)
	namespace->unkept = number;
	cache->counts.invalidations++;
	return core_acknowledge(cache, target->uid, later, ack != ACK_MEMORY, ret_answer);
}
