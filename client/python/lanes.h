/* lanes.h - the handles of one Cache: one for each call under way, a few kept for the next.
 *
 * A handle of libbrine carries one request at a time, so a thread takes a lane, waits on it without the GIL,
 * and gives it back. Taking and giving are single atomic exchanges: no lock that a fork could leave held. */
#ifndef PYTHON_LANES_H
#define PYTHON_LANES_H

#include <Python.h>
#include <stdatomic.h>
#include <stdbool.h>

#include "client/brine.h"

/* Kept when nobody uses them; more exist while more threads call at once. */
#define LANES_IDLE 16

struct lane {
	struct brine *brine;
	PyThreadState *thread; /* of the waiting thread, while it has no GIL */
	/* Leases that hang on its connection: as long as there are any it goes back to its thread, not to all. */
	unsigned leases;
	unsigned long owner; /* that thread */
	bool busy;           /* taken, and not given back */
	/* Its handle holds a lease that nobody will end: never to be lent again, or it would be taken up anew. */
	bool spoiled;
};

struct lanes {
	_Atomic(struct lane *) idle[LANES_IDLE];
	struct brine_options options; /* its strings are owned */
	struct brine_silence
		silence; /* so that one thread of all waits for a daemon that hangs */
};

/* Copies options, whose `interrupted` is replaced. Opens the first lane, so that bad options show here:
 * 0 or a negative error of libbrine. */
int lanes_init(struct lanes *lanes, const struct brine_options *options);
/* All lanes must have been given back. */
void lanes_done(struct lanes *lanes);

/* A lane for this thread alone, or NULL. */
struct lane *lanes_take(struct lanes *lanes);
void lanes_give(struct lanes *lanes, struct lane *lane);
/* Closes what is idle. */
void lanes_drain(struct lanes *lanes);

/* A lease was granted on this lane, which this thread has taken. */
void lane_pin(struct lane *lane);
/* That lease is over. */
void lanes_unpin(struct lanes *lanes, struct lane *lane);
/* The connection ends, and with it the one lease that hangs on it. False: there are more, or it is in use. */
bool lanes_drop(struct lane *lane);
/* Takes a lane again on which this thread holds a lease. False: it is another thread's, or in use further up
 * this one's stack. */
bool lane_take_again(struct lane *lane);

/* Around a call that may wait. A signal that arrives meanwhile runs its Python handler; if that raises, the
 * call ends with -BRINE_ERROR_INTERRUPTED and the exception is set. */
static inline void
lane_wait(struct lane *lane)
{
	lane->thread = PyEval_SaveThread();
}

static inline void
lane_resume(struct lane *lane)
{
	PyEval_RestoreThread(lane->thread);
}

#endif
