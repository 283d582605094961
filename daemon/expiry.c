/* expiry.c - walks the expiry index from its start. Writer thread; owns nothing.
 *
 * A row is only a hint: the object's record says when it is really due. Its time may have moved on
 * since the row was written; then the row moves, too. */
#include "daemon/expiry.h"

#include "proto/bytes.h"

/* One due row. Returns STORE_HIT if the object was removed, STORE_MISS if only the row was, or an error. */
static int
settle(struct objects *objects, const uint8_t *index_key)
{
	uint64_t armed_ms = be64_load(index_key);
	const uint8_t *row_key = index_key + 8;
	struct record record;
	struct slice stored;
	int found = write_get(objects->write, STORE_RECORDS, slice(row_key, ROW_KEY_SIZE),
			      &stored);
	int done;

	if (found < 0)
		return found;
	if (found == STORE_HIT && record_read(stored, &record) &&
	    record.armed_ms == armed_ms) {
		if (object_due_ms(&record) <= objects->over_ms)
			return object_remove(objects, row_key, stored, REMOVED_EXPIRED);
		done = object_rearm(objects, row_key, stored, armed_ms);
	} else {
		done = write_delete(objects->write, STORE_EXPIRY,
				    slice(index_key, EXPIRY_KEY_SIZE));
	}
	return done < 0 ? done : STORE_MISS;
}

int
expiry_sweep(struct objects *objects, unsigned most, unsigned *ret_expired)
{
	uint8_t index_key[EXPIRY_KEY_SIZE];
	struct slice key, value;

	for (unsigned i = 0; i < most; i++) {
		int found = write_seek(objects->write, STORE_EXPIRY, slice("", 1), &key,
				       &value);
		int done;

		if (found != STORE_HIT)
			return found;
		if (key.len != EXPIRY_KEY_SIZE)
			return STORE_DAMAGED;
		memcpy(index_key, key.data, sizeof(index_key));
		if (be64_load(index_key) > objects->over_ms)
			return STORE_MISS;
		done = settle(objects, index_key);
		if (done < 0)
			return done;
		if (done == STORE_HIT)
			(*ret_expired)++;
	}
	return STORE_HIT;
}

uint64_t
expiry_next_ms(struct snapshot *snapshot)
{
	struct slice key, value;

	if (snapshot_seek(snapshot, STORE_EXPIRY, slice("", 1), &key, &value) !=
		    STORE_HIT ||
	    key.len != EXPIRY_KEY_SIZE)
		return UINT64_MAX;
	return be64_load(key.data);
}
