/* object.h - all rows of one object, changed together: record, expiry row, chunks, reclaim row, and the
 * figures of its namespace. Writer thread only.
 *
 * Reclaim row: 'R', object id (BE) -> state (1), zero (7), pages (8), transaction (8), little-endian. */
#ifndef DAEMON_OBJECT_H
#define DAEMON_OBJECT_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/namespace.h"
#include "daemon/record.h"
#include "daemon/store.h"

/* What LMDB adds to a row in its leaf: node header and index entry. */
#define ROW_OVERHEAD 10
#define EXPIRY_KEY_SIZE (8 + ROW_KEY_SIZE)
#define RECLAIM_KEY_SIZE 9
#define RECLAIM_ROW_SIZE 24

struct arrivals;

enum listed {
	LISTED_UNFINISHED = 1, /* an upload's chunks: garbage once this process is gone */
	LISTED_UNLINKED = 2,   /* no record names it any more */
};

/* Why an object goes. What is flushed was counted when it was. */
enum removal {
	REMOVED_ASKED, /* deleted, or flushed */
	REMOVED_EVICTED,
	REMOVED_EXPIRED,
	REMOVED_INVALIDATED,
};

/* The writer's hands during one write. */
struct objects {
	struct write *write;
	struct ledger *ledger;
	const struct arrivals *arrivals;
	uint64_t now_ms;
	uint64_t
		over_ms; /* what was over by then is so for all that was accepted since */
	uint64_t listed_pages;   /* chunk pages on the reclaim list */
	uint64_t arriving_pages; /* of these, pages of values that are not here whole */
	uint64_t leaf_touches;   /* rows written or removed in leaves */
	uint64_t chunk_dirty;    /* pages of chunk rows written */
	bool small_only;         /* no more runs of pages */
};

/* Stores a written record; arms its expiry and seals it. With keeps_object it is void, STORE_MISS, unless
 * the stored record has the same version: no two writes ever have. */
int object_put(struct objects *objects, const uint8_t row_key[static ROW_KEY_SIZE],
	       uint8_t *bytes, size_t len, bool keeps_object);

/* Removes the object that the stored record describes. record may be inside the map. */
int object_remove(struct objects *objects, const uint8_t row_key[static ROW_KEY_SIZE],
		  struct slice stored, enum removal why);

/* The time at which an object's row may go: past its stale window. */
uint64_t object_due_ms(const struct record *record);
/* Arms an object anew whose time has moved: from the row at armed_ms to when it is due. */
int object_rearm(struct objects *objects, const uint8_t row_key[static ROW_KEY_SIZE],
		 struct slice stored, uint64_t armed_ms);

/* Bytes in leaves that this record accounts for. */
uint64_t object_leaf_bytes(const struct record *record, size_t len);

/* Writes a part of a value as chunk rows from *index on; *big and *small count up. */
int object_write_chunks(struct objects *objects, uint64_t object_id, struct slice part,
			uint32_t *index, uint32_t *big, uint32_t *small);

/* The reclaim list. */
int object_list(struct objects *objects, uint64_t object_id, enum listed state,
		uint64_t pages);
/* The same for chunks that no record ever named: they count as listed from now on. */
int object_list_garbage(struct objects *objects, uint64_t object_id, uint64_t pages);
int object_unlist(struct objects *objects, uint64_t object_id, uint64_t pages);
/* Is it a row that object_list() wrote? Any thread. */
bool object_listing_sound(struct slice row);
void object_reclaim_key(uint64_t object_id, uint8_t to[static RECLAIM_KEY_SIZE]);
void object_expiry_key(uint64_t due_ms, const uint8_t row_key[static ROW_KEY_SIZE],
		       uint8_t to[static EXPIRY_KEY_SIZE]);

#endif
