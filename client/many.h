/* many.h - many requests, each by itself, for the library's own files. */
#ifndef CLIENT_MANY_H
#define CLIENT_MANY_H

#include "client/handle.h"

/* As brine_many(), without a BATCH. */
int many_each(struct brine *brine, const struct brine_request *requests, size_t count,
	      struct brine_reply *ret_replies);

#endif
