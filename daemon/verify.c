/* verify.c - four walks over the tables, and the recount of what namespaces hold. A reader's thread; owns nothing. */
#include "daemon/verify.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/object.h"
#include "daemon/stamp.h"
#include "proto/bytes.h"

/* No row key begins so. */
#define BEYOND (INCARNATION_MAX + 1)

/* ---- the place ---- */

void
verify_place_write(const struct verify_place *place, uint8_t to[static VERIFY_PLACE_SIZE])
{
	*to++ = (uint8_t)place->part;
	memcpy(to, place->at, ROW_KEY_SIZE);
	to += ROW_KEY_SIZE;
	le64_store(to, place->began);
	for (unsigned i = 0; i < VERIFY_FIGURES; i++)
		le64_store(to += 8, place->counted[i]);
}

bool
verify_place_read(struct slice bytes, struct verify_place *ret_place)
{
	const uint8_t *from = bytes.data;
	struct verify_place place;

	if (bytes.len != VERIFY_PLACE_SIZE || from[0] >= VERIFY_DONE)
		return false;
	place.part = from[0];
	memcpy(place.at, from + 1, ROW_KEY_SIZE);
	from += 1 + ROW_KEY_SIZE;
	place.began = le64_load(from);
	for (unsigned i = 0; i < VERIFY_FIGURES; i++)
		place.counted[i] = le64_load(from += 8);
	*ret_place = place;
	return true;
}

static void
begin_part(struct verify *verify, enum verify_part part)
{
	verify->place = (struct verify_place){ .part = part };
}

/* ---- counting ---- */

static void
begin_namespace(struct snapshot *snapshot, struct verify *verify, uint32_t incarnation)
{
	begin_part(verify, verify->place.part);
	be32_store(verify->place.at, incarnation);
	verify->place.began = snapshot_txn(snapshot);
}

static void
find_recorded(const struct usage *usage, enum verify_part part,
	      uint64_t ret_recorded[static VERIFY_FIGURES])
{
	uint64_t stamps = usage_figure(&usage->stamps);
	uint64_t leaf_bytes = usage_figure(&usage->leaf_bytes);

	memset(ret_recorded, 0, VERIFY_FIGURES * sizeof(*ret_recorded));
	if (part == VERIFY_STAMPS) {
		ret_recorded[VERIFY_STAMP_COUNT] = stamps;
		return;
	}
	ret_recorded[VERIFY_OBJECTS] = usage_figure(&usage->objects);
	ret_recorded[VERIFY_LOGICAL] = usage_figure(&usage->logical);
	ret_recorded[VERIFY_LEAF_BYTES] = leaf_bytes - stamp_leaf_bytes(stamps);
	ret_recorded[VERIFY_CHUNK_PAGES] = usage_figure(&usage->chunk_pages);
}

/* All rows of the namespace were seen: does its own row say the same? What is flushed goes row by row, and is nobody's. */
static void
compare(struct snapshot *snapshot, struct verify *verify, const struct usage *usage)
{
	struct verify_doubt *doubt = &verify->doubts[verify->doubt_count];
	const struct verify_place *place = &verify->place;

	if (usage->flushed || place->began == VERIFY_UNCOUNTED)
		return;
	find_recorded(usage, place->part, doubt->recorded);
	if (memcmp(doubt->recorded, place->counted, sizeof(place->counted)) == 0)
		return;
	memcpy(doubt->counted, place->counted, sizeof(place->counted));
	doubt->part = place->part;
	doubt->incarnation = usage->incarnation;
	doubt->uid = usage->uid;
	doubt->began = place->began;
	doubt->ended = snapshot_txn(snapshot);
	doubt->name_len = usage->name_len;
	memcpy(doubt->name, usage->name, usage->name_len);
	verify->doubt_count++;
}

/* Compares the namespace that the place is in, and finds the one that has the next row of its own, up to `to`. */
static int
finish_namespace(struct snapshot *snapshot, struct verify *verify, uint32_t to,
		 uint32_t *ret_next)
{
	uint32_t incarnation = be32_load(verify->place.at);
	struct usage *usage;
	int found = usage_seek(snapshot, incarnation, &usage);

	if (found == STORE_HIT && usage->incarnation == incarnation) {
		compare(snapshot, verify, usage);
		free(usage);
		found = usage_seek(snapshot, incarnation + 1, &usage);
	}
	if (found < 0)
		return found;
	*ret_next = to;
	if (found == STORE_HIT) {
		if (usage->incarnation < to)
			*ret_next = usage->incarnation;
		free(usage);
	}
	return STORE_HIT;
}

/* The place moves on to namespace `to`: what is before it is complete. STORE_MISS: there are too many doubts for one
 * page. */
