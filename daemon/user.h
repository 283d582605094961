/* user.h - what all connections of one uid have together, so that they cannot have all there is. Loop thread only.
 *
 * Of each of these, others than the administrators' uids (root's and the daemon's own) get at most half of what their
 * fellows leave: whoever comes next finds something. */
#ifndef DAEMON_USER_H
#define DAEMON_USER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define USER_BUCKETS 256
/* Reads of one uid's sockets in one round of the loop; the rest waits for the next, behind those of others. */
#define USER_READS_MAX 256
/* Its requests that are carried out in one round, of about a microsecond each. What costs more counts for more: each entry
 * of a batch for one, and each further part of a value, and each tag that is invalidated; and so many bytes, of what is
 * read, carried out, or answered. What looks through a table that holds everybody's counts for all of them. The last may
 * be more than is left. */
#define USER_REQUESTS_MAX 1024
#define USER_READ_BYTES 4096
#define USER_REQUEST_BYTES 1024
#define USER_REPLY_BYTES 1024
/* A page of a scan has memory of its own, and is read by a thread. */
#define USER_SCAN 8

struct user {
	struct user *next; /* in its bucket */
	uint32_t uid;
	bool privileged;
	size_t sessions;
	size_t connections;
	size_t received; /* bytes of half-received requests beyond each connection's share */
	size_t batches; /* bytes of half-received batches */
	uint64_t round; /* in which it has had so many */
	unsigned reads;
	unsigned requests;
};

struct users {
	struct user *buckets[USER_BUCKETS];
};

/* One more of this uid's sessions, and one less: the last frees it. NULL: no memory. */
struct user *user_join(struct users *users, uint32_t uid, bool privileged);
void user_leave(struct users *users, struct user **user);
/* NULL: it has no session. */
struct user *user_find(const struct users *users, uint32_t uid);

/* May a user who has `own` of the `used` have `more`, of at most `most`? user NULL: it has nothing yet. */
bool user_may(const struct user *user, size_t own, size_t used, size_t most, size_t more);

/* May another of its sockets be read from in this round? Counts it. */
bool user_reads(struct user *user, uint64_t round);
/* May one more of its requests be carried out in this round? */
bool user_has_turn(struct user *user, uint64_t round);
/* So many were, in the round of the last question. */
void user_served(struct user *user, unsigned requests);

#endif
