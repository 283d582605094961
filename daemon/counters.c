/* counters.c - the daemon's own lines of STATS. Owns nothing. Loop thread only. */
#include "daemon/counters.h"

#include <ctype.h>
#include <inttypes.h>
#include <stdio.h>

#include "daemon/log.h"
#include "proto/errors.h"
#include "proto/message.h"

struct text {
	char *at;
	size_t len;
};

static void
add(struct text *text, const char *prefix, const char *name, const char *value)
{
	size_t room = COUNTERS_TEXT_MAX - text->len;
	char *to = text->at + text->len;
	int len = snprintf(to, room, "\t%s%s\t%s\n", prefix, name, value);

	CHECK(len > 0 && (size_t)len < room);
	for (char *c = to; c < to + len; c++)
		*c = (char)tolower((unsigned char)*c);
	text->len += (size_t)len;
}

static void
add_number(struct text *text, const char *prefix, const char *name, uint64_t value)
{
	char digits[24];

	snprintf(digits, sizeof(digits), "%" PRIu64, value);
	add(text, prefix, name, digits);
}

/* Commands that this daemon does not know have one line together. */
static void
add_requests(struct text *text, const uint64_t requests[static COUNTERS_COMMANDS])
{
	uint64_t unknown = 0, fields;

	for (unsigned i = 0; i < COUNTERS_COMMANDS; i++) {
		if (!message_command_fields(i, &fields))
			unknown += requests[i];
		else if (requests[i])
			add_number(text, "requests_", message_command_name(i),
				   requests[i]);
	}
	if (unknown)
		add_number(text, "requests_", "unknown", unknown);
}

size_t
counters_write(const struct counters *counters, uint64_t now_ns,
	       char to[static COUNTERS_TEXT_MAX])
{
	struct text text = { .at = to };

	add(&text, "", "release", BRINE_VERSION);
	add_number(&text, "", "uptime_ms", (now_ns - counters->started_ns) / 1000000);
	add_number(&text, "", "connections", counters->connections);
	add_number(&text, "", "connections_total", counters->connections_total);
	add_number(&text, "", "connections_refused", counters->connections_refused);
	add_number(&text, "", "connections_dropped", counters->connections_dropped);
	add_requests(&text, counters->requests);
	for (int i = 0; i < COUNTERS_ERRORS; i++)
		if (counters->errors[i])
			add_number(&text, "errors_", error_name(i), counters->errors[i]);
	return text.len;
}
