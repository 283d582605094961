/* stamp.h - when the tags of a namespace were invalidated.
 *
 * A row for each tag, under the 16 bytes that a record holds of it (incarnation, keyed hash): the number, of
 * the clock that gives out versions, of its last invalidation. A record is valid while its version is above
 * the stamps of all its tags. A row whose hash is zero stands for every tag of the namespace. */
#ifndef DAEMON_STAMP_H
#define DAEMON_STAMP_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/namespace.h"
#include "daemon/record.h"
#include "daemon/store.h"

/* Of a row that does not match its checksum: nothing is above it, so wrong bytes are a miss. */
#define STAMP_DAMAGED UINT64_MAX

/* ---- any thread ---- */

/* The newest stamp in the store of `count` tags of one namespace; 0 when none has any. Returns STORE_HIT or
 * an error. */
int stamp_newest(struct snapshot *snapshot, const uint8_t *tags, unsigned count,
		 uint64_t *ret_number);

/* What so many stamps add to their namespace's leaf bytes. */
uint64_t stamp_leaf_bytes(uint64_t stamps);

/* ---- the writer's; each keeps the figures of the usage ---- */

/* STORE_HIT if one of the record's tags was invalidated after it was written, else STORE_MISS; or an error. */
int stamp_voids(struct write *write, const struct usage *usage,
		const struct record *record);
int stamp_put(struct write *write, struct usage *usage,
	      const uint8_t tag_key[static RECORD_TAG_SIZE], uint64_t number);
/* Deletes the row that write_seek() or write_next() found last. */
int stamp_delete_here(struct write *write, struct usage *usage);

/* Do the stamps take more room than the objects that they are about? */
bool stamp_prevail(const struct usage *usage);
/* One row for all tags, as new as the newest: the others may go from now on. What was written before it and has
 * tags is void, whatever they are; nothing that was invalidated comes back. */
int stamp_cover(struct write *write, struct usage *usage);

#endif
