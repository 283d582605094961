/* deadlines.c - a binary heap. One thread; owns the array, borrows what is in it. */
#include "daemon/deadlines.h"

#include <stdlib.h>

#include "daemon/log.h"

#define ROOM_FIRST 64

void
deadlines_init(struct deadlines *deadlines, size_t most)
{
	*deadlines = (struct deadlines){ .most = most };
}

void
deadlines_done(struct deadlines *deadlines)
{
	free(deadlines->heap);
	deadlines->heap = NULL;
	deadlines->count = deadlines->room = 0;
}

static void
set(struct deadlines *deadlines, size_t place, struct deadline *deadline)
{
	deadlines->heap[place - 1] = deadline;
	deadline->place = place;
}

static void
rise(struct deadlines *deadlines, struct deadline *deadline, size_t place)
{
	while (place > 1 && deadlines->heap[place / 2 - 1]->at_ns > deadline->at_ns) {
		set(deadlines, place, deadlines->heap[place / 2 - 1]);
		place /= 2;
	}
	set(deadlines, place, deadline);
}

static void
sink(struct deadlines *deadlines, struct deadline *deadline, size_t place)
{
	for (;;) {
		size_t child = 2 * place;

		if (child > deadlines->count)
			break;
		if (child < deadlines->count &&
		    deadlines->heap[child]->at_ns < deadlines->heap[child - 1]->at_ns)
			child++;
		if (deadlines->heap[child - 1]->at_ns >= deadline->at_ns)
			break;
		set(deadlines, place, deadlines->heap[child - 1]);
		place = child;
	}
	set(deadlines, place, deadline);
}

int
deadlines_add(struct deadlines *deadlines, struct deadline *deadline, uint64_t at_ns)
{
	CHECK(!deadline->place);
	if (deadlines->count == deadlines->most)
		return -1;
	if (deadlines->count == deadlines->room) {
		size_t room = deadlines->room ? 2 * deadlines->room : ROOM_FIRST;
		struct deadline **heap =
			realloc(deadlines->heap, room * sizeof(struct deadline *));

		if (!heap)
			return -1;
		deadlines->heap = heap;
		deadlines->room = room;
	}
	deadline->at_ns = at_ns;
	rise(deadlines, deadline, ++deadlines->count);
	return 0;
}

void
deadlines_remove(struct deadlines *deadlines, struct deadline *deadline)
{
	size_t place = deadline->place;
	struct deadline *last;

	if (!place)
		return;
	deadline->place = 0;
	last = deadlines->heap[--deadlines->count];
	if (last == deadline)
		return;
	if (last->at_ns < deadline->at_ns)
		rise(deadlines, last, place);
	else
		sink(deadlines, last, place);
}

struct deadline *
deadlines_first(const struct deadlines *deadlines)
{
	return deadlines->count ? deadlines->heap[0] : NULL;
}
