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
#include "proto/latency.h"

#define NAMESPACES_TOTAL_MAX 65536
/* In the place of a uid: of a shared namespace. It is nobody's number. */
#define NAMESPACE_SHARED UINT32_MAX
/* LMDB's tables have names that begin with 0xff: row keys stay below. */
#define INCARNATION_MAX 0xfeffffffu

/* From 1 on, and round. */
static inline uint32_t
incarnation_after(uint32_t incarnation)
{
	return incarnation < INCARNATION_MAX ? incarnation + 1 : 1;
}

/* How far the stamps of an incarnation's tags have come; sweep.c moves it on. */
enum stamping_phase {
	STAMPING_RESTS,
	STAMPING_OBJECTS, /* removes objects that a stamp up to `until` voids */
	STAMPING_STAMPS,  /* drops the stamps up to `until`: no object is left for them */
	STAMPING_COVERED, /* drops the stamps up to `until`: one row stands for them all */
};

#define STAMPING_AT (ROW_KEY_SIZE - 4)

struct stamping {
	uint64_t newest;  /* stamp of all that were put */
	uint64_t swept;   /* objects older than stamps up to this one are gone */
	uint64_t dropped; /* and so are those stamps, up to this one */
	uint64_t until;
	enum stamping_phase phase;
	uint8_t at[STAMPING_AT]; /* where the phase goes on, behind the incarnation */
};

#define USAGE_FIGURES 10

