/* datadir.c - files and folders around the store. */
#include "daemon/datadir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"

#define PATH_LEN_MAX 4096
#define LOCK_FILE "/lock"
#define CLOCK_FILE "/clock"
#define LOCK_WAIT_MS 2
#define WALK_FDS 8
#define FAULTS_APART_S (24 * 60 * 60)
/* Microseconds until the year 2200: a larger number was not written by us. */
#define CLOCK_BELIEVED_MAX UINT64_C(7258118400000000)

static int
refuse(char *error, const char *what, const char *path)
{
	snprintf(error, DATADIR_ERROR_MAX, "%s %.300s: %s", what, path, strerror(errno));
	return -1;
}

static bool
join(char to[static PATH_LEN_MAX], const char *path, const char *name)
{
	if (snprintf(to, PATH_LEN_MAX, "%s%s", path, name) < PATH_LEN_MAX)
		return true;
	errno = ENAMETOOLONG;
	return false;
}

/* ---- the lock ---- */

static void
name_holder(int fd, const char *path, char *error)
{
	char pid[16] = "";
	ssize_t len = pread(fd, pid, sizeof(pid) - 1, 0);

	pid[len > 0 ? strcspn(pid, "\n") : 0] = '\0';
	snprintf(
		error, DATADIR_ERROR_MAX,
		"another brined%s%s serves %.300s already; use that one, or give this one another "
		"directory with --data",
		*pid ? ", process " : "", pid, path);
}

int
datadir_lock(const char *path, unsigned wait_ms, int *ret_fd,
	     char error[static DATADIR_ERROR_MAX])
{
	char file[PATH_LEN_MAX];
	struct timespec pause = { .tv_nsec = LOCK_WAIT_MS * 1000000L };
	int fd = join(file, path, LOCK_FILE)
			 ? open(file, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600)
			 : -1;

	if (fd < 0)
		return refuse(error, "cannot open", file);
	for (unsigned waited = 0; flock(fd, LOCK_EX | LOCK_NB); waited += LOCK_WAIT_MS) {
		if (errno != EWOULDBLOCK && errno != EINTR) {
			close(fd);
			return refuse(error, "cannot lock", file);
		}
		if (waited >= wait_ms) {
			name_holder(fd, path, error);
			close(fd);
			return -1;
		}
		nanosleep(&pause, NULL);
	}
	if (ftruncate(fd, 0) == 0)
		dprintf(fd, "%d\n", (int)getpid());
	*ret_fd = fd;
	return 0;
}

/* ---- folders ---- */

static int
flush_parent(const char *dir)
{
	char parent[PATH_LEN_MAX];
	char *slash;
	int fd, done;

	if (!join(parent, dir, ""))
		return -1;
	slash = strrchr(parent, '/');
	if (slash)
		slash[slash == parent] = '\0';
	fd = open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	done = fsync(fd);
	close(fd);
	return done;
}

int
datadir_make(const char *dir)
{
	if (mkdir(dir, 0700) && errno != EEXIST)
		return -1;
	return flush_parent(dir);
}

static int
remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static int
remove_tree(const char *dir)
{
	return nftw(dir, remove_one, WALK_FDS, FTW_DEPTH | FTW_PHYS | FTW_MOUNT);
}

int
datadir_move_aside(const char *dir)
{
	char aside[PATH_LEN_MAX];

	if (!join(aside, dir, DATADIR_DAMAGED))
		return -1;
	remove_tree(aside);
	if (rename(dir, aside))
		return -1;
	return flush_parent(dir);
}

void
datadir_mark_suspect(const char *dir)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;

	if (dir_fd < 0)
		return;
	fd = openat(dir_fd, &DATADIR_SUSPECT[1], O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
	fsync(dir_fd);
	close(dir_fd);
}

void
datadir_note_fault(const char *dir)
{
	int dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC), fd;
	struct stat status;

	if (dir_fd < 0)
		return;
	if (fstatat(dir_fd, &DATADIR_FAULTED[1], &status, AT_SYMLINK_NOFOLLOW) == 0 &&
	    time(NULL) - status.st_mtime < FAULTS_APART_S)
		datadir_mark_suspect(dir);
	fd = openat(dir_fd, &DATADIR_FAULTED[1],
		    O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd >= 0) {
		futimens(fd, NULL);
		close(fd);
	}
	close(dir_fd);
}

