/* lease.h - who computes what is missing, and who waits for it. Loop thread only; knows no store and no
 * socket, takes its time from the caller.
 *
 * An entry of the table is one key (by its row key) that somebody computes or waits for:
 *
 *   HELD      its holder computes; a token names the lease
 *   LAPSED    it ended (its holder is gone, or its time has passed) while nobody waited: the token still
 *             publishes, until the key changes or somebody else is granted it
 *   RESERVED  granted by an earlier start of the daemon and saved: its holder may resume it for a while
 *   OPEN      nobody computes; some wait for whoever stores it
 *
 * Waiters stand in line. Whoever is told something leaves the line and the table, and is found in the
 * order of telling with lease_told(). */
#ifndef DAEMON_LEASE_H
#define DAEMON_LEASE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/deadlines.h"
#include "daemon/record.h"

/* Entries of the table; of these, those that lapsed (its uid's oldest is forgotten for a new one). Of both, and of who
 * waits, a uid has at most half of what others leave. An entry is its holder's; where nobody holds it, his who held it
 * last or waited for it first. */
#define LEASES_MAX 65536
#define LEASES_LAPSED_MAX 16384
/* Who waits, all together. */
#define LEASE_WAITERS_MAX 32768
/* Steps of the walk from holder to holder. A longer way counts as a circle: who computes without a lease
 * wastes work, who waits for itself hangs. */
#define LEASE_WALK_MAX 64
/* After a failure of this many holders in a row everybody computes. */
#define LEASE_FAILURES_MAX 2
#define LEASE_RESERVED_NS UINT64_C(10000000000)
#define LEASE_TOKEN_SIZE 16

struct leases;
struct lease;

/* Which start of the daemon granted it, and which of its grants it was: a number of the one clock. */
struct token {
	uint64_t epoch;
	uint64_t number;
};

/* The process at the other end of one connection: what it holds and what it waits for. */
struct peer;

/* NULL when there is no memory. */
struct peer *peer_new(struct leases *leases, uint32_t uid);
/* It is gone, and no reference of the caller's is left: its leases pass on or lapse; what it waits for is told LEASE_GONE. NULL is fine. */
void peer_free(struct peer **peer, uint64_t now_ns);
/* The same, but its connection stands (a forked child has it): it will be granted nothing any more. */
void peer_died(struct peer *peer, uint64_t now_ns);
/* One more who keeps it in memory, and one less. A peer that is gone is granted nothing. */
struct peer *peer_hold(struct peer *peer);
void peer_release(struct peer **peer);
bool peer_holds(const struct peer *peer);
/* How much it waits for. */
size_t peer_waiting(const struct peer *peer);

enum lease_verdict {
	LEASE_GRANTED, /* compute and publish with the token */
	LEASE_ALONE,   /* compute, without a lease */
	LEASE_VAIN,    /* the wait has passed */
	LEASE_PARK,    /* of lease_ask() only: lease_wait(), or do without */
	LEASE_LOOK, /* of a waiter only, and so the next: something was stored: look again */
	LEASE_GONE,    /* nobody is there to be answered */
	LEASE_LEAVING, /* the daemon shuts down: ask again */
	LEASE_BARRED,  /* it may not wait there any more */
};

struct lease_request {
	struct peer *peer;
	uint64_t holder; /* 0: not said */
	uint64_t
		time_ns; /* the lease's, from its grant; 0: as long as its holder lives */
	bool only_wait;  /* never to be granted it */
};

/* One who waits: inside what the caller parks. Its members are the table's. */
struct waiter {
	struct waiter *next, *previous; /* in line, or among those told */
	struct waiter *next_of_peer, *previous_of_peer;
	struct waiter *next_of_holder, *previous_of_holder; /* in a bucket by holder */
	struct lease *lease;
	struct deadline deadline;
	struct lease_request request;
	enum lease_verdict verdict; /* when it was told */
	struct token token;         /* with LEASE_GRANTED */
	void *news;                 /* with LEASE_LOOK */
};

