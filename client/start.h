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

/* Starts a daemon, or waits for the one that another process is starting, for at most a second. Returns 0 when
 * something accepts connections at the socket, or -1 with the reason and the advice in why. */
int start_daemon(const struct start *start, char *why, size_t size);

#endif
