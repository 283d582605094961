/* reclaim.h - frees what no record names any more: chunks on the reclaim list, and the rows of flushed
 * incarnations. In bounded steps, because freeing 5 GB at once writes a free list of 10 MB. Writer thread. */
#ifndef DAEMON_RECLAIM_H
#define DAEMON_RECLAIM_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/object.h"

/* What may be freed: not what somebody may still read. */
struct reclaim_limits {
	uint64_t
		barrier; /* only what was unlinked by this transaction or an earlier one */
	const uint64_t *pinned; /* object ids, ascending */
	size_t pinned_count;
	uint64_t start_txn; /* unfinished uploads of earlier transactions are garbage */
};

#define RECLAIM_HELD_MAX 64

struct reclaim {
	uint64_t resume_id; /* object id where the next step begins to look */
	/* Objects that the last step could not free because they are pinned. */
	uint64_t held[RECLAIM_HELD_MAX];
	size_t held_count;
};

#define RECLAIM_PAGES_MAX 4096 /* per commit */
#define RECLAIM_LOOK_MAX 256   /* list rows looked at per commit */

/* Frees at most `pages` chunk pages. *ret_freed counts them. Returns STORE_HIT or an error. */
int reclaim_chunks(struct reclaim *reclaim, struct objects *objects,
		   const struct reclaim_limits *limits, uint64_t pages,
		   uint64_t *ret_freed);

/* Removes at most `most` rows of flushed incarnations, records and stamps; *ret_removed counts them. */
int reclaim_flushed(struct objects *objects, unsigned most, unsigned *ret_removed);

/* True if anything is flushed and not yet gone. */
bool reclaim_has_flushed(const struct ledger *ledger);

#endif
