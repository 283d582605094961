/* store.c - LMDB, and nobody else's business. Owns the environment and its tables.
 *
 * Only full, durable commits: never NOSYNC, never WRITEMAP. NOTLS, because snapshots belong to their
 * struct and not to a thread; NORDAHEAD, because read-ahead made a cold store's first get take 24 ms. */
#include "daemon/store.h"

#include <errno.h>
#include <fcntl.h>
#include <lmdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "daemon/datadir.h"
#include "daemon/log.h"
#include "proto/bytes.h"

#define STORE_READERS_MAX 64
#define STORE_FILE "/data.mdb"
#define STORE_PATH_MAX 4096
/* As much as one commit may write. */
#define STORE_NEARLY_FULL (16 << 20)

/* Row keys begin with an incarnation below 0xff000000, so these names cannot be one. */
static const char *const table_names[STORE_TABLES] = {
	[STORE_RECORDS] = NULL,
	[STORE_CHUNKS] = "\xff"
			 "chunks",
	[STORE_EXPIRY] = "\xff"
			 "expiry",
	[STORE_SYSTEM] = "\xff"
			 "system",
};

struct store {
	MDB_env *env;
	MDB_dbi tables[STORE_TABLES];
	uint64_t map_size;
	char dir[STORE_PATH_MAX];
	char file[STORE_PATH_MAX];
	uint8_t secret[STORE_SECRET_SIZE];
};

struct snapshot {
	struct store *store;
	MDB_txn *txn; /* NULL before the first use; reset between uses */
	MDB_cursor *cursors[STORE_TABLES];
	bool cursor_fresh[STORE_TABLES]; /* renewed since the snapshot was taken */
	bool held;
};

struct write {
	struct store *store;
	MDB_txn *txn;
	MDB_cursor *cursors[STORE_TABLES]; /* of the walks */
	/* Of get and put: what was looked up is most often put next, and need not be searched from the root
	 * again. */
	MDB_cursor *points[STORE_TABLES];
};

static MDB_val
val(struct slice from)
{
	return (MDB_val){ .mv_size = from.len, .mv_data = (void *)from.data };
}

static struct slice
unval(MDB_val from)
{
	return slice(from.mv_data, from.mv_size);
}

static int
result(int code)
{
	switch (code) {
	case 0:
		return STORE_HIT;
	case MDB_NOTFOUND:
		return STORE_MISS;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return STORE_FULL;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return STORE_DISK_FULL;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
	case MDB_BAD_DBI:
	case MDB_BAD_TXN: /* it met one of these before */
		return STORE_DAMAGED;
	default:
		log_error("store: LMDB says: %s", mdb_strerror(code));
		return STORE_FAILED;
	}
}

const char *
store_why(int code)
{
	switch (code) {
	case STORE_HIT:
		return "no error";
	case STORE_MISS:
		return "not there";
	case STORE_FULL:
		return "the map is full";
	case STORE_DISK_FULL:
		return "no space left on the file system";
	case STORE_DAMAGED:
		return "the file contradicts itself";
	case STORE_NO_RUN:
		return "no run of free pages";
	default:
		return "reading or writing the file failed";
	}
}

/* LMDB's own order, several times as fast for row keys, which nearly all are. A get compares a dozen. */
static int
compare_rows(const MDB_val *a, const MDB_val *b)
{
	size_t len = a->mv_size < b->mv_size ? a->mv_size : b->mv_size;
	uint64_t left, right;
	int order;

	if (a->mv_size != ROW_KEY_SIZE || b->mv_size != ROW_KEY_SIZE) {
		order = memcmp(a->mv_data, b->mv_data, len);
		return order ? order : (a->mv_size > len) - (b->mv_size > len);
	}
	left = be64_load(a->mv_data);
	right = be64_load(b->mv_data);
	if (left == right) {
		left = be64_load((const uint8_t *)a->mv_data + sizeof(left));
		right = be64_load((const uint8_t *)b->mv_data + sizeof(right));
	}
	return (left > right) - (left < right);
}

