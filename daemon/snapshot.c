/* snapshot.c - reading: one committed state of the tables. Owns its transaction and cursors.
 * The thread that made it, which may be any. */
#include <stdatomic.h>
#include <stdlib.h>
#include <sys/mman.h>

#include "daemon/store_lmdb.h"

struct snapshot {
	struct store *store;
	struct snapshot *next;
	_Atomic uint64_t sees; /* the number of what is held; UINT64_MAX: nothing is */
	MDB_txn *txn;          /* NULL before the first use; reset between uses */
	MDB_cursor *cursors[STORE_TABLES];
	bool cursor_fresh[STORE_TABLES]; /* renewed since the snapshot was taken */
	bool held;
};

int
snapshot_new(struct store *store, struct snapshot **ret_snapshot)
{
	struct snapshot *snapshot = calloc(1, sizeof(*snapshot));

	if (!snapshot)
		return STORE_FAILED;
	snapshot->store = store;
	snapshot->sees = UINT64_MAX;
	pthread_mutex_lock(&store->mutex);
	snapshot->next = store->snapshots;
	store->snapshots = snapshot;
	pthread_mutex_unlock(&store->mutex);
	*ret_snapshot = snapshot;
	return STORE_HIT;
}

static void
leave_list(struct snapshot *snapshot)
{
	struct snapshot **at = &snapshot->store->snapshots;

	pthread_mutex_lock(&snapshot->store->mutex);
	while (*at != snapshot)
		at = &(*at)->next;
	*at = snapshot->next;
	pthread_mutex_unlock(&snapshot->store->mutex);
}

uint64_t
store_oldest_seen(struct store *store)
{
	uint64_t oldest = UINT64_MAX;

	pthread_mutex_lock(&store->mutex);
	for (struct snapshot *at = store->snapshots; at; at = at->next) {
		uint64_t sees = atomic_load_explicit(&at->sees, memory_order_relaxed);

		oldest = sees < oldest ? sees : oldest;
	}
	pthread_mutex_unlock(&store->mutex);
	return oldest;
}

void
snapshot_free(struct snapshot **snapshot)
{
	if (!*snapshot)
		return;
	leave_list(*snapshot);
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
		return store_result(code);
	snapshot->held = true;
	atomic_store_explicit(&snapshot->sees, mdb_txn_id(snapshot->txn),
			      memory_order_relaxed);
	memset(snapshot->cursor_fresh, 0, sizeof(snapshot->cursor_fresh));
	return STORE_HIT;
}

void
snapshot_release(struct snapshot *snapshot)
{
	if (!snapshot->held)
		return;
	mdb_txn_reset(snapshot->txn);
	atomic_store_explicit(&snapshot->sees, UINT64_MAX, memory_order_relaxed);
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

struct slice
store_pages_of(struct slice value)
{
	uintptr_t start = (uintptr_t)value.data & ~(uintptr_t)(PAGE_SIZE_BYTES - 1);

	return slice((void *)start, (uintptr_t)value.data + value.len - start);
}

void
store_populate(struct slice value)
{
	struct slice pages = store_pages_of(value);

	madvise((void *)pages.data, pages.len, MADV_POPULATE_READ);
}

int
snapshot_get(struct snapshot *snapshot, enum store_table table, struct slice key,
	     struct slice *ret_value)
{
	MDB_val wanted = store_val(key), found;
	int code =
		mdb_get(snapshot->txn, snapshot->store->tables[table], &wanted, &found);

	if (code)
		return store_result(code);
	*ret_value = store_slice(found);
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
		return store_result(code);
	snapshot->cursor_fresh[table] = true;
	*ret_cursor = *cursor;
	return STORE_HIT;
}

int
snapshot_seek(struct snapshot *snapshot, enum store_table table, struct slice key,
	      struct slice *ret_key, struct slice *ret_value)
{
	MDB_cursor *cursor = NULL;
	MDB_val wanted = store_val(key);
	int found = snapshot_cursor(snapshot, table, &cursor);

	if (found)
		return found;
	return store_move(cursor, MDB_SET_RANGE, &wanted, ret_key, ret_value);
}

int
snapshot_next(struct snapshot *snapshot, enum store_table table, struct slice *ret_key,
	      struct slice *ret_value)
{
	MDB_val key;

	return store_move(snapshot->cursors[table], MDB_NEXT, &key, ret_key, ret_value);
}
