/* watchdog.h - tells the service manager that the daemon is alive, for as long as it is: the loop because it runs this,
 * the writer and the readers because they give signs of life. Loop thread only. */
#ifndef DAEMON_WATCHDOG_H
#define DAEMON_WATCHDOG_H

#include <stdbool.h>

#include <uv.h>

#include "daemon/conns.h"

struct watchdog {
	uv_timer_t timer;
	struct cache *cache;       /* borrowed */
	const struct conns *conns; /* borrowed */
	bool hungry;               /* it is not fed, which was said */
};

/* Feeds it from now on, several times in each period that the manager has set; does nothing where it watches nobody.
 * The timer is the loop's to close. */
void watchdog_start(struct watchdog *watchdog, uv_loop_t *loop, struct cache *cache,
		    const struct conns *conns);

#endif
