/* write.c - writing: one transaction of the only writer. Owns the transaction and its cursors.
 * Writer thread, or before there is one. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/statvfs.h>

#include "daemon/store_lmdb.h"

/* As much as one commit may write. */
#define NEARLY_FULL (16 << 20)

struct write {
	struct store *store;
	MDB_txn *txn;
	MDB_cursor *cursors[STORE_TABLES]; /* of the walks */
	/* Of get and put: what was looked up is most often put next, and need not be searched from the root
	 * again. */
	MDB_cursor *points[STORE_TABLES];
};

int
write_begin(struct store *store, struct write **ret_write)
{
	struct write *write = calloc(1, sizeof(*write));
	int code;

	if (!write)
		return STORE_NO_MEMORY;
	write->store = store;
	code = mdb_txn_begin(store->env, NULL, 0, &write->txn);
	if (code) {
		free(write);
		return store_result(code);
	}
	*ret_write = write;
	return STORE_HIT;
}

/* LMDB reports a write that was cut short, which is how a file system says first that it is full, as EIO.
 * Such a commit never was: nothing refers to its pages, and the next one writes them anew. */
static bool
was_cut_short(struct store *store, uint64_t txn)
{
	struct statvfs disk;
	MDB_envinfo info;
	mdb_filehandle_t fd;
	off_t end = (off_t)store_file_size(store);

	if (mdb_env_info(store->env, &info) || info.me_last_txnid >= txn ||
	    mdb_env_get_fd(store->env, &fd))
		return false;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, end, NEARLY_FULL))
		return errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
	return fstatvfs(fd, &disk) == 0 &&
	       (uint64_t)disk.f_bavail * disk.f_frsize < NEARLY_FULL;
}

int
write_commit(struct write **write)
{
	struct store *store = (*write)->store;
	uint64_t txn = write_txn(*write);
	int code = mdb_txn_commit(
		(*write)->txn); /* frees it, and its cursors' claim, even on failure */

	/* Cursors of a write end with it in LMDB 0.9; their memory went along. */
	free(*write);
	*write = NULL;
	return code == EIO && was_cut_short(store, txn) ? STORE_DISK_FULL
							: store_result(code);
}

void
write_abort(struct write **write)
{
	if (!*write)
		return;
	mdb_txn_abort((*write)->txn);
	free(*write);
	*write = NULL;
}

uint64_t
write_txn(const struct write *write)
{
	return mdb_txn_id(write->txn);
}

static int
open_cursor(struct write *write, enum store_table table, MDB_cursor **cursor)
{
	if (*cursor)
		return 0;
	return mdb_cursor_open(write->txn, write->store->tables[table], cursor);
}

int
write_get(struct write *write, enum store_table table, struct slice key,
	  struct slice *ret_value)
{
	MDB_val wanted = store_val(key), found;
	int code = open_cursor(write, table, &write->points[table]);

	if (code == 0)
		code = mdb_cursor_get(write->points[table], &wanted, &found, MDB_SET);
	if (code)
		return store_result(code);
	*ret_value = store_slice(found);
	return STORE_HIT;
}

int
write_put(struct write *write, enum store_table table, struct slice key,
	  struct slice value)
{
	MDB_val k = store_val(key), v = store_val(value);
	int code = open_cursor(write, table, &write->points[table]);

	if (code == 0)
		code = mdb_cursor_put(write->points[table], &k, &v, 0);
	return store_result(code);
}

int
write_reserve(struct write *write, enum store_table table, struct slice key, size_t len,
	      uint8_t **ret_room)
{
	MDB_val k = store_val(key), v = { .mv_size = len };
	int code = mdb_put(write->txn, write->store->tables[table], &k, &v, MDB_RESERVE);

	if (code)
		return store_result(code);
	*ret_room = v.mv_data;
	return STORE_HIT;
}

int
write_delete(struct write *write, enum store_table table, struct slice key)
{
	MDB_val k = store_val(key);

	return store_result(mdb_del(write->txn, write->store->tables[table], &k, NULL));
}

static int
write_cursor(struct write *write, enum store_table table, MDB_cursor **ret_cursor)
{
	int code = open_cursor(write, table, &write->cursors[table]);

	*ret_cursor = write->cursors[table];
	return store_result(code);
}

int
write_seek(struct write *write, enum store_table table, struct slice key,
	   struct slice *ret_key, struct slice *ret_value)
{
	MDB_cursor *cursor = NULL;
	MDB_val wanted = store_val(key);
	int found = write_cursor(write, table, &cursor);

	if (found)
		return found;
	return store_move(cursor, MDB_SET_RANGE, &wanted, ret_key, ret_value);
}

int
write_next(struct write *write, enum store_table table, struct slice *ret_key,
	   struct slice *ret_value)
{
	MDB_val key;

	return store_move(write->cursors[table], MDB_NEXT, &key, ret_key, ret_value);
}

int
write_delete_here(struct write *write, enum store_table table)
{
	/* LMDB marks the cursor, so that MDB_NEXT does not pass over the row that moved up. */
	return store_result(mdb_cursor_del(write->cursors[table], 0));
}

static uint64_t
pages_of(struct write *write, MDB_dbi table)
{
	MDB_stat stat;

	if (mdb_stat(write->txn, table, &stat))
		return 0;
	return stat.ms_branch_pages + stat.ms_leaf_pages + stat.ms_overflow_pages;
}

void
write_pages(struct write *write, struct store_pages *ret_pages)
{
	const MDB_dbi *tables = write->store->tables;

	ret_pages->leaf = pages_of(write, tables[STORE_RECORDS]) +
			  pages_of(write, tables[STORE_EXPIRY]) +
			  pages_of(write, tables[STORE_STAMPS]);
	ret_pages->chunk = pages_of(write, tables[STORE_CHUNKS]);
	ret_pages->other = pages_of(write, tables[STORE_SYSTEM]) + pages_of(write, 0);
}
