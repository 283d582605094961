/* held.h - the leases that a handle holds, to take them up again on its next connection. Pure. */
#ifndef CLIENT_HELD_H
#define CLIENT_HELD_H

#include <stdbool.h>
#include <stdint.h>

#include "client/brine.h"

#define HELD_MAX 64

struct held_lease {
	unsigned char *
		bytes; /* the key, then the namespace and its NUL; NULL: the place is free */
	size_t key_len;
	uint64_t holder;
	unsigned char token[BRINE_TOKEN_SIZE];
};

struct held {
	struct held_lease *leases; /* HELD_MAX of them; NULL as long as there was none */
	unsigned next; /* where the next one goes: when all are taken, over the oldest */
};

/* What this answer to this request (its namespace named) means for the list: a lease was granted, or is over. One
 * for which there is no memory is not held, and so not taken up again. */
void held_note(struct held *held, const struct brine_request *request,
	       const struct brine_reply *reply);

/* The lease of this token is over. */
void held_forget(struct held *held, const unsigned char token[BRINE_TOKEN_SIZE]);

/* Those at these places (bit n: place n) are somebody else's by now. */
void held_lost(struct held *held, uint64_t places);

/* The request that takes up the lease at this place; it borrows the list. False where there is none. */
bool held_request(const struct held *held, unsigned place,
		  struct brine_request *ret_request);

/* None is held any more. Frees the list. */
void held_drop(struct held *held);

#endif
