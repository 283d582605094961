/* look.h - one look at the figures of STATS: those of each scope that brine top shows, as numbers. Owns itself. */
#ifndef CLI_LOOK_H
#define CLI_LOOK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/brine.h"
#include "proto/latency.h"

/* More are counted, and not shown. */
#define LOOK_SCOPES_MAX 4096
/* Of a scope's name: a uid, a colon, a namespace. */
#define LOOK_NAME_MAX 80

enum look_figure {
	LOOK_REQUESTS,
	LOOK_HITS,
	LOOK_MISSES,
	LOOK_PUTS,
	LOOK_OBJECTS,
	LOOK_HELD,
	LOOK_EVICTED,
	LOOK_EXPIRED,
	LOOK_WAITS,
	LOOK_SAVED_US,
	/* of the whole daemon */
	LOOK_UPTIME_MS,
	LOOK_CONNECTIONS,
	LOOK_USED,
	LOOK_LIMIT,
	LOOK_FIGURES
};

enum look_latency { LOOK_GET, LOOK_DISK, LOOK_LATENCIES };

struct look_scope {
	char name[LOOK_NAME_MAX + 1];
	uint64_t figures[LOOK_FIGURES];
	struct latency latencies[LOOK_LATENCIES];
};

struct look {
	uint64_t at_us; /* by the clock of who looked */
	char release[32];
	struct look_scope daemon;
	struct look_scope *scopes; /* owned */
	size_t count, room;
	size_t left_out;
};

/* What the text of brine_stats() says. Returns 0, or -1: no memory. What there was before is freed. */
int look_read(struct look *look, const struct brine_value *text, uint64_t at_us);
void look_done(struct look *look);

/* The scope of that name, or NULL. */
const struct look_scope *look_find(const struct look *look, const char *name);

/* What came between the two; all of it if before is NULL, none of it if the figure went back (another daemon). */
uint64_t look_since(const struct look_scope *now, const struct look_scope *before,
		    enum look_figure figure);
void look_latency_since(const struct look_scope *now, const struct look_scope *before,
			enum look_latency which, struct latency *ret_latency);

#endif
