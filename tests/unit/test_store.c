/* test_store.c - the file of the store, and what a start makes of it. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "daemon/store.h"

#define MAP_SIZE (UINT64_C(64) << 20)
#define LARGE 65000
#define PAGE 4096
/* Once there are free pages for what else a commit writes, LMDB itself leaves the file shorter than it knows. */
#define COMMITS_MAX 20
/* In a meta page: its number of the last page, and of its transaction (struct MDB_meta behind the page's header). */
#define META_LAST_PAGE 136
#define META_TXN 144

struct folder {
	char dir[64];
	char file[80];
};

static void
folder_make(struct folder *folder)
{
	strcpy(folder->dir, "/tmp/brine-unit-XXXXXX");
	assert_non_null(mkdtemp(folder->dir));
	snprintf(folder->file, sizeof(folder->file), "%s/data.mdb", folder->dir);
}

static void
folder_remove(const struct folder *folder)
{
	char lock[80];

	snprintf(lock, sizeof(lock), "%s/lock.mdb", folder->dir);
	unlink(lock);
	unlink(folder->file);
	assert_int_equal(rmdir(folder->dir), 0);
}

static struct store *
open_in(const struct folder *folder)
{
	char error[STORE_ERROR_MAX] = "";
	struct store *store;

	if (store_open(folder->dir, MAP_SIZE, &store, error))
		fail_msg("%s", error);
	return store;
}

/* One commit: a row that stays, and a large one at the file's end that is put and deleted again before it is written. */
static void
give_up_pages_at_the_end(struct store *store)
{
	static const uint8_t large[LARGE];
	struct write *write;

	assert_int_equal(write_begin(store, &write), STORE_HIT);
	assert_int_equal(
		write_put(write, STORE_RECORDS, slice_text("stays"), slice_text("here")),
		STORE_HIT);
	assert_int_equal(write_put(write, STORE_CHUNKS, slice_text("goes"),
				   slice(large, sizeof(large))),
			 STORE_HIT);
	assert_int_equal(write_delete(write, STORE_CHUNKS, slice_text("goes")),
			 STORE_HIT);
	assert_int_equal(write_commit(&write), STORE_HIT);
}

/* Pages from 0 to the last one that the newest meta page knows. */
static uint64_t
pages_known(int fd)
{
	uint64_t newest = 0, pages = 0;

	for (off_t meta = 0; meta < 2; meta++) {
		uint64_t last, txn;

		assert_int_equal(pread(fd, &last, 8, meta * PAGE + META_LAST_PAGE), 8);
		assert_int_equal(pread(fd, &txn, 8, meta * PAGE + META_TXN), 8);
		if (txn >= newest) {
			newest = txn;
			pages = last + 1;
		}
	}
	return pages;
}

static bool
ends_early(int fd)
{
	return (uint64_t)lseek(fd, 0, SEEK_END) < pages_known(fd) * PAGE;
}

static void
check_row(struct store *store)
{
	struct snapshot *snapshot;
	struct slice value;

	assert_int_equal(snapshot_new(store, &snapshot), STORE_HIT);
	assert_int_equal(snapshot_take(snapshot), STORE_HIT);
	assert_int_equal(
		snapshot_get(snapshot, STORE_RECORDS, slice_text("stays"), &value),
		STORE_HIT);
	assert_int_equal(value.len, 4);
	snapshot_free(&snapshot);
}

static void
a_file_without_the_free_pages_at_its_end_is_sound(void **state)
{
	struct folder folder;
	struct store *store;
	int fd;

	(void)state;
	folder_make(&folder);
	store = open_in(&folder);
	fd = open(folder.file, O_RDONLY);
	for (int i = 0; !ends_early(fd); i++) {
		assert_true(i < COMMITS_MAX);
		give_up_pages_at_the_end(store);
	}
	close(fd);
	store_close(&store);
	for (int i = 0; i < 3; i++) {
		store = open_in(&folder);
		check_row(store);
		give_up_pages_at_the_end(store);
		store_close(&store);
	}
	folder_remove(&folder);
}

static void
a_file_without_a_page_in_use_is_damaged(void **state)
{
	(void)state;
	for (off_t kept = 2; kept < 6; kept++) {
		char error[STORE_ERROR_MAX] = "";
		struct folder folder;
		struct store *store;

		folder_make(&folder);
		store = open_in(&folder);
		give_up_pages_at_the_end(store);
		store_close(&store);
		assert_int_equal(truncate(folder.file, kept * PAGE - 1), 0);
		assert_int_equal(store_open(folder.dir, MAP_SIZE, &store, error),
				 STORE_DAMAGED);
		assert_non_null(strstr(error, "MDB_CORRUPTED"));
		folder_remove(&folder);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_file_without_the_free_pages_at_its_end_is_sound),
		cmocka_unit_test(a_file_without_a_page_in_use_is_damaged),
	};

	return unit_run(tests);
}
