/* entries.h - many small requests as one BATCH, and its answer. */
#ifndef CLIENT_ENTRIES_H
#define CLIENT_ENTRIES_H

#include "client/handle.h"

/* Sends requests, gets only or puts and deletes only, as one frame and waits for the answer. BRINE_DONE, and
 * ret_replies is filled: the token is the index, a result may be BRINE_ALONE. Or an error: ret_replies is untouched,
 * and *ret_entry the index that it is about, or BRINE_UNKNOWN. */
int entries_exchange(struct brine *brine, const struct brine_request *requests,
		     size_t count, const char *namespace_name, uint8_t ack,
		     struct brine_reply *ret_replies, uint64_t *ret_entry);

#endif
