/* freelist.c - looks at LMDB's own list of free pages. Owns nothing; any thread. */
#include "daemon/store_lmdb.h"

/* A record of the list: how many, and so many page numbers, falling. It may have room for more. Counts those from
 * `first` on. */
static bool
pages_sound(MDB_val record, uint64_t last_page, uint64_t first, uint64_t *count)
{
	const uint8_t *at = record.mv_data;
	uint64_t pages, before = last_page + 1;

	if (record.mv_size < sizeof(pages) || record.mv_size % sizeof(pages))
		return false;
	memcpy(&pages, at, sizeof(pages));
	if (pages > record.mv_size / sizeof(pages) - 1)
		return false;
	for (uint64_t i = 1; i <= pages; i++) {
		uint64_t page;

		memcpy(&page, at + i * sizeof(page), sizeof(page));
		if (page < 2 || page >= before)
			return false;
		*count += page >= first;
		before = page;
	}
	return true;
}

static int
walk(MDB_txn *txn, uint64_t last_page, uint64_t first, uint64_t *count)
{
	MDB_cursor *cursor;
	MDB_val key, record;
	int code = mdb_cursor_open(txn, 0, &cursor);

	if (code)
		return code;
	while ((code = mdb_cursor_get(cursor, &key, &record, MDB_NEXT)) == 0 &&
	       pages_sound(record, last_page, first, count))
		;
	mdb_cursor_close(cursor);
	if (code == 0)
		return MDB_CORRUPTED;
	return code == MDB_NOTFOUND ? 0 : code;
}

int
store_walk_free(MDB_env *env, uint64_t first, uint64_t *ret_count)
{
	MDB_envinfo info;
	MDB_txn *txn;
	int code = mdb_txn_begin(env, NULL, MDB_RDONLY, &txn);

	*ret_count = 0;
	if (code)
		return code;
	mdb_env_info(env, &info);
	code = walk(txn, info.me_last_pgno, first, ret_count);
	mdb_txn_abort(txn);
	return code;
}

int
store_check_free(struct store *store)
{
	uint64_t count;

	return store_result(store_walk_free(store->env, 0, &count));
}
