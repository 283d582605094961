/* daemon.h - a real daemon on a private socket and directory, as a child. */
#ifndef BRINE_TESTS_DAEMON_H
#define BRINE_TESTS_DAEMON_H

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "tests/crash/client.h"

#define DAEMON_SETTINGS_MAX 8
/* Only to notice that something hangs. */
#define DAEMON_HUNG_US (60 * UINT64_C(1000000))

struct daemon {
	char folder[256];
	char socket[280];
	char data[280];
	char log[280];
	char program[512];
	const char *settings[DAEMON_SETTINGS_MAX]; /* name=value, ended by NULL */
	_Atomic pid_t pid; /* others look at its memory meanwhile */
};

static inline int
daemon_remove_one(const char *path, const struct stat *status, int type,
		  struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

/* A private folder; the daemon is not started yet. */
static inline void
daemon_init(struct daemon *daemon)
{
	const char *build = getenv("BRINE_BUILD"), *tmp = getenv("TMPDIR");

	*daemon = (struct daemon){ .pid = 0 };
	snprintf(daemon->folder, sizeof(daemon->folder), "%.200s/brine-crash-XXXXXX",
		 tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(daemon->folder))
		die("cannot make %s: %s", daemon->folder, strerror(errno));
	snprintf(daemon->socket, sizeof(daemon->socket), "%s/s", daemon->folder);
	snprintf(daemon->data, sizeof(daemon->data), "%s/data", daemon->folder);
	snprintf(daemon->log, sizeof(daemon->log), "%s/log", daemon->folder);
	snprintf(daemon->program, sizeof(daemon->program), "%.400s/brined",
		 build && *build ? build : "build");
	if (mkdir(daemon->data, 0700))
		die("cannot make %s: %s", daemon->data, strerror(errno));
}

static inline void
daemon_exec(const struct daemon *daemon)
{
	const char *arguments[6 + 2 * DAEMON_SETTINGS_MAX] = { daemon->program,
							       "--socket", daemon->socket,
							       "--data", daemon->data };
	int count = 5, log = open(daemon->log, O_WRONLY | O_CREAT | O_APPEND, 0600);
	char *environment[] = { "PATH=/usr/bin:/bin", "HOME=/nonexistent", NULL };

	for (int i = 0; i < DAEMON_SETTINGS_MAX && daemon->settings[i]; i++) {
		arguments[count++] = "--set";
		arguments[count++] = daemon->settings[i];
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(log, STDOUT_FILENO);
	dup2(log, STDERR_FILENO);
	execve(daemon->program, (char **)arguments, environment);
	_exit(127);
}

static inline void
daemon_start(struct daemon *daemon)
{
	daemon->pid = fork();
	if (daemon->pid < 0)
		die("fork: %s", strerror(errno));
	if (daemon->pid == 0)
		daemon_exec(daemon);
}

/* A client of a daemon that may still be starting. */
static inline void
daemon_client(const struct daemon *daemon, struct client *client)
{
	uint64_t until = now_us() + DAEMON_HUNG_US;
	struct timespec pause = { .tv_nsec = 1000000 };

	while (!client_open(client, daemon->socket)) {
		int status;

		if (waitpid(daemon->pid, &status, WNOHANG | WNOWAIT) == daemon->pid)
			die("the daemon ended with status %#x; see %s", status,
			    daemon->log);
		if (now_us() > until)
			die("the daemon does not answer; see %s", daemon->log);
		nanosleep(&pause, NULL);
	}
}

/* Ends it by the signal. Returns its status. */
static inline int
daemon_end(struct daemon *daemon, int by)
{
	int status = 0;

	kill(daemon->pid, by);
	if (waitpid(daemon->pid, &status, 0) != daemon->pid)
		die("waitpid: %s", strerror(errno));
	daemon->pid = 0;
	return status;
}

static inline void
daemon_done(struct daemon *daemon)
{
	if (daemon->pid)
		daemon_end(daemon, SIGKILL);
	nftw(daemon->folder, daemon_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

static _Thread_local uint64_t daemon_walked;

static inline int
daemon_add_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)path;
	(void)type;
	(void)where;
	daemon_walked += (uint64_t)status->st_blocks * 512;
	return 0;
}

/* What du shows of the data directory. */
static inline uint64_t
daemon_du(const struct daemon *daemon)
{
	daemon_walked = 0;
	nftw(daemon->data, daemon_add_one, 8, FTW_PHYS);
	return daemon_walked;
}

/* RssAnon + RssShmem, in bytes. */
static inline uint64_t
daemon_memory(const struct daemon *daemon)
{
	char path[64], line[256];
	uint64_t sum = 0, kib;
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", (int)daemon->pid);
	status = fopen(path, "r");
	while (status && fgets(line, sizeof(line), status))
		if (sscanf(line, "RssAnon: %lu kB", &kib) == 1 ||
		    sscanf(line, "RssShmem: %lu kB", &kib) == 1)
			sum += kib * 1024;
	if (status)
		fclose(status);
	return sum;
}

#endif
