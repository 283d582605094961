/* launch.c - the new process and its log, brined.log in the data directory. Owns what it opens until it returns. */
#include "client/launch.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define LOG_MAX (1 << 20)
#define OLD_LOG LAUNCH_LOG ".1"
#define LOW_FDS 10
#define ENV_MAX 8

/* Everything that the new process needs, made before the fork: behind it nothing may allocate. */
struct launch {
	char program[PATH_MAX];
	char *args[3];
	char *env[ENV_MAX + 1];
	char texts[ENV_MAX][PATH_MAX + 32];
	int count;
	int log, null;
	int report
		[2]; /* the daemon's pid, or nothing but an errno when it could not be executed */
};

static bool
add_env(struct launch *launch, const char *name, const char *value)
{
	int len;

	if (!value)
		return true;
	len = snprintf(launch->texts[launch->count], sizeof(launch->texts[0]), "%s=%s",
		       name, value);
	if (len >= (int)sizeof(launch->texts[0]))
		return false;
	launch->env[launch->count] = launch->texts[launch->count];
	launch->count++;
	return true;
}

/* Is the directory the one that a daemon finds by HOME or XDG_CACHE_HOME alone? */
static bool
usual_data(const struct locate_env *env, const char *data)
{
	const char *folder = env->cache ? env->cache : env->home;
	char usual[PATH_MAX];
	int len;

	if (env->data || !folder)
		return false;
	len = snprintf(usual, sizeof(usual), "%s%s/brine", folder,
		       env->cache ? "" : "/.cache");
	return len < PATH_MAX && strcmp(usual, data) == 0;
}

/* What the daemon needs to find the same directory as this client did, and no more. */
static bool
make_env(struct launch *launch, const struct locate_env *env, const char *data)
{
	return add_env(launch, "PATH", "/usr/local/bin:/usr/bin:/bin") &&
	       add_env(launch, "HOME", env->home) &&
	       add_env(launch, "BRINE_DATA", usual_data(env, data) ? NULL : data) &&
	       add_env(launch, "XDG_CACHE_HOME", env->cache) &&
	       add_env(launch, "XDG_CONFIG_HOME", env->config) &&
	       add_env(launch, "XDG_RUNTIME_DIR", env->runtime);
}

static void
rotate_log(int folder)
{
	struct stat st;

	if (fstatat(folder, LAUNCH_LOG, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_size >= LOG_MAX)
		renameat(folder, LAUNCH_LOG, folder, OLD_LOG);
}

/* A descriptor that will not be in the way of 0, 1 and 2. */
static int
lift(int fd)
{
	int lifted = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, LOW_FDS);

	if (fd >= 0)
		close(fd);
	return lifted;
}

static bool
open_files(int folder, struct launch *launch)
{
	int report[2];

	rotate_log(folder);
	launch->log = lift(openat(folder, LAUNCH_LOG,
				  O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW,
				  0600));
	launch->null = lift(open("/dev/null", O_RDWR | O_CLOEXEC));
	if (launch->log < 0 || launch->null < 0 || pipe2(report, O_CLOEXEC))
		return false;
	launch->report[0] = lift(report[0]);
	launch->report[1] = lift(report[1]);
	return launch->report[0] >= 0 && launch->report[1] >= 0;
}

static void
close_files(struct launch *launch)
{
	int saved = errno;
	int fds[] = { launch->log, launch->null, launch->report[0], launch->report[1] };

	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++)
		if (fds[i] >= 0)
			close(fds[i]);
	errno = saved;
}

