/* start.c - starts this user's daemon. Owns nothing that outlives a call but two files in the data directory:
 * brined.log, and brined.start, whose lock says that a start is under way and whose text why the last one failed.
 *
 * Fifty processes may want a daemon at once: who gets the lock starts it, the others wait for it to answer. That
 * lock only spares work; what admits one daemon is the daemon's own lock on its directory. */
#include "client/start.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "client/connect.h"

#define WAIT_MS 1000
#define STEP_MS 5
#define REMEMBER_S 30
#define LOG_MAX (1 << 20)
#define LINE_MAX_SHOWN 240
#define LOW_FDS 10
#define ENV_MAX 8
#define STAMP_NAME "brined.start"
#define LOG_NAME "brined.log"
#define OLD_LOG_NAME "brined.log.1"

/* Everything that the new process needs, made before the fork: behind it nothing may allocate. */
struct launch {
	char program[PATH_MAX];
	char *args[4];
	char *env[ENV_MAX + 1];
	char texts[ENV_MAX][PATH_MAX + 32];
	int count;
	int log, null;
	int report
		[2]; /* the daemon's pid, or nothing but an errno when it could not be executed */
};

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

/* ---- which program */

/* A program that root or this user put there, and that not everybody may change. */
static bool
runnable(const char *path, uid_t uid)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && !(st.st_mode & S_IWOTH) &&
	       (st.st_uid == 0 || st.st_uid == uid) && access(path, X_OK) == 0;
}

static bool
try_program(char to[PATH_MAX], uid_t uid, const char *folder, int folder_len,
	    const char *rest)
{
	int len = snprintf(to, PATH_MAX, "%.*s/%s", folder_len, folder, rest);

	return len > 0 && len < PATH_MAX && runnable(to, uid);
}

/* The file that this code was loaded from: the library, the Python extension, or the program. */
static bool
own_file(char to[PATH_MAX])
{
	Dl_info info;

	if (dladdr((void *)(uintptr_t)start_daemon, &info) && info.dli_fname &&
	    info.dli_fname[0] == '/' && realpath(info.dli_fname, to))
		return true;
	return realpath("/proc/self/exe", to) != NULL;
}

static bool
beside_us(char to[PATH_MAX], uid_t uid)
{
	/* The fourth is the build folder as seen from the Python package in it. */
	static const char *const places[] = {
		"brined",       "../bin/brined",    "../libexec/brined",
		"../../brined", "../../bin/brined", "../../libexec/brined"
	};
	char own[PATH_MAX], *slash;

	if (!own_file(own) || !(slash = strrchr(own, '/')))
		return false;
	for (size_t i = 0; i < sizeof(places) / sizeof(places[0]); i++)
		if (try_program(to, uid, own, (int)(slash - own), places[i]))
			return true;
	return false;
}

/* Relative entries of PATH, the empty one too, are passed over. */
static bool
in_path(char to[PATH_MAX], uid_t uid)
{
	const char *path = secure_getenv("PATH");
	const char *end;

	for (; path && *path; path = *end ? end + 1 : end) {
		end = strchrnul(path, ':');
		if (path[0] == '/' && end - path < PATH_MAX &&
		    try_program(to, uid, path, (int)(end - path), "brined"))
			return true;
	}
	return false;
}

static int
find_program(const struct start *start, char to[PATH_MAX], char *why, size_t size)
{
	if (start->daemon) {
		snprintf(to, PATH_MAX, "%s", start->daemon);
		return access(to, X_OK) ? fail(why, size, "%s: %s", to, strerror(errno))
					: 0;
	}
	if (beside_us(to, start->uid) || in_path(to, start->uid))
		return 0;
	return fail(
		why, size,
		"brined was found neither beside the library nor in PATH; install it, or "
		"name it by the option `daemon`");
}

/* ---- what the last start left */

