/* start.c - one daemon for all who want it. Owns nothing that outlives a call but brined.start in the data
 * directory, whose lock says that a start is under way and whose text why the last one failed.
 *
 * Fifty processes may want a daemon at once: who gets the lock starts it, the others wait for it to answer. That
 * lock only spares work; what admits one daemon is the daemon's own lock on its directory. */
#include "client/start.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "client/connect.h"
#include "client/launch.h"
#include "client/program.h"

#define WAIT_MS 1000
#define STEP_MS 5
#define REMEMBER_S 30
#define STAMP_NAME "brined.start"

static int
fail(char *why, size_t size, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(why, size, format, args);
	va_end(args);
	return -1;
}

static uint64_t
now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static bool
answers(const char *socket)
{
	uint32_t server_uid;
	int fd;

	if (connect_path(socket, WAIT_MS, &fd, &server_uid))
		return false;
	close(fd);
	return true;
}

/* ---- what the last start left */

/* Did a start fail in the last half minute, in whatever process? */
static bool
failed_lately(int stamp, char *why, size_t size)
{
	struct stat st;
	struct timespec now;
	char text[256];
	ssize_t len;
	time_t age;

	if (fstat(stamp, &st) || st.st_size == 0)
		return false;
	clock_gettime(CLOCK_REALTIME, &now);
	age = now.tv_sec - st.st_mtim.tv_sec;
	if (age < 0 || age >= REMEMBER_S)
		return false;
	len = pread(stamp, text, sizeof(text) - 1, 0);
	text[len > 0 ? len : 0] = 0;
	fail(why, size, "a start failed %ld s ago, and is tried again after %d s (%s)",
	     (long)age, REMEMBER_S, text);
	return true;
}

static void
remember_failure(int stamp, const char *why)
{
	/* Short of disk nothing is remembered, and the next caller tries again. */
	if (ftruncate(stamp, 0) == 0 && pwrite(stamp, why, strnlen(why, 200), 0) < 0)
		return;
}

/* ---- waiting for it */

/* Waits one step, or until the process behind pidfd (-1: none) has ended. Returns true if it has. */
static bool
wait_step(int pidfd)
{
	struct pollfd poller = { .fd = pidfd, .events = POLLIN };

	return poll(&poller, 1, STEP_MS) > 0;
}

/* Returns 0 when it answers, 1 when it has ended, -1 when the second is over. */
static int
wait_for_answer(const char *socket, int pidfd, uint64_t deadline_ms)
{
	bool ended = false;

	for (;;) {
		if (answers(socket))
			return 0;
		if (ended)
			return 1;
		if (now_ms() >= deadline_ms)
			return -1;
		ended = wait_step(pidfd);
	}
}

/* Another process starts it: waits until it answers or that process has failed. */
static int
wait_for_other(const struct start *start, int stamp, uint64_t deadline_ms, char *why,
	       size_t size)
{
	while (!answers(start->socket)) {
		if (failed_lately(stamp, why, size))
			return -1;
		if (now_ms() >= deadline_ms) {
			fail(why, size,
			     "another process is starting it, but it does not answer yet");
			return START_LATE;
		}
		wait_step(-1);
	}
	return 0;
}

/* Holding the lock: starts the daemon and sees whether it comes up. */
static int
start_locked(const struct start *start, int folder, int stamp, uint64_t deadline_ms,
	     char *why, size_t size)
{
	char program[PATH_MAX], line[LAUNCH_LINE_MAX];
	int result, pidfd;
	pid_t pid;

	if (answers(start->socket))
		return 0;
	if (failed_lately(stamp, why, size) ||
	    program_find(start->daemon, start->uid, program, why, size))
		return -1;
	pid = launch_daemon(program, start->env, start->data, folder);
	if (pid < 0) {
		fail(why, size, "%s: %s", program, strerror(errno));
		remember_failure(stamp, why);
		return -1;
	}
	pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	result = pidfd < 0 && errno == ESRCH
			 ? 1
			 : wait_for_answer(start->socket, pidfd, deadline_ms);
	if (pidfd >= 0)
		close(pidfd);
	if (result == 0)
		return 0;
	if (result < 0) {
		fail(why, size, "%s was started and does not answer yet", program);
		return START_LATE;
	}
	launch_last_line(folder, line);
	fail(why, size, "%s ended at once, its log says: %s", program,
	     line[0] ? line : "(nothing)");
	remember_failure(stamp, why);
	if (line[0])
		fail(why, size,
		     "%s ended at once; the last line of %s/" LAUNCH_LOG
		     " is \"%s\"; try `%s` by hand",
		     program, start->data, line, program);
	else
		fail(why, size,
		     "%s ended at once, with nothing in %s/" LAUNCH_LOG
		     " (is the disk full?); try `%s` by hand",
		     program, start->data, program);
	return -1;
}

