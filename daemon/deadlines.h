/* deadlines.h - a heap of points in time, each inside what it belongs to. Owns its array of pointers. */
#ifndef DAEMON_DEADLINES_H
#define DAEMON_DEADLINES_H

#include <stddef.h>
#include <stdint.h>

struct deadline {
	uint64_t at_ns;
	size_t place; /* in the heap, from 1; 0: not in it */
};

struct deadlines {
	struct deadline **heap;
	size_t count, room, most;
};

/* At most `most` of them. */
void deadlines_init(struct deadlines *deadlines, size_t most);
void deadlines_done(struct deadlines *deadlines);
/* Borrows the deadline, which is in no heap, until it is removed. -1: no memory, or too many. */
int deadlines_add(struct deadlines *deadlines, struct deadline *deadline, uint64_t at_ns);
/* Harmless when it is not in. */
void deadlines_remove(struct deadlines *deadlines, struct deadline *deadline);
/* The earliest; NULL: there is none. */
struct deadline *deadlines_first(const struct deadlines *deadlines);

#endif
