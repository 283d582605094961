/* server.h - the event loop: who connects, when the cache has its turn, how it all ends. */
#ifndef DAEMON_SERVER_H
#define DAEMON_SERVER_H

#include <signal.h>

#include "conf/conf.h"
#include "daemon/cache.h"
#include "daemon/listener.h"
#include "daemon/usermap.h"

struct server_setup {
	struct conf *conf; /* what SIGHUP reads replaces it */
	const char *data;  /* the data directory, for messages */
	const struct usermap *usermap;
	uint32_t release;    /* major * 65536 + minor * 256 + patch */
	bool makes_room;     /* leaves when a daemon of a higher release asks for it */
	struct cache *cache; /* taken: it is closed at the end */
	struct listener *listeners; /* taken: they are closed at the end */
	unsigned listener_count;
	const sigset_t *signals; /* the mask to run with, once they are handled */
	/* Reads the configuration anew, as at the start. Returns 0, or -1 with a sentence. */
	int (*reload)(struct conf *ret_conf, struct conf_error *error, void *arg);
	void *arg;
};

enum server_end {
	SERVER_STOPPED, /* by a signal, for a newer daemon, or because nobody was connected for idle_exit */
	SERVER_LOST,   /* the cache lost its store: open it anew */
	SERVER_FAILED, /* it could not start; said */
};

/* Serves until it is told to stop. */
enum server_end server_run(const struct server_setup *setup);

#endif