struct usage {
	uint32_t incarnation;
	uint32_t uid;
	bool flushed; /* on the reclaim list: first to go, and charged to nobody */
	bool foreign; /* from another machine: nobody's, until it is adopted */
	bool changed; /* since its row was written */
	union {
		struct {
			_Atomic uint64_t objects;
			_Atomic uint64_t logical; /* bytes of values */
			/* of records, expiry rows and stamps, as LMDB counts them */
			_Atomic uint64_t leaf_bytes;
			_Atomic uint64_t chunk_pages; /* of published objects */
			_Atomic uint64_t tagged;      /* objects with tags */
			_Atomic uint64_t stamps;
			/* Objects that went, why, since the start: of all incarnations that the
			 * name has had. */
			_Atomic uint64_t evicted;
			_Atomic uint64_t expired;
			_Atomic uint64_t invalidated;
			_Atomic uint64_t flushed_objects;
		};
		_Atomic uint64_t figures[USAGE_FIGURES];
	};
	uint64_t committed[USAGE_FIGURES]; /* the figures as the last commit left them */
	struct stamping stamping;
	struct stamping committed_stamping;
	/* Of the last sweep: when it began and when the next may (CLOCK_MONOTONIC), and how much it was worth. */
	uint64_t sweep_began_ns;
	uint64_t sweep_next_ns;
	uint64_t sweep_walked;
	uint64_t sweep_removed;
	/* The writer's: what its objects have cost, in the middle of those that tell; 0: none was looked at. */
	double median_cost_us;
	/* Set by the loop: stamps above this number are kept, whatever they void. UINT64_MAX: none need be. */
	_Atomic uint64_t keep_above;
	/* Set by the loop, too: what its tenant may hold, in bytes as they are charged, and whether nobody can reach it any
	 * more: then it is nobody's, and the first victim. */
	_Atomic uint64_t quota;
	_Atomic bool aside;
	/* The writer's last transaction that wrote its row; what was stored at the start counts as written just then. */
	_Atomic uint64_t written_txn;
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
/* The numbers that systemd gives to services for as long as they run, and then to others. */
#define DYNAMIC_UID_MIN 61184
#define DYNAMIC_UID_MAX 65519

static inline bool
uid_dynamic(uint32_t uid)
{
	return uid >= DYNAMIC_UID_MIN && uid <= DYNAMIC_UID_MAX;
}

/* Who holds it: a uid with all its namespaces, or a shared namespace by itself. */
static inline uint64_t
usage_tenant(const struct usage *usage)
{
	return usage->uid == NAMESPACE_SHARED
		       ? (uint64_t)NAMESPACE_SHARED << 32 | usage->incarnation
		       : usage->uid;
}

/* The same for one figure of the usage. */
void usage_shift(struct usage *usage, _Atomic uint64_t *figure, int64_t by);
/* The objects that are left are flushed, and another usage goes on for the name: so do the figures of what went. */
void usage_succeed(struct usage *usage, const struct usage *flushed);
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

/* The first namespace row of this incarnation or a later one, malloc()ed: the caller's to free. STORE_HIT, STORE_MISS or
 * an error. Any thread. */
int usage_seek(struct snapshot *snapshot, uint32_t incarnation, struct usage **ret_usage);
/* Does any row belong to it? STORE_HIT, STORE_MISS or an error. */
int incarnation_used(struct snapshot *snapshot, uint32_t incarnation);
/* Reads every namespace row. */
int ledger_load(struct ledger *ledger, struct snapshot *snapshot);
/* Writes the rows of what changed. */
int ledger_write(struct ledger *ledger, struct write *write);
int ledger_delete_row(const struct usage *usage, struct write *write);
/* After a write: takes what it changed for good (and frees what is gone), or takes it back. */
void ledger_committed(struct ledger *ledger);
void ledger_aborted(struct ledger *ledger);

/* ---- the loop's side: names ---- */

struct conf_namespace;

/* Whose it is when this uid asks for it: its own, unless the name is one of a shared namespace. */
static inline uint32_t
namespace_owner(uint32_t uid, struct slice name)
{
	return name.len && *(const char *)name.data == '/' ? NAMESPACE_SHARED : uid;
}

struct namespace
{
	const struct conf_namespace *
		declared; /* of a shared one; NULL: it is not any more, or it is private */
	struct usage *
		usage; /* of the present incarnation; the writer's once it was handed over */
	uint32_t incarnation;
	uint32_t uid;
	uint64_t newest;  /* number of the last change that made it or put something */
	uint64_t flushed; /* number of the last change that flushed it */
	size_t users;     /* requests that wait */
	uint64_t stamped; /* newest stamp of a tag: what is newer need not look for one */
	uint64_t unkept;  /* stamps up to this number may be gone */
	/* counters of this start */
	uint64_t requests;
	unsigned unmeasured; /* answered at once, since the last that was measured */
	struct latency gets; /* how long they took */
	uint64_t hits;
	uint64_t misses_absent;
	uint64_t misses_expired;
	uint64_t misses_invalidated;
	uint64_t misses_refused; /* too old, or a version that was not wanted */
	uint64_t stale_hits;
	uint64_t waits;
	uint64_t saved_us; /* what the values that were hit had cost */
	uint64_t puts;
	uint64_t deletes;
	struct namespace *next;                  /* in its bucket */
	struct namespace *preceding, *following; /* of its owners' */
	size_t name_len;
	char name[NAMESPACE_NAME_MAX];
};

#define NAMES_BUCKETS 4096
#define NAMES_OWNERS 256

struct names {
	struct namespace *buckets[NAMES_BUCKETS]; /* by uid and name */
	struct namespace *owners
		[NAMES_OWNERS]; /* by uid: what one has is found without what others have */
	size_t count;
	struct namespace *
		last; /* found by the previous look-up: nearly always the next one's too */
};

/* What this uid calls so. */
struct namespace *names_find(struct names *names, uint32_t uid, struct slice name);
/* NULL when memory is short. usage stays where it is. */
struct namespace *names_add(struct names *names, struct usage *usage);
/* Frees it; its usage stays. */
void names_remove(struct names *names, struct namespace *namespace);
unsigned names_count(const struct names *names, uint32_t uid);
/* All of them, or one uid's, in no order; after NULL: the first. What was given may be removed once the next is known. */
struct namespace *names_next(const struct names *names, const struct namespace *after);
struct namespace *names_next_of(const struct names *names, uint32_t uid,
				const struct namespace *after);
void names_done(struct names *names);

#endif
