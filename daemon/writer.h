/* writer.h - the thread that owns every write: group commit, eviction, expiry, reclaim.
 *
 * The loop submits changes in the order of acceptance and gets them back, in that order, when they are
 * on the disk. While a commit runs, what is submitted gathers for the next one. All functions here are
 * the loop's. */
#ifndef DAEMON_WRITER_H
#define DAEMON_WRITER_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/change.h"
#include "daemon/identity.h"
#include "daemon/mailbox.h"
#include "daemon/recency.h"
#include "daemon/room.h"
#include "daemon/store.h"

#define WRITER_PINS_MAX MAILBOX_PINS_MAX

struct writer;

/* Figures for STATS and the log; the writer counts, anybody reads (relaxed). */
struct writer_counts {
	_Atomic uint64_t commits;
	_Atomic uint64_t changes;
	_Atomic uint64_t longest_commit_ns;
	_Atomic uint64_t longest_unflushed_ns; /* from acceptance to the disk */
	_Atomic uint64_t evicted;
	_Atomic uint64_t evicted_bytes;
	_Atomic uint64_t expired;
	_Atomic uint64_t invalidated; /* their room is back */
	_Atomic uint64_t reclaimed_pages;
	_Atomic uint64_t
		reader_waits; /* times that a commit waited for an old snapshot to go */
	_Atomic uint64_t map_full;
	_Atomic uint64_t disk_full;
	_Atomic uint64_t used_pages;
	_Atomic uint64_t limit_pages;
	_Atomic uint64_t leaf_pages;
	_Atomic uint64_t batch_pages; /* that one commit takes at present */
	_Atomic uint64_t listed_pages;
	_Atomic uint64_t leaf_factor_milli; /* bytes of pages per 1,000 bytes of rows */
};

/* Starts the thread. Borrows store, recency and the paths (of the store's folder, and of the data
 * directory around it) until writer_stop(); takes the ledger. txn is the
 * store's last transaction. wake_fd is an eventfd that is written when writer_collect() has news. */
struct writer *writer_start(struct store *store, struct ledger *ledger,
			    const struct recency *recency,
			    const struct progress *progress,
			    const struct room_settings *settings, const char *path,
			    const char *root, uint64_t txn, int wake_fd);
/* Commits everything that was submitted, ends the thread. What is not collected yet is in *ret_done. */
void writer_stop(struct writer **writer, struct change **ret_done);

/* Changes gather from this time on (daemon time), up to the next writer_submit(): what was there then may be
 * touched by one of them, and does not expire before it is known. */
void writer_expect(struct writer *writer, uint64_t since_ms);
/* Takes the chain first..last. */
void writer_submit(struct writer *writer, struct change *first, struct change *last);

/* What came about since the last time. */
void writer_collect(struct writer *writer, struct writer_news *ret_news);

/* Chunks that were unlinked up to transaction `barrier` may go, but for the pinned ids (ascending,
 * copied). */
void writer_release(struct writer *writer, uint64_t barrier, const uint64_t *pinned,
		    size_t count);
void writer_configure(struct writer *writer, const struct room_settings *settings);
/* Has the thread got nowhere for longer than a slow disk explains (PULSE_PATIENCE_NS)? */
bool writer_silent(const struct writer *writer, uint64_t now_ns);
const struct writer_counts *writer_counts(const struct writer *writer);

#endif
