/* apply.h - turns accepted changes into rows. Writer thread only. */
#ifndef DAEMON_APPLY_H
#define DAEMON_APPLY_H

#include "daemon/change.h"
#include "daemon/object.h"

/* One more than connections can have: each has at most one body under way. */
#define UPLOADS_MAX 65536

/* Rows of a value that is still arriving. */
struct arrival {
	uint64_t object_id;
	uint32_t index;
	uint32_t big_rows;
	uint32_t small_rows;
	/* As the last commit left them; index 0: it knew of none. */
	uint32_t committed[3];
	bool gone; /* published or abandoned by the present write */
	struct arrival *next;
};

struct arrivals {
	struct arrival *first;
	size_t count;
};

/* Applies one change. STORE_HIT; STORE_MISS if it was void (a touch of what is gone); or an error. */
int apply_change(struct arrivals *arrivals, struct objects *objects,
		 struct change *change);

/* Pages of the change's own value, and one for its row. */
uint64_t apply_estimate(const struct change *change);

/* Chunk pages of values that are still arriving. */
uint64_t arrivals_pages(const struct arrivals *arrivals);
void arrivals_committed(struct arrivals *arrivals);
void arrivals_aborted(struct arrivals *arrivals);
void arrivals_done(struct arrivals *arrivals);

#endif
