/* find.h - from a handle without a connection to one that has it. */
#ifndef CLIENT_FIND_H
#define CLIENT_FIND_H

#include <stdbool.h>

#include "client/handle.h"

/* Connects the handle to the first daemon that answers and is to be trusted, or starts one where the handle may;
 * it keeps to the kind of daemon that it has chosen once. Fills fd, wire, place and server_uid. Returns 0 or an error
 * with its message; of an error *ret_absent says that nobody is there, so that somebody may come yet. Where the
 * handle is `hasty` it waits for nothing: -BRINE_ERROR_BUSY. */
int find_daemon(struct brine *brine, bool *ret_absent);

#endif
