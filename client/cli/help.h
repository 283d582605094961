/* help.h - the pages of brine --help, on 80 columns. */
#ifndef CLI_HELP_H
#define CLI_HELP_H

#include <stdio.h>

#include "client/cli/command.h"

void help_all(FILE *to);
void help_command(FILE *to, const struct command *command);

/* Says that there is no such command, and what may be meant. Returns EXIT_USAGE. */
int help_unknown(const struct cli *cli, const char *name);

#endif
