/* conns.h - all clients' connections of one event loop.
 *
 * Their owner calls conns_turn() after each round of events.
 * A connection is read from once per round, so none can keep the others waiting; one whose replies are
 * not read, or whose request has no room, is not read from until that changes. Loop thread only. */
#ifndef DAEMON_CONNS_H
#define DAEMON_CONNS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "daemon/session.h"

struct conns;

struct conns_limits {
	unsigned connections;
	bool scarce; /* that is for want of descriptors: the longest idle one makes room for a new one */
	size_t receive_size;      /* half-received requests, all together */
	uint64_t idle_timeout_ns; /* for those who owe something */
};

/* Borrows loop and sessions, whose cache is open, until conns_free(). NULL: no memory. */
struct conns *conns_new(uv_loop_t *loop, struct sessions *sessions,
			const struct conns_limits *limits);
/* All connections are closed and the loop ran once more since. NULL is fine. */
void conns_free(struct conns **conns);

void conns_configure(struct conns *conns, const struct conns_limits *limits);

/* A new client. Takes fd in every case. Returns 0, or -1 when the client was sent away. */
int conns_add(struct conns *conns, int fd, uint32_t uid);

unsigned conns_count(const struct conns *conns);

/* Before anything that may ask the cache; may be repeated. */
void conns_turn_begin(struct conns *conns);
/* Goes on with those who can go on, and ends the cache's turn. Returns true when there is work left:
 * the loop must not sleep. */
bool conns_turn(struct conns *conns);

/* Closes those who owed something for too long, frees memory that others wait for. Returns true while
 * it should be called again within CONNS_SWEEP_MS. */
#define CONNS_SWEEP_MS 1000
bool conns_sweep(struct conns *conns);
/* Does anybody owe anything? Cheap; then conns_sweep() is due. */
bool conns_owing(const struct conns *conns);

/* Closes a connection for its descriptor: of the uid that has most, the one that has been idle for longest. False: there
 * is none that is idle. */
bool conns_drop_idle(struct conns *conns);

/* From now on whoever is added hears SHUTTING_DOWN. */
void conns_refuse(struct conns *conns);
/* Says GOAWAY to all; each is closed when it has its answers. New ones are refused. */
void conns_leave(struct conns *conns);
/* Closes all at once. */
void conns_close_all(struct conns *conns);

#endif
