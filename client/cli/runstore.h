/* runstore.h - where a run is kept: its head under its key, and what it wrote behind that or as a value of its own. */
#ifndef CLI_RUNSTORE_H
#define CLI_RUNSTORE_H

#include "client/cli/runkey.h"
#include "client/cli/transcript.h"

/* Makes the pieces of a value that stood under the key. Returns 0, and pieces to close, or -1: it is damaged, of another
 * version, or a part of it was evicted, and nothing of it may be used. */
int runstore_load(struct brine *brine, const struct runkey *key,
		  const struct brine_value *value, int *ret_status,
		  struct hoard *ret_pieces);

/* Stores them. Returns 0 or a negative enum brine_error. A token in the options is for the head. */
int runstore_put(struct brine *brine, const struct runkey *key,
		 const struct hoard *pieces, int status,
		 const struct brine_put_options *options);

#endif
