/* store.h - the tables on the disk, their transactions, and nothing of what they mean.
 *
 * Threads: one writer at a time (struct write); each reading thread has its own struct snapshot.
 * What a get or a cursor returns borrows the map until the snapshot is released or the write ends, and,
 * inside a write, until the next change. Results: STORE_HIT, STORE_MISS, or a negative STORE_ error. */
#ifndef DAEMON_STORE_H
#define DAEMON_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/record.h"
#include "proto/slice.h"

enum store_table {
	STORE_RECORDS, /* row key -> record; in LMDB's unnamed database, which needs no look-up of its own */
	STORE_CHUNKS, /* object id, index -> chunk row */
	STORE_EXPIRY, /* armed ms, row key -> nothing */
	STORE_SYSTEM, /* a letter and a key -> namespaces, the reclaim list, identity, clock */
	STORE_STAMPS, /* tag key -> when the tag was invalidated */
	STORE_TABLES,
};

enum store_result {
	STORE_HIT = 0,
	STORE_MISS = 1,
	STORE_FULL = -1,      /* the map is full: evict and do it again */
	STORE_DISK_FULL = -2, /* the file system is */
	STORE_DAMAGED = -3,   /* the file contradicts itself */
	STORE_FAILED = -4, /* flushing failed: what is on the disk is not known; leave */
	STORE_NO_RUN = -5, /* no room for a run of pages; single ones may do */
	STORE_NO_MEMORY = -6, /* nothing was done; it may be tried again */
};

#define STORE_SECRET_SIZE 192
#define STORE_ERROR_MAX 256

struct store;

/* Opens or creates dir/data.mdb. The caller holds the directory's lock. Returns 0, STORE_DAMAGED, or
 * STORE_FAILED; error says why. */
int store_open(const char *dir, uint64_t map_size, struct store **ret_store,
	       char error[static STORE_ERROR_MAX]);
void store_close(struct store **store);

/* The secret of the row keys, chosen when the store was created. */
void store_set_secret(struct store *store,
		      const uint8_t secret[static STORE_SECRET_SIZE]);
/* incarnation (big-endian), then 96 bits of the keyed hash of the key (XXH3-128). */
void store_row_key(const struct store *store, uint32_t incarnation, struct slice key,
		   uint8_t ret_row_key[static ROW_KEY_SIZE]);
/* The same of a tag of at most TAG_MAX bytes; no key has the hash of a tag by design. */
void store_tag_key(const struct store *store, uint32_t incarnation, struct slice tag,
		   uint8_t ret_tag_key[static RECORD_TAG_SIZE]);

uint64_t store_map_size(const struct store *store);
/* Bytes of the file that are in use or were: it never shrinks. */
uint64_t store_file_size(const struct store *store);
/* False when the file was unlinked or replaced under us. */
bool store_present(const struct store *store);
/* Reserves disk blocks for `bytes` beyond the file's end, so that deletions still work on a full disk. */
int store_preallocate(struct store *store, uint64_t bytes);
/* Is LMDB's list of free pages as LMDB writes it? STORE_HIT, STORE_DAMAGED, or an error that kept it from being
 * known. */
int store_check_free(struct store *store);
/* The words for a result, with the cause where the library gave one. Static storage. */
const char *store_why(int result);

/* ---- reading ---- */

struct snapshot;

int snapshot_new(struct store *store, struct snapshot **ret_snapshot);
void snapshot_free(struct snapshot **snapshot);
/* Takes the newest committed state. Returns STORE_HIT or an error. */
int snapshot_take(struct snapshot *snapshot);
/* Lets it go. Harmless when none is held. */
void snapshot_release(struct snapshot *snapshot);
bool snapshot_held(const struct snapshot *snapshot);
/* Number of the transaction whose result is seen. */
uint64_t snapshot_txn(const struct snapshot *snapshot);
int snapshot_get(struct snapshot *snapshot, enum store_table table, struct slice key,
		 struct slice *ret_value);
/* First row at or after key. */
int snapshot_seek(struct snapshot *snapshot, enum store_table table, struct slice key,
		  struct slice *ret_key, struct slice *ret_value);
/* The row after the last one that snapshot_seek() or this found in this table. */
int snapshot_next(struct snapshot *snapshot, enum store_table table,
		  struct slice *ret_key, struct slice *ret_value);

/* Maps the pages that a value lies on, reading them if need be, so that no fault is taken for each. */
void store_populate(struct slice value);
/* Those pages. */
struct slice store_pages_of(struct slice value);

/* Of the snapshots that are held, the transaction that the oldest sees; UINT64_MAX: none is held. May miss one that is
 * being taken. Any thread. */
uint64_t store_oldest_seen(struct store *store);

/* ---- writing ---- */

struct write;

int write_begin(struct store *store, struct write **ret_write);
/* Both end it exactly once, in every case. */
int write_commit(struct write **write);
void write_abort(struct write **write);
uint64_t write_txn(const struct write *write);
int write_get(struct write *write, enum store_table table, struct slice key,
	      struct slice *ret_value);
int write_put(struct write *write, enum store_table table, struct slice key,
	      struct slice value);
/* Room for a value of len bytes under key, to be filled before the next call. */
int write_reserve(struct write *write, enum store_table table, struct slice key,
		  size_t len, uint8_t **ret_room);
/* STORE_HIT if it was there. */
int write_delete(struct write *write, enum store_table table, struct slice key);
int write_seek(struct write *write, enum store_table table, struct slice key,
	       struct slice *ret_key, struct slice *ret_value);
int write_next(struct write *write, enum store_table table, struct slice *ret_key,
	       struct slice *ret_value);
/* Deletes the row that write_seek() or write_next() found last; write_next() goes on after it. */
int write_delete_here(struct write *write, enum store_table table);

struct store_pages {
	uint64_t leaf;  /* leaf and branch pages of records, expiry index and stamps */
	uint64_t chunk; /* all pages of the chunk rows */
	uint64_t other; /* system rows and LMDB's own list of free pages */
};

/* Counted from the trees' own figures, changes of this write included. */
void write_pages(struct write *write, struct store_pages *ret_pages);

#endif
