/* locate.c - the look-up order: what was named, this user's daemon, the system's. Owns the copies of the
 * environment. One thread.
 *
 * A directory that another uid owns counts as absent: `sudo -E` must not touch the caller's files. */
#include "client/locate.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#define SOCKET_NAME "brine.sock"
#define PASSWD_MAX 4096

/* A copy of a variable that holds an absolute path; any other value counts as not set (as XDG says). */
static int
read_path(const char *name, char **ret_path)
{
	const char *value = secure_getenv(name);

	if (!value || value[0] != '/')
		return 0;
	*ret_path = strdup(value);
	return *ret_path ? 0 : -1;
}

static int
read_text(const char *name, char **ret_text)
{
	const char *value = secure_getenv(name);

	if (!value || !value[0])
		return 0;
	*ret_text = strdup(value);
	return *ret_text ? 0 : -1;
}

static bool
is_one(const char *name, const char *wanted)
{
	const char *value = secure_getenv(name);

	return value && strcmp(value, wanted) == 0;
}

/* A relative path is taken from where the process is now: it may go elsewhere later. */
static int
make_absolute(const char *path, char **ret_path)
{
	char *here;
	int result;

	if (path[0] == '/') {
		*ret_path = strdup(path);
		return *ret_path ? 0 : -1;
	}
	here = getcwd(NULL, 0);
	if (!here)
		return -1;
	result = asprintf(ret_path, "%s/%s", here, path);
	free(here);
	return result < 0 ? -1 : 0;
}

static int
read_socket(const char *socket, struct locate_env *env)
{
	const char *from = socket ? socket : secure_getenv("BRINE_SOCKET");

	env->socket_argued = socket != NULL;
	return from && from[0] ? make_absolute(from, &env->socket) : 0;
}

int
locate_read(const char *socket, struct locate_env *ret_env)
{
	struct locate_env env = { .system_socket = LOCATE_SYSTEM_SOCKET };

	if (read_socket(socket, &env) || read_text("BRINE_DATA", &env.data) ||
	    read_path("XDG_CACHE_HOME", &env.cache) ||
	    read_path("XDG_RUNTIME_DIR", &env.runtime) ||
	    read_path("XDG_CONFIG_HOME", &env.config) || read_path("HOME", &env.home) ||
	    read_text("BRINE_NAMESPACE", &env.namespace_name)) {
		locate_free(&env);
		return -1;
	}
	env.no_autostart = is_one("BRINE_AUTOSTART", "0");
	env.disabled = is_one("BRINE_DISABLE", "1");
	*ret_env = env;
	return 0;
}

void
locate_free(struct locate_env *env)
{
	free(env->socket);
	free(env->data);
	free(env->cache);
	free(env->runtime);
	free(env->config);
	free(env->home);
	free(env->namespace_name);
	*env = (struct locate_env){ 0 };
}

static bool
print_path(char to[PATH_MAX], const char *folder, const char *name)
{
	int len = snprintf(to, PATH_MAX, "%s/%s", folder, name);

	return len > 0 && len < PATH_MAX;
}

/* The home that the account database knows, where the environment names none. */
static bool
account_home(uid_t uid, char to[PATH_MAX])
{
	struct passwd account, *found = NULL;
	char buffer[PASSWD_MAX];

	if (getpwuid_r(uid, &account, buffer, sizeof(buffer), &found) || !found ||
	    account.pw_dir[0] != '/')
		return false;
	return snprintf(to, PATH_MAX, "%s", account.pw_dir) < PATH_MAX;
}

/* Names the data directory as the environment asks for it. */
static bool
name_data(const struct locate_env *env, uid_t uid, char to[PATH_MAX])
{
	char home[PATH_MAX];

	if (env->data)
		return snprintf(to, PATH_MAX, "%s", env->data) < PATH_MAX;
	if (env->cache)
		return print_path(to, env->cache, "brine");
	if (env->home)
		return print_path(to, env->home, ".cache/brine");
	return account_home(uid, home) && print_path(to, home, ".cache/brine");
}

/* File systems on which LMDB's locks or its map do not hold: those of a network, and FUSE. */
static bool
is_remote(const struct statfs *fs)
{
	static const unsigned remote[] = {
		0x6969,     /* NFS */
		0x517b,     /* SMB */
		0xfe534d42, /* SMB2 */
		0xff534d42, /* CIFS */
		0x65735546, /* FUSE */
		0x01021997, /* 9P */
		0x5346414f, /* AFS */
		0x6b414653, /* kAFS */
		0x00c36400, /* Ceph */
		0x73757245, /* Coda */
		0x0bd00bd0, /* Lustre */
		0x47504653, /* GPFS */
		0x19830326, /* BeeGFS */
		0x7461636f, /* OCFS2 */
		0x01161970, /* GFS2 */
		0x786f4256, /* VirtualBox shared folder */
	};

	for (size_t i = 0; i < sizeof(remote) / sizeof(remote[0]); i++)
		if ((unsigned)fs->f_type == remote[i])
			return true;
	return false;
}

