/* cli.h - what every command is given, and what it gives back. */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include "client/brine.h"
#include "client/cli/option.h"

/* Fixed: scripts rely on these. */
enum exit_status {
	EXIT_DONE = 0,
	EXIT_MISS = 1, /* no such object, or a condition that does not hold */
	EXIT_USAGE = 2,
	EXIT_UNREACHABLE = 3,
	EXIT_REFUSED = 4,
	EXIT_OTHER = 5,
};

struct command;

/* Everything is borrowed from main(), which closes the handle. */
struct cli {
	const struct command *command; /* NULL while it is not known */
	struct options options;
	const char *const *operands; /* the command's own */
	size_t operand_count;
	struct brine *brine; /* NULL for a command that stands alone */
};

#endif
