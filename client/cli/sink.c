/* sink.c - writes a value out. Owns its descriptor, unless that is standard output.
 *
 * A file is written without a name first (O_TMPFILE), so that nothing of it stays when this process is
 * killed, and takes its name when it is complete. */
#include "client/cli/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

static int
name_folder(struct sink *sink, const char *path)
{
	const char *slash = strrchr(path, '/');
	size_t len = slash ? (size_t)(slash - path) + 1 : 1;

	if (len >= sizeof(sink->folder))
		return -ENAMETOOLONG;
	memcpy(sink->folder, slash ? path : ".", len);
	sink->folder[len] = 0;
	return 0;
}

static void
name_temporary(struct sink *sink, unsigned attempt)
{
	snprintf(sink->temporary, sizeof(sink->temporary), "%s/.brine-%ld-%u.part",
		 sink->folder, (long)getpid(), attempt);
}

/* File systems without O_TMPFILE get a file with a name. */
static int
open_named(struct sink *sink)
{
	int fd = -1;

	for (unsigned attempt = 0; attempt < 100 && fd < 0; attempt++) {
		name_temporary(sink, attempt);
		fd = open(sink->temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
		if (fd < 0 && errno != EEXIST)
			break;
	}
	if (fd < 0)
		sink->temporary[0] = 0;
	return fd < 0 ? -errno : fd;
}

/* A new file in the folder of path, with the mode of the one that it will replace. */
static int
open_beside(struct sink *sink, const char *path, const struct stat *old)
{
	int result = name_folder(sink, path), fd;

	if (result)
		return result;
	fd = open(sink->folder, O_TMPFILE | O_WRONLY | O_CLOEXEC, 0666);
	if (fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR || errno == EINVAL))
		fd = open_named(sink);
	else if (fd < 0)
		fd = -errno;
	if (fd < 0)
		return fd;
	if (old && fchmod(fd, old->st_mode & 07777) != 0) {
		/* It keeps the mode of a new file. */
	}
	sink->path = path;
	return fd;
}

/* A directory that cannot take a new file may hold one that can be written, so does /dev, and a link is
 * followed: those are written in place. */
static int
open_file(struct sink *sink, const char *path)
{
	struct stat stat;
	bool exists = lstat(path, &stat) == 0;
	int fd;

	if (exists && S_ISDIR(stat.st_mode))
		return -EISDIR;
	if (exists && S_ISREG(stat.st_mode) && access(path, W_OK) != 0)
		return -errno;
	if (!exists || (S_ISREG(stat.st_mode) && stat.st_nlink == 1)) {
		fd = open_beside(sink, path, exists ? &stat : NULL);
		if (fd >= 0 || !exists)
			return fd;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY, 0666);
	return fd < 0 ? -errno : fd;
}

int
sink_open(struct sink *sink, const char *path)
{
	sink->path = NULL;
	sink->temporary[0] = 0;
	if (!path || strcmp(path, "-") == 0) {
		sink->fd = STDOUT_FILENO;
		sink->name = "standard output";
		return 0;
	}
	sink->name = path;
	sink->fd = open_file(sink, path);
	return sink->fd < 0 ? sink->fd : 0;
}

int
sink_write(struct sink *sink, const void *bytes, size_t len)
{
	struct pollfd waiting = { .fd = sink->fd, .events = POLLOUT };
	const char *from = bytes;

	while (len) {
		ssize_t count = write(sink->fd, from, len);

		if (count >= 0) {
			from += count;
			len -= (size_t)count;
		} else if (errno == EAGAIN) {
			poll(&waiting, 1, -1);
		} else if (errno != EINTR) {
			return -errno;
		}
	}
	return 0;
}

static volatile sig_atomic_t alarm_rang;

static void
on_alarm(int signal)
{
	(void)signal;
	alarm_rang = 1;
}

/* Interrupts whatever blocks after so long, and then again and again, should it ring a moment too early. */
static void
set_alarm(unsigned ms)
{
	struct itimerval timer = { .it_value = { ms / 1000, ms % 1000 * 1000 },
				   .it_interval = { 0, ms ? 100000 : 0 } };

	alarm_rang = 0;
	setitimer(ITIMER_REAL, &timer, NULL);
}

/* No descriptor of ours is made non-blocking for this: others may share what stands behind it. */
int
sink_write_within(struct sink *sink, const void *bytes, size_t len, unsigned ms,
		  size_t *ret_written)
{
	struct sigaction ring = { .sa_handler = on_alarm };
	const char *from = bytes;
	size_t written = 0;
	int result = 0;

	sigaction(SIGALRM, &ring, NULL);
	set_alarm(ms);
	while (written < len && !alarm_rang && result == 0) {
		ssize_t count = write(sink->fd, from + written, len - written);

		if (count >= 0)
			written += (size_t)count;
		else if (errno == EAGAIN)
			break;
		else if (errno != EINTR)
			result = -errno;
	}
	set_alarm(0);
	*ret_written = written;
	return result;
}

/* Gives a file without a name its temporary one, as no call replaces a file by one that has none. */
static int
give_name(struct sink *sink)
{
	char from[64];
	int result = -1;

	if (sink->temporary[0])
		return 0;
	snprintf(from, sizeof(from), "/proc/self/fd/%d", sink->fd);
	for (unsigned attempt = 0; attempt < 100 && result != 0; attempt++) {
		name_temporary(sink, attempt);
		result = linkat(AT_FDCWD, from, AT_FDCWD, sink->temporary,
				AT_SYMLINK_FOLLOW);
		if (result != 0 && errno != EEXIST)
			break;
	}
	if (result != 0)
		sink->temporary[0] = 0;
	return result ? -errno : 0;
}

static int
take_place(struct sink *sink)
{
	int result = give_name(sink);

	if (result)
		return result;
	if (rename(sink->temporary, sink->path) != 0)
		return -errno;
	sink->temporary[0] = 0;
	return 0;
}

int
sink_finish(struct sink *sink)
{
	int result = sink->path ? take_place(sink) : 0;

	if (result)
		return result;
	/* A full disk may be told only here. Standard output is closed by main(). */
	if (sink->fd != STDOUT_FILENO && close(sink->fd) != 0)
		result = -errno;
	sink->fd = -1;
	return result;
}

void
sink_abandon(struct sink *sink)
{
	if (sink->temporary[0])
		unlink(sink->temporary);
	sink->temporary[0] = 0;
	if (sink->fd > STDOUT_FILENO)
		close(sink->fd);
	sink->fd = -1;
}
