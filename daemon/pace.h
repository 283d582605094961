/* pace.h - how much one commit takes, learned from how long the last ones took. Pure. */
#ifndef DAEMON_PACE_H
#define DAEMON_PACE_H

#include <stdint.h>

/* The part of a commit's time that grows with its size stays below this. */
#define PACE_COMMIT_NS (50 * UINT64_C(1000000))
#define PACE_PAGES_MIN 64

struct pace {
	uint64_t most_pages;   /* by size: a commit never takes more */
	uint64_t size_pages;   /* shrinks after a failure, grows back to most_pages */
	uint64_t timely_pages; /* that were flushed in time lately */
	uint64_t
		fixed_ns; /* what a commit takes however small it is: a slowly rising minimum */
};

void pace_init(struct pace *pace, uint64_t most_pages);
/* Pages for the next commit. */
uint64_t pace_pages(const struct pace *pace);
/* A commit of that many pages took that long. A slow flush must not make commits ever smaller, so its
 * fixed part is told from what grows with size. */
void pace_learn(struct pace *pace, uint64_t pages, uint64_t took_ns);
/* A commit failed for want of room: the next one is half as large. */
void pace_failed(struct pace *pace);

#endif
