/* stamp.c - the rows of invalidated tags. Any thread, the writing functions the writer; owns nothing. */
#include "daemon/stamp.h"

#include "proto/bytes.h"

/* What LMDB adds to a row, and the row. */
#define STAMP_BYTES (10 + RECORD_TAG_SIZE + STAMP_ROW_SIZE)

typedef int look_up(void *from, struct slice key, struct slice *ret_row);

static int
look_in_snapshot(void *from, struct slice key, struct slice *ret_row)
{
	return snapshot_get(from, STORE_STAMPS, key, ret_row);
}

static int
look_in_write(void *from, struct slice key, struct slice *ret_row)
{
	return write_get(from, STORE_STAMPS, key, ret_row);
}

static void
every_tag(uint32_t incarnation, uint8_t to[static RECORD_TAG_SIZE])
{
	memset(to, 0, RECORD_TAG_SIZE);
	be32_store(to, incarnation);
}

static int
raise_to(look_up *look, void *from, const uint8_t *tag_key, uint64_t *number)
{
	struct slice row;
	uint64_t stamp = STAMP_DAMAGED;
	int found = look(from, slice(tag_key, RECORD_TAG_SIZE), &row);

	if (found != STORE_HIT)
		return found < 0 ? found : STORE_HIT;
	stamp_read(row, tag_key, &stamp);
	if (stamp > *number)
		*number = stamp;
	return STORE_HIT;
}

static int
newest(look_up *look, void *from, const uint8_t *tags, unsigned count,
       uint64_t *ret_number)
{
	uint8_t every[RECORD_TAG_SIZE];
	uint64_t number = 0;
	int done;

	every_tag(be32_load(tags), every);
	done = raise_to(look, from, every, &number);
	for (unsigned i = 0; i < count && done == STORE_HIT; i++)
		done = raise_to(look, from, tags + (size_t)i * RECORD_TAG_SIZE, &number);
	if (done == STORE_HIT)
		*ret_number = number;
	return done;
}

int
stamp_newest(struct snapshot *snapshot, const uint8_t *tags, unsigned count,
	     uint64_t *ret_number)
{
	return newest(look_in_snapshot, snapshot, tags, count, ret_number);
}

int
stamp_voids(struct write *write, const struct usage *usage, const struct record *record)
{
	uint64_t number = 0;
	int done;

	if (!record->tag_count || !usage_figure(&usage->stamps) ||
	    record->version > usage->stamping.newest)
		return STORE_MISS;
	done = newest(look_in_write, write, record->tags, record->tag_count, &number);
	if (done < 0)
		return done;
	return number >= record->version ? STORE_HIT : STORE_MISS;
}

uint64_t
stamp_leaf_bytes(uint64_t stamps)
{
	return stamps * STAMP_BYTES;
}

static void
account(struct usage *usage, int64_t by)
{
	usage_shift(usage, &usage->stamps, by);
	usage_shift(usage, &usage->leaf_bytes, by * STAMP_BYTES);
}

int
stamp_put(struct write *write, struct usage *usage,
	  const uint8_t tag_key[static RECORD_TAG_SIZE], uint64_t number)
{
	struct slice key = slice(tag_key, RECORD_TAG_SIZE), there;
	uint8_t row[STAMP_ROW_SIZE];
	int found = write_get(write, STORE_STAMPS, key, &there);

	if (found < 0)
		return found;
	if (found == STORE_MISS)
		account(usage, 1);
	if (number > usage->stamping.newest)
		usage->stamping.newest = number;
	usage->changed = true;
	stamp_write(number, tag_key, row);
	return write_put(write, STORE_STAMPS, key, slice(row, sizeof(row)));
}

int
stamp_delete_here(struct write *write, struct usage *usage)
{
	account(usage, -1);
	return write_delete_here(write, STORE_STAMPS);
}

bool
stamp_prevail(const struct usage *usage)
{
	return usage->stamping.phase != STAMPING_COVERED &&
	       usage_figure(&usage->stamps) > 1 &&
	       2 * STAMP_BYTES * usage_figure(&usage->stamps) >
		       usage_figure(&usage->leaf_bytes) +
			       usage_figure(&usage->chunk_pages) * PAGE_SIZE_BYTES;
}

int
stamp_cover(struct write *write, struct usage *usage)
{
	struct stamping *stamping = &usage->stamping;
	uint8_t every[RECORD_TAG_SIZE];

	every_tag(usage->incarnation, every);
	stamping->phase = STAMPING_COVERED;
	stamping->until = stamping->newest;
	memset(stamping->at, 0, sizeof(stamping->at));
	return stamp_put(write, usage, every, stamping->newest);
}