/* From here to execve() only calls that are safe in the child of a process with threads. */
static void
become_daemon(struct launch *launch)
{
	int report = 3, error;
	sigset_t none;

	for (int number = 1; number < NSIG; number++)
		signal(number, SIG_DFL);
	sigemptyset(&none);
	umask(077);
	if (chdir("/") || dup2(launch->null, 0) < 0 || dup2(launch->null, 1) < 0 ||
	    dup2(launch->log, 2) < 0 || dup3(launch->report[1], report, O_CLOEXEC) < 0 ||
	    syscall(SYS_close_range, 4, ~0u, 0))
		report = launch->report[1];
	else {
		sigprocmask(SIG_SETMASK, &none, NULL);
		execve(launch->program, launch->args, launch->env);
	}
	error = -errno;
	if (write(report, &error, sizeof(error)) < 0)
		_exit(2);
	_exit(1);
}

/* Twice forked: the daemon is nobody's child and leads no session that has a terminal. */
static void
detach(struct launch *launch)
{
	pid_t pid;
	int number;

	setsid();
	pid = fork();
	if (pid == 0)
		become_daemon(launch);
	number = pid < 0 ? -errno : pid;
	_exit(write(launch->report[1], &number, sizeof(number)) < 0 ? 2 : 0);
}

static int
fork_daemon(struct launch *launch)
{
	sigset_t all, before;
	pid_t pid;
	int error;

	/* No handler of the caller's may run in the child. */
	sigfillset(&all);
	pthread_sigmask(SIG_BLOCK, &all, &before);
	pid = fork();
	if (pid == 0)
		detach(launch);
	error = errno;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (pid < 0) {
		errno = error;
		return -1;
	}
	while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
		;
	return 0;
}

/* Reads what the two children said until both have closed the pipe, the second by execve(). Returns the daemon's
 * pid, or -1 with errno. */
static pid_t
read_report(struct launch *launch)
{
	pid_t pid = -1;
	int number, error = 0;
	ssize_t len;

	close(launch->report[1]);
	launch->report[1] = -1;
	for (;;) {
		len = read(launch->report[0], &number, sizeof(number));
		if (len < 0 && errno == EINTR)
			continue;
		if (len != sizeof(number))
			break;
		if (number < 0)
			error = -number;
		else
			pid = number;
	}
	errno = error ? error : EIO;
	return error ? -1 : pid;
}

pid_t
launch_daemon(const char *program, const struct locate_env *env, const char *data,
	      int folder)
{
	struct launch *launch = calloc(1, sizeof(*launch));
	pid_t pid = -1;

	if (!launch)
		return -1;
	launch->log = launch->null = launch->report[0] = launch->report[1] = -1;
	snprintf(launch->program, sizeof(launch->program), "%s", program);
	launch->args[0] = launch->program;
	launch->args[1] = (char *)(uintptr_t) "--automatic";
	if (!make_env(launch, env, data))
		errno = ENAMETOOLONG;
	else if (open_files(folder, launch) && fork_daemon(launch) == 0)
		pid = read_report(launch);
	close_files(launch);
	free(launch);
	return pid;
}

/* ---- what it said */

/* The end of the log in to. Returns its length. */
static size_t
read_tail(int folder, char *to, size_t size)
{
	int fd = openat(folder, LAUNCH_LOG, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t len = 0;
	struct stat st;

	if (fd < 0)
		return 0;
	if (fstat(fd, &st) == 0)
		len = pread(fd, to, size,
			    st.st_size > (off_t)size ? st.st_size - (off_t)size : 0);
	close(fd);
	return len > 0 ? (size_t)len : 0;
}

void
launch_last_line(int folder, char ret_line[static LAUNCH_LINE_MAX])
{
	char tail[2048];
	size_t end = read_tail(folder, tail, sizeof(tail));
	size_t start, len = 0;

	while (end > 0 && (unsigned char)tail[end - 1] <= ' ')
		end--;
	for (start = end; start > 0 && tail[start - 1] != '\n';)
		start--;
	for (; start < end && len < LAUNCH_LINE_MAX - 1; start++)
		ret_line[len++] = (unsigned char)tail[start] < ' ' ? '?' : tail[start];
	ret_line[len] = '\0';
}
