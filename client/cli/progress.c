/* progress.c - draws the progress of a transfer. Owns nothing. */
#include "client/cli/progress.h"

#include <stdio.h>
#include <time.h>

#include "client/brine.h"
#include "client/cli/units.h"

/* What is over sooner needs no line. */
#define FIRST_US 700000
#define EACH_US 200000

static uint64_t
clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

void
progress_begin(struct progress *progress, bool wanted, uint64_t total)
{
	*progress = (struct progress){ .wanted = wanted, .total = total };
	if (!wanted)
		return;
	progress->began_us = clock_us();
	progress->next_us = progress->began_us + FIRST_US;
}

void
progress_text(const struct progress *progress, uint64_t now_us,
	      char to[static PROGRESS_TEXT_MAX])
{
	char done[UNITS_TEXT_MAX], total[UNITS_TEXT_MAX], rate[UNITS_TEXT_MAX],
		left[UNITS_TEXT_MAX];
	double seconds = (double)(now_us - progress->began_us) / 1e6;
	double speed = seconds > 0 ? (double)progress->done / seconds : 0;
	double rest;

	size_show(progress->done, done);
	size_show((uint64_t)speed, rate);
	if (progress->total == BRINE_UNKNOWN || progress->done > progress->total ||
	    speed < 1) {
		snprintf(to, PROGRESS_TEXT_MAX, "%s, %s/s", done, rate);
		return;
	}
	rest = (double)(progress->total - progress->done) / speed;
	size_show(progress->total, total);
	duration_show((uint64_t)rest * 1000000, left);
	snprintf(to, PROGRESS_TEXT_MAX, "%s of %s, %u%%, %s/s, %s left", done, total,
		 (unsigned)(100.0 * (double)progress->done / (double)progress->total),
		 rate, left);
}

void
progress_add(struct progress *progress, size_t bytes)
{
	char text[PROGRESS_TEXT_MAX];
	uint64_t now_us;

	progress->done += bytes;
	if (!progress->wanted)
		return;
	now_us = clock_us();
	if (now_us < progress->next_us)
		return;
	progress_text(progress, now_us, text);
	fprintf(stderr, "\r%s\033[K", text);
	progress->drawn = true;
	progress->next_us = now_us + EACH_US;
}

void
progress_end(struct progress *progress)
{
	if (progress->drawn)
		fputs("\r\033[K", stderr);
	progress->drawn = false;
}
