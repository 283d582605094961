/* executable.h - which program a command's name means, and how it is run. */
#ifndef CLI_EXECUTABLE_H
#define CLI_EXECUTABLE_H

#include <limits.h>

/* As a shell looks: in PATH, unless the name has a slash. Returns 0, -ENOENT, or -EACCES: what is there cannot be
 * run. */
int executable_find(const char *name, char ret_path[static PATH_MAX]);

/* Becomes the program; arguments end with NULL. What the kernel does not know is given to /bin/sh, as shells do.
 * Returns only if that fails: -errno. */
int executable_run(const char *path, const char *const *arguments);

/* The exit status of shells for it: 127 not found, 126 cannot be run. */
int executable_status(int error);

#endif
