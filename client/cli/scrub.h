/* scrub.h - brine verify of the whole store, which the daemon reads itself: for administrators. */
#ifndef CLI_SCRUB_H
#define CLI_SCRUB_H

#include <stdint.h>

#include "client/cli/cli.h"

/* Goes through the store at so many bytes a second, and says what it came to. Returns the exit status; SCRUB_NOT_FOR_ME when
 * the daemon does this for others alone, or is too old for it, and nothing was said. */
#define SCRUB_NOT_FOR_ME (-1)
int scrub(struct cli *cli, uint64_t rate);

#endif