/* number() gives the next number of the one clock. NULL when there is no memory. */
struct leases *leases_new(uint64_t epoch, uint64_t (*number)(void *arg), void *arg);
/* No peer and no waiter is left. NULL is fine. */
void leases_free(struct leases **leases);

/* The key is absent for the caller: LEASE_GRANTED with its token, LEASE_ALONE, LEASE_LEAVING or LEASE_PARK. */
enum lease_verdict lease_ask(struct leases *leases,
			     const uint8_t row_key[static ROW_KEY_SIZE],
			     const struct lease_request *request, uint64_t now_ns,
			     struct token *ret_token);
/* Right after LEASE_PARK. deadline_ns: UINT64_MAX for none. Borrows the waiter until it was told. Returns
 * -1 when there is no place. */
int lease_wait(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
	       const struct lease_request *request, uint64_t deadline_ns,
	       struct waiter *waiter);

/* Does this token publish? */
bool lease_valid(const struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
		 struct token token);
/* The key was put: the lease is over, and who waits looks again, with `news` in its waiter. Returns how many
 * do. */
size_t lease_published(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
		       void *news);
/* The key was deleted, or flushed: the token is old, and the first in line computes. */
void lease_revoked(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
		   uint64_t now_ns);
/* A namespace was flushed: all its keys live at another incarnation from now on. */
void lease_flushed(struct leases *leases, uint32_t from, uint32_t to, uint64_t now_ns);
/* Its holder gives it up. False: the token is old. */
bool lease_release(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
		   struct token token, bool cannot_be_kept, uint64_t now_ns);
/* Its holder is back, on another connection; what it was granted for (the holder's id, the time) stays. False:
 * it is not its own any more, or somebody would wait for itself; the token stays what it is. */
bool lease_resume(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
		  struct token token, struct peer *peer, uint64_t now_ns);

/* This peer may not do so any more, with keys of this incarnation: wait for a lease, or (`watching`) wait at all. */
void lease_bar_waits(struct leases *leases, struct peer *peer, uint32_t incarnation,
		     bool watching);
/* Nor hold one: its tokens are old, and who waits computes. */
void lease_bar_holds(struct leases *leases, struct peer *peer, uint32_t incarnation,
		     uint64_t now_ns);

/* Ends what has passed by now. */
void lease_tick(struct leases *leases, uint64_t now_ns);
/* When that is next due; UINT64_MAX: never. */
uint64_t lease_deadline_ns(const struct leases *leases);
/* The next one who was told; NULL: nobody. It is the caller's again. */
struct waiter *lease_told(struct leases *leases);
bool lease_anybody_told(const struct leases *leases);

/* The daemon shuts down: everybody who waits is told, nobody is granted anything any more, and what is held
 * stays so, to be saved. */
void lease_leave(struct leases *leases);

/* A lease that outlives an orderly exit. */
struct saved_lease {
	uint8_t row_key[ROW_KEY_SIZE];
	struct token token;
	uint64_t holder;
	uint64_t left_ns; /* until it ends by the clock; 0: it does not */
	uint32_t uid;
};
/* What is held, at most `most` of it. Returns how many. */
size_t lease_saved(const struct leases *leases, uint64_t now_ns, struct saved_lease *to,
		   size_t most);
/* Calls visit for each lease that somebody holds, or may resume: where its key is, and the number of its grant. */
void lease_each(const struct leases *leases,
		void (*visit)(void *arg, uint32_t incarnation, uint64_t number),
		void *arg);
/* Granted by an earlier start: RESERVED from now on. */
void lease_reserve(struct leases *leases, const struct saved_lease *saved,
		   uint64_t now_ns);

struct lease_counts {
	size_t entries, waiters;
	size_t told; /* and not collected yet */
	uint64_t granted, passed, alone, lapsed;
};
const struct lease_counts *lease_counts(const struct leases *leases);

#endif
