/* program.c - looks for brined where an installation, a build or PATH has it. Owns nothing. */
#include "client/program.h"

#include <dlfcn.h>
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

	if (dladdr((void *)(uintptr_t)program_find, &info) && info.dli_fname &&
	    info.dli_fname[0] == '/' && realpath(info.dli_fname, to))
		return true;
	return realpath("/proc/self/exe", to) != NULL;
}

static bool
beside_us(char to[PATH_MAX], uid_t uid)
{
	/* The fourth is the build folder as seen from the Python package in it; the last are where a wheel puts it, seen
	 * from <prefix>/lib/python3.N/site-packages/brine, and /usr/bin from /usr/lib/python3/dist-packages/brine. */
	static const char *const places[] = { "brined",
					      "../bin/brined",
					      "../libexec/brined",
					      "../../brined",
					      "../../bin/brined",
					      "../../libexec/brined",
					      "../../../../bin/brined" };
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

int
program_find(const char *named, uid_t uid, char ret_path[static PATH_MAX], char *why,
	     size_t size)
{
	if (named) {
		snprintf(ret_path, PATH_MAX, "%s", named);
		if (access(ret_path, X_OK) == 0)
			return 0;
		snprintf(why, size, "%s: %s", ret_path, strerror(errno));
		return -1;
	}
	if (beside_us(ret_path, uid) || in_path(ret_path, uid))
		return 0;
	snprintf(
		why, size,
		"brined was found neither beside the library nor in PATH; install it, or "
		"name it by the option `daemon`");
	return -1;
}