static int
finish_before(struct snapshot *snapshot, struct verify *verify, uint32_t to)
{
	while (be32_load(verify->place.at) < to) {
		uint32_t next;
		int done;

		if (verify->doubt_count == VERIFY_DOUBTS_MAX)
			return STORE_MISS;
		done = finish_namespace(snapshot, verify, to, &next);
		if (done < 0)
			return done;
		begin_namespace(snapshot, verify, next);
	}
	return verify->doubt_count == VERIFY_DOUBTS_MAX ? STORE_MISS : STORE_HIT;
}

/* ---- rows ---- */

static bool
is_full(const struct verify *verify, uint64_t end_ns)
{
	return verify->rows &&
	       (verify->rows >= VERIFY_ROWS_MAX || verify->bytes >= VERIFY_BYTES_MAX ||
		clock_mono_ns() >= end_ns);
}

/* Is the last of its chunk rows there? That none before it is missing shows where they are walked over. */
static int
find_last_chunk(struct snapshot *snapshot, const struct record *record)
{
	uint32_t rows = record->big_rows + record->small_rows;
	uint8_t key[CHUNK_KEY_SIZE];
	struct slice row;

	if (rows == 0)
		return STORE_MISS;
	chunk_key(record->object_id, rows - 1, key);
	return snapshot_get(snapshot, STORE_CHUNKS, slice(key, sizeof(key)), &row);
}

static void
count_record(struct verify *verify, const struct record *record, size_t len)
{
	uint64_t *counted = verify->place.counted;

	counted[VERIFY_OBJECTS]++;
	counted[VERIFY_LOGICAL] += record->length;
	counted[VERIFY_LEAF_BYTES] += object_leaf_bytes(record, len);
	counted[VERIFY_CHUNK_PAGES] += chunk_pages(record->big_rows, record->small_rows);
}

static int
look_at_record(struct snapshot *snapshot, struct verify *verify, struct slice key,
	       struct slice row)
{
	uint8_t home[ROW_KEY_SIZE];
	struct record record;
	int found;

	if (row.len > RECORD_MAX || !record_sound(row, key.data) ||
	    !record_read(row, &record)) {
		verify->damaged++;
		verify->place.began = VERIFY_UNCOUNTED;
		return STORE_HIT;
	}
	count_record(verify, &record, row.len);
	store_row_key(verify->store, be32_load(key.data), record.key, home);
	if (memcmp(home, key.data, ROW_KEY_SIZE) != 0)
		verify->misplaced++;
	if (!(record.flags & RECORD_CHUNKED))
		return STORE_HIT;
	found = find_last_chunk(snapshot, &record);
	if (found == STORE_MISS)
		verify->incomplete++;
	return found < 0 ? found : STORE_HIT;
}

static int
look_at_stamp(struct snapshot *snapshot, struct verify *verify, struct slice key,
	      struct slice row)
{
	uint64_t number;

	(void)snapshot;
	verify->place.counted[VERIFY_STAMP_COUNT]++;
	if (!stamp_read(row, key.data, &number))
		verify->damaged++;
	return STORE_HIT;
}

/* Does the range of rows that the place is in belong to a namespace? */
static int
find_owner(struct snapshot *snapshot, const struct verify *verify)
{
	return incarnation_used(snapshot, be32_load(verify->place.at));
}

/* ---- walks ---- */

typedef int look_at(struct snapshot *snapshot, struct verify *verify, struct slice key,
		    struct slice row);

/* Rows that belong to namespaces, a range to each. STORE_HIT: to the end; STORE_MISS: there is more. */
static int
walk_ranges(struct snapshot *snapshot, struct verify *verify, enum store_table table,
	    look_at *look, uint64_t end_ns)
{
	uint32_t entered = BEYOND;
	struct slice key, row;
	int owned = STORE_MISS;
	int found = snapshot_seek(snapshot, table, slice(verify->place.at, ROW_KEY_SIZE),
				  &key, &row);

	for (; found == STORE_HIT; found = snapshot_next(snapshot, table, &key, &row)) {
		uint32_t incarnation;
		int done;

		if (key.len != ROW_KEY_SIZE || be32_load(key.data) >= BEYOND)
			break;
		incarnation = be32_load(key.data);
		done = finish_before(snapshot, verify, incarnation);
		if (done != STORE_HIT)
			return done;
		memcpy(verify->place.at, key.data, ROW_KEY_SIZE);
		if (is_full(verify, end_ns))
			return STORE_MISS;
		if (entered != incarnation)
			owned = find_owner(snapshot, verify);
		if (owned < 0)
			return owned;
		entered = incarnation;
		verify->unowned += owned == STORE_MISS;
		verify->rows++;
		verify->bytes += key.len + row.len;
		done = look(snapshot, verify, key, row);
		if (done < 0)
			return done;
	}
	return found < 0 ? found : finish_before(snapshot, verify, BEYOND);
}

