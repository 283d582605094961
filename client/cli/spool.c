/* spool.c - keeps bytes in a file that vanishes with its descriptor. */
#include "client/cli/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int
spool_open(struct spool *spool)
{
	const char *folder = getenv("TMPDIR");
	char path[PATH_MAX];
	int fd;

	if (!folder || folder[0] != '/')
		folder = "/var/tmp";
	fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL)) {
		if (snprintf(path, sizeof(path), "%s/brine-XXXXXX", folder) >= PATH_MAX)
			return -ENAMETOOLONG;
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	if (fd < 0)
		return -errno;
	spool->fd = fd;
	spool->len = 0;
	return 0;
}

int
spool_add(struct spool *spool, const void *bytes, size_t len)
{
	const char *from = bytes;
	uint64_t at = spool->len;

	while (len) {
		ssize_t count = pwrite(spool->fd, from, len, (off_t)at);

		if (count < 0 && errno != EINTR)
			return -errno;
		if (count < 0)
			continue;
		from += count;
		at += (uint64_t)count;
		len -= (size_t)count;
	}
	spool->len = at;
	return 0;
}

int64_t
spool_read(const struct spool *spool, uint64_t position, void *to, size_t size)
{
	ssize_t count;

	/* What spool_add() could not finish does not count. */
	if (size > spool->len - position)
		size = (size_t)(spool->len - position);
	do {
		count = pread(spool->fd, to, size, (off_t)position);
	} while (count < 0 && errno == EINTR);
	return count < 0 ? -errno : count;
}

void
spool_close(struct spool *spool)
{
	close(spool->fd);
	spool->fd = -1;
}