/* LMDB calls this before it aborts on a broken page: the next start shall not meet the same. */
static void
on_assert(MDB_env *env, const char *text)
{
	const struct store *store = mdb_env_get_userctx(env);

	datadir_mark_suspect(store->dir);
	log_error("store: LMDB found its file broken (%s)", text);
}

static int
open_tables(struct store *store)
{
	MDB_txn *txn;
	int code = mdb_txn_begin(store->env, NULL, 0, &txn);

	for (int i = 0; code == 0 && i < STORE_TABLES; i++) {
		code = mdb_dbi_open(txn, table_names[i], table_names[i] ? MDB_CREATE : 0,
				    &store->tables[i]);
		if (code)
			mdb_txn_abort(txn);
	}
	if (code)
		return code;
	mdb_set_compare(txn, store->tables[STORE_RECORDS], compare_rows);
	return mdb_txn_commit(txn);
}

/* A file that ends before its last page would raise SIGBUS where it is read. */
static int
check_length(struct store *store)
{
	MDB_envinfo info;
	uint64_t needed, size = store_file_size(store);

	mdb_env_info(store->env, &info);
	needed = ((uint64_t)info.me_last_pgno + 1) * PAGE_SIZE_BYTES;
	return size == 0 || size >= needed ? 0 : MDB_CORRUPTED;
}

static int
open_env(struct store *store, const char *dir)
{
	mdb_filehandle_t fd;
	int code = mdb_env_create(&store->env);

	if (code)
		return code;
	mdb_env_set_maxdbs(store->env, STORE_TABLES);
	mdb_env_set_maxreaders(store->env, STORE_READERS_MAX);
	mdb_env_set_mapsize(store->env, store->map_size);
	mdb_env_set_userctx(store->env, store);
	mdb_env_set_assert(store->env, on_assert);
	code = mdb_env_open(store->env, dir, MDB_NOTLS | MDB_NORDAHEAD, 0600);
	if (code)
		return code;
	mdb_env_get_fd(store->env, &fd);
	fcntl(fd, F_SETFD, FD_CLOEXEC); /* LMDB 0.9 forgets it */
	code = check_length(store);
	return code ? code : open_tables(store);
}

int
store_open(const char *dir, uint64_t map_size, struct store **ret_store,
	   char error[static STORE_ERROR_MAX])
{
	struct store *store = calloc(1, sizeof(*store));
	int code = ENOMEM;

	if (store && snprintf(store->file, sizeof(store->file), "%s%s", dir, STORE_FILE) <
			     (int)sizeof(store->file)) {
		snprintf(store->dir, sizeof(store->dir), "%s", dir);
		store->map_size = map_size / PAGE_SIZE_BYTES * PAGE_SIZE_BYTES;
		code = open_env(store, dir);
	}
	if (code) {
		snprintf(error, STORE_ERROR_MAX, "%s", mdb_strerror(code));
		store_close(&store);
		return result(code) == STORE_DAMAGED ? STORE_DAMAGED : STORE_FAILED;
	}
	*ret_store = store;
	return 0;
}

void
store_close(struct store **store)
{
	if (!*store)
		return;
	if ((*store)->env)
		mdb_env_close((*store)->env);
	explicit_bzero((*store)->secret, sizeof((*store)->secret));
	free(*store);
	*store = NULL;
}

void
store_set_secret(struct store *store, const uint8_t secret[static STORE_SECRET_SIZE])
{
	memcpy(store->secret, secret, STORE_SECRET_SIZE);
}

void
store_row_key(const struct store *store, uint32_t incarnation, struct slice key,
	      uint8_t ret_row_key[static ROW_KEY_SIZE])
{
	XXH128_hash_t hash = XXH3_128bits_withSecret(key.data, key.len, store->secret,
						     STORE_SECRET_SIZE);

	be32_store(ret_row_key, incarnation);
	be64_store(ret_row_key + 4, hash.low64);
	be32_store(ret_row_key + 12, (uint32_t)hash.high64);
}

uint64_t
store_map_size(const struct store *store)
{
	return store->map_size;
}

