/* limit.h - how many pages the store may use, and how many it has to give back. Pure arithmetic. */
#ifndef DAEMON_LIMIT_H
#define DAEMON_LIMIT_H

#include <stdbool.h>
#include <stdint.h>

#define LIMIT_SIZE_MIN (UINT64_C(64) << 20)
/* A commit flushes at most this, and at most a 64th of max_size. */
#define LIMIT_COMMIT_BYTES (UINT64_C(16) << 20)
#define LIMIT_COMMIT_PART 64
#define LIMIT_RESERVE_MAX (UINT64_C(4) << 20)
/* Pages freed by one commit can be used two commits later, so room for three is kept; one more for the
 * branches and free lists that a commit dirties and nobody counts (with three, 64 MiB of 100 B objects came
 * to 1.097 of the limit). */
#define LIMIT_COMMITS_AHEAD 4
/* The largest commit is forgotten by this part of it with each smaller one. */
#define LIMIT_FORGET 256

struct limit {
	uint64_t max_size; /* bytes, as configured */
	uint64_t
		beside; /* bytes of our other files and of other schemas, which count as well */
	uint64_t
		disk_size; /* bytes that the file system leaves for us; UINT64_MAX: enough */
	uint64_t largest; /* pages of the largest commit lately */
};

/* Bytes of disk kept beyond the file's end, so that deletions still work on a full disk. */
uint64_t limit_reserve(const struct limit *limit);
/* Pages that may be in use at all. */
uint64_t limit_pages(const struct limit *limit);
/* Pages down to which the writer evicts. */
uint64_t limit_target(const struct limit *limit);
/* Pages that one commit may dirty. */
uint64_t limit_commit_pages(const struct limit *limit);
/* About how many leaves `touches` rows at random places dirty, of `leaves` that there are; new rows
 * make new leaves, some LIMIT_ROWS_PER_LEAF to one. */
#define LIMIT_ROWS_PER_LEAF 16
static inline uint64_t
limit_distinct(uint64_t touches, uint64_t leaves)
{
	leaves += touches / LIMIT_ROWS_PER_LEAF + 1;
	return touches ? touches * leaves / (touches + leaves) + 1 : 0;
}

void limit_note_commit(struct limit *limit, uint64_t pages);

/* What the file system leaves a file of `used` bytes, when min_free_percent of the whole is to stay free for
 * others; never less than the file has. */
uint64_t limit_disk_size(uint64_t used, uint64_t available, uint64_t total,
			 unsigned min_free_percent);

/* The size that suits a file system when none is configured; *ret_why says in words what decided. */
uint64_t limit_default(uint64_t available, uint64_t total, const char **ret_why);

#endif
