/* apply.c - one function per kind of change. Writer thread; owns nothing. */
#include "daemon/apply.h"

#include <stdlib.h>

#include "daemon/log.h"
#include "daemon/stamp.h"
#include "proto/bytes.h"

/* The loop may be reading the change: what the writer fills in goes into a copy. */
static int
put_record(struct objects *objects, const struct change *change)
{
	uint8_t bytes[RECORD_MAX];

	CHECK(change->record_len <= sizeof(bytes));
	memcpy(bytes, change->bytes, change->record_len);
	if (change_has_chunks(change))
		record_set_rows(bytes, change->big_rows, change->small_rows);
	return object_put(objects, change->row_key, bytes, change->record_len,
			  change->keeps_object);
}

/* A value that does not fit the leaf has its chunks written first. */
static int
apply_put(struct objects *objects, struct change *change)
{
	int done;

	if (change->value_len) {
		uint32_t index = 0;

		change->big_rows = change->small_rows = 0;
		done = object_write_chunks(objects, change->object_id,
					   change_value(change), &index,
					   &change->big_rows, &change->small_rows);
		if (done < 0)
			return done;
	}
	done = put_record(objects, change);
	if (done == STORE_MISS &&
	    change->value_len) /* void: nobody will name these chunks */
		return object_list_garbage(
			objects, change->object_id,
			chunk_pages(change->big_rows, change->small_rows));
	return done;
}

static int
apply_delete(struct objects *objects, const struct change *change)
{
	struct slice stored;
	int found = write_get(objects->write, STORE_RECORDS,
			      slice(change->row_key, ROW_KEY_SIZE), &stored);

	return found == STORE_HIT
		       ? object_remove(objects, change->row_key, stored, REMOVED_ASKED)
		       : found;
}

/* The usage belongs to the ledger from here on. A write that was aborted and is done again finds it there. */
static void
adopt_usage(struct objects *objects, struct usage *usage)
{
	if (ledger_find(objects->ledger, usage->incarnation) != usage)
		ledger_add(objects->ledger, usage);
	usage->changed = true;
}

/* The usage of the incarnation that goes; what it still holds is reclaimed. */
static struct usage *
give_up_old(struct objects *objects, const struct change *change)
{
	struct usage *old = ledger_find(objects->ledger, change->old_incarnation);

	if (old) {
		old->flushed = true;
		old->changed = true;
	}
	return old;
}

static void
apply_flush(struct objects *objects, struct change *change)
{
	const struct usage *old = give_up_old(objects, change);

	if (old)
		usage_succeed(change->usage, old);
	adopt_usage(objects, change->usage);
}

/* Where no object has a tag, a stamp would void nothing: what is put from now on is newer. */
static int
apply_stamp(struct objects *objects, const struct change *change)
{
	struct usage *usage = ledger_find(objects->ledger, be32_load(change->row_key));

	if (!usage || usage->flushed ||
	    (!usage_figure(&usage->tagged) &&
	     change->version <= usage_figure(&usage->keep_above)))
		return STORE_HIT;
	objects->leaf_touches++;
	return stamp_put(objects->write, usage, change->row_key, change->version);
}

static int
apply_chunks(struct arrivals *arrivals, struct objects *objects,
	     const struct change *change)
{
	struct arrival *arrival = arrival_find(arrivals, change->object_id);
	uint64_t before;
	int done;

	if (!arrival)
		arrival = arrival_new(arrivals, change->object_id, change->tenant);
	if (!arrival)
		return STORE_FULL;
	before = chunk_pages(arrival->big_rows, arrival->small_rows);
	done = object_write_chunks(
		objects, change->object_id, slice(change->bytes, change->value_len),
		&arrival->index, &arrival->big_rows, &arrival->small_rows);
	if (done < 0)
		return done;
	objects->listed_pages +=
		chunk_pages(arrival->big_rows, arrival->small_rows) - before;
	return object_list(objects, change->object_id, LISTED_UNFINISHED,
			   chunk_pages(arrival->big_rows, arrival->small_rows));
}

static int
apply_publish(struct arrivals *arrivals, struct objects *objects, struct change *change)
{
	struct arrival *arrival = arrival_find(arrivals, change->object_id);
	int done;

	if (!arrival)
		return STORE_DAMAGED;
	change->big_rows = arrival->big_rows;
	change->small_rows = arrival->small_rows;
	done = object_unlist(objects, change->object_id,
			     chunk_pages(arrival->big_rows, arrival->small_rows));
	if (done < 0)
		return done;
	arrival->gone = true;
	return put_record(objects, change);
}

static int
apply_abandon(struct arrivals *arrivals, struct objects *objects,
	      const struct change *change)
{
	struct arrival *arrival = arrival_find(arrivals, change->object_id);

	if (!arrival)
		return STORE_MISS;
	arrival->gone = true;
	return object_list(objects, change->object_id, LISTED_UNLINKED,
			   chunk_pages(arrival->big_rows, arrival->small_rows));
}

int
apply_change(struct arrivals *arrivals, struct objects *objects, struct change *change)
{
	switch (change->kind) {
	case CHANGE_PUT:
		return apply_put(objects, change);
	case CHANGE_DELETE:
		return apply_delete(objects, change);
	case CHANGE_NAMESPACE:
		adopt_usage(objects, change->usage);
		return STORE_HIT;
	case CHANGE_FLUSH:
		apply_flush(objects, change);
		return STORE_HIT;
	case CHANGE_FORGET:
		give_up_old(objects, change);
		return STORE_HIT;
	case CHANGE_CHUNKS:
		return apply_chunks(arrivals, objects, change);
	case CHANGE_PUBLISH:
		return apply_publish(arrivals, objects, change);
	case CHANGE_ABANDON:
		return apply_abandon(arrivals, objects, change);
	case CHANGE_STAMP:
		return apply_stamp(objects, change);
	case CHANGE_SYNC:
		return STORE_HIT;
	}
	return STORE_HIT;
}

uint64_t
apply_estimate(const struct change *change)
{
	return 1 + (change->value_len + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES;
}
