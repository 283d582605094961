/* tag.h - tags among the arguments. */
#ifndef CLI_TAG_H
#define CLI_TAG_H

#include "client/cli/cli.h"

struct tags {
	unsigned char bytes[BRINE_TAGS_SIZE]; /* as brine_tags_add() wants them */
	size_t len;
};

/* Those of --tag. Returns EXIT_DONE, or EXIT_USAGE, reported. */
int tag_options(const struct cli *cli, struct tags *ret_tags);

#endif
