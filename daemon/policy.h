/* policy.h - chooses what goes when there is no room: the tenant by quota and fair share, its objects by value.
 *
 * A tenant is a uid with all its private namespaces, or one shared namespace. A tenant that is over its quota gives of
 * its own, whether the store is full or not. When it is full, what nobody can reach any more is the first to go; then the
 * victim is the tenant furthest above its fair share, where its values that are still arriving count, too; of its objects, runs of neighbours at random points of the key space are compared (hash order
 * does not depend on use, so a run is a fair sample that shares pages), and the worst go. What an object
 * is worth: uses x benefit / (bytes charged x time unused): the profit rate of WATCHMAN (VLDB 1996) and
 * of hyperbolic caching (ATC 2017). The worst that stay are kept for the next round (Psounis and
 * Prabhakar, ToN 2002). Writer thread only. */
#ifndef DAEMON_POLICY_H
#define DAEMON_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/object.h"
#include "daemon/recency.h"

#define POLICY_RUN 16
#define POLICY_TAKE 5 /* of a run and the pool */
#define POLICY_POOL 4

struct candidate {
	uint8_t row_key[ROW_KEY_SIZE];
	double value;
	uint64_t charged; /* bytes */
	uint64_t version; /* of the object that was valued */
};

/* More tenants than this at once are not looked at by one round of evictions. */
#define POLICY_TENANTS 4096

struct tenant {
	uint64_t name;     /* usage_tenant() */
	uint64_t held;     /* bytes charged; 0: an empty place */
	uint64_t arriving; /* of these, bytes that cannot be evicted yet */
	uint64_t quota;
};

struct policy {
	struct candidate pool[POLICY_POOL];
	unsigned pooled;
	uint32_t pool_incarnation;
	uint64_t chance;
	/* Of the present round: a table by uid, and what is in it. */
	struct tenant tenants[POLICY_TENANTS];
	struct tenant *order[POLICY_TENANTS];
	size_t tenant_count;
	/* Has to give, and holds nothing but what is still arriving; NULL: nobody. Of the last round, until the next. */
	const struct tenant *overdue;
};

void policy_init(struct policy *policy, uint64_t seed);

/* Has anybody a quota? */
bool policy_limits_anybody(const struct ledger *ledger);

/* Evicts until nobody is over a quota and about `bytes` are charged less, or `most` objects went. leaf_factor: bytes of leaf and
 * branch pages per byte of row. *ret_objects and *ret_bytes count up. STORE_MISS: nothing is left to evict. */
int policy_evict(struct policy *policy, struct objects *objects,
		 const struct recency *recency, double leaf_factor, uint64_t bytes,
		 unsigned most, unsigned *ret_objects, uint64_t *ret_bytes);

#endif
