/* asked.c - the table of open requests. Belongs to a wire. One thread. */
#include "client/asked.h"

#include <assert.h>
#include <stdlib.h>

#include "proto/frame.h"

#define SIZE_FIRST 64

void
asked_free(struct asked_table *table)
{
	free(table->slots);
	*table = (struct asked_table){ 0 };
}

static struct asked *
slot(const struct asked_table *table, uint32_t id)
{
	return table->slots + (id & (table->size - 1));
}

int
asked_reserve(struct asked_table *table)
{
	struct asked_table wider = *table;

	if (table->next - table->first < table->size)
		return ASKED_OK;
	if (table->size == FRAME_OUTSTANDING_MAX)
		return ASKED_FULL;
	wider.size = table->size ? 2 * table->size : SIZE_FIRST;
	wider.slots = calloc(wider.size, sizeof(*wider.slots));
	if (!wider.slots)
		return ASKED_NO_MEMORY;
	for (uint32_t id = table->first; id != table->next; id++)
		*slot(&wider, id) = *slot(table, id);
	free(table->slots);
	*table = wider;
	return ASKED_OK;
}

static void
count(struct asked_table *table, uint16_t flags, uint32_t more)
{
	table->open += more;
	table->disk += flags & ASKED_DISK ? more : 0;
	table->parked += flags & ASKED_PARKS ? more : 0;
	table->ours += flags & ASKED_OURS ? more : 0;
}

uint32_t
asked_add(struct asked_table *table, const struct asked *asked)
{
	uint32_t id = table->next++;

	assert(table->next - table->first <= table->size);
	*slot(table, id) = *asked;
	slot(table, id)->flags |= ASKED_OPEN;
	count(table, asked->flags, 1);
	return id;
}

struct asked *
asked_find(const struct asked_table *table, uint32_t id)
{
	if (id - table->first >= table->next - table->first)
		return NULL;
	return slot(table, id)->flags & ASKED_OPEN ? slot(table, id) : NULL;
}

void
asked_close(struct asked_table *table, uint32_t id)
{
	struct asked *asked = asked_find(table, id);

	assert(asked);
	count(table, asked->flags, UINT32_MAX); /* one less */
	asked->flags = 0;
	while (table->first != table->next &&
	       !(slot(table, table->first)->flags & ASKED_OPEN))
		table->first++;
}

bool
asked_first(const struct asked_table *table, uint32_t from, uint32_t *ret_id)
{
	uint32_t id = frame_id_before(from, table->first) ? table->first : from;

	for (; frame_id_before(id, table->next); id++) {
		if (asked_find(table, id)) {
			*ret_id = id;
			return true;
		}
	}
	return false;
}