/* Cuts path down to its nearest ancestor that exists. */
static bool
nearest(char path[PATH_MAX], struct stat *ret_st)
{
	char *slash;

	for (;;) {
		if (stat(path, ret_st) == 0)
			return true;
		if (errno != ENOENT || !(slash = strrchr(path, '/')))
			return false;
		if (slash == path)
			slash[1] = 0;
		else
			*slash = 0;
	}
}

/* May this uid keep its data in path? It owns it, or owns where it would be made (a sticky directory for
 * all, as /var/tmp, will do as well). */
static bool
data_usable(const char *path, uid_t uid, bool *ret_remote, char why[LOCATE_WHY_MAX])
{
	char at[PATH_MAX];
	struct stat st;
	struct statfs fs;

	snprintf(at, sizeof(at), "%s", path);
	if (!nearest(at, &st)) {
		snprintf(why, LOCATE_WHY_MAX, "%.150s: %s", path, strerror(errno));
		return false;
	}
	*ret_remote = statfs(at, &fs) == 0 && is_remote(&fs);
	if (!S_ISDIR(st.st_mode)) {
		snprintf(why, LOCATE_WHY_MAX, "%.150s is no directory", at);
		return false;
	}
	if (st.st_uid == uid)
		return true;
	if (strcmp(at, path) != 0 && st.st_uid == 0 && st.st_mode & S_ISVTX)
		return true;
	snprintf(why, LOCATE_WHY_MAX,
		 "%.150s belongs to uid %u, and this process is uid %u", at,
		 (unsigned)st.st_uid, (unsigned)uid);
	return false;
}

static void
choose_data(const struct locate_env *env, uid_t uid, struct places *places)
{
	bool remote = false;

	if (!name_data(env, uid, places->data)) {
		snprintf(places->why, sizeof(places->why),
			 "no data directory: HOME is not set, and uid %u has no account",
			 (unsigned)uid);
		return;
	}
	/* Another directory than the one that was meant would be a surprise. */
	if (places->data[0] != '/') {
		snprintf(places->why, sizeof(places->why),
			 "BRINE_DATA is not an absolute path: %.150s", places->data);
		return;
	}
	places->data_usable = data_usable(places->data, uid, &remote, places->why);
	if (!places->data_usable || !remote)
		return;
	snprintf(places->data, sizeof(places->data), "/var/tmp/brine-%u", (unsigned)uid);
	places->data_usable = data_usable(places->data, uid, &remote, places->why);
	if (places->data_usable)
		snprintf(places->why, sizeof(places->why),
			 "the usual data directory is on a network or FUSE file system");
}

static bool
own_folder(const char *path, uid_t uid)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISDIR(st.st_mode) && st.st_uid == uid;
}

static void
add_runtime(const struct locate_env *env, uid_t uid, struct places *places)
{
	struct place *place = &places->at[places->count];
	char folder[PATH_MAX];

	/* Only the daemon of the default directory listens there. */
	if (!env->runtime || env->data || env->cache)
		return;
	if (!own_folder(env->runtime, uid) ||
	    !print_path(folder, env->runtime, "brine") || !own_folder(folder, uid))
		return;
	place->kind = PLACE_RUNTIME;
	if (print_path(place->path, folder, SOCKET_NAME))
		places->count++;
}

static void
add_data(struct places *places)
{
	struct place *place = &places->at[places->count];

	place->kind = PLACE_DATA;
	if (places->data_usable && print_path(place->path, places->data, SOCKET_NAME))
		places->count++;
}

void
locate_places(const struct locate_env *env, uid_t uid, struct places *ret_places)
{
	struct place *place;

	ret_places->count = 0;
	ret_places->data_usable = false;
	ret_places->data[0] = ret_places->why[0] = 0;
	if (env->socket) {
		place = &ret_places->at[ret_places->count];
		place->kind = PLACE_GIVEN;
		if (snprintf(place->path, PATH_MAX, "%s", env->socket) < PATH_MAX)
			ret_places->count++;
		return;
	}
	choose_data(env, uid, ret_places);
	add_runtime(env, uid, ret_places);
	add_data(ret_places);
	place = &ret_places->at[ret_places->count];
	if (access(env->system_socket, F_OK) == 0 || errno == EACCES) {
		place->kind = PLACE_SYSTEM;
		snprintf(place->path, PATH_MAX, "%s", env->system_socket);
		ret_places->count++;
	}
}

const char *
locate_kind_text(const struct locate_env *env, enum place_kind kind)
{
	switch (kind) {
	case PLACE_GIVEN:
		return env->socket_argued ? "named by the caller"
					  : "named by BRINE_SOCKET";
	case PLACE_SYSTEM:
		return "the system's daemon";
	default:
		return "this user's daemon";
	}
}
