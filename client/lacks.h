/* lacks.h - what an older daemon does not know, so that a connection asks for it once. Pure. */
#ifndef CLIENT_LACKS_H
#define CLIENT_LACKS_H

#include <stdbool.h>
#include <stdint.h>

#include "client/brine.h"
#include "proto/message.h"

/* No request has more fields to leave away, one after the other, and is then sent as it is. */
#define LACKS_MAX 6

struct lacks {
	uint64_t fields[BRINE_VERIFY +
			1]; /* by command; bit n: field n, bit 0: the command itself */
};

/* The daemon answered UNSUPPORTED and named this field (0: none, it does not know the command). True if the
 * request makes sense without it, and so may be sent again: lacks_apply() leaves the field away from now on. */
bool lacks_learn(struct lacks *lacks, unsigned command, uint64_t field);

static inline bool
lacks_command(const struct lacks *lacks, unsigned command)
{
	return lacks->fields[command] & 1;
}

/* Leaves away what the daemon is known not to know. */
void lacks_apply(const struct lacks *lacks, unsigned command, struct message *message);

#endif
