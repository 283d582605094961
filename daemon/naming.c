/* naming.c - the names of namespaces: made when something is about to be kept there, and given another
 * incarnation by a flush. Loop thread; owns the table of names. */
#include <stdlib.h>

#include "daemon/cache_core.h"

static uint32_t
new_incarnation(struct cache *cache)
{
	if (cache->next_incarnation >= INCARNATION_MAX)
		return 0;
	return cache->next_incarnation++;
}

/* The namespace of a target that is about to hold something. NULL: the error is in *ret_answer. */
struct namespace *
core_namespace(struct cache *cache, const struct target *target,
	       struct answer *ret_answer)
{
	struct namespace *namespace =
		names_find(&cache->names, target->uid, target->namespace);
	struct change *change;
	uint32_t incarnation;

	if (namespace)
		return namespace;
	if (cache->names.count >= NAMESPACES_TOTAL_MAX ||
	    names_count(&cache->names, target->uid) >= cache->config.max_namespaces) {
		*ret_answer =
			answer_error(ERROR_TOO_MANY, cache->config.max_namespaces,
				     "this uid has as many namespaces as it may have "
				     "(max_namespaces); use one that exists");
		return NULL;
	}
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
	core_accept(cache, change, NULL);
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
	if (core_crowded(cache))
		return answer_refuse(ret_answer, ERROR_BUSY);
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
	core_accept(cache, change, NULL);
	cache->counts.flushes++;
	if (ack == ACK_MEMORY)
		return CACHE_NOW;
	return op_answer_later(cache, later, ret_answer);
}
