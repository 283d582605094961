/* usermap.h - can the uids that the kernel gives be believed? In a user namespace several users of the machine may look
 * like one: all those that it does not map. */
#ifndef DAEMON_USERMAP_H
#define DAEMON_USERMAP_H

#include <stdbool.h>
#include <stdint.h>

struct usermap {
	bool whole;        /* every number is the one that the machine knows */
	uint32_t overflow; /* what is not mapped looks like this one */
};

/* Of this process, from /proc. Where that cannot be read, nothing is believed. */
void usermap_read(struct usermap *ret_map);

/* Reads these files instead, for the main() of a test. */
void usermap_use(const char *map_file, const char *overflow_file);

#endif
