/* namespace.h - namespaces, what each holds, and their rows on the disk.
 *
 * A struct namespace is the loop's: a name of a uid, and where its rows are now. A struct usage is the
 * writer's: what one incarnation holds. The loop makes both and hands the usage over inside a change;
 * it reads a usage's figures at any time (relaxed atomics). */
#ifndef DAEMON_NAMESPACE_H
#define DAEMON_NAMESPACE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/store.h"
#include "proto/key.h"

#define NAMESPACES_TOTAL_MAX 65536
/* LMDB's tables have names that begin with 0xff: row keys stay below. */
#define INCARNATION_MAX 0xfeffffffu

struct usage {
	uint32_t incarnation;
	uint32_t uid;
	bool flushed; /* on the reclaim list: first to go, and charged to nobody */
	bool changed; /* since its row was written */
	_Atomic uint64_t objects;
	_Atomic uint64_t logical;    /* bytes of values */
	_Atomic uint64_t leaf_bytes; /* of records and expiry rows, as LMDB counts them */
	_Atomic uint64_t chunk_pages; /* of published objects */
	uint64_t committed[4];        /* the four above as the last commit left them */
	bool committed_flushed;
	bool stored;             /* some commit has left its row */
	bool gone;               /* its last row goes with the present write */
	struct usage *next;      /* in the ledger's bucket */
	struct usage *following; /* in the list of all */
	struct usage *preceding;
	size_t name_len;
	char name[NAMESPACE_NAME_MAX];
};

/* Additions and subtractions by the writer alone; subtracting stops at zero. */
void usage_change(struct usage *usage, int64_t objects, int64_t logical,
		  int64_t leaf_bytes, int64_t chunk_pages);
struct usage *usage_new(uint32_t incarnation, uint32_t uid, struct slice name);

static inline uint64_t
usage_figure(const _Atomic uint64_t *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

/* ---- the writer's side: every incarnation that has rows ---- */

#define LEDGER_BUCKETS 1024

struct ledger {
	struct usage *buckets[LEDGER_BUCKETS];
	struct usage *first; /* each commit walks over all of them, more than once */
	size_t count;
};

void ledger_add(struct ledger *ledger, struct usage *usage); /* takes it */
struct usage *ledger_find(const struct ledger *ledger, uint32_t incarnation);
/* Frees it. */
void ledger_remove(struct ledger *ledger, struct usage *usage);
void ledger_done(struct ledger *ledger);
/* The next usage after `after` (NULL: the first) in no particular order; NULL at the end. */
struct usage *ledger_next(const struct ledger *ledger, const struct usage *after);

/* Reads every namespace row; those that hold nothing are left out. */
int ledger_load(struct ledger *ledger, struct snapshot *snapshot);
/* Writes the rows of what changed. */
int ledger_write(struct ledger *ledger, struct write *write);
int ledger_delete_row(const struct usage *usage, struct write *write);
/* After a write: takes what it changed for good (and frees what is gone), or takes it back. */
void ledger_committed(struct ledger *ledger);
void ledger_aborted(struct ledger *ledger);

/* ---- the loop's side: names ---- */

struct namespace
{
	struct usage *
		usage; /* of the present incarnation; the writer's once it was handed over */
	uint32_t incarnation;
	uint32_t uid;
	uint64_t flushed_at; /* change number of the last flush */
	/* counters of this start */
	uint64_t hits;
	uint64_t misses_absent;
	uint64_t misses_expired;
	uint64_t misses_refused; /* too old, or a version that was not wanted */
	uint64_t stale_hits;
	uint64_t waits;
	uint64_t saved_us; /* what the values that were hit had cost */
	uint64_t puts;
	uint64_t deletes;
	struct namespace *next;
	size_t name_len;
	char name[NAMESPACE_NAME_MAX];
};

#define NAMES_BUCKETS 4096

struct names {
	struct namespace *buckets[NAMES_BUCKETS];
	size_t count;
	struct namespace *
		last; /* found by the previous look-up: nearly always the next one's too */
};

struct namespace *names_find(struct names *names, uint32_t uid, struct slice name);
/* NULL when memory is short. usage stays where it is. */
struct namespace *names_add(struct names *names, struct usage *usage);
unsigned names_count(const struct names *names, uint32_t uid);
struct namespace *names_next(const struct names *names, const struct namespace *after);
void names_done(struct names *names);

#endif