/* Rows of an object come after each other, from 0 on; only where it is being freed the first may be gone. */
static int
look_at_chunk(struct snapshot *snapshot, struct verify *verify, struct slice key,
	      struct slice row)
{
	uint64_t object_id = be64_load(key.data);
	uint32_t index = be32_load((const uint8_t *)key.data + 8), expected = 0;
	uint8_t listed[RECLAIM_KEY_SIZE];
	struct slice payload, listing;
	int found = STORE_HIT;

	if (be64_load(verify->place.at) == object_id)
		expected = be32_load(verify->place.at + 8);
	store_populate(row);
	if (!chunk_read(row, object_id, index, &payload))
		verify->damaged++;
	if (index != expected) {
		object_reclaim_key(object_id, listed);
		found = snapshot_get(snapshot, STORE_SYSTEM,
				     slice(listed, sizeof(listed)), &listing);
		verify->incomplete += found == STORE_MISS;
	}
	chunk_key(object_id, index, verify->place.at);
	be32_store(verify->place.at + 8, index + 1);
	return found < 0 ? found : STORE_HIT;
}

/* The same as walk_ranges(). Here the place is the row that is expected next. */
static int
walk_chunks(struct snapshot *snapshot, struct verify *verify, uint64_t end_ns)
{
	struct slice key, row;
	int found = snapshot_seek(snapshot, STORE_CHUNKS,
				  slice(verify->place.at, CHUNK_KEY_SIZE), &key, &row);

	for (; found == STORE_HIT;
	     found = snapshot_next(snapshot, STORE_CHUNKS, &key, &row)) {
		int done;

		/* No object has so many rows that there is none after this one. */
		if (key.len != CHUNK_KEY_SIZE ||
		    be32_load((const uint8_t *)key.data + 8) == UINT32_MAX)
			return STORE_DAMAGED;
		if (is_full(verify, end_ns))
			return STORE_MISS;
		verify->rows++;
		verify->bytes += key.len + row.len;
		done = look_at_chunk(snapshot, verify, key, row);
		if (done < 0)
			return done;
	}
	return found < 0 ? found : STORE_HIT;
}

/* Here the place is an object id. */
static int
walk_list(struct snapshot *snapshot, struct verify *verify, uint64_t end_ns)
{
	uint8_t first[RECLAIM_KEY_SIZE];
	struct slice key, row;
	int found;

	object_reclaim_key(be64_load(verify->place.at), first);
	found = snapshot_seek(snapshot, STORE_SYSTEM, slice(first, sizeof(first)), &key,
			      &row);
	for (; found == STORE_HIT && *(const uint8_t *)key.data == first[0];
	     found = snapshot_next(snapshot, STORE_SYSTEM, &key, &row)) {
		if (key.len != RECLAIM_KEY_SIZE ||
		    be64_load((const uint8_t *)key.data + 1) == UINT64_MAX)
			return STORE_DAMAGED;
		if (is_full(verify, end_ns))
			return STORE_MISS;
		verify->rows++;
		verify->bytes += key.len + row.len;
		verify->damaged += !object_listing_sound(row);
		be64_store(verify->place.at,
			   be64_load((const uint8_t *)key.data + 1) + 1);
	}
	return found < 0 ? found : STORE_HIT;
}

static int
walk(struct snapshot *snapshot, struct verify *verify, uint64_t end_ns)
{
	switch (verify->place.part) {
	case VERIFY_RECORDS:
		return walk_ranges(snapshot, verify, STORE_RECORDS, look_at_record,
				   end_ns);
	case VERIFY_CHUNKS:
		return walk_chunks(snapshot, verify, end_ns);
	case VERIFY_STAMPS:
		return walk_ranges(snapshot, verify, STORE_STAMPS, look_at_stamp, end_ns);
	case VERIFY_LIST:
		return walk_list(snapshot, verify, end_ns);
	case VERIFY_DONE:
		break;
	}
	return STORE_MISS;
}

int
verify_page(struct snapshot *snapshot, struct verify *verify)
{
	uint64_t end_ns = clock_mono_ns() + VERIFY_PAGE_NS;
	int done = STORE_HIT;

	while (done == STORE_HIT && verify->place.part != VERIFY_DONE) {
		done = walk(snapshot, verify, end_ns);
		if (done == STORE_HIT)
			begin_part(verify, verify->place.part + 1);
	}
	return done < 0 ? done : STORE_HIT;
}
