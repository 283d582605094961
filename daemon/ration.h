/* ration.h - so many log lines of one kind a minute, whatever somebody does all the time. Pure. */
#ifndef DAEMON_RATION_H
#define DAEMON_RATION_H

#include <stdbool.h>
#include <stdint.h>

/* All 0 is a ration that nothing was taken of. */
struct ration {
	uint64_t minute_ns; /* when the minute began */
	unsigned asked;     /* in it */
};

/* May one more be written, of `most` a minute? *ret_withheld is how many were not in the minute that just ended; 0 until
 * it has. */
bool ration_take(struct ration *ration, uint64_t now_ns, unsigned most,
		 unsigned *ret_withheld);

#endif
