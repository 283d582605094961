/* usermap.c - reads what the kernel says of our uids. At the start. */
#include "daemon/usermap.h"

#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#define OVERFLOW_DEFAULT 65534

static const char *map_path = "/proc/self/uid_map";
static const char *overflow_path = "/proc/sys/kernel/overflowuid";

void
usermap_use(const char *map_file, const char *overflow_file)
{
	map_path = map_file;
	overflow_path = overflow_file;
}

/* One line that maps all numbers onto themselves: "0 0 4294967295". */
static bool
is_whole(FILE *file)
{
	unsigned long long inside, outside, count, more;

	return fscanf(file, "%llu %llu %llu", &inside, &outside, &count) == 3 &&
	       inside == 0 && outside == 0 && count == UINT32_MAX &&
	       fscanf(file, "%llu", &more) != 1;
}

void
usermap_read(struct usermap *ret_map)
{
	FILE *map = fopen(map_path, "re");
	bool absent = !map && errno == ENOENT;
	FILE *overflow = fopen(overflow_path, "re");
	unsigned long long uid;

	ret_map->overflow = OVERFLOW_DEFAULT;
	if (overflow && fscanf(overflow, "%llu", &uid) == 1 && uid < UINT32_MAX)
		ret_map->overflow = (uint32_t)uid;
	/* A kernel without user namespaces has the one file and not the other. */
	ret_map->whole = map ? is_whole(map) : absent && overflow;
	if (map)
		fclose(map);
	if (overflow)
		fclose(overflow);
}
