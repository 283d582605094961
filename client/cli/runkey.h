/* runkey.h - what a run is known by: the program, its arguments and the files that they name, the working directory,
 * and what the caller names besides. */
#ifndef CLI_RUNKEY_H
#define CLI_RUNKEY_H

#include <stdbool.h>

#include "client/cli/operand.h"
#include "proto/blake2b.h"

struct runkey_subject {
	const char *path;             /* of the program, as it was found */
	const char *const *arguments; /* its name first, then NULL */
	const uint8_t *input;         /* digest of standard input; NULL: it has none */
};

struct runkey {
	const struct runkey_subject *subject;
	struct operand_key key;
	uint8_t digest[BLAKE2B_DIGEST]; /* of everything */
	uint8_t files[BLAKE2B_DIGEST];  /* of the state of the files of --file */
};

/* The key borrows the subject. Returns EXIT_DONE, or another exit status, reported: --env or --file cannot be. */
int runkey_make(const struct cli *cli, const struct runkey_subject *subject,
		struct runkey *ret_key);

/* Did a file of --file change since the key was made? Then it is not known which content was read. */
bool runkey_changed(const struct cli *cli, const struct runkey *key);

/* The key of the pieces of that content, where they are a value of their own. */
void runkey_pieces(const struct runkey *key, const uint8_t content[static BLAKE2B_DIGEST],
		   struct operand_key *ret_key);

/* The first argument that names a pipe or a socket, whose content nobody knows beforehand, or NULL. The standard
 * descriptors do not count. */
const char *runkey_unknown(const struct runkey_subject *subject);

#endif
