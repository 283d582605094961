/* reclaim.c - the reclaim list and flushed ranges. Writer thread; owns nothing. */
#include "daemon/reclaim.h"

#include "daemon/stamp.h"
#include "proto/bytes.h"

struct listing {
	uint64_t object_id;
	enum listed state;
	uint64_t pages;
	uint64_t txn;
};

static bool
read_listing(struct slice key, struct slice row, struct listing *ret)
{
	const uint8_t *k = key.data, *at = row.data;

	if (key.len != RECLAIM_KEY_SIZE || k[0] != 'R' || row.len != RECLAIM_ROW_SIZE)
		return false;
	ret->object_id = be64_load(k + 1);
	ret->state = at[0];
	ret->pages = le64_load(at + 8);
	ret->txn = le64_load(at + 16);
	return true;
}

static bool
is_pinned(const struct reclaim_limits *limits, uint64_t object_id)
{
	size_t low = 0, high = limits->pinned_count;

	while (low < high) {
		size_t middle = (low + high) / 2;

		if (limits->pinned[middle] == object_id)
			return true;
		if (limits->pinned[middle] < object_id)
			low = middle + 1;
		else
			high = middle;
	}
	return false;
}

static bool
may_go(const struct reclaim_limits *limits, const struct listing *listing)
{
	if (listing->state == LISTED_UNFINISHED)
		return listing->txn <= limits->start_txn;
	return listing->txn <= limits->barrier && !is_pinned(limits, listing->object_id);
}

static void
note_held(struct reclaim *reclaim, const struct reclaim_limits *limits,
	  const struct listing *listing)
{
	if (listing->state == LISTED_UNLINKED && reclaim->held_count < RECLAIM_HELD_MAX &&
	    is_pinned(limits, listing->object_id))
		reclaim->held[reclaim->held_count++] = listing->object_id;
}

/* Deletes an object's chunk rows until `pages` are freed. STORE_MISS: none is left. */
static int
free_rows(struct objects *objects, uint64_t object_id, uint64_t pages,
	  uint64_t *ret_freed)
{
	uint8_t first[CHUNK_KEY_SIZE];
	struct slice key, row;
	int found;

	chunk_key(object_id, 0, first);
	found = write_seek(objects->write, STORE_CHUNKS, slice(first, sizeof(first)),
			   &key, &row);
	while (found == STORE_HIT) {
		uint64_t size;
		int done;

		if (key.len != CHUNK_KEY_SIZE || be64_load(key.data) != object_id)
			return STORE_MISS;
		if (*ret_freed >= pages)
			return STORE_HIT;
		size = (row.len + 16 + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES;
		done = write_delete_here(objects->write, STORE_CHUNKS);
		if (done < 0)
			return done;
		*ret_freed += size;
		found = write_next(objects->write, STORE_CHUNKS, &key, &row);
	}
	return found;
}

/* One listed object. What is left after this step is written back. */
static int
free_object(struct objects *objects, const struct listing *listing, uint64_t pages,
	    uint64_t *ret_freed)
{
	uint64_t freed = 0, left;
	int more = free_rows(objects, listing->object_id, pages, &freed);

	if (more < 0)
		return more;
	*ret_freed += freed;
	if (more == STORE_MISS)
		return object_unlist(objects, listing->object_id, listing->pages);
	left = listing->pages > freed ? listing->pages - freed : 0;
	objects->listed_pages -= listing->pages - left < objects->listed_pages
					 ? listing->pages - left
					 : objects->listed_pages;
	return object_list(objects, listing->object_id, listing->state, left);
}

int
reclaim_chunks(struct reclaim *reclaim, struct objects *objects,
	       const struct reclaim_limits *limits, uint64_t pages, uint64_t *ret_freed)
{
	uint64_t freed = 0, from = reclaim->resume_id;
	struct listing listing;
	struct slice key, row;

	reclaim->held_count = 0;

	for (unsigned looked = 0; looked < RECLAIM_LOOK_MAX && freed < pages; looked++) {
		uint8_t first[RECLAIM_KEY_SIZE];
		int found, done;

		object_reclaim_key(from, first);
		found = write_seek(objects->write, STORE_SYSTEM,
				   slice(first, sizeof(first)), &key, &row);
		if (found < 0)
			return found;
		if (found == STORE_MISS || !read_listing(key, row, &listing)) {
			from = 0; /* the end: begin anew next time */
			break;
		}
		from = listing.object_id + 1;
		if (!may_go(limits, &listing)) {
			note_held(reclaim, limits, &listing);
			continue;
		}
		done = free_object(objects, &listing, pages - freed, &freed);
		if (done < 0)
			return done;
		if (freed >= pages)
			from = listing.object_id;
	}
	reclaim->resume_id = from;
	*ret_freed += freed;
	return STORE_HIT;
}

bool
reclaim_has_flushed(const struct ledger *ledger)
{
	for (struct usage *usage = ledger_next(ledger, NULL); usage;
	     usage = ledger_next(ledger, usage))
		if (usage->flushed && !usage->gone)
			return true;
	return false;
}

/* STORE_MISS: the range is empty. */
static int
remove_range(struct objects *objects, uint32_t incarnation, unsigned most,
	     unsigned *ret_removed)
{
	uint8_t first[ROW_KEY_SIZE] = { 0 };
	struct slice key, row;

	be32_store(first, incarnation);
	while (*ret_removed < most) {
		int found = write_seek(objects->write, STORE_RECORDS,
				       slice(first, sizeof(first)), &key, &row);
		int done;

		if (found != STORE_HIT)
			return found;
		if (key.len != ROW_KEY_SIZE || be32_load(key.data) != incarnation)
			return STORE_MISS;
		done = object_remove(objects, key.data, row, REMOVED_ASKED);
		if (done < 0)
			return done;
		(*ret_removed)++;
	}
	return STORE_HIT;
}

/* The same for its stamps, which nothing is left for. */
static int
remove_stamps(struct objects *objects, struct usage *usage, unsigned most,
	      unsigned *ret_removed)
{
	uint8_t first[ROW_KEY_SIZE] = { 0 };
	struct slice key, row;
	int found;

	be32_store(first, usage->incarnation);
	found = write_seek(objects->write, STORE_STAMPS, slice(first, sizeof(first)),
			   &key, &row);
	while (found == STORE_HIT) {
		int done;

		if (key.len != ROW_KEY_SIZE || be32_load(key.data) != usage->incarnation)
			return STORE_MISS;
		if (*ret_removed >= most)
			return STORE_HIT;
		done = stamp_delete_here(objects->write, usage);
		if (done < 0)
			return done;
		(*ret_removed)++;
		found = write_next(objects->write, STORE_STAMPS, &key, &row);
	}
	return found;
}

int
reclaim_flushed(struct objects *objects, unsigned most, unsigned *ret_removed)
{
	struct usage *usage = ledger_next(objects->ledger, NULL);

	for (; usage && *ret_removed < most;
	     usage = ledger_next(objects->ledger, usage)) {
		int more, done;

		/* Not in the commit of the flush itself, which somebody waits for. */
		if (!usage->flushed || !usage->committed_flushed || usage->gone)
			continue;
		more = remove_range(objects, usage->incarnation, most, ret_removed);
		if (more == STORE_MISS)
			more = remove_stamps(objects, usage, most, ret_removed);
		if (more < 0)
			return more;
		if (more == STORE_HIT)
			return STORE_HIT;
		done = ledger_delete_row(usage, objects->write);
		if (done < 0)
			return done;
		usage->gone = true;
		(*ret_removed)++; /* where nothing else was left, this is what there is to commit */
	}
	return STORE_HIT;
}
