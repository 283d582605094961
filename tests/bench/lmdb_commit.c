/* lmdb_commit.c - what the disk and LMDB allow: durable commits of a few random rows each, nothing else. Fills a
 * store in the directory on its first use. Usage: lmdb_commit DIR OBJECTS ROWS SECONDS. Prints a line of JSON. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <lmdb.h>

#include "proto/bytes.h"
#include "tests/bench/common/figures.h"

#define KEY_SIZE 16
/* With its key as large as Brine's record of a value of 100 bytes under a key of 16. */
#define ROW_SIZE 180
#define FILL_ROWS 50000
#define MAP_SIZE ((size_t)32 << 30)

static void
must(int failed, const char *what)
{
	if (!failed)
		return;
	fprintf(stderr, "lmdb_commit: %s: %s\n", what, mdb_strerror(failed));
	exit(1);
}

/* Well mixed, so that neighbours in number are none in the tree; one to one. */
static uint64_t
mix(uint64_t x)
{
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

static MDB_env *
open_store(const char *dir, unsigned flags, MDB_dbi *ret_rows)
{
	MDB_env *env;
	MDB_txn *txn;

	must(mdb_env_create(&env), "create");
	must(mdb_env_set_mapsize(env, MAP_SIZE), "map size");
	must(mdb_env_open(env, dir, flags | MDB_NORDAHEAD, 0600), dir);
	must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
	must(mdb_dbi_open(txn, NULL, 0, ret_rows), "open");
	must(mdb_txn_commit(txn), "commit");
	return env;
}

static void
put_row(MDB_txn *txn, MDB_dbi rows, uint64_t number)
{
	static uint8_t value[ROW_SIZE - KEY_SIZE];
	uint8_t key[KEY_SIZE] = { 0 };
	MDB_val from = { KEY_SIZE, key }, to = { sizeof(value), value };

	be64_store(key, mix(number));
	le64_store(value, figures_now_ns());
	must(mdb_put(txn, rows, &from, &to, 0), "put");
}

static void
fill(const char *dir, uint64_t objects)
{
	MDB_dbi rows;
	MDB_env *env = open_store(dir, MDB_NOSYNC, &rows);
	MDB_stat stat;
	MDB_txn *txn;
	uint64_t number;

	must(mdb_txn_begin(env, NULL, MDB_RDONLY, &txn), "begin");
	must(mdb_stat(txn, rows, &stat), "stat");
	mdb_txn_abort(txn);
	for (number = stat.ms_entries; number < objects;) {
		must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
		for (unsigned i = 0; i < FILL_ROWS && number < objects; i++)
			put_row(txn, rows, number++);
		must(mdb_txn_commit(txn), "commit");
	}
	must(mdb_env_sync(env, 1), "sync");
	mdb_env_close(env);
}

int
main(int argc, char **argv)
{
	static struct figures figures;
	uint64_t objects, chosen = 1, begin_ns, now_ns, end_ns;
	unsigned rows_each;
	MDB_env *env;
	MDB_dbi rows;
	MDB_txn *txn;

	if (argc != 5) {
		fprintf(stderr, "usage: lmdb_commit DIR OBJECTS ROWS SECONDS\n");
		return 2;
	}
	objects = strtoull(argv[2], NULL, 10);
	rows_each = (unsigned)atoi(argv[3]);
	fill(argv[1], objects);
	env = open_store(argv[1], 0, &rows);
	begin_ns = now_ns = figures_now_ns();
	end_ns = begin_ns + (uint64_t)(atof(argv[4]) * 1e9);
	while (now_ns < end_ns) {
		uint64_t before_ns = now_ns;

		must(mdb_txn_begin(env, NULL, 0, &txn), "begin");
		for (unsigned i = 0; i < rows_each; i++)
			put_row(txn, rows, mix(chosen++) % objects);
		must(mdb_txn_commit(txn), "commit");
		now_ns = figures_now_ns();
		figures_add(&figures, now_ns - before_ns);
	}
	printf("{\"turns\": %" PRIu64 ", \"rate\": %.1f, \"p50_us\": %.1f, "
	       "\"p99_us\": %.1f, \"max_us\": %.1f}\n",
	       figures.count,
	       (double)(figures.count * rows_each) / ((double)(now_ns - begin_ns) / 1e9),
	       (double)figures_at(&figures, 0.5) / 1e3,
	       (double)figures_at(&figures, 0.99) / 1e3, (double)figures.max_ns / 1e3);
	mdb_env_close(env);
	return 0;
}
