/* store.c - the file, its tables and its row keys. Owns LMDB's environment. Any thread, once it is open.
 *
 * Only full, durable commits: never NOSYNC, never WRITEMAP. NOTLS, because snapshots belong to their
 * struct and not to a thread; NORDAHEAD, because read-ahead made a cold store's first get take 24 ms. */
#include "daemon/store_lmdb.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "daemon/datadir.h"
#include "daemon/log.h"
#include "proto/bytes.h"
#include "proto/tag.h"

#define STORE_READERS_MAX 64
#define STORE_FILE "/data.mdb"

/* What is hashed of a tag begins with this byte, with which neither UTF-8 nor a typed key does. */
#define NO_KEY 0x80

/* Row keys begin with an incarnation below 0xff000000, so these names cannot be one. */
static const char *const table_names[STORE_TABLES] = {
	[STORE_RECORDS] = NULL,
	[STORE_CHUNKS] = "\xff"
			 "chunks",
	[STORE_EXPIRY] = "\xff"
			 "expiry",
	[STORE_SYSTEM] = "\xff"
			 "system",
	[STORE_STAMPS] = "\xff"
			 "stamps",
};

int
store_error(int code)
{
	switch (code) {
	case MDB_NOTFOUND:
		return STORE_MISS;
	case MDB_MAP_FULL:
	case MDB_TXN_FULL:
		return STORE_FULL;
	case ENOSPC:
	case EDQUOT:
	case EFBIG:
		return STORE_DISK_FULL;
	case ENOMEM:
		return STORE_NO_MEMORY;
	case MDB_CORRUPTED:
	case MDB_PAGE_NOTFOUND:
	case MDB_INVALID:
	case MDB_VERSION_MISMATCH:
	case MDB_INCOMPATIBLE:
	case MDB_BAD_DBI:
	case MDB_BAD_TXN: /* it met one of these before */
	/* What we ask for is never wrong in this way: then the tree is, a page too full or a branch of itself. */
	case MDB_CURSOR_FULL:
	case MDB_PAGE_FULL:
	case MDB_BAD_VALSIZE:
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
	case STORE_NO_MEMORY:
		return "out of memory";
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
	mdb_set_compare(txn, store->tables[STORE_STAMPS], compare_rows);
	return mdb_txn_commit(txn);
}

/* What is read beyond the file's end raises SIGBUS. Sound files may end early: pages that a transaction took from
 * beyond the end and gave up before it was written are in the list of free pages and in no file. */
static int
check_length(struct store *store, mdb_filehandle_t fd)
{
	uint64_t size = store_file_size(store), end = size / PAGE_SIZE_BYTES, pages,
		 free_pages;
	MDB_envinfo info;
	int code;

	mdb_env_info(store->env, &info);
	pages = (uint64_t)info.me_last_pgno + 1;
	if (size == 0 || end >= pages)
		return 0;
	/* First, because the list may lie in what is missing. Then it reads as zeros, which are no list. */
	if (ftruncate(fd, (off_t)(pages * PAGE_SIZE_BYTES)))
		return errno;
	code = store_walk_free(store->env, end, &free_pages);
	return code || free_pages == pages - end ? code : MDB_CORRUPTED;
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
	code = check_length(store, fd);
	return code ? code : open_tables(store);
}

int
store_open(const char *dir, uint64_t map_size, struct store **ret_store,
	   char error[static STORE_ERROR_MAX])
{
	struct store *store = calloc(1, sizeof(*store));
	int code = ENOMEM;

	if (store)
		pthread_mutex_init(&store->mutex, NULL);
	if (store && snprintf(store->file, sizeof(store->file), "%s%s", dir, STORE_FILE) <
			     (int)sizeof(store->file)) {
		snprintf(store->dir, sizeof(store->dir), "%s", dir);
		store->map_size = map_size / PAGE_SIZE_BYTES * PAGE_SIZE_BYTES;
		code = open_env(store, dir);
	}
	if (code) {
		snprintf(error, STORE_ERROR_MAX, "%s", mdb_strerror(code));
		store_close(&store);
		return store_error(code) == STORE_DAMAGED ? STORE_DAMAGED : STORE_FAILED;
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
	pthread_mutex_destroy(&(*store)->mutex);
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

void
store_tag_key(const struct store *store, uint32_t incarnation, struct slice tag,
	      uint8_t ret_tag_key[static RECORD_TAG_SIZE])
{
	uint8_t named[1 + TAG_MAX] = { NO_KEY };

	CHECK(tag.len <= TAG_MAX);
	memcpy(named + 1, tag.data, tag.len);
	store_row_key(store, incarnation, slice(named, 1 + tag.len), ret_tag_key);
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
