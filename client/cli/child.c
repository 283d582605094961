/* child.c - runs a command through two pipes. Owns the pipes and the signal mask while it runs.
 *
 * The two streams are read as they come. What was written to one while the other was read keeps its place among its
 * own, but which of two pieces came first is known only if this program was awake in between. */
#include "client/cli/child.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdint.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/cli/executable.h"

#define BLOCK 65536
/* A pipe that polls as writable takes so much without blocking. */
#define STEP 4096
/* A pipe holds one, unless somebody made it larger. */
#define DRAINED_BLOCKS 16

static const int passed_on[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM, SIGUSR1, SIGUSR2 };
#define PASSED_ON_COUNT (sizeof(passed_on) / sizeof(*passed_on))

struct child {
	const struct child_plan *plan;
	struct child_end end;
	pid_t pid;
	int process;    /* its pidfd; -1 once it has ended */
	int streams[3]; /* what it writes, by descriptor; -1 once that has ended */
	int signals;
	sigset_t mask; /* of before */
	char buffer[BLOCK];
};

static void
close_one(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* In the new process. Whatever fails is told through the pipe `failure`. */
static _Noreturn void
become(const struct child *child, int output, int error, int failure)
{
	const struct child_plan *plan = child->plan;
	int result = 0;

	if (dup2(plan->input, 0) < 0 || dup2(output, 1) < 0 || dup2(error, 2) < 0)
		result = -errno;
	sigprocmask(SIG_SETMASK, &child->mask, NULL);
	if (result == 0)
		result = executable_run(plan->path, plan->arguments);
	while (write(failure, &result, sizeof(result)) < 0 && errno == EINTR)
		continue;
	_exit(executable_status(result));
}

/* Returns 0 once it is the command, or -errno. */
static int
await_start(struct child *child, int failure)
{
	int result = 0;
	ssize_t count;

	do {
		count = read(failure, &result, sizeof(result));
	} while (count < 0 && errno == EINTR);
	if (count == 0)
		return 0;
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return count == sizeof(result) ? result : -EIO;
}

/* Descriptors of pipes must not be 0 to 2, which main() has filled. */
static int
start(struct child *child)
{
	int pipes[3][2]; /* output, error, failure */
	int count = 0, result = 0;

	while (count < 3 && pipe2(pipes[count], O_CLOEXEC) == 0)
		count++;
	child->pid = count == 3 ? fork() : -1;
	if (child->pid < 0)
		result = -errno;
	if (child->pid == 0)
		become(child, pipes[0][1], pipes[1][1], pipes[2][1]);
	for (int i = 0; i < count; i++)
		close(pipes[i][1]);
	if (result == 0)
		result = await_start(child, pipes[2][0]);
	if (result == 0) {
		child->streams[1] = pipes[0][0];
		child->streams[2] = pipes[1][0];
	}
	for (int i = result ? 0 : 2; i < count; i++)
		close(pipes[i][0]);
	return result;
}

/* What a terminal sends goes to the command as well, by itself. */
static void
take_signals(struct child *child)
{
	struct signalfd_siginfo info;

	while (read(child->signals, &info, sizeof(info)) == sizeof(info)) {
		if (info.ssi_signo != SIGUSR1 && info.ssi_signo != SIGUSR2) {
			child->end.signalled = true;
			child->plan->signalled(child->plan->arg);
		}
		if (info.ssi_code != SI_KERNEL && child->process >= 0)
			syscall(SYS_pidfd_send_signal, child->process,
				(int)info.ssi_signo, NULL, 0);
	}
}

/* Writes all of it to our own descriptor, and meanwhile passes signals on. Returns 0 or -errno. */
static int
pass_on(struct child *child, int fd, const char *from, size_t len)
{
	while (len) {
		struct pollfd ready[] = {
			{ .fd = fd, .events = POLLOUT },
			{ .fd = child->signals, .events = POLLIN },
		};
		ssize_t count;

		if (poll(ready, 2, -1) < 0 && errno != EINTR)
			return -errno;
		if (ready[1].revents)
			take_signals(child);
		if (!ready[0].revents)
			continue;
		count = write(fd, from, len < STEP ? len : STEP);
		if (count < 0 && errno != EINTR && errno != EAGAIN)
			return -errno;
		if (count > 0) {
			from += count;
			len -= (size_t)count;
		}
	}
	return 0;
}

/* Nobody takes its output: then the command is told, by its pipe. */
static void
read_stream(struct child *child, int stream)
{
	ssize_t count = read(child->streams[stream], child->buffer, BLOCK);
	int result;

	if (count < 0 && (errno == EINTR || errno == EAGAIN))
		return;
	if (count <= 0) {
		close_one(&child->streams[stream]);
		return;
	}
	result = pass_on(child, stream, child->buffer, (size_t)count);
	if (result == 0) {
		child->plan->wrote(child->plan->arg, stream, child->buffer,
				   (size_t)count);
		return;
	}
	close_one(&child->streams[stream]);
	if (!child->end.output_error) {
		child->end.output_error = result;
		child->end.failed_stream = stream;
	}
}

static void
reap(struct child *child)
{
	int status;

	while (waitpid(child->pid, &status, 0) < 0)
		assert(errno == EINTR);
	close_one(&child->process);
	child->end.by_signal = WIFSIGNALED(status);
	child->end.status =
		child->end.by_signal ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/* Is there anything to wait for? Behind a command that a signal ended may stand programs that go on writing. */
static bool
over(const struct child *child)
{
	if (child->process >= 0)
		return false;
	return child->end.signalled || (child->streams[1] < 0 && child->streams[2] < 0);
}

/* What lies in the pipes, but nothing that is still to be written. */
static void
drain(struct child *child)
{
	for (int stream = 1; stream <= 2; stream++) {
		struct pollfd ready = { .fd = child->streams[stream], .events = POLLIN };

		for (int i = 0; i < DRAINED_BLOCKS && ready.fd >= 0; i++) {
			if (poll(&ready, 1, 0) <= 0)
				break;
			read_stream(child, stream);
			ready.fd = child->streams[stream];
		}
	}
}

static void
pump(struct child *child)
{
	while (!over(child)) {
		struct pollfd ready[] = {
			{ .fd = child->streams[1], .events = POLLIN },
			{ .fd = child->streams[2], .events = POLLIN },
			{ .fd = child->signals, .events = POLLIN },
			{ .fd = child->process, .events = POLLIN },
		};

		if (poll(ready, 4, -1) < 0)
			continue;
		if (ready[2].revents)
			take_signals(child);
		for (int stream = 1; stream <= 2; stream++)
			if (ready[stream - 1].revents)
				read_stream(child, stream);
		if (ready[3].revents)
			reap(child);
	}
	drain(child);
}

/* It cannot be watched. Returns why. */
static int
give_up(const struct child *child)
{
	int result = -errno;

	kill(child->pid, SIGKILL);
	while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
		continue;
	return result;
}

static int
open_signals(struct child *child)
{
	sigset_t signals;

	sigemptyset(&signals);
	for (size_t i = 0; i < PASSED_ON_COUNT; i++)
		sigaddset(&signals, passed_on[i]);
	child->signals = signalfd(-1, &signals, SFD_CLOEXEC | SFD_NONBLOCK);
	if (child->signals < 0)
		return -errno;
	sigprocmask(SIG_BLOCK, &signals, &child->mask);
	return 0;
}

int
child_run(const struct child_plan *plan, struct child_end *ret_end)
{
	struct child child = {
		.plan = plan,
		.process = -1,
		.streams = { -1, -1, -1 },
	};
	int result = open_signals(&child);

	/* Who ignored it would not be told how the command ended. */
	signal(SIGCHLD, SIG_DFL);
	if (result)
		return result;
	result = start(&child);
	if (result == 0) {
		child.process = (int)syscall(SYS_pidfd_open, child.pid, 0);
		if (child.process >= 0)
			pump(&child);
		else
			result = give_up(&child);
	}
	close_one(&child.streams[1]);
	close_one(&child.streams[2]);
	close_one(&child.signals);
	sigprocmask(SIG_SETMASK, &child.mask, NULL);
	if (result == 0)
		*ret_end = child.end;
	return result;
}
