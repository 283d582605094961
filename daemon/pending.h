/* pending.h - what was accepted and may not be visible in the store yet. Loop thread only.
 *
 * A table from row keys to the newest change of each, looked at before the store by every look-up, and
 * the changes in order of acceptance: gathering (not submitted), submitted, committed. A committed one
 * stays until every look-up that could miss it is over. */
#ifndef DAEMON_PENDING_H
#define DAEMON_PENDING_H

#include "daemon/change.h"

struct pending;

/* NULL when there is no memory. */
struct pending *pending_new(void);
/* Frees what is left, too. */
void pending_free(struct pending **pending);

/* A zeroed change with room for len bytes; NULL when there is no memory. */
struct change *change_new(enum change_kind kind, size_t len);

/* Its value stays where it is until as many have let go. Loop thread. */
void change_keep(struct change *change, size_t times);
void change_let_go(struct change *change);

/* Accepts it: it gets its number and place in the order, and, for a kind with a row key, is what
 * look-ups of that key find from now on. Takes it. */
void pending_add(struct pending *pending, struct change *change);

/* The newest change of the key, NULL if none is pending. Borrowed until the next pending_settle(). */
struct change *pending_find(const struct pending *pending,
			    const uint8_t row_key[static ROW_KEY_SIZE]);

/* Takes everything that gathers, to be submitted; false if nothing does. */
bool pending_take(struct pending *pending, struct change **ret_first,
		  struct change **ret_last);

/* The chain came back committed. Its changes stay visible until pending_settle(). */
void pending_committed(struct pending *pending, struct change *chain);
/* Forgets changes whose transaction is `txn` or an earlier one; gone() is called for each before it is
 * freed. */
void pending_settle(struct pending *pending, uint64_t txn,
		    void (*gone)(void *arg, struct change *change), void *arg);

bool pending_gathers(const struct pending *pending);
/* Acceptance time of the oldest change that is not committed, 0 if all are. */
uint64_t pending_oldest_ns(const struct pending *pending);
uint64_t pending_gathering_ns(
	const struct pending *pending); /* of the oldest not submitted */
/* Number of the newest change; 0 before the first. */
uint64_t pending_newest(const struct pending *pending);
/* Number of the newest change that is committed, with all before it. */
uint64_t pending_committed_number(const struct pending *pending);
/* Changes that are not committed, and the pages that their values will fill. */
uint64_t pending_uncommitted(const struct pending *pending);
uint64_t pending_uncommitted_pages(const struct pending *pending);
size_t pending_bytes(const struct pending *pending);

#endif
