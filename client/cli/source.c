/* source.c - reads what is to be stored. Owns its descriptor, unless that is standard input. */
#include "client/cli/source.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What a regular file holds from the current position on. Files that do not know (as in /proc) have size 0. */
static uint64_t
length_left(int fd)
{
	struct stat stat;
	off_t at;

	if (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode))
		return BRINE_UNKNOWN;
	at = lseek(fd, 0, SEEK_CUR);
	if (at < 0 || at >= stat.st_size)
		return BRINE_UNKNOWN;
	return (uint64_t)(stat.st_size - at);
}

int
source_open(struct source *source, const char *path)
{
	bool standard = !path || strcmp(path, "-") == 0;
	struct stat stat;
	int fd = STDIN_FILENO;

	if (!standard) {
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
		if (fd < 0)
			return -errno;
	}
	if (fstat(fd, &stat) == 0 && S_ISDIR(stat.st_mode)) {
		if (!standard)
			close(fd);
		return -EISDIR;
	}
	*source = (struct source){
		.fd = fd,
		.name = standard ? "standard input" : path,
		.length = length_left(fd),
	};
	return 0;
}

void
source_text(struct source *source, const char *text)
{
	*source = (struct source){ .fd = -1,
				   .name = "--value",
				   .text = text,
				   .text_len = strlen(text),
				   .length = strlen(text) };
}

static size_t
read_text(struct source *source, void *to, size_t size)
{
	size_t len = source->text_len < size ? source->text_len : size;

	memcpy(to, source->text, len);
	source->text += len;
	source->text_len -= len;
	source->ended = len < size;
	return len;
}

int64_t
source_read(struct source *source, void *to, size_t size, int wait_ms)
{
	struct pollfd waiting = { .fd = source->fd, .events = POLLIN };
	size_t have = 0;

	if (source->fd < 0)
		return (int64_t)read_text(source, to, size);
	while (have < size) {
		ssize_t count;

		if (wait_ms >= 0 && poll(&waiting, 1, wait_ms) == 0)
			break;
		count = read(source->fd, (char *)to + have, size - have);
		if (count == 0) {
			source->ended = true;
			break;
		}
		if (count > 0) {
			have += (size_t)count;
			continue;
		}
		/* Somebody may have made standard input non-blocking. */
		if (errno == EAGAIN && poll(&waiting, 1, wait_ms) == 0)
			break;
		if (errno != EINTR && errno != EAGAIN)
			return -errno;
	}
	return (int64_t)have;
}

void
source_close(struct source *source)
{
	if (source->fd > STDIN_FILENO)
		close(source->fd);
	source->fd = -1;
}
