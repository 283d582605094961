/* launch.h - a daemon as a new process that outlives its starter, and the log that it writes. */
#ifndef CLIENT_LAUNCH_H
#define CLIENT_LAUNCH_H

#include "client/locate.h"

/* In the data directory; the one before it is kept beside it. */
#define LAUNCH_LOG "brined.log"
#define LAUNCH_LINE_MAX 240

/* Starts program so that it finds the directory data by itself; folder is that directory, open. The process is
 * nobody's child and shares no descriptor, no signal mask and no terminal with this one. Returns its pid once it
 * was executed, or -1 with errno. */
pid_t launch_daemon(const char *program, const struct locate_env *env, const char *data,
		    int folder);

/* The last line of the log in folder that says anything, cut to fit; "" if there is none. */
void launch_last_line(int folder, char ret_line[static LAUNCH_LINE_MAX]);

#endif
