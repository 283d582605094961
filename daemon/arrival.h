/* arrival.h - values that arrive in parts: their rows are in the store, but no record names them yet.
 * Writer thread only. */
#ifndef DAEMON_ARRIVAL_H
#define DAEMON_ARRIVAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* One more than connections can have: each has at most one body under way. */
#define UPLOADS_MAX 65536

/* Rows of a value that is still arriving. */
struct arrival {
	uint64_t object_id;
	uint64_t tenant; /* who is charged for it, and will be for the object */
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

/* NULL: there is none. */
struct arrival *arrival_find(const struct arrivals *arrivals, uint64_t object_id);
/* NULL: no memory, or there are too many. */
struct arrival *arrival_new(struct arrivals *arrivals, uint64_t object_id,
			    uint64_t tenant);

/* Chunk pages of values that are still arriving. */
uint64_t arrivals_pages(const struct arrivals *arrivals);
void arrivals_committed(struct arrivals *arrivals);
void arrivals_aborted(struct arrivals *arrivals);
void arrivals_done(struct arrivals *arrivals);

#endif
