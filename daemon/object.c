/* object.c - keeps an object's rows and figures consistent. Writer thread; owns nothing. */
#include "daemon/object.h"

#include "proto/bytes.h"

#define RETURN_IF_FAILED(call)                                                           \
	do {                                                                             \
		int failed_ = (call);                                                    \
		if (failed_ < 0)                                                         \
			return failed_;                                                  \
	} while (0)

void
object_reclaim_key(uint64_t object_id, uint8_t to[static RECLAIM_KEY_SIZE])
{
	to[0] = 'R';
	be64_store(to + 1, object_id);
}

void
object_expiry_key(uint64_t due_ms, const uint8_t row_key[static ROW_KEY_SIZE],
		  uint8_t to[static EXPIRY_KEY_SIZE])
{
	be64_store(to, due_ms);
	memcpy(to + 8, row_key, ROW_KEY_SIZE);
}

uint64_t
object_due_ms(const struct record *record)
{
	if (!(record->flags & RECORD_EXPIRES))
		return 0;
	return record->stale_until_ms > record->expires_ms ? record->stale_until_ms
							   : record->expires_ms;
}

uint64_t
object_leaf_bytes(const struct record *record, size_t len)
{
	uint64_t bytes = ROW_OVERHEAD + ROW_KEY_SIZE + len;

	return record->armed_ms ? bytes + ROW_OVERHEAD + EXPIRY_KEY_SIZE : bytes;
}

static void
account(struct objects *objects, const uint8_t *row_key, const struct record *record,
	size_t len, int sign)
{
	struct usage *usage = ledger_find(objects->ledger, be32_load(row_key));

	if (!usage)
		return;
	usage_change(usage, sign, sign * (int64_t)record->length,
		     sign * (int64_t)object_leaf_bytes(record, len),
		     sign * (int64_t)chunk_pages(record->big_rows, record->small_rows));
	if (record->tag_count)
		usage_shift(usage, &usage->tagged, sign);
}

static void
count_removal(struct objects *objects, const uint8_t *row_key, enum removal why)
{
	struct usage *usage = ledger_find(objects->ledger, be32_load(row_key));

	if (!usage)
		return;
	switch (why) {
	case REMOVED_ASKED:
		break;
	case REMOVED_EVICTED:
		usage_shift(usage, &usage->evicted, 1);
		break;
	case REMOVED_EXPIRED:
		usage_shift(usage, &usage->expired, 1);
		break;
	case REMOVED_INVALIDATED:
		usage_shift(usage, &usage->invalidated, 1);
		break;
	}
}

int
object_list(struct objects *objects, uint64_t object_id, enum listed state,
	    uint64_t pages)
{
	uint8_t key[RECLAIM_KEY_SIZE], row[RECLAIM_ROW_SIZE] = { 0 };

	object_reclaim_key(object_id, key);
	row[0] = (uint8_t)state;
	le64_store(row + 8, pages);
	le64_store(row + 16, write_txn(objects->write));
	return write_put(objects->write, STORE_SYSTEM, slice(key, sizeof(key)),
			 slice(row, sizeof(row)));
}

bool
object_listing_sound(struct slice row)
{
	const uint8_t *at = row.data;

	return row.len == RECLAIM_ROW_SIZE &&
	       (at[0] == LISTED_UNFINISHED || at[0] == LISTED_UNLINKED);
}

int
object_unlist(struct objects *objects, uint64_t object_id, uint64_t pages)
{
	uint8_t key[RECLAIM_KEY_SIZE];

	object_reclaim_key(object_id, key);
	objects->listed_pages -=
		pages < objects->listed_pages ? pages : objects->listed_pages;
	return write_delete(objects->write, STORE_SYSTEM, slice(key, sizeof(key)));
}

int
object_list_garbage(struct objects *objects, uint64_t object_id, uint64_t pages)
{
	objects->listed_pages += pages;
	return object_list(objects, object_id, LISTED_UNLINKED, pages);
}

/* The chunks of a record that is about to go, or to be replaced, wait on the reclaim list. */
static int
unlink_chunks(struct objects *objects, const struct record *record)
{
	uint64_t pages = chunk_pages(record->big_rows, record->small_rows);

	if (!(record->flags & RECORD_CHUNKED))
		return STORE_HIT;
	return object_list_garbage(objects, record->object_id, pages);
}

static int
disarm(struct objects *objects, const uint8_t *row_key, uint64_t armed_ms)
{
	uint8_t key[EXPIRY_KEY_SIZE];

	object_expiry_key(armed_ms, row_key, key);
	objects->leaf_touches++;
	return write_delete(objects->write, STORE_EXPIRY, slice(key, sizeof(key)));
}

static int
arm(struct objects *objects, const uint8_t *row_key, uint64_t due_ms)
{
	uint8_t key[EXPIRY_KEY_SIZE];

	object_expiry_key(due_ms, row_key, key);
	objects->leaf_touches++;
	return write_put(objects->write, STORE_EXPIRY, slice(key, sizeof(key)),
			 slice("", 0));
}

/* A later expiry keeps the row that is there, the sweep arms it anew when it comes up; an earlier one
 * replaces it. *ret_armed is the row that stands in the end. */
