/* top.c - brine top: looks at the figures again and again. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/command.h"
#include "client/cli/look.h"
#include "client/cli/report.h"
#include "client/cli/screen.h"
#include "client/cli/stats.h"
#include "client/cli/toptable.h"

#define INTERVAL_MS 2000
/* The first rates need not wait for a whole interval. */
#define FIRST_MS 500
#define INTERVAL_LEAST_MS 100
#define INTERVAL_MOST_MS (24 * 60 * 60 * 1000)
#define WHERE_MAX 256

struct top {
	struct cli *cli;
	struct look looks[2];
	unsigned now; /* which of them */
	bool before;  /* the other one is a look before it */
	char where[WHERE_MAX];
	char trouble[WHERE_MAX]; /* "": the last look succeeded */
};

static uint64_t
clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Looks once more. Returns 0 or the handle's error; then there is no look before the next one. */
static int
look(struct top *top)
{
	struct brine_value *text;
	int result = brine_stats(top->cli->brine, &text);

	if (result < 0) {
		top->before = false;
		top->looks[top->now].at_us = 0;
		snprintf(top->trouble, sizeof(top->trouble), "%s",
			 brine_message(top->cli->brine));
		return result;
	}
	top->before = top->looks[top->now].at_us != 0;
	top->now = !top->now;
	result = look_read(&top->looks[top->now], text, clock_us());
	brine_value_release(&text);
	top->trouble[0] = 0;
	brine_where(top->cli->brine, top->where, sizeof(top->where));
	return result ? -BRINE_ERROR_LOCAL_MEMORY : 0;
}

static const struct look *
look_before(const struct top *top)
{
	return top->before ? &top->looks[!top->now] : NULL;
}

/* ---- on a terminal */

static bool
draw(const struct top *top)
{
	unsigned columns, rows;
	char *bytes = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&bytes, &len);
	bool there = true;

	if (!to)
		return false;
	screen_size(&columns, &rows);
	if (*top->trouble)
		fprintf(to, "%.*s" SCREEN_LINE_END, (int)columns, top->trouble);
	else
		toptable_draw(to, &top->looks[top->now], look_before(top), top->where,
			      columns, rows, SCREEN_LINE_END);
	if (fclose(to) == 0)
		there = screen_show(bytes, len);
	free(bytes);
	return there;
}

/* Until the time is over, drawing again when the size changes. False: it is to end. */
static bool
rest(const struct top *top, uint64_t until_us)
{
	uint64_t now_us;

	for (now_us = clock_us(); now_us < until_us; now_us = clock_us()) {
		switch (screen_wait((int)((until_us - now_us) / 1000) + 1)) {
		case SCREEN_QUIT:
			return false;
		case SCREEN_CHANGED:
			if (!draw(top))
				return false;
			break;
		case SCREEN_NOTHING:
		case SCREEN_KEY:
			break;
		}
	}
	return true;
}

static int
watch(struct top *top, uint64_t interval_ms, uint64_t rounds)
{
	int result = look(top);

	if (result < 0)
		return report_failure(top->cli, result);
	result = screen_open();
	if (result < 0) {
		report(top->cli, "cannot use this terminal: %s", strerror(-result));
		return EXIT_OTHER;
	}
	for (uint64_t round = 0; draw(top) && round != rounds; round++) {
		uint64_t ms =
			round == 0 && FIRST_MS < interval_ms ? FIRST_MS : interval_ms;

		if (!rest(top, clock_us() + ms * 1000))
			break;
		look(top); /* what fails is shown, and tried again */
	}
	screen_close();
	return EXIT_DONE;
}

/* ---- elsewhere */

static void
write_time(char *to, size_t size)
{
	time_t now = time(NULL);
	struct tm utc;

	gmtime_r(&now, &utc);
	strftime(to, size, "%Y-%m-%dT%H:%M:%SZ", &utc);
}

static int
write_round(struct top *top)
{
	char time[32];

	write_time(time, sizeof(time));
	toptable_write_lines(stdout, &top->looks[top->now], look_before(top), time);
	return fflush(stdout);
}

static int
list(struct top *top, uint64_t interval_ms, uint64_t rounds)
{
	const struct timespec pause = { .tv_sec = (time_t)(interval_ms / 1000),
					.tv_nsec = (long)(interval_ms % 1000) * 1000000 };
	int result = look(top);

	if (result < 0)
		return report_failure(top->cli, result);
	toptable_write_head(stdout);
	if (fflush(stdout) != 0)
		return EXIT_OTHER; /* main() reports it */
	for (uint64_t round = 0; round != rounds; round++) {
		nanosleep(&pause, NULL);
		result = look(top);
		if (result < 0)
			report_failure(top->cli, result);
		else if (write_round(top) != 0)
			break;
	}
	return EXIT_DONE;
}

static int
list_json(struct top *top, uint64_t interval_ms, uint64_t rounds)
{
	const struct timespec pause = { .tv_sec = (time_t)(interval_ms / 1000),
					.tv_nsec = (long)(interval_ms % 1000) * 1000000 };

	for (uint64_t round = 0; round != rounds; round++) {
		struct brine_value *text;
		int result;

		if (round)
			nanosleep(&pause, NULL);
		result = brine_stats(top->cli->brine, &text);
		if (result < 0 && round == 0)
			return report_failure(top->cli, result);
		if (result < 0) {
			report_failure(top->cli, result);
			continue;
		}
		stats_write_json(stdout, text);
		brine_value_release(&text);
		if (fflush(stdout) != 0)
			break;
	}
	return EXIT_DONE;
}

int
command_top(struct cli *cli)
{
	const struct options *options = &cli->options;
	struct top top = { .cli = cli };
	uint64_t interval_ms = INTERVAL_MS, rounds = UINT64_MAX;
	int status;

	if (option_given(options, OPTION_INTERVAL))
		interval_ms = options->number[OPTION_INTERVAL];
	if (interval_ms < INTERVAL_LEAST_MS || interval_ms > INTERVAL_MOST_MS)
		return report_usage(cli, "--interval %s: allowed is 100ms to 1d.",
				    options->text[OPTION_INTERVAL]);
	if (option_given(options, OPTION_ROUNDS))
		rounds = options->number[OPTION_ROUNDS];
	if (option_given(options, OPTION_JSON))
		status = list_json(&top, interval_ms, rounds);
	else if (isatty(STDIN_FILENO) && isatty(STDOUT_FILENO))
		status = watch(&top, interval_ms, rounds);
	else
		status = list(&top, interval_ms, rounds);
	look_done(&top.looks[0]);
	look_done(&top.looks[1]);
	return status;
}
