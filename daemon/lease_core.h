/* lease_core.h - the inside of the table of leases, for its own parts: lease.c (what happens to a key),
 * entry.c (one lease from its grant to its end), waiter.c (who waits in line), peer.c (whose they are).
 * Loop thread. */
#ifndef DAEMON_LEASE_CORE_H
#define DAEMON_LEASE_CORE_H

#include "daemon/lease.h"

#define LEASE_BUCKETS 16384   /* a power of two */
#define HOLDER_BUCKET_BITS 15 /* one for each who may wait */
#define HOLDER_BUCKETS (1 << HOLDER_BUCKET_BITS)
#define SHARE_BUCKETS 64

enum state {
	OPEN,
	HELD,
	LAPSED,
	RESERVED,
};

struct line {
	struct waiter *first, *last;
};

struct lease {
	struct lease *next;                            /* in its bucket */
	struct lease *next_of_peer, *previous_of_peer; /* HELD */
	struct lease *older, *newer;                   /* LAPSED, of its share's */
	uint8_t row_key[ROW_KEY_SIZE];
	enum state state;
	struct token token;  /* unless OPEN */
	struct share *share; /* whose it counts for */
	struct peer *peer;   /* HELD; NULL while the daemon leaves */
	uint64_t holder;
	uint32_t uid;
	unsigned failures;        /* of holders in a row */
	struct deadline deadline; /* of the lease, while it is held */
	uint64_t end_ns;          /* when it ends by the clock; 0: not */
	struct line computing, watching;
};

/* What one uid has, all its peers together. */
struct share {
	struct share *next; /* in its bucket */
	uint32_t uid;
	size_t references; /* peers and entries */
	size_t waiters, entries, lapsed;
	struct lease *oldest_lapsed, *newest_lapsed;
};

struct peer {
	struct leases *leases;
	struct share *share;
	struct lease *held;
	struct waiter *waiters;
	size_t waiting;
	size_t references;
	uint32_t uid;
	bool dead;
};

struct leases {
	struct lease *buckets[LEASE_BUCKETS];
	struct waiter *holders[HOLDER_BUCKETS];
	struct share *shares[SHARE_BUCKETS];
	struct line told;
	struct deadlines lease_deadlines, waiter_deadlines;
	size_t lapsed;
	uint64_t secret
		[2]; /* odd: who waits for whom cannot be put into one bucket on purpose */
	uint64_t epoch;
	uint64_t (*number)(void *arg);
	void *arg;
	bool leaving;
	struct lease_counts counts;
};

/* ---- entry.c ---- */

/* NULL: nobody computes the key, or waits for it. */
struct lease *lease_find(const struct leases *leases, const uint8_t *row_key);
/* May it have one more? What it had that lapsed first makes room. */
bool lease_place_left(struct leases *leases, struct share *share);
/* An OPEN one. NULL: no memory, or there is no place for it. */
struct lease *lease_new(struct leases *leases, struct share *share,
			const uint8_t *row_key);
/* Out of the table: nobody waits for it any more. */
void lease_forget(struct leases *leases, struct lease *lease);
/* Whatever it was, nobody holds it now. */
void lease_open_up(struct leases *leases, struct lease *lease);
/* Its token is old; who only waits goes on waiting. */
void lease_end(struct leases *leases, struct lease *lease);
void lease_attach(struct lease *lease, struct peer *peer);
/* False: no memory for its end; nobody holds it then. */
bool lease_grant(struct leases *leases, struct lease *lease,
		 const struct lease_request *request, uint64_t now_ns,
		 struct token *ret_token);
/* The first in line who can hold it does. False: nobody can, and nobody holds it. */
bool lease_pass(struct leases *leases, struct lease *lease, uint64_t now_ns);
/* The waiter leaves the line for a reason of its own: an entry that is nobody's then is forgotten. */
void lease_quit(struct leases *leases, struct waiter *waiter, enum lease_verdict verdict);
/* Its holder is gone, or its time has passed. */
void lease_run_out(struct leases *leases, struct lease *lease, uint64_t now_ns);

static inline bool
lease_taken(const struct lease *lease)
{
	return lease->state == HELD || lease->state == RESERVED;
}

/* ---- peer.c ---- */

/* NULL: no memory. */
struct share *share_join(struct leases *leases, uint32_t uid);
void share_leave(struct leases *leases, struct share *share);

/* ---- waiter.c ---- */

/* Stands in its lease's line from now on. */
void waiter_join(struct leases *leases, struct waiter *waiter);
/* The waiter leaves the line with this verdict; all of a line do. */
void waiter_tell(struct leases *leases, struct waiter *waiter,
		 enum lease_verdict verdict);
void waiter_tell_all(struct leases *leases, struct line *line,
		     enum lease_verdict verdict);
/* Would the asker wait for itself? */
bool waiter_closes_circle(struct leases *leases, const struct lease *lease,
			  const struct lease_request *request);
/* If it were granted this lease, which nobody holds: would somebody who waits for it be waited for by its new
 * holder? grantee is the one who asks, when it stands in line itself. */
bool waiter_grant_closes_circle(struct leases *leases, const struct lease *lease,
				const struct lease_request *request,
				const struct waiter *grantee);

#endif
