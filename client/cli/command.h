/* command.h - the commands: their table, and one function for each. */
#ifndef CLI_COMMAND_H
#define CLI_COMMAND_H

#include <stddef.h>
#include <stdint.h>

#include "client/cli/cli.h"

#define OPERANDS_ANY SIZE_MAX

enum command_id {
#define C(id, function, name, operands, min, max, starts, options, tried, help, more)    \
	COMMAND_##id,
#include "client/cli/commands.def"
#undef C
	COMMAND_COUNT
};

enum command_starts {
	COMMAND_ALONE,  /* needs no daemon */
	COMMAND_ASKS,   /* needs one that runs */
	COMMAND_WAKES,  /* starts one where none runs and something was stored */
	COMMAND_STARTS, /* starts one where none runs */
};

struct command {
	const char *name;
	const char *operands;
	size_t min, max;
	enum command_starts starts;
	uint64_t options; /* besides OPTION_COMMON */
	const char *tried;
	const char *help;
	const char *more;
	int (*run)(
		struct
		cli *cli); /* returns an enum exit_status, having reported what failed */
};

extern const struct command command_table[COMMAND_COUNT];

const struct command *command_find(const char *name);
/* Are its operands the command line of another program? Of NULL they are not. */
bool command_passes_on(const struct command *command);
/* Is the operand behind count others, the command's name included, an integer? */
bool command_counts(const struct command *command, size_t count);
/* Does it move so much that a daemon whose disk cannot keep up for a while is no reason to give up? */
bool command_is_long(const struct command *command);
/* What to do who looks for a command that starts or stops the daemon; NULL for any other word. */
const char *command_advice(const char *name);
/* The command that somebody who wrote name may have meant, or NULL. */
const struct command *command_meant(const char *name);

#define C(id, function, name, operands, min, max, starts, options, tried, help, more)    \
	int command_##function(struct cli *cli);
#include "client/cli/commands.def"
#undef C

#endif
