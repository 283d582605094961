/* users_main.c - the daemon, in a user namespace that a test describes: the machine's own stay as they are.
 *
 *	BRINE_TEST_UID_MAP=FILE BRINE_TEST_OVERFLOW=FILE users_main [what brined takes]
 *
 * The files are like /proc/self/uid_map and /proc/sys/kernel/overflowuid. */
#include <stdio.h>
#include <stdlib.h>

#include "daemon/usermap.h"

/* daemon/main.c, compiled with this name for its main(). */
int brined_main(int argc, char **argv);

int
main(int argc, char **argv)
{
	const char *map = getenv("BRINE_TEST_UID_MAP");
	const char *overflow = getenv("BRINE_TEST_OVERFLOW");

	if (!map || !overflow) {
		fprintf(stderr, "users_main: BRINE_TEST_UID_MAP and BRINE_TEST_OVERFLOW "
				"name two files\n");
		return EXIT_FAILURE;
	}
	usermap_use(map, overflow);
	return brined_main(argc, argv);
}
