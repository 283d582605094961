/* expiry.h - gives back the room of objects whose time has passed. Writer thread only. */
#ifndef DAEMON_EXPIRY_H
#define DAEMON_EXPIRY_H

#include <stdint.h>

#include "daemon/object.h"

/* Takes at most `most` due rows from the expiry index. *ret_expired counts the objects removed.
 * Returns STORE_HIT when more are due, STORE_MISS when none is, or an error. */
int expiry_sweep(struct objects *objects, unsigned most, unsigned *ret_expired);

/* The time of the first row of the index, UINT64_MAX when it is empty. */
uint64_t expiry_next_ms(struct snapshot *snapshot);

#endif
