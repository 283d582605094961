/* writer_core.h - the inside of the writer, for its own parts: writer.c (the thread, and what goes on around it),
 * commit.c (one write, from its first change to its commit). Writer thread. */
#ifndef DAEMON_WRITER_CORE_H
#define DAEMON_WRITER_CORE_H

#include "daemon/apply.h"
#include "daemon/mailbox.h"
#include "daemon/pace.h"
#include "daemon/pulse.h"
#include "daemon/sweep.h"
#include "daemon/writer.h"

struct writer {
	pthread_t thread;
	struct mailbox mailbox;
	struct pulse pulse; /* the rest is the writer's alone */

	bool stopping;
	bool disk_full;
	bool damaged;
	bool unlinked;
	struct store *store;
	const struct recency *recency;
	uint64_t minute_ns; /* when the clock was saved and evictions were said */
	uint64_t no_memory_said_ns;
	bool starved; /* the last commit failed for want of memory */
	uint64_t evicted_said;
	uint64_t evicted_bytes_said;
	struct ledger *ledger;
	struct changes todo;
	struct arrivals arrivals;
	struct reclaim reclaim;
	struct sweep sweep;
	struct room room;
	struct pace pace;
	struct progress progress;
	uint64_t listed_pages;
	uint64_t start_txn;
	uint64_t txn;     /* the last one */
	uint64_t *pinned; /* what the loop pinned when the present write began */
	unsigned stalls;
	bool overdue; /* the loop was told who has to give up what is arriving */
	struct writer_counts counts;
};

/* So often room is waited for before a commit goes ahead without. */
#define STALLS_MAX 200

#define COUNT(field, by)                                                                 \
	atomic_fetch_add_explicit(&writer->counts.field, (by), memory_order_relaxed)
#define SHOW(field, value)                                                               \
	atomic_store_explicit(&writer->counts.field, (value), memory_order_relaxed)

static inline uint64_t
writer_shown(const _Atomic uint64_t *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

/* ---- commit.c ---- */

/* Fills and commits one write. with_changes: false for one that only makes room. Returns STORE_HIT if it
 * was committed, STORE_MISS if there was nothing to do, or an error: then all is as before, in memory as well. */
int writer_commit(struct writer *writer, bool with_changes);

#endif
