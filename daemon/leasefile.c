/* leasefile.c - writes and reads saved leases. Owns nothing.
 *
 *   0 "brine-L1" | 8 count (8) | entries: row key (16), epoch (8), number (8), holder (8), ns left (8), uid (4),
 *   zero (4)
 *   | XXH3-64 of all before it (8)                                                      little-endian */
#include "daemon/leasefile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "proto/bytes.h"

#define MAGIC "brine-L1"
#define HEAD 16
#define ENTRY 56
#define CHECKSUM 8
#define PATH_LEN_MAX 4352
#define FILE_MAX (HEAD + (size_t)LEASEFILE_MAX * ENTRY + CHECKSUM)

static size_t
pack(const struct saved_lease *saved, size_t count, uint8_t *to)
{
	uint8_t *at = to + HEAD;

	memcpy(to, MAGIC, 8);
	le64_store(to + 8, count);
	for (size_t i = 0; i < count; i++, at += ENTRY) {
		memcpy(at, saved[i].row_key, ROW_KEY_SIZE);
		le64_store(at + 16, saved[i].token.epoch);
		le64_store(at + 24, saved[i].token.number);
		le64_store(at + 32, saved[i].holder);
		le64_store(at + 40, saved[i].left_ns);
		le32_store(at + 48, saved[i].uid);
		le32_store(at + 52, 0);
	}
	le64_store(at, XXH3_64bits(to, (size_t)(at - to)));
	return (size_t)(at - to) + CHECKSUM;
}

static void
unpack(const uint8_t *at, struct saved_lease *ret_saved)
{
	memcpy(ret_saved->row_key, at, ROW_KEY_SIZE);
	ret_saved->token = (struct token){ le64_load(at + 16), le64_load(at + 24) };
	ret_saved->holder = le64_load(at + 32);
	ret_saved->left_ns = le64_load(at + 40);
	ret_saved->uid = le32_load(at + 48);
}

static int
write_whole(const char *path, const uint8_t *bytes, size_t len)
{
	char beside[PATH_LEN_MAX];
	int fd, failed;

	if (snprintf(beside, sizeof(beside), "%s.new", path) >= (int)sizeof(beside)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	failed = write(fd, bytes, len) != (ssize_t)len;
	if (close(fd) || failed || rename(beside, path)) {
		unlink(beside);
		return -1;
	}
	return 0;
}

int
leasefile_save(const struct leases *leases, uint64_t now_ns, const char *path)
{
	struct saved_lease *saved = calloc(LEASEFILE_MAX, sizeof(*saved));
	uint8_t *bytes = malloc(FILE_MAX);
	size_t count;
	int done = -1;

	if (saved && bytes) {
		count = lease_saved(leases, now_ns, saved, LEASEFILE_MAX);
		done = count ? write_whole(path, bytes, pack(saved, count, bytes)) : 0;
		if (!count && unlink(path) && errno != ENOENT)
			done = -1;
	}
	free(saved);
	free(bytes);
	return done;
}

/* How many entries these bytes have; 0 when they are not a whole file of ours. */
static size_t
count_entries(const uint8_t *bytes, size_t len)
{
	uint64_t count;

	if (len < HEAD + CHECKSUM || memcmp(bytes, MAGIC, 8) != 0)
		return 0;
	count = le64_load(bytes + 8);
	if (count > LEASEFILE_MAX || len != HEAD + count * ENTRY + CHECKSUM ||
	    le64_load(bytes + len - CHECKSUM) != XXH3_64bits(bytes, len - CHECKSUM))
		return 0;
	return count;
}

void
leasefile_load(struct leases *leases, const char *path, uint64_t now_ns)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	uint8_t *bytes;
	struct saved_lease saved;
	ssize_t len;

	unlink(path); /* an old one must never be believed, read or not */
	if (fd < 0)
		return;
	bytes = malloc(FILE_MAX);
	len = bytes ? read(fd, bytes, FILE_MAX) : 0;
	close(fd);
	for (size_t i = 0, count = len > 0 ? count_entries(bytes, (size_t)len) : 0;
	     i < count; i++) {
		unpack(bytes + HEAD + i * ENTRY, &saved);
		lease_reserve(leases, &saved, now_ns);
	}
	free(bytes);
}
