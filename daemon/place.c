/* place.c - finds and makes the data directory. Owns nothing. At start only. */
#include "daemon/place.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <pwd.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "daemon/log.h"

#define DIR_MODE 0700

/* File systems whose files change or vanish behind a memory map: LMDB must not live there. */
static const struct {
	unsigned long magic;
	const char *name;
} remote[] = {
	{ NFS_SUPER_MAGIC, "NFS" },   { SMB_SUPER_MAGIC, "SMB" },
	{ 0xff534d42, "CIFS" },       { 0xfe534d42, "SMB" },
	{ FUSE_SUPER_MAGIC, "FUSE" }, { V9FS_MAGIC, "9P" },
	{ CEPH_SUPER_MAGIC, "Ceph" }, { 0x0bd00bd0, "Lustre" },
	{ 0x01161970, "GFS2" },       { OCFS2_SUPER_MAGIC, "OCFS2" },
	{ AFS_SUPER_MAGIC, "AFS" },   { CODA_SUPER_MAGIC, "Coda" },
	{ 0x47504653, "GPFS" },       { 0x19830326, "BeeGFS" },
	{ 0x786f4256, "vboxsf" },
};

__attribute__((format(printf, 2, 3))) static int
fail(char error[static PLACE_ERROR_MAX], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, PLACE_ERROR_MAX, format, arguments);
	va_end(arguments);
	return -1;
}

__attribute__((format(printf, 2, 3))) static int
join(char to[static CONF_PATH_MAX], const char *format, ...)
{
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(to, CONF_PATH_MAX, format, arguments);
	va_end(arguments);
	return len > 0 && len < CONF_PATH_MAX ? 0 : -1;
}

/* A variable that holds an absolute path; anything else counts as not set. */
static const char *
absolute(const char *name)
{
	const char *value = getenv(name);

	return value && value[0] == '/' ? value : NULL;
}

static const char *
home(void)
{
	const char *value = absolute("HOME");
	const struct passwd *account;

	if (value)
		return value;
	account = getpwuid(geteuid());
	return account && account->pw_dir[0] == '/' ? account->pw_dir : NULL;
}

int
place_config(char ret_path[static CONF_PATH_MAX])
{
	const char *base = absolute("XDG_CONFIG_HOME");

	if (base)
		return join(ret_path, "%s/brine/brined.conf", base);
	base = home();
	return base ? join(ret_path, "%s/.config/brine/brined.conf", base) : -1;
}

/* ---- the file system */

/* The name of the remote file system that path is on, or will be; NULL if it is local. */
static const char *
remote_type(const char *path)
{
	char above[CONF_PATH_MAX];
	struct statfs info;

	snprintf(above, sizeof(above), "%s", path);
	while (statfs(above, &info)) {
		char *slash = strrchr(above, '/');

		if (errno != ENOENT || !slash)
			return NULL;
		slash[slash == above] = '\0';
		if (slash == above && statfs("/", &info))
			return NULL;
	}
	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if ((unsigned long)info.f_type == remote[i].magic)
			return remote[i].name;
	return NULL;
}

/* Makes a directory and those above it. Returns 0 or -1 with errno. */
static int
make_all(const char *path)
{
	char part[CONF_PATH_MAX];

	snprintf(part, sizeof(part), "%s", path);
	for (char *slash = strchr(part + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(part, DIR_MODE) && errno != EEXIST)
			return -1;
		*slash = '/';
	}
	return mkdir(part, DIR_MODE) && errno != EEXIST ? -1 : 0;
}

/* Is the directory empty, or a daemon's? Then its mode is ours to set. */
static bool
is_ours(int fd)
{
	DIR *dir;
	unsigned entries = 0;

	if (!faccessat(fd, "v1", F_OK, 0))
		return true;
	dir = fdopendir(dup(fd));
	if (!dir)
		return false;
	while (readdir(dir))
		entries++;
	closedir(dir);
	return entries <= 2; /* itself and its parent */
}

static int
check_directory(int fd, const char *path, char error[static PLACE_ERROR_MAX])
{
	struct stat info;

	if (fstat(fd, &info))
		return fail(error, "%s: %m", path);
	if (info.st_uid != geteuid())
		return fail(
			error,
			"the data directory %s belongs to uid %u, not to uid %u who "
			"starts this daemon; choose another with --data, or start it as "
			"its owner",
			path, info.st_uid, geteuid());
	if (!(info.st_mode & 077))
		return 0;
	if (!is_ours(fd))
		return fail(error,
			    "the data directory %s can be entered by others (mode %04o); "
			    "run: chmod 700 %s",
			    path, info.st_mode & 07777, path);
	if (fchmod(fd, DIR_MODE))
		return fail(error, "cannot close %s to others: %m", path);
	log_info("closed the data directory %s to others (it had mode %04o)", path,
		 info.st_mode & 07777);
	return 0;
}

