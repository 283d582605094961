/* account.c - asks the machine for the numbers of users and groups. Owns nothing. */
#include "conf/account.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* The rest of the entry: home, shell; of a group its members. */
#define ENTRY_MAX (256 * 1024)

/* 2^32 - 1 is nobody's number: system calls take it for "leave it". */
static int
parse_number(const char *text, uint32_t *ret_number)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long long number;

	if (!digits || digits > 10 || text[digits])
		return -1;
	number = strtoull(text, NULL, 10);
	if (number >= UINT32_MAX)
		return -1;
	*ret_number = (uint32_t)number;
	return 0;
}

static int
refuse(const char *kind, const char *name, int error, char *why, size_t why_size)
{
	if (error)
		snprintf(why, why_size, "the %s `%.*s' cannot be looked up: %s", kind,
			 ACCOUNT_NAME_MAX, name, strerror(error));
	else
		snprintf(why, why_size, "there is no %s `%.*s' on this machine", kind,
			 ACCOUNT_NAME_MAX, name);
	return -1;
}

int
account_user(const char *name, uint32_t *ret_uid, char *why, size_t why_size)
{
	struct passwd entry, *found = NULL;
	char *room;
	int error;

	if (!parse_number(name, ret_uid))
		return 0;
	room = malloc(ENTRY_MAX);
	error = room ? getpwnam_r(name, &entry, room, ENTRY_MAX, &found) : ENOMEM;
	free(room);
	if (!found)
		return refuse("user", name, error == ENOENT ? 0 : error, why, why_size);
	*ret_uid = entry.pw_uid;
	return 0;
}

int
account_group(const char *name, uint32_t *ret_gid, char *why, size_t why_size)
{
	struct group entry, *found = NULL;
	char *room;
	int error;

	if (!parse_number(name, ret_gid))
		return 0;
	room = malloc(ENTRY_MAX);
	error = room ? getgrnam_r(name, &entry, room, ENTRY_MAX, &found) : ENOMEM;
	free(room);
	if (!found)
		return refuse("group", name, error == ENOENT ? 0 : error, why, why_size);
	*ret_gid = entry.gr_gid;
	return 0;
}
