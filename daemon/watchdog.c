/* watchdog.c - feeds the service manager's watchdog. Owns nothing but its timer. Loop thread only. */
#include "daemon/watchdog.h"

#include <stdio.h>

#include "daemon/log.h"
#include "daemon/notify.h"

#define NS_PER_MS UINT64_C(1000000)
/* One that comes late, or gets lost, is no reason to end a daemon. */
#define TIMES_A_PERIOD 4

static void
feed(const struct watchdog *watchdog, const struct cache_health *health)
{
	char status[NOTIFY_TEXT_MAX / 2];

	snprintf(status, sizeof(status), "Serving %u clients; %llu of %llu MiB used",
		 conns_count(watchdog->conns),
		 (unsigned long long)(health->used_bytes >> 20),
		 (unsigned long long)(health->limit_bytes >> 20));
	notify_alive(status);
}

static void
on_time(uv_timer_t *timer)
{
	struct watchdog *watchdog = timer->data;
	struct cache_health health;

	cache_examine(watchdog->cache, &health);
	if (!health.silent) {
		watchdog->hungry = false;
		feed(watchdog, &health);
		return;
	}
	if (!watchdog->hungry)
		log_error(
			"%s got nowhere for minutes: the service manager is not told any "
			"more that this daemon is alive, and will start it anew",
			health.silent);
	watchdog->hungry = true;
}

void
watchdog_start(struct watchdog *watchdog, uv_loop_t *loop, struct cache *cache,
	       const struct conns *conns)
{
	uint64_t period_ms = notify_watchdog_ns() / NS_PER_MS / TIMES_A_PERIOD;

	*watchdog = (struct watchdog){ .cache = cache, .conns = conns };
	uv_timer_init(loop, &watchdog->timer);
	watchdog->timer.data = watchdog;
	if (period_ms)
		uv_timer_start(&watchdog->timer, on_time, period_ms, period_ms);
}
