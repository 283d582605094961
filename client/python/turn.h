/* turn.h - what the files that make up the type Turn share, and what a Request needs of it. Private to this folder. */
#ifndef PYTHON_TURN_H
#define PYTHON_TURN_H

#include <Python.h>
#include <stdbool.h>
#include <unistd.h>

#include "client/brine.h"

struct client;
struct lane;
struct request;
struct state;

struct turn {
	PyObject ob_base;
	struct client *client;  /* owned, and so the next two; NULL once it is over */
	struct turn *outer;     /* inside whose computation it is; NULL: none */
	PyObject *key;          /* encoded */
	struct turn *outermost; /* owned; NULL: it is this one */
	struct lane *lane;      /* of the lease, if a blocking call was granted one */
	pid_t pid;              /* whose turn it is: not a forked child's */
	uint64_t holder;
	bool leased;
	unsigned char token[BRINE_TOKEN_SIZE];
	bool over;
	/* Of an outermost one: a page that forked children see, 1 once it is over; NULL: it never forked. */
	unsigned char *over_shared;
};

static inline struct turn *
turn_of(PyObject *self)
{
	return (struct turn *)self;
}

/* A forked child computes on, but the lease is its parent's. */
static inline bool
turn_holds(const struct turn *turn)
{
	return turn->leased && turn->pid == getpid();
}

/* object, if it is a Turn whose outermost computation still runs; else NULL. Borrowed. */
struct turn *turn_running(struct state *state, PyObject *object);
/* Of the computation that a new one inside `inherited` (NULL: none) belongs to. Never 0. */
uint64_t turn_holder_id(struct state *state, const struct turn *inherited);

/* A new one, without a lease; NULL: an exception is set. */
PyObject *turn_new(struct client *client, const void *key, size_t key_len,
		   struct turn *inherited, uint64_t holder);
/* It was granted one, on this lane, or (NULL) to who awaited it. */
void turn_grant(struct turn *turn, struct lane *lane,
		const unsigned char token[BRINE_TOKEN_SIZE]);
/* Gives back what it has. The lease, if it has one, is over, or another process's. */
void turn_end(struct turn *turn);

/* awaited.c */

/* The turn of who asked with this request. token: its lease's, or NULL where it has none. */
PyObject *turn_awaited(const struct request *request, const unsigned char *token);
/* (value, cost_us, ttl, stale_ms, tags): the Request that stores what was computed. None: there is nothing to store,
 * because it is over, or the lease is a parent process's. */
PyObject *turn_publishing(PyObject *self, PyObject *args);
/* May another one's result be kept? The Request that gives the lease up. None: there is none. */
PyObject *turn_giving_up(PyObject *self, PyObject *may_be_kept);
/* On a new connection: the Request that takes the lease up. None: there is none. */
PyObject *turn_resuming(PyObject *self, PyObject *unused);

#endif
