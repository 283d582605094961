/* naming.c - the names of namespaces: made when something is about to be kept there, given another
 * incarnation by a flush, and forgotten when they hold nothing and room is needed for others. Loop thread; owns the table of names. */
#include <stdlib.h>

#include "daemon/cache_core.h"

/* Numbers in a row that may all be in use before one gives up. */
#define INCARNATION_TRIES 1024

/* One that no row has. They are given out in turn and come round again after four thousand million. 0: none was
 * found. */
static uint32_t
new_incarnation(struct cache *cache)
{
	for (unsigned tries = 0; tries < INCARNATION_TRIES; tries++) {
		uint32_t incarnation = cache->next_incarnation;
		int used;

		cache->next_incarnation = incarnation_after(incarnation);
		if (core_snapshot(cache) < 0)
			return 0;
		used = incarnation_used(cache->snapshot, incarnation);
		if (used != STORE_HIT)
			return used == STORE_MISS ? incarnation : 0;
	}
	return 0;
}

/* ---- making room ---- */

/* Does it hold nothing, and is nobody about to put something or waiting for it? A change of it that the writer has
 * not committed yet is not in its figures. Leases count for up to a second after their end. */
static bool
is_unused(const struct cache *cache, const struct namespace *namespace)
{
	const struct usage *usage = namespace->usage;

	return !namespace->users &&
	       namespace->newest <= pending_committed_number(cache->pending) &&
	       usage_figure(&usage->objects) == 0 &&
	       usage_figure(&usage->keep_above) == UINT64_MAX;
}

/* Its row goes with the next commit, and whatever an eviction that came to nothing left in it. What it counted
 * since the start is forgotten, too. */
static bool
forget(struct cache *cache, struct namespace *namespace)
{
	struct change *change = change_new(CHANGE_FORGET, 0);

	if (!change)
		return false;
	change->old_incarnation = namespace->incarnation;
	core_accept(cache, change, NULL);
	names_remove(&cache->names, namespace);
	return true;
}

static struct namespace *
next_of(const struct cache *cache, const uint32_t *uid, const struct namespace *after)
{
	return uid ? names_next_of(&cache->names, *uid, after)
		   : names_next(&cache->names, after);
}

/* Of this uid; NULL: of anybody. Returns how many went. */
static size_t
forget_unused(struct cache *cache, const uint32_t *uid, size_t most)
{
	struct namespace *at = next_of(cache, uid, NULL), *next;
	size_t gone = 0;

	for (; at && gone < most; at = next) {
		next = next_of(cache, uid, at);
		if (is_unused(cache, at))
			gone += forget(cache, at);
	}
	return gone;
}

/* May this uid have one more? If not, the error is in *ret_answer. */
static bool
make_room(struct cache *cache, uint32_t uid, struct answer *ret_answer)
{
	size_t own = names_count(&cache->names, uid), most = cache->config.max_namespaces;

	/* Of shared ones there are no more than are declared. */
	if (uid != NAMESPACE_SHARED && own >= most &&
	    forget_unused(cache, &uid, own + 1 - most) < own + 1 - most) {
		*ret_answer =
			answer_error(ERROR_TOO_MANY, most,
				     "this uid has as many namespaces as it may have "
				     "(max_namespaces); use one that exists, or empty "
				     "one");
		return false;
	}
	if (cache->names.count >= NAMESPACES_TOTAL_MAX &&
	    !forget_unused(cache, NULL, 1)) {
		*ret_answer =
			answer_error(ERROR_TOO_MANY, NAMESPACES_TOTAL_MAX,
				     "all users together have as many namespaces as "
				     "there can be; use one that exists");
		return false;
	}
	return true;
}

/* ---- names ---- */

struct namespace *
core_namespace(struct cache *cache, const struct target *target,
	       struct answer *ret_answer)
{
	struct namespace *namespace =
		names_find(&cache->names, target->uid, target->namespace);
	struct change *change;
	uint32_t incarnation;

	if (namespace ||
	    !make_room(cache, namespace_owner(target->uid, target->namespace),
		       ret_answer))
		return namespace;
	incarnation = new_incarnation(cache);
	change = incarnation ? change_new(CHANGE_NAMESPACE, 0) : NULL;
	if (change)
		change->usage = usage_new(incarnation, target->uid, target->namespace);
	if (change && change->usage)
	namespace = names_add(&cache->names, change->usage);
	if (!namespace) {
		if (change)
			free(change->usage);
		free(change);
		*ret_answer = answer_error(ERROR_NO_MEMORY, 0, NULL);
		return NULL;
	}
	core_declare(cache, namespace);
	core_accept(cache, change, NULL);
	namespace->newest = change->number;
	return namespace;
}

int
cache_flush(struct cache *cache, const struct target *target, enum ack ack,
	    const struct later *later, struct answer *ret_answer)
{
	struct namespace *namespace =
		names_find(&cache->names, target->uid, target->namespace);
	struct change *change;
	uint32_t incarnation;

	*ret_answer = (struct answer){ .kind = ANSWER_DONE };
	if (!namespace)
		return CACHE_NOW;
	core_count_requests(namespace, 1);
	if (core_crowded(cache, target->uid) || core_stuffed(cache)) {
		cache->counts.busy++;
		return answer_refuse(ret_answer, ERROR_BUSY);
	}
	incarnation = new_incarnation(cache);
	change = incarnation ? change_new(CHANGE_FLUSH, 0) : NULL;
	if (change)
		change->usage = usage_new(incarnation, target->uid, target->namespace);
	if (!change || !change->usage) {
		free(change);
		return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	}
	lease_flushed(cache->leases, namespace->incarnation, incarnation, cache->now_ns);
	change->old_incarnation = namespace->incarnation;
	change->usage->keep_above = usage_figure(&namespace->usage->keep_above);
	namespace->incarnation = incarnation;
	namespace->usage = change->usage;
	namespace->stamped = 0;
	core_declare(cache, namespace);
	core_accept(cache, change, NULL);
	namespace->newest = namespace->flushed = change->number;
	cache->counts.flushes++;
	return core_acknowledge(cache, target->uid, later, ack != ACK_MEMORY, ret_answer);
}
