/* account.h - users and groups of this machine, by name or number. No state; may wait for what the machine asks
 * for them. */
#ifndef CONF_ACCOUNT_H
#define CONF_ACCOUNT_H

#include <stddef.h>
#include <stdint.h>

#define ACCOUNT_NAME_MAX 64

/* Return 0, or -1 with a sentence in why: there is none of that name, or it could not be found out. */
int account_user(const char *name, uint32_t *ret_uid, char *why, size_t why_size);
int account_group(const char *name, uint32_t *ret_gid, char *why, size_t why_size);

#endif
