/* change.h - one accepted change, on its way from the loop to the disk.
 *
 * The loop makes it and keeps it until it is committed and no look-up can miss it any more; between
 * writer_submit() and the report of its commit the fields marked W are the writer's. */
#ifndef DAEMON_CHANGE_H
#define DAEMON_CHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/namespace.h"
#include "daemon/record.h"

enum change_kind {
	CHANGE_PUT,    /* bytes: the record; then the value if it does not fit the leaf */
	CHANGE_DELETE, /* a tombstone */
	CHANGE_NAMESPACE, /* usage: a new namespace's first incarnation */
	CHANGE_FLUSH,     /* usage: the next incarnation; old_incarnation goes */
	CHANGE_FORGET,    /* old_incarnation goes, and none follows */
	CHANGE_CHUNKS,    /* bytes: the next part of an upload's value */
	CHANGE_PUBLISH, /* bytes: the record of an upload whose chunks are all submitted */
	CHANGE_ABANDON, /* object_id: the upload is given up */
	CHANGE_STAMP, /* row_key: a tag; version: the number that its objects must be above */
	CHANGE_SYNC, /* nothing: its commit is what is waited for */
};

struct payer;

struct change {
	struct change *next;  /* in the order of acceptance. W */
	struct change *chain; /* in the pending table's bucket */
	enum change_kind kind;
	bool keeps_object; /* a touch: void unless the store still has this version */
	bool with_next; /* this change and the one accepted after it are one: one transaction */
	bool in_table;
	bool settled;   /* it is nobody's any more but its keepers' */
	size_t keepers; /* who still send its value */
	bool on_disk;   /* the loop has seen its commit */
	uint8_t row_key[ROW_KEY_SIZE];
	uint64_t number; /* acceptance order, by one */
	uint64_t accepted_ns;
	uint64_t accepted_ms; /* the same, in daemon time */
	uint64_t version;
	uint64_t committed; /* transaction that carried it; 0: not yet. W */
	uint64_t object_id;
	struct usage *usage; /* W, from CHANGE_NAMESPACE and CHANGE_FLUSH on */
	uint32_t old_incarnation;
	uint64_t tenant;     /* CHANGE_CHUNKS: who is charged for it (usage_tenant()) */
	uint32_t big_rows;   /* chunk rows as they were written. W */
	uint32_t small_rows; /* W */
	struct payer *payer;
	size_t charge; /* bytes that this change holds */
	size_t record_len;
	size_t value_len;
	uint8_t bytes[]; /* record_len of record (not sealed), then value_len of value */
};

static inline struct slice
change_value(const struct change *change)
{
	return slice(change->bytes + change->record_len, change->value_len);
}

/* Are the record's chunk rows written along with this change? (A touch has those that are there.) */
static inline bool
change_has_chunks(const struct change *change)
{
	return change->value_len > 0 || change->kind == CHANGE_PUBLISH;
}

/* The record as it was accepted, with the rows that were written when it is on the disk; borrows the
 * change. Loop thread. */
static inline bool
change_record(const struct change *change, struct record *ret_record)
{
	if (!record_read(slice(change->bytes, change->record_len), ret_record))
		return false;
	if (change->on_disk && change_has_chunks(change)) {
		ret_record->big_rows = change->big_rows;
		ret_record->small_rows = change->small_rows;
	}
	return true;
}

#endif
