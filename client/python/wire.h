/* wire.h - what the files that make up the type Wire share. Private to this folder. */
#ifndef PYTHON_WIRE_H
#define PYTHON_WIRE_H

#include <Python.h>
#include <stdbool.h>

#include "client/brine.h"

struct request;
struct state;

#define WHERE_MAX 4096

struct wire {
	PyObject ob_base;
	struct state *state;     /* borrowed from the type; NULL before __init__ */
	PyObject *create_future; /* of the loop; owned */
	struct brine *brine;     /* finds and checks the daemon; carries no request */
	struct brine_wire *wire; /* NULL: not connected */
	int fd;                  /* -1: not connected */
	int64_t timeout_ms;
	struct request *under_way;
	size_t outstanding, parked, values;
	uint64_t answers; /* on this connection that need not be asked for again */
	bool disabled;    /* BRINE_DISABLE=1 */
	bool closed;      /* for ever */
	bool connecting;  /* in another thread */
	bool met;         /* the daemon of this connection has said who it is */
	bool wanted;      /* somebody waits for room: _room() is called */
	bool asked;       /* something was sent since something was received */
	bool owes;        /* a lease that nobody waits for is on its way back */
	bool soon;        /* flush() will be called */
	bool writing;     /* the loop waits until the socket takes more */
	bool watched;     /* tick() will be called */
};

static inline struct wire *
wire_of(PyObject *self)
{
	return (struct wire *)self;
}

/* traffic.c. What returns an int: 0, or -1 with an exception. */

/* At the kernel's tick, on the clock of loop.time(): no system call. */
uint64_t wire_now_ms(void);

/* The list of what is under way; it owns what it holds. wire_remove() gives that reference to the caller. */
void wire_add(struct wire *self, struct request *request);
void wire_remove(struct wire *self, struct request *request);
bool wire_has_room(const struct wire *self, const struct request *request);

/* Calls a hook of Link's. */
int wire_call(struct wire *self, const char *name);
/* An error in words, and where it happened if it is the connection's; a new reference. NULL: no memory for it, and
 * no exception. */
PyObject *wire_message(struct wire *self, int result);
/* Nobody waits for this answer: a lease that it brought goes back. What comes of that is nobody's either. */
void wire_give_back(struct wire *self, const struct request *request);

/* The connection ends, for this reason; what is under way is answered so. mute: the socket is another process's, and
 * not to be spoken on. */
int wire_end(struct wire *self, int error, bool mute);

/* Reads what is there, within bounds, and answers. The connection may have ended then. */
int wire_receive(struct wire *self);
/* Sends what the socket takes. */
int wire_flush_now(struct wire *self);
/* Sends at once where nothing else is on its way, else together with what the loop's turn brings. */
int wire_flush_soon(struct wire *self, bool at_once);

#endif
