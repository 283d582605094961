/* program.h - which brined a client starts. */
#ifndef CLIENT_PROGRAM_H
#define CLIENT_PROGRAM_H

#include <limits.h>
#include <stddef.h>
#include <sys/types.h>

/* The program that the caller named, or, where named is NULL, the first one beside this library or in PATH that
 * only root or uid could have put there. Returns 0, or -1 with the reason and the advice in why. */
int program_find(const char *named, uid_t uid, char ret_path[static PATH_MAX], char *why,
		 size_t size);

#endif