uint64_t
store_file_size(const struct store *store)
{
	struct stat status;
	mdb_filehandle_t fd;

	if (mdb_env_get_fd(store->env, &fd) || fstat(fd, &status))
		return 0;
	return (uint64_t)status.st_size;
}

bool
store_present(const struct store *store)
{
	struct stat ours, there;
	mdb_filehandle_t fd;

	if (mdb_env_get_fd(store->env, &fd) || fstat(fd, &ours))
		return false;
	return stat(store->file, &there) == 0 && there.st_ino == ours.st_ino &&
	       there.st_dev == ours.st_dev;
}

int
store_preallocate(struct store *store, uint64_t bytes)
{
	mdb_filehandle_t fd;
	uint64_t size = store_file_size(store);

	if (mdb_env_get_fd(store->env, &fd))
		return STORE_FAILED;
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, (off_t)size, (off_t)bytes) == 0)
		return STORE_HIT;
	return errno == ENOSPC ? STORE_DISK_FULL
			       : STORE_MISS; /* not every file system can */
}

/* ---- reading ---- */

int
snapshot_new(struct store *store, struct snapshot **ret_snapshot)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return STORE_FAILED;
	snapshot->store = store;
	*ret_snapshot = snapshot;
	return STORE_HIT;
}

void
snapshot_free(struct snapshot **snapshot)
{
	if (!*snapshot)
		return;
	for (int i = 0; i < STORE_TABLES; i++)
		if ((*snapshot)->cursors[i])
			mdb_cursor_close((*snapshot)->cursors[i]);
	if ((*snapshot)->txn)
		mdb_txn_abort((*snapshot)->txn);
	free(*snapshot);
	*snapshot = NULL;
}

int
snapshot_take(struct snapshot *snapshot)
{
	int code;

	snapshot_release(snapshot);
	if (snapshot->txn)
		code = mdb_txn_renew(snapshot->txn);
	else
		code = mdb_txn_begin(snapshot->store->env, NULL, MDB_RDONLY,
				     &snapshot->txn);
	if (code)
		return result(code);
	snapshot->held = true;
	memset(snapshot->cursor_fresh, 0, sizeof(snapshot->cursor_fresh));
	return STORE_HIT;
}

void
snapshot_release(struct snapshot *snapshot)
{
	if (!snapshot->held)
		return;
	mdb_txn_reset(snapshot->txn);
	snapshot->held = false;
}

bool
snapshot_held(const struct snapshot *snapshot)
{
	return snapshot->held;
}

uint64_t
snapshot_txn(const struct snapshot *snapshot)
{
	return mdb_txn_id(snapshot->txn);
}

int
snapshot_get(struct snapshot *snapshot, enum store_table table, struct slice key,
	     struct slice *ret_value)
{
	MDB_val wanted = val(key), found;
	int code =
		mdb_get(snapshot->txn, snapshot->store->tables[table], &wanted, &found);

	if (code)
		return result(code);
	*ret_value = unval(found);
	return STORE_HIT;
}

static int
snapshot_cursor(struct snapshot *snapshot, enum store_table table,
		MDB_cursor **ret_cursor)
{
	MDB_cursor **cursor = &snapshot->cursors[table];
	int code = 0;

	if (!*cursor)
		code = mdb_cursor_open(snapshot->txn, snapshot->store->tables[table],
				       cursor);
	else if (!snapshot->cursor_fresh[table])
		code = mdb_cursor_renew(snapshot->txn, *cursor);
	if (code)
		return result(code);
	snapshot->cursor_fresh[table] = true;
	*ret_cursor = *cursor;
	return STORE_HIT;
}

static int
move(MDB_cursor *cursor, MDB_cursor_op op, MDB_val *key, struct slice *ret_key,
     struct slice *ret_value)
{
	MDB_val value;
	int code = mdb_cursor_get(cursor, key, &value, op);

	if (code)
		return result(code);
	*ret_key = unval(*key);
	*ret_value = unval(value);
	return STORE_HIT;
}

