/* announce.c - states for the service manager, and those that it has not taken yet. Loop thread. */
#include "daemon/announce.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "daemon/log.h"

static void
forget_first(struct announcer *announcer)
{
	announcer->count--;
	memmove(announcer->waiting[0], announcer->waiting[1],
		announcer->count * sizeof(announcer->waiting[0]));
}

/* As much of what waits as the manager takes, in its order. */
static void
tell(struct announcer *announcer)
{
	while (announcer->count && notify_send(announcer->waiting[0])) {
		announcer->tries = 0;
		forget_first(announcer);
	}
}

static void
give_up(struct announcer *announcer)
{
	const char *newest = announcer->waiting[announcer->count - 1];

	log_warning("the service manager takes no messages and was not told that %.*s",
		    (int)strcspn(newest, "\n"), newest);
	announcer->count = announcer->tries = 0;
}

static void
on_time(uv_timer_t *timer)
{
	struct announcer *announcer = timer->data;

	tell(announcer);
	if (announcer->count && ++announcer->tries == ANNOUNCE_TRIES_MAX)
		give_up(announcer);
	if (!announcer->count)
		uv_timer_stop(timer);
}

void
announce_init(struct announcer *announcer, uv_loop_t *loop)
{
	announcer->count = announcer->tries = 0;
	uv_timer_init(loop, &announcer->timer);
	announcer->timer.data = announcer;
}

void
announce(struct announcer *announcer, const char *format, ...)
{
	va_list arguments;

	if (announcer->count == ANNOUNCE_WAITING_MAX)
		forget_first(announcer);
	va_start(arguments, format);
	vsnprintf(announcer->waiting[announcer->count++], NOTIFY_TEXT_MAX, format,
		  arguments);
	va_end(arguments);
	tell(announcer);
	if (announcer->count)
		uv_timer_start(&announcer->timer, on_time, ANNOUNCE_AGAIN_MS,
			       ANNOUNCE_AGAIN_MS);
}
