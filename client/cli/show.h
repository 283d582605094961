/* show.h - how a value is shown: what a terminal must not get, integers in decimal, JSON; and values that are whole
 * in memory. */
#ifndef CLI_SHOW_H
#define CLI_SHOW_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/cli/operand.h"

/* Is the value one that would garble the terminal on which it was to appear? -o - says that it may. more: these are
 * only its first bytes. */
bool show_garbles(const struct cli *cli, const void *bytes, size_t len, bool more);

/* That it would. Returns EXIT_OTHER. */
int show_refuse_terminal(const struct cli *cli, uint64_t length);

#define SHOW_INTEGER_MAX 24
/* A counter in decimal; *ret_len is the length of the text. Returns EXIT_DONE, or EXIT_OTHER, reported. */
int show_integer(const struct cli *cli, const void *bytes, size_t len,
		 char to[static SHOW_INTEGER_MAX], size_t *ret_len);

/* Writes a value where --output says, or as JSON, or refuses it to a terminal. Returns an exit status, reported. */
int show_value(const struct cli *cli, const struct operand_key *key,
	       const struct brine_value *value);

/* That --json and --output exclude each other. Returns EXIT_DONE or EXIT_USAGE, reported. */
int show_check(const struct cli *cli);

#endif
