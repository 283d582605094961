/* getting.c - what a GET gets, once it is known what is there: the value, a stale one, or a miss and who computes.
 * Loop thread; owns nothing. */
#include <stdlib.h>

#include "daemon/cache_core.h"

#define MS_PER_S 1000

void
core_fill_meta(const struct cache *cache, const struct record *record,
	       struct answer *answer)
{
	answer->has_meta = true;
	answer->object_kind = record->kind;
	answer->codec = record->codec;
	answer->writer_uid = known_writer(record, cache->started, cache->own_uid);
	answer->version = record->version;
	answer->length = record->length;
	answer->cost_us = record->cost_us;
	answer->stale_for_ms = record_stale_window(record);
	answer->age_ms = cache->now_ms > record->created_ms
				 ? cache->now_ms - record->created_ms
				 : 0;
	answer->ttl_left_ms = TTL_NEVER;
	if (record_expired(record, cache->now_ms)) {
		answer->ttl_left_ms = 0;
		answer->stale = true;
		answer->stale_ms = cache->now_ms - record->expires_ms;
	} else if (record->flags & RECORD_EXPIRES) {
		answer->ttl_left_ms = record->expires_ms - cache->now_ms;
	}
}

enum presence {
	FRESH,
	STALE, /* past its time to live, and good enough for this get */
	ABSENT,
	EXPIRED,
	INVALIDATED,
	REFUSED, /* too old for this get, or the version that it does not want */
};

static enum presence
find_presence(const struct cache *cache, const struct get *get, const struct found *found)
{
	const struct record *record = &found->record;
	bool expired;

	if (!found->there)
		return found->invalidated ? INVALIDATED : ABSENT;
	expired = record_expired(record, cache->now_ms);
	if (expired && !(get->stale_ok && record->stale_until_ms > cache->now_ms))
		return EXPIRED;
	if (get->not_version && record->version == get->not_version)
		return REFUSED;
	if (record->created_ms < cache->now_ms &&
	    cache->now_ms - record->created_ms > get->max_age_ms)
		return REFUSED;
	return expired ? STALE : FRESH;
}

static uint64_t *
misses_of(struct namespace *namespace, enum presence why)
{
	switch (why) {
	case EXPIRED:
		return &namespace->misses_expired;
	case INVALIDATED:
		return &namespace->misses_invalidated;
	case REFUSED:
		return &namespace->misses_refused;
	default:
		return &namespace->misses_absent;
	}
}

static void
count_miss(struct cache *cache, struct namespace *namespace, enum presence why)
{
	cache->counts.misses++;
	if (namespace)
		(*misses_of(namespace, why))++;
}

void
core_count_waited_miss(struct cache *cache, struct op *op)
{
	count_miss(cache, op->namespace, ABSENT);
}

static int
miss(struct cache *cache, struct op *op, const struct found *found, enum presence why,
     struct answer *ret_answer)
{
	int done;

	free(found->owner);
	*ret_answer = (struct answer){ .kind = ANSWER_MISS };
	if (op->get.meta_only)
		return CACHE_NOW;
	done = op->get.lease ? op_ask_lease(cache, op, ret_answer) : CACHE_NOW;
	if (done == CACHE_NOW && !op->get.quiet)
		count_miss(cache, op->namespace, why);
	return done;
}

static void
count_hit(struct cache *cache, struct op *op, const struct found *found, bool stale)
{
	struct namespace *namespace = op->namespace;

	cache->counts.hits++;
	cache->given_bytes += found->value.len;
	namespace->hits++;
	namespace->stale_hits += stale;
	namespace->saved_us += found->record.cost_us;
	recency_touch(cache->recency, op->row_key, (uint32_t)(cache->now_ms / MS_PER_S));
}

/* Nobody waits for it, so it is left out where it could not be kept. */
static void
refresh(struct cache *cache, struct op *op, const struct found *found)
{
	uint64_t ttl_ms = op->get.refresh_ms;
	struct answer ignored;

	if (cache->disk_full || cache->lost ||
	    pending_bytes(cache->pending) > cache->config.pending_size)
		return;

	if (!ttl_ms)
		ttl_ms = found->record.flags & RECORD_EXPIRES ? found->record.ttl_ms
							      : TTL_NEVER;
	op_touch_found(cache, op, found, ttl_ms, &ignored);
}

/* The value, as the answer has it: borrowed, owned, or a download. False: no memory for that. */
static bool
give_value(struct cache *cache, const struct found *found, uint32_t uid,
	   struct answer *answer)
{
	if (found->chunks) {
		answer->download = download_new(cache, &found->record, uid);
		return answer->download;
	}
	answer->value = found->value;
	answer->owner = found->owner;
	answer->keeper = (struct keeper *)found->shared;
	return true;
}

void
op_give_found(struct cache *cache, struct op *op, const struct found *found,
	      struct answer *ret_answer)
{
	struct answer answer = { .kind = ANSWER_DONE };

	core_fill_meta(cache, &found->record, &answer);
	if (!give_value(cache, found, op->put.target.uid, &answer)) {
		answer_refuse(ret_answer, ERROR_NO_MEMORY);
		return;
	}
	cache->counts.gets++;
	count_hit(cache, op, found, false);
	*ret_answer = answer;
}

int
op_decide_get(struct cache *cache, struct op *op, struct found *found,
	      struct answer *ret_answer)
{
	const struct get *get = &op->get;
	struct answer answer = { .kind = ANSWER_DONE };
	enum presence presence = find_presence(cache, get, found);

	if (presence > STALE)
		return miss(cache, op, found, presence, ret_answer);
	core_fill_meta(cache, &found->record, &answer);
	if (get->whole_only && found->chunks) {
		cache->counts.gets--;
		answer.apart = true;
		return answer_now(ret_answer, answer);
	}
	if (get->meta_only)
		free(found->owner);
	else if (!give_value(cache, found, get->target.uid, &answer))
		return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	if (!get->meta_only && !get->quiet)
		count_hit(cache, op, found, presence == STALE);
	if (presence == STALE && get->lease)
		op_offer_refresh(cache, op, &answer);
	if (get->refresh && presence == FRESH)
		refresh(cache, op, found);
	return answer_now(ret_answer, answer);
}
