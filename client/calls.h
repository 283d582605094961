/* calls.h - one request and its answer, for the library's own files. */
#ifndef CLIENT_CALLS_H
#define CLIENT_CALLS_H

#include "client/handle.h"

/* Sends the request (a NULL namespace is the handle's) and waits for its reply; connects and sends once more where
 * that is safe. Returns the reply's result, or an error of our own with reply untouched. streamed: the value is
 * left to wire_body_step(), and the connection is not settled. */
int call_request(struct brine *brine, const struct brine_request *request, bool streamed,
		 struct brine_reply *ret_reply);

/* The same on one connection, once: where it broke the reply says whether to ask again, and whoever does closes the
 * connection first. The namespace is named. Returns 0 when *ret_reply is filled, or an error. */
int call_attempt(struct brine *brine, const struct brine_request *request, bool streamed,
		 struct brine_reply *ret_reply);

/* What the request comes to after this result of its last sending, when the connection broke under an earlier one: that
 * nothing was done the last time says nothing of the first. */
int call_after_cut(struct brine *brine, const struct brine_request *request, int result);

/* What the handle holds after this answer. */
void call_note(struct brine *brine, const struct brine_request *request,
	       const struct brine_reply *reply);

/* The answer of what makes no sense without a daemon: -BRINE_ERROR_DISABLED, and why. */
int call_disabled(struct brine *brine);

/* Keeps the wire's sentence and gives its result on. */
int call_result(struct brine *brine, int result);

/* Adds to the message of TOO_LARGE how large the value was. Returns result. */
int call_size(struct brine *brine, int result, uint64_t len);

#endif