/* flags: O_NOFOLLOW where others could have put a link. */
static int
make_directory(const char *path, int flags, char error[static PLACE_ERROR_MAX])
{
	int fd, result;

	if (make_all(path))
		return fail(error,
			    "cannot make the data directory %s: %m; choose another with "
			    "--data",
			    path);
	fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | flags);
	if (fd < 0)
		return fail(error, "cannot open the data directory %s: %m", path);
	result = check_directory(fd, path, error);
	close(fd);
	return result;
}

/* ---- choosing */

enum choice {
	CHOSEN_BY_NAME, /* an option or BRINE_DATA */
	CHOSEN_BY_XDG,
	CHOSEN_BY_DEFAULT,
};

static int
choose_data(const struct conf *conf, struct place *place, enum choice *ret_choice,
	    char error[static PLACE_ERROR_MAX])
{
	const char *named = conf->data[0] ? conf->data : getenv("BRINE_DATA");
	const char *base = absolute("XDG_CACHE_HOME");
	int result;

	if (named && named[0]) {
		*ret_choice = CHOSEN_BY_NAME;
		if (named[0] != '/')
			return fail(error, "BRINE_DATA is not an absolute path: %s",
				    named);
		result = join(place->data, "%s", named);
	} else if (base) {
		*ret_choice = CHOSEN_BY_XDG;
		result = join(place->data, "%s/brine", base);
	} else {
		*ret_choice = CHOSEN_BY_DEFAULT;
		base = home();
		if (!base)
			return fail(error,
				    "there is no home directory to keep the data in; "
				    "say where with --data");
		result = join(place->data, "%s/.cache/brine", base);
	}
	return result ? fail(error, "the data directory's path is too long") : 0;
}

/* Moves off a file system where LMDB must not live. */
static int
avoid_remote(struct place *place, enum choice choice, char error[static PLACE_ERROR_MAX])
{
	const char *type = remote_type(place->data);

	if (!type)
		return 0;
	if (choice == CHOSEN_BY_NAME)
		return fail(error,
			    "the data directory %s is on %s, where the database could be "
			    "damaged; choose one on a local disk",
			    place->data, type);
	place->avoided_type = type;
	memcpy(place->avoided, place->data, sizeof(place->avoided));
	join(place->data, "/var/tmp/brine-%u", geteuid());
	return 0;
}

static int
add_socket(struct place *place, bool wanted, const char *folder, const char *name,
	   char error[static PLACE_ERROR_MAX])
{
	struct place_socket *socket = &place->sockets[place->socket_count];

	if (join(socket->path, "%s%s%s", folder, name[0] ? "/" : "", name))
		return fail(error, "the socket's path is too long: %s", folder);
	for (unsigned i = 0; i < place->socket_count; i++)
		if (!strcmp(place->sockets[i].path, socket->path))
			return 0;
	socket->wanted = wanted;
	place->socket_count++;
	return 0;
}

/* $XDG_RUNTIME_DIR/brine, if the former is there and this user's. */
static bool
runtime_folder(char ret_path[static CONF_PATH_MAX])
{
	const char *base = absolute("XDG_RUNTIME_DIR");
	struct stat info;

	if (!base || stat(base, &info) || !S_ISDIR(info.st_mode) ||
	    info.st_uid != geteuid() || join(ret_path, "%s/brine", base))
		return false;
	if (mkdir(ret_path, DIR_MODE) && errno != EEXIST)
		return false;
	return !lstat(ret_path, &info) && S_ISDIR(info.st_mode) &&
	       info.st_uid == geteuid();
}

int
place_choose(const struct conf *conf, struct place *ret_place,
	     char error[static PLACE_ERROR_MAX])
{
	char runtime[CONF_PATH_MAX];
	enum choice choice;

	memset(ret_place, 0, sizeof(*ret_place));
	if (choose_data(conf, ret_place, &choice, error) ||
	    avoid_remote(ret_place, choice, error) ||
	    make_directory(ret_place->data, ret_place->avoided[0] ? O_NOFOLLOW : 0,
			   error))
		return -1;
	if (conf->socket[0] && add_socket(ret_place, true, conf->socket, "", error))
		return -1;
	if (join(ret_place->socket, "%s/" PLACE_SOCKET_NAME, ret_place->data) ||
	    add_socket(ret_place, true, ret_place->socket, "", error))
		return fail(error, "the socket's path is too long: %s", ret_place->data);
	if (!conf->socket[0] && choice == CHOSEN_BY_DEFAULT && runtime_folder(runtime))
		return add_socket(ret_place, false, runtime, PLACE_SOCKET_NAME, error);
	return 0;
}