/* Holding the lock: starts a daemon that asks the one behind `old` for its place. */
static void
start_newer_locked(const struct start *start, int folder, int stamp, int old)
{
	struct pollfd pollers[2] = { { .fd = old, .events = POLLIN },
				     { .events = POLLIN } };
	char program[PATH_MAX], why[256];
	pid_t pid;

	if (failed_lately(stamp, why, sizeof(why)) ||
	    program_find(start->daemon, start->uid, program, why, sizeof(why)))
		return;
	pid = launch_daemon(program, start->env, start->data, folder);
	if (pid < 0)
		return;
	pollers[1].fd = (int)syscall(SYS_pidfd_open, pid, 0);
	/* When the old one has said GOAWAY, it listens no more: who answers then is the new one. Until then
	 * the lock keeps the others from starting more of them. */
	if (poll(pollers, 2, WAIT_MS) > 0 && pollers[0].revents)
		wait_for_answer(start->socket, pollers[1].fd, now_ms() + WAIT_MS);
	if (pollers[1].fd >= 0)
		close(pollers[1].fd);
}

/* Makes the directory and its parents, as far as they are missing. */
static bool
make_folder(const char *path)
{
	char at[PATH_MAX];

	snprintf(at, sizeof(at), "%s", path);
	for (char *slash = at + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = 0;
		if (mkdir(at, 0700) && errno != EEXIST)
			return false;
		*slash = '/';
	}
	return mkdir(at, 0700) == 0 || errno == EEXIST;
}

static int
open_folder(const struct start *start, char *why, size_t size)
{
	struct stat st;
	int folder;

	if (!make_folder(start->data))
		return fail(why, size, "cannot make %s: %s; name another with BRINE_DATA",
			    start->data, strerror(errno));
	folder = open(start->data, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (folder < 0)
		return fail(why, size, "cannot open %s: %s", start->data,
			    strerror(errno));
	if (fstat(folder, &st) == 0 && st.st_uid == start->uid)
		return folder;
	close(folder);
	return fail(why, size, "%s belongs to another uid than %u", start->data,
		    (unsigned)start->uid);
}

static int
open_stamp(int folder)
{
	return openat(folder, STAMP_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		      0600);
}

int
start_daemon(const struct start *start, char *why, size_t size)
{
	uint64_t deadline_ms = now_ms() + WAIT_MS;
	int folder, stamp, result;

	if (getauxval(AT_SECURE))
		return fail(why, size, "a set-uid program starts none");
	folder = open_folder(start, why, size);
	if (folder < 0)
		return -1;
	stamp = open_stamp(folder);
	if (stamp < 0) {
		result = fail(why, size, "cannot write in %s: %s", start->data,
			      strerror(errno));
	} else if (flock(stamp, LOCK_EX | LOCK_NB) == 0) {
		result = start_locked(start, folder, stamp, deadline_ms, why, size);
	} else {
		result = wait_for_other(start, stamp, deadline_ms, why, size);
	}
	if (stamp >= 0)
		close(stamp);
	close(folder);
	return result;
}

void
start_newer(const struct start *start, int old)
{
	char why[256];
	int folder, stamp;

	if (getauxval(AT_SECURE))
		return;
	folder = open_folder(start, why, sizeof(why));
	if (folder < 0)
		return;
	stamp = open_stamp(folder);
	/* Who has not got the lock need not wait: the old one says when it is over. */
	if (stamp >= 0 && flock(stamp, LOCK_EX | LOCK_NB) == 0)
		start_newer_locked(start, folder, stamp, old);
	if (stamp >= 0)
		close(stamp);
	close(folder);
}
