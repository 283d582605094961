/* place.h - where the data is and where the daemon listens, from options and environment. At start only. */
#ifndef DAEMON_PLACE_H
#define DAEMON_PLACE_H

#include <stdbool.h>

#include "conf/conf.h"

#define PLACE_SOCKETS_MAX 3
#define PLACE_ERROR_MAX 1024
#define PLACE_SOCKET_NAME "brine.sock"

struct place {
	char data[CONF_PATH_MAX];
	char socket[CONF_PATH_MAX]; /* the one in it */
	char avoided
		[CONF_PATH_MAX]; /* where it would be, if that were a local file system; or "" */
	const char *avoided_type; /* "NFS" */
	struct place_socket {
		char path[CONF_PATH_MAX];
		bool wanted; /* the daemon does not start without it */
	} sockets[PLACE_SOCKETS_MAX];
	unsigned socket_count;
};

/* Chooses the data directory and makes it, with what is missing above it. It is the effective uid's own
 * and closed to others. Returns 0, or -1 with a sentence. */
int place_choose(const struct conf *conf, struct place *ret_place,
		 char error[static PLACE_ERROR_MAX]);

/* The configuration file of a user's daemon, whether it is there or not. -1: there is no home. */
int place_config(char ret_path[static CONF_PATH_MAX]);

#endif