int
snapshot_seek(struct snapshot *snapshot, enum store_table table, struct slice key,
	      struct slice *ret_key, struct slice *ret_value)
{
	MDB_cursor *cursor = NULL;
	MDB_val wanted = val(key);
	int found = snapshot_cursor(snapshot, table, &cursor);

	if (found)
		return found;
	return move(cursor, MDB_SET_RANGE, &wanted, ret_key, ret_value);
}

int
snapshot_next(struct snapshot *snapshot, enum store_table table, struct slice *ret_key,
	      struct slice *ret_value)
{
	MDB_val key;

	return move(snapshot->cursors[table], MDB_NEXT, &key, ret_key, ret_value);
}

/* ---- writing ---- */

int
write_begin(struct store *store, struct write **ret_write)
{
	struct write *write = calloc(1, sizeof(*write));
	int code;

	if (!write)
		return STORE_FAILED;
	write->store = store;
	code = mdb_txn_begin(store->env, NULL, 0, &write->txn);
	if (code) {
		free(write);
		return result(code);
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
	if (fallocate(fd, FALLOC_FL_KEEP_SIZE, end, STORE_NEARLY_FULL))
		return errno == ENOSPC || errno == EDQUOT || errno == EFBIG;
	return fstatvfs(fd, &disk) == 0 &&
	       (uint64_t)disk.f_bavail * disk.f_frsize < STORE_NEARLY_FULL;
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
	return code == EIO && was_cut_short(store, txn) ? STORE_DISK_FULL : result(code);
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
	MDB_val wanted = val(key), found;
	int code = open_cursor(write, table, &write->points[table]);

	if (code == 0)
		code = mdb_cursor_get(write->points[table], &wanted, &found, MDB_SET);
	if (code)
		return result(code);
	*ret_value = unval(found);
	return STORE_HIT;
}

int
write_put(struct write *write, enum store_table table, struct slice key,
	  struct slice value)
{
	MDB_val k = val(key), v = val(value);
	int code = open_cursor(write, table, &write->points[table]);

	if (code == 0)
		code = mdb_cursor_put(write->points[table], &k, &v, 0);
	return result(code);
}

int
write_reserve(struct write *write, enum store_table table, struct slice key, size_t len,
	      uint8_t **ret_room)
{
	MDB_val k = val(key), v = { .mv_size = len };
	int code = mdb_put(write->txn, write->store->tables[table], &k, &v, MDB_RESERVE);

	if (code)
		return result(code);
	*ret_room = v.mv_data;
	return STORE_HIT;
}

int
write_delete(struct write *write, enum store_table table, struct slice key)
{
	MDB_val k = val(key);

	return result(mdb_del(write->txn, write->store->tables[table], &k, NULL));
}

static int
write_cursor(struct write *write, enum store_table table, MDB_cursor **ret_cursor)
{
	int code = open_cursor(write, table, &write->cursors[table]);

	*ret_cursor = write->cursors[table];
	return result(code);
}

int
write_seek(struct write *write, enum store_table table, struct slice key,
	   struct slice *ret_key, struct slice *ret_value)
{
	MDB_cursor *cursor = NULL;
	MDB_val wanted = val(key);
	int found = write_cursor(write, table, &cursor);

	if (found)
		return found;
	return move(cursor, MDB_SET_RANGE, &wanted, ret_key, ret_value);
}

int
write_next(struct write *write, enum store_table table, struct slice *ret_key,
	   struct slice *ret_value)
{
	MDB_val key;

	return move(write->cursors[table], MDB_NEXT, &key, ret_key, ret_value);
}

int
write_delete_here(struct write *write, enum store_table table)
{
	/* LMDB marks the cursor, so that MDB_NEXT does not pass over the row that moved up. */
	return result(mdb_cursor_del(write->cursors[table], 0));
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
			  pages_of(write, tables[STORE_EXPIRY]);
	ret_pages->chunk = pages_of(write, tables[STORE_CHUNKS]);
	ret_pages->other = pages_of(write, tables[STORE_SYSTEM]) + pages_of(write, 0);
}