/* v0, v2, ...: folders of other schemas, but not ours, nor what was moved aside. */
static bool
is_other_schema(const char *name)
{
	char *end;

	if (name[0] != 'v' || name[1] < '0' || name[1] > '9')
		return false;
	strtoul(name + 1, &end, 10);
	return *end == '\0' && strcmp(name, &DATADIR_SCHEMA[1]) != 0;
}

/* Calls visit for each folder of another schema. */
static uint64_t
each_other(const char *path, uint64_t (*visit)(const char *dir))
{
	char dir[PATH_LEN_MAX], name[NAME_MAX + 2];
	DIR *all = opendir(path);
	struct dirent *entry;
	uint64_t sum = 0;

	while (all && (entry = readdir(all))) {
		snprintf(name, sizeof(name), "/%s", entry->d_name);
		if (is_other_schema(entry->d_name) && join(dir, path, name))
			sum += visit(dir);
	}
	if (all)
		closedir(all);
	return sum;
}

static uint64_t
say_other(const char *dir)
{
	log_info(
		"data: %s is of another release of Brine; it counts towards max_size and is deleted "
		"when its room is needed",
		dir);
	return 0;
}

int
datadir_prepare(const char *path, const char *dir, char error[static DATADIR_ERROR_MAX])
{
	char suspect[PATH_LEN_MAX];

	if (join(suspect, dir, DATADIR_SUSPECT) && access(suspect, F_OK) == 0) {
		if (datadir_move_aside(dir))
			return refuse(error, "cannot move aside", dir);
		log_error(
			"data: the store in %s was found broken while it was in use; moved aside "
			"to %s" DATADIR_DAMAGED "; starting with an empty one",
			dir, dir);
	}
	if (datadir_make(dir))
		return refuse(error, "cannot create", dir);
	each_other(path, say_other);
	return 0;
}

/* ---- sizes ---- */

static _Thread_local uint64_t walked;

static int
add_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)path;
	(void)type;
	(void)where;
	walked += (uint64_t)status->st_blocks * 512;
	return 0;
}

uint64_t
datadir_bytes(const char *dir)
{
	walked = 0;
	nftw(dir, add_one, WALK_FDS, FTW_PHYS | FTW_MOUNT);
	return walked;
}

uint64_t
datadir_beside(const char *path)
{
	char aside[PATH_LEN_MAX];
	uint64_t sum = each_other(path, datadir_bytes);

	if (join(aside, path, DATADIR_SCHEMA DATADIR_DAMAGED))
		sum += datadir_bytes(aside);
	return sum;
}

static uint64_t
delete_other(const char *dir)
{
	uint64_t bytes = datadir_bytes(dir);

	if (remove_tree(dir)) {
		log_warning("data: cannot delete %s: %m", dir);
		return 0;
	}
	log_info("data: deleted %s, of another release, for its room", dir);
	return bytes;
}

uint64_t
datadir_delete_others(const char *path)
{
	return each_other(path, delete_other);
}

/* ---- the clock file ---- */

uint64_t
datadir_read_clock(const char *path)
{
	char file[PATH_LEN_MAX], text[32] = "";
	int fd = join(file, path, CLOCK_FILE)
			 ? open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW)
			 : -1;
	uint64_t clock = 0;

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) > 0)
		clock = strtoull(text, NULL, 10);
	if (clock > CLOCK_BELIEVED_MAX)
		clock = 0;
	close(fd);
	return clock;
}

void
datadir_write_clock(const char *path, uint64_t clock)
{
	char file[PATH_LEN_MAX], beside[PATH_LEN_MAX];
	int fd;
	bool done;

	if (!join(file, path, CLOCK_FILE) || !join(beside, path, CLOCK_FILE ".new"))
		return;
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	done = fd >= 0 && dprintf(fd, "%" PRIu64 "\n", clock) > 0;
	if (fd >= 0)
		close(fd);
	if (!done || rename(beside, file))
		log_warning("data: cannot write %s: %m", file);
}
