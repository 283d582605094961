/* door.h - the listeners on the loop: who connects comes in here, also when descriptors run short.
 * Loop thread only. */
#ifndef DAEMON_DOOR_H
#define DAEMON_DOOR_H

#include <stdint.h>

#include <uv.h>

#include "daemon/conns.h"
#include "daemon/listener.h"

#define DOOR_LISTENERS_MAX (LISTENER_ADOPTED_MAX + 3)

struct door {
	struct conns *conns;        /* borrowed from door_open() on */
	struct listener *listeners; /* door_done() closes them */
	unsigned count;
	uv_poll_t polls[DOOR_LISTENERS_MAX];
	uv_timer_t rest; /* runs while nobody can be let in, and nobody is listened to */
	int spare_fd; /* given up to send a client away when there are no descriptors */
	uint64_t descriptors_said_ns;
	uint64_t rest_said_ns;
};

/* Takes the listeners, and borrows their memory until door_done(). */
void door_init(struct door *door, struct listener *listeners, unsigned count);

/* Lets clients in from now on. Returns 0 or libuv's error. */
int door_open(struct door *door, uv_loop_t *loop, struct conns *conns);

/* Lets nobody in any more. Who is in the queue already hears that it is over; an adopted socket's queue is
 * for the next daemon. Before conns_leave(), so that who comes again at once does not come here. Once. */
void door_close(struct door *door);

/* Gives back all descriptors. The loop has let go of every handle. */
void door_done(struct door *door);

#endif
