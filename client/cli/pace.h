/* pace.h - goes through much no faster than it was told to, and shows a person how far it is. */
#ifndef CLI_PACE_H
#define CLI_PACE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/cli/progress.h"

struct pace {
	uint64_t rate; /* bytes a second */
	uint64_t began_us;
	uint64_t bytes; /* so far */
	struct progress progress;
};

void pace_begin(struct pace *pace, uint64_t rate, bool shown);
/* So many bytes more: waits until they were due. */
void pace_add(struct pace *pace, uint64_t bytes);

#endif
