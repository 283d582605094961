/* executable.c - finds programs and becomes them. Owns nothing. */
#include "client/cli/executable.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_DEFAULT "/usr/local/bin:/usr/bin:/bin"

/* Returns 0, or why path is nothing to run. */
static int
check(const char *path)
{
	struct stat stat_;

	if (stat(path, &stat_) != 0)
		return errno == EACCES || errno == ELOOP ? -EACCES : -ENOENT;
	if (!S_ISREG(stat_.st_mode))
		return -EACCES;
	return faccessat(AT_FDCWD, path, X_OK, AT_EACCESS) == 0 ? 0 : -EACCES;
}

static int
check_in(const char *folder, size_t folder_len, const char *name,
	 char path[static PATH_MAX])
{
	int len = snprintf(path, PATH_MAX, "%.*s%s%s", (int)folder_len, folder,
			   folder_len ? "/" : "./", name);

	return len < PATH_MAX ? check(path) : -ENOENT;
}

int
executable_find(const char *name, char ret_path[static PATH_MAX])
{
	const char *folders = getenv("PATH");
	char path[PATH_MAX];
	int result = -ENOENT;

	if (!*name)
		return -ENOENT;
	if (strchr(name, '/')) {
		if (strlen(name) >= PATH_MAX)
			return -ENOENT;
		memcpy(ret_path, name, strlen(name) + 1);
		return check(name);
	}
	for (folders = folders ? folders : PATH_DEFAULT;; folders++) {
		size_t len = strcspn(folders, ":");
		int found = check_in(folders, len, name, path);

		if (found == 0) {
			memcpy(ret_path, path, sizeof(path));
			return 0;
		}
		/* What lies behind it may still be one. */
		if (found == -EACCES)
			result = -EACCES;
		folders += len;
		if (!*folders)
			return result;
	}
}

static int
run_by_shell(const char *path, const char *const *arguments)
{
	size_t count = 0;
	const char **shell;

	while (arguments[count])
		count++;
	shell = calloc(count + 2, sizeof(*shell));
	if (!shell)
		return -ENOMEM;
	shell[0] = "sh";
	shell[1] = path;
	for (size_t i = 1; i < count; i++)
		shell[1 + i] = arguments[i];
	execv("/bin/sh", (char *const *)shell);
	free(shell);
	return -ENOEXEC;
}

int
executable_run(const char *path, const char *const *arguments)
{
	execv(path, (char *const *)arguments);
	if (errno == ENOEXEC)
		return run_by_shell(path, arguments);
	return -errno;
}

int
executable_status(int error)
{
	return error == -ENOENT ? 127 : 126;
}
