/* start.h - starts this user's daemon: once, however many processes want it. */
#ifndef CLIENT_START_H
#define CLIENT_START_H

#include <stddef.h>

#include "client/locate.h"

struct start {
	const struct locate_env *env;
	const char *daemon; /* the program, or NULL to look for it */
	const char *data;   /* the data directory; made if it is not there */
	const char *socket; /* where the daemon will answer */
	uid_t uid;
};

enum start_result {
	START_DONE = 0,    /* something accepts connections at the socket */
	START_FAILED = -1, /* and is not worth another try */
	START_LATE = -2,   /* it is under way, but the second is over */
};

/* Starts a daemon, or waits for the one that another process is starting, for at most a second. What is not
 * START_DONE has the reason and the advice in why. */
int start_daemon(const struct start *start, char *why, size_t size);

/* Starts a daemon, unless another process is about to, that asks the older one behind the connection `old` for
 * its place, and waits for at most a second until that says there that it leaves, and one more until the new one
 * answers. Nothing that goes wrong is an error: the older one serves. */
void start_newer(const struct start *start, int old);

#endif
