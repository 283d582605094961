/* limit.c - pages against bytes. Pure; owns nothing. */
#include "daemon/limit.h"

#define PAGE UINT64_C(4096)
#define DEFAULT_MAX (UINT64_C(10) << 30)

uint64_t
limit_reserve(const struct limit *limit)
{
	uint64_t part = limit->max_size / LIMIT_COMMIT_PART;

	return part < LIMIT_RESERVE_MAX ? part : LIMIT_RESERVE_MAX;
}

uint64_t
limit_pages(const struct limit *limit)
{
	uint64_t other = limit->beside + limit_reserve(limit);
	uint64_t size = limit->max_size > other ? limit->max_size - other : 0;

	/* What lies beside the store is not among what the file system still has. */
	return (size < limit->disk_size ? size : limit->disk_size) / PAGE;
}

uint64_t
limit_commit_pages(const struct limit *limit)
{
	uint64_t part = limit->max_size / LIMIT_COMMIT_PART;

	return (part < LIMIT_COMMIT_BYTES ? part : LIMIT_COMMIT_BYTES) / PAGE;
}

uint64_t
limit_target(const struct limit *limit)
{
	uint64_t pages = limit_pages(limit), ahead = LIMIT_COMMITS_AHEAD * limit->largest;

	/* Never more than a quarter: a limit that keeps nothing would help nobody. */
	if (ahead > pages / 4)
		ahead = pages / 4;
	return pages - ahead;
}

void
limit_note_commit(struct limit *limit, uint64_t pages)
{
	limit->largest -= limit->largest / LIMIT_FORGET;
	if (pages > limit->largest)
		limit->largest = pages;
}

uint64_t
limit_disk_size(uint64_t used, uint64_t available, uint64_t total,
		unsigned min_free_percent)
{
	uint64_t keep = total / 100 * min_free_percent;

	/* The file does not shrink: what is evicted from it gives nobody a byte. */
	return available > keep ? used + available - keep : used;
}

uint64_t
limit_default(uint64_t available, uint64_t total, const char **ret_why)
{
	uint64_t size = DEFAULT_MAX;

	*ret_why = "the default";
	if (total / 10 < size) {
		size = total / 10;
		*ret_why = "10 % of the file system";
	}
	if (available / 2 < size) {
		size = available / 2;
		*ret_why = "half of what is free on the file system";
	}
	if (size < LIMIT_SIZE_MIN) {
		size = LIMIT_SIZE_MIN;
		*ret_why = "the least that Brine works with";
	}
	return size;
}
