/* ping.c - brine ping: is a daemon there, which one, and how fast does it answer? */
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/report.h"
#include "client/cli/units.h"

#define WHERE_MAX 4400

static uint64_t
clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
show_release(uint32_t release, char to[static 16])
{
	snprintf(to, 16, "%u.%u.%u", release >> 16, release >> 8 & 0xff, release & 0xff);
}

static void
write_json(const struct brine_daemon *daemon, const char *where, uint64_t us)
{
	struct json json;
	char release[16];

	show_release(daemon->release, release);
	json_begin(&json, stdout);
	json_string(&json, "release", release, strlen(release));
	json_string(&json, "where", where, strlen(where));
	json_number(&json, "answer_us", us);
	json_number(&json, "uid", daemon->uid);
	if (daemon->server_uid != BRINE_NOBODY)
		json_number(&json, "server_uid", daemon->server_uid);
	json_number(&json, "max_value", daemon->max_value);
	json_end(&json);
}

static void
write_people(const struct brine_daemon *daemon, const char *where, uint64_t us)
{
	char release[16], time[UNITS_TEXT_MAX], size[UNITS_TEXT_MAX];

	show_release(daemon->release, release);
	duration_show(us ? us : 1, time);
	size_show(daemon->max_value, size);
	printf("brined %s answers in %s at %s.\n", release, time, where);
	printf("Its socket is uid %u's; it sees you as uid %u, and takes values of up to %s.\n",
	       daemon->server_uid, daemon->uid, size);
}

int
command_ping(struct cli *cli)
{
	struct brine_daemon daemon;
	char where[WHERE_MAX];
	uint64_t began_us;
	int result = brine_ping(cli->brine, &daemon);

	if (result < 0)
		return report_failure(cli, result);
	/* The first one had to connect. */
	began_us = clock_us();
	result = brine_ping(cli->brine, &daemon);
	if (result < 0)
		return report_failure(cli, result);
	began_us = clock_us() - began_us;
	brine_where(cli->brine, where, sizeof(where));
	if (option_given(&cli->options, OPTION_JSON))
		write_json(&daemon, where, began_us);
	else
		write_people(&daemon, where, began_us);
	return EXIT_DONE;
}
