/* announce.h - tells the service manager what it must hear: that the daemon is ready, reads its configuration, or leaves.
 * While the manager takes nothing, it is told later. Loop thread only. */
#ifndef DAEMON_ANNOUNCE_H
#define DAEMON_ANNOUNCE_H

#include <uv.h>

#include "daemon/notify.h"

/* States that wait to be told; where there are more, the oldest is left out. */
#define ANNOUNCE_WAITING_MAX 4
#define ANNOUNCE_AGAIN_MS 100
/* Attempts in a row that came to nothing, a minute of them: then what waits is given up, which is logged. */
#define ANNOUNCE_TRIES_MAX 600

struct announcer {
	uv_timer_t timer; /* runs while something waits */
	unsigned tries;
	unsigned count;
	char waiting[ANNOUNCE_WAITING_MAX][NOTIFY_TEXT_MAX]; /* in their order */
};

/* The timer is the loop's to close. */
void announce_init(struct announcer *announcer, uv_loop_t *loop);

/* Tells a state, as printf() writes it, behind those that wait. Never waits itself. */
__attribute__((format(printf, 2, 3))) void announce(struct announcer *announcer,
						    const char *format, ...);

#endif
