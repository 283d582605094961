/* progress.h - one line on standard error that says how far a long transfer is. */
#ifndef CLI_PROGRESS_H
#define CLI_PROGRESS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct progress {
	bool wanted;
	bool drawn;
	uint64_t total; /* BRINE_UNKNOWN */
	uint64_t done;
	uint64_t began_us, next_us;
};

#define PROGRESS_TEXT_MAX 192

void progress_begin(struct progress *progress, bool wanted, uint64_t total);
void progress_add(struct progress *progress, size_t bytes);
/* Removes the line. */
void progress_end(struct progress *progress);

/* The line: "1.2G of 5.0G, 24%, 310M/s, 12s left" */
void progress_text(const struct progress *progress, uint64_t now_us,
		   char to[static PROGRESS_TEXT_MAX]);

#endif
