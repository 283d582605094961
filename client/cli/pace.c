/* pace.c - sleeps as long as the rate asks for. Owns nothing. */
#include "client/cli/pace.h"

#include <time.h>

#include "client/brine.h"

#define US_PER_S UINT64_C(1000000)

static uint64_t
clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * US_PER_S + (uint64_t)now.tv_nsec / 1000;
}

void
pace_begin(struct pace *pace, uint64_t rate, bool shown)
{
	*pace = (struct pace){ .rate = rate, .began_us = clock_us() };
	progress_begin(&pace->progress, shown, BRINE_UNKNOWN);
}

void
pace_add(struct pace *pace, uint64_t bytes)
{
	uint64_t due_us, now_us = clock_us();
	struct timespec pause;

	pace->bytes += bytes;
	progress_add(&pace->progress, bytes);
	due_us = pace->began_us +
		 (uint64_t)((double)pace->bytes / (double)pace->rate * (double)US_PER_S);
	if (due_us <= now_us)
		return;
	pause.tv_sec = (time_t)((due_us - now_us) / US_PER_S);
	pause.tv_nsec = (long)((due_us - now_us) % US_PER_S) * 1000;
	nanosleep(&pause, NULL);
}
