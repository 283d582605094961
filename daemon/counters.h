/* counters.h - what the daemon itself counts: clients, requests, errors. Loop thread only. */
#ifndef DAEMON_COUNTERS_H
#define DAEMON_COUNTERS_H

#include <stddef.h>
#include <stdint.h>

#define COUNTERS_COMMANDS 128
#define COUNTERS_ERRORS 256
/* Room for every line at once. */
#define COUNTERS_TEXT_MAX 8192

struct counters {
	uint64_t started_ns; /* CLOCK_MONOTONIC */
	uint64_t connections;
	uint64_t connections_total;
	uint64_t connections_refused;
	uint64_t
		connections_dropped; /* that owed something for too long, or broke the protocol */
	uint64_t requests[COUNTERS_COMMANDS];
	uint64_t errors[COUNTERS_ERRORS];
};

/* Writes lines `TAB name TAB value LF` (the daemon's own scope is empty); returns their length. Commands
 * and errors that never occurred are left out. */
size_t counters_write(const struct counters *counters, uint64_t now_ns,
		      char to[static COUNTERS_TEXT_MAX]);

#endif
