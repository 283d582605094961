/* arrival.c - values whose rows are written and whose record is not. Writer thread. Owns the table. */
#include "daemon/arrival.h"

#include <stdlib.h>

#include "daemon/record.h"

struct arrival *
arrival_find(const struct arrivals *arrivals, uint64_t object_id)
{
	struct arrival *at = arrivals->first;

	while (at && at->object_id != object_id)
		at = at->next;
	return at;
}

struct arrival *
arrival_new(struct arrivals *arrivals, uint64_t object_id, uint64_t tenant)
{
	struct arrival *arrival;

	if (arrivals->count >= UPLOADS_MAX)
		return NULL;
	arrival = calloc(1, sizeof(*arrival));
	if (!arrival)
		return NULL;
	arrival->object_id = object_id;
	arrival->tenant = tenant;
	arrival->next = arrivals->first;
	arrivals->first = arrival;
	arrivals->count++;
	return arrival;
}

static void
drop_gone(struct arrivals *arrivals)
{
	struct arrival **at = &arrivals->first;

	while (*at) {
		struct arrival *arrival = *at;

		if (!arrival->gone) {
			at = &arrival->next;
			continue;
		}
		*at = arrival->next;
		arrivals->count--;
		free(arrival);
	}
}

uint64_t
arrivals_pages(const struct arrivals *arrivals)
{
	uint64_t pages = 0;

	for (const struct arrival *at = arrivals->first; at; at = at->next)
		if (!at->gone)
			pages += chunk_pages(at->big_rows, at->small_rows);
	return pages;
}

void
arrivals_committed(struct arrivals *arrivals)
{
	drop_gone(arrivals);
	for (struct arrival *at = arrivals->first; at; at = at->next) {
		at->committed[0] = at->index;
		at->committed[1] = at->big_rows;
		at->committed[2] = at->small_rows;
	}
}

void
arrivals_aborted(struct arrivals *arrivals)
{
	for (struct arrival *at = arrivals->first; at; at = at->next) {
		at->index = at->committed[0];
		at->big_rows = at->committed[1];
		at->small_rows = at->committed[2];
		at->gone = at->index == 0;
	}
	drop_gone(arrivals);
}

void
arrivals_done(struct arrivals *arrivals)
{
	for (struct arrival *at = arrivals->first; at; at = at->next)
		at->gone = true;
	drop_gone(arrivals);
}