/* The last line of the log that says anything; "" if there is none. */
static void
last_line(int folder, char to[LINE_MAX_SHOWN])
{
	char tail[2048];
	struct stat st;
	ssize_t len = 0;
	ssize_t from;
	size_t shown;
	int fd = openat(folder, LOG_NAME, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	to[0] = 0;
	if (fd < 0)
		return;
	if (fstat(fd, &st) == 0 && st.st_size > 0)
		len = pread(fd, tail, sizeof(tail),
			    st.st_size > (off_t)sizeof(tail)
				    ? st.st_size - (off_t)sizeof(tail)
				    : 0);
	close(fd);
	while (len > 0 && (unsigned char)tail[len - 1] <= ' ')
		len--;
	for (from = len; from > 0 && tail[from - 1] != '\n';)
		from--;
	shown = len - from < LINE_MAX_SHOWN ? (size_t)(len > from ? len - from : 0)
					    : LINE_MAX_SHOWN - 1;
	for (size_t i = 0; i < shown; i++)
		to[i] = (unsigned char)tail[from + (ssize_t)i] < ' '
				? '?'
				: tail[from + (ssize_t)i];
	to[shown] = 0;
}

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

/* ---- the new process */

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
usual_data(const struct start *start)
{
	const struct locate_env *env = start->env;
	const char *folder = env->cache ? env->cache : env->home;
	char usual[PATH_MAX];
	int len;

	if (env->data || !folder)
		return false;
	len = snprintf(usual, sizeof(usual), "%s%s/brine", folder,
		       env->cache ? "" : "/.cache");
	return len < PATH_MAX && strcmp(usual, start->data) == 0;
}

/* What the daemon needs to find the same directory as this client did, and no more. */
static bool
make_env(const struct start *start, struct launch *launch)
{
	const struct locate_env *env = start->env;

	return add_env(launch, "PATH", "/usr/local/bin:/usr/bin:/bin") &&
	       add_env(launch, "HOME", env->home) &&
	       add_env(launch, "BRINE_DATA", usual_data(start) ? NULL : start->data) &&
	       add_env(launch, "XDG_CACHE_HOME", env->cache) &&
	       add_env(launch, "XDG_CONFIG_HOME", env->config) &&
	       add_env(launch, "XDG_RUNTIME_DIR", env->runtime);
}

static void
rotate_log(int folder)
{
	struct stat st;

	if (fstatat(folder, LOG_NAME, &st, AT_SYMLINK_NOFOLLOW) == 0 &&
	    st.st_size >= LOG_MAX)
		renameat(folder, LOG_NAME, folder, OLD_LOG_NAME);
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
	launch->report[0] = launch->report[1] = -1;
	launch->log = lift(openat(folder, LOG_NAME,
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

/* Returns the pid of the new daemon, or -1 with errno. */
static pid_t
launch_daemon(const struct start *start, int folder, const char *program)
{
	struct launch *launch = calloc(1, sizeof(*launch));
	pid_t pid = -1;

	if (!launch)
		return -1;
	snprintf(launch->program, sizeof(launch->program), "%s", program);
	launch->args[0] = launch->program;
	launch->args[1] = (char *)(uintptr_t) "--set";
	launch->args[2] = (char *)(uintptr_t) "idle_exit=15m";
	if (!make_env(start, launch))
		errno = ENAMETOOLONG;
	else if (open_files(folder, launch) && fork_daemon(launch) == 0)
		pid = read_report(launch);
	close_files(launch);
	free(launch);
	return pid;
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
		if (now_ms() >= deadline_ms)
			return fail(
				why, size,
				"another process is starting it, but it does not answer yet");
		wait_step(-1);
	}
	return 0;
}

/* Holding the lock: starts the daemon and sees whether it comes up. */
static int
start_locked(const struct start *start, int folder, int stamp, uint64_t deadline_ms,
	     char *why, size_t size)
{
	char program[PATH_MAX], line[LINE_MAX_SHOWN];
	int result, pidfd;
	pid_t pid;

	if (answers(start->socket))
		return 0;
	if (failed_lately(stamp, why, size) || find_program(start, program, why, size))
		return -1;
	pid = launch_daemon(start, folder, program);
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
	if (result < 0)
		return fail(why, size, "%s was started and does not answer yet", program);
	last_line(folder, line);
	fail(why, size, "%s ended at once, its log says: %s", program,
	     line[0] ? line : "(nothing)");
	remember_failure(stamp, why);
	fail(why, size,
	     "%s ended at once; the last line of %s/" LOG_NAME
	     " is \"%s\"; try `%s` by hand",
	     program, start->data, line, program);
	return -1;
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
		return fail(why, size, "cannot make %s: %s", start->data,
			    strerror(errno));
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
	stamp = openat(folder, STAMP_NAME, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW,
		       0600);
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
