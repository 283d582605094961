/* sweep.h - gives back the room of invalidated objects, and of stamps that no object is left for.
 *
 * One incarnation at a time, in slices: first a walk over its objects, which removes those that a stamp voids;
 * when that is done, one over its stamps, which drops those that were there when it began. How far it has come is
 * in the namespace's row, so that it goes on where it was after a restart. Writer thread only. */
#ifndef DAEMON_SWEEP_H
#define DAEMON_SWEEP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/object.h"

struct sweep {
	uint32_t incarnation; /* the last that was worked on */
};

struct swept {
	unsigned objects;
	unsigned stamps;
	bool moved; /* something was looked at: worth a commit, so that it need not be again */
};

/* Removes at most `most` rows, and takes a few milliseconds at most. *ret counts up. Returns STORE_HIT or an
 * error. */
int sweep_slice(struct sweep *sweep, struct objects *objects, unsigned most,
		struct swept *ret);

#endif
