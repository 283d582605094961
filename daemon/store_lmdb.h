/* store_lmdb.h - what the store's own files share: LMDB's handles and its results. Nobody else includes it. */
#ifndef DAEMON_STORE_LMDB_H
#define DAEMON_STORE_LMDB_H

#include <lmdb.h>
#include <pthread.h>
#include <string.h>

#include "daemon/store.h"

#define STORE_PATH_MAX 4096

struct store {
	MDB_env *env;
	MDB_dbi tables[STORE_TABLES];
	uint64_t map_size;
	char dir[STORE_PATH_MAX];
	char file[STORE_PATH_MAX];
	uint8_t secret[STORE_SECRET_SIZE];
	pthread_mutex_t mutex;      /* of the list */
	struct snapshot *snapshots; /* all of them */
};

/* The STORE_ result for an error of LMDB or of the system; logs what has none. code is not 0. */
int store_error(int code);

/* Walks LMDB's list of free pages and counts those from `first` on. MDB_CORRUPTED: it is not as LMDB writes it. */
int store_walk_free(MDB_env *env, uint64_t first, uint64_t *ret_count);

static inline int
store_result(int code)
{
	return code == 0 ? STORE_HIT : store_error(code);
}

static inline MDB_val
store_val(struct slice from)
{
	return (MDB_val){ .mv_size = from.len, .mv_data = (void *)from.data };
}

static inline struct slice
store_slice(MDB_val from)
{
	return slice(from.mv_data, from.mv_size);
}

/* Moves a cursor; *key is where to, and becomes where it stands. */
static inline int
store_move(MDB_cursor *cursor, MDB_cursor_op op, MDB_val *key, struct slice *ret_key,
	   struct slice *ret_value)
{
	MDB_val value;
	int code = mdb_cursor_get(cursor, key, &value, op);

	if (code)
		return store_result(code);
	*ret_key = store_slice(*key);
	*ret_value = store_slice(value);
	return STORE_HIT;
}

#endif