static int
settle_expiry(struct objects *objects, const uint8_t *row_key, uint64_t armed_ms,
	      uint64_t due_ms, uint64_t *ret_armed)
{
	if (armed_ms && due_ms && armed_ms <= due_ms) {
		*ret_armed = armed_ms;
		return STORE_HIT;
	}
	*ret_armed = due_ms;
	if (armed_ms)
		RETURN_IF_FAILED(disarm(objects, row_key, armed_ms));
	return due_ms ? arm(objects, row_key, due_ms) : STORE_HIT;
}

int
object_put(struct objects *objects, const uint8_t row_key[static ROW_KEY_SIZE],
	   uint8_t *bytes, size_t len, bool keeps_object)
{
	struct slice key = slice(row_key, ROW_KEY_SIZE), stored;
	struct record new, old = { 0 };
	int found = write_get(objects->write, STORE_RECORDS, key, &stored);

	if (found < 0 || !record_read(slice(bytes, len), &new))
		return found < 0 ? found : STORE_DAMAGED;
	if (found == STORE_HIT && !record_read(stored, &old))
		found = STORE_MISS; /* a row that nobody can read is simply replaced */
	if (keeps_object && (found == STORE_MISS || old.version != new.version))
		return STORE_MISS;
	if (found == STORE_HIT) {
		account(objects, row_key, &old, stored.len, -1);
		if (old.object_id != new.object_id)
			RETURN_IF_FAILED(unlink_chunks(objects, &old));
	}
	RETURN_IF_FAILED(settle_expiry(objects, row_key, old.armed_ms,
				       object_due_ms(&new), &new.armed_ms));
	record_set_armed(bytes, new.armed_ms);
	record_seal(bytes, len, row_key);
	account(objects, row_key, &new, len, 1);
	objects->leaf_touches++;
	return write_put(objects->write, STORE_RECORDS, key, slice(bytes, len));
}

int
object_remove(struct objects *objects, const uint8_t row_key[static ROW_KEY_SIZE],
	      struct slice stored, enum removal why)
{
	struct record record;
	uint8_t key[ROW_KEY_SIZE];

	memcpy(key, row_key, ROW_KEY_SIZE); /* row_key may lie in the row that goes */
	if (record_read(stored, &record)) {
		account(objects, key, &record, stored.len, -1);
		RETURN_IF_FAILED(unlink_chunks(objects, &record));
		if (record.armed_ms)
			RETURN_IF_FAILED(disarm(objects, key, record.armed_ms));
	}
	count_removal(objects, key, why);
	objects->leaf_touches++;
	return write_delete(objects->write, STORE_RECORDS, slice(key, sizeof(key)));
}

int
object_rearm(struct objects *objects, const uint8_t row_key[static ROW_KEY_SIZE],
	     struct slice stored, uint64_t armed_ms)
{
	uint8_t key[ROW_KEY_SIZE], bytes[RECORD_MAX];
	struct record record;

	if (stored.len > sizeof(bytes) || !record_read(stored, &record))
		return STORE_DAMAGED;
	memcpy(key, row_key, ROW_KEY_SIZE);
	memcpy(bytes, stored.data, stored.len);
	record_set_armed(bytes, object_due_ms(&record));
	record_seal(bytes, stored.len, key);
	RETURN_IF_FAILED(disarm(objects, key, armed_ms));
	RETURN_IF_FAILED(arm(objects, key, object_due_ms(&record)));
	objects->leaf_touches++;
	return write_put(objects->write, STORE_RECORDS, slice(key, sizeof(key)),
			 slice(bytes, stored.len));
}

static int
write_chunk(struct objects *objects, uint64_t object_id, uint32_t index,
	    struct slice payload, size_t row_size)
{
	uint8_t key[CHUNK_KEY_SIZE], *room;

	chunk_key(object_id, index, key);
	RETURN_IF_FAILED(write_reserve(objects->write, STORE_CHUNKS,
				       slice(key, sizeof(key)), row_size, &room));
	chunk_write(object_id, index, payload, row_size, room);
	objects->chunk_dirty += (row_size + 16) / PAGE_SIZE_BYTES;
	return STORE_HIT;
}

int
object_write_chunks(struct objects *objects, uint64_t object_id, struct slice part,
		    uint32_t *index, uint32_t *big, uint32_t *small)
{
	const uint8_t *at = part.data;
	size_t left = part.len;
	uint32_t big_rows, small_rows;

	chunk_layout(left, &big_rows, &small_rows);
	if (objects->small_only)
		big_rows = 0;
	while (left) {
		bool is_big = big_rows > 0;
		size_t room = is_big ? CHUNK_BIG : CHUNK_SMALL;
		size_t len = left < room ? left : room;

		RETURN_IF_FAILED(write_chunk(objects, object_id, *index, slice(at, len),
					     is_big ? CHUNK_BIG_ROW : CHUNK_SMALL_ROW));
		(*index)++;
		if (is_big) {
			big_rows--;
			(*big)++;
		} else {
			(*small)++;
		}
		at += len;
		left -= len;
	}
	return STORE_HIT;
}
