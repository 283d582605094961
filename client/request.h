/* request.h - what the caller asked for, as a message. Pure. */
#ifndef CLIENT_REQUEST_H
#define CLIENT_REQUEST_H

#include <stdbool.h>

#include "client/brine.h"
#include "proto/message.h"

/* The longest encoding of any request's header: key, tags, prefix, cursor and namespace, and all numbers. */
#define REQUEST_HEADER_MAX 8192
#define NAMESPACE_DEFAULT "default"

/* Fills the message, which borrows from the request. Returns 0, or an error and a sentence in *ret_why
 * (static storage); the message is of no use then. */
int request_message(const struct brine_request *request, struct message *message,
		    const char **ret_why);

/* What the single calls' options ask for (NULL: the defaults); borrows them. A put gets its value after that. */
struct brine_request request_of_get(const void *key, size_t key_len,
				    const struct brine_get_options *options);
struct brine_request request_of_put(const void *key, size_t key_len,
				    const struct brine_put_options *options);

/* May it be executed twice? Then it may be sent again when the connection broke before its answer. */
bool request_repeatable(const struct brine_request *request);

/* Does its answer wait for the disk? Then it may take longer. */
bool request_waits_for_disk(const struct brine_request *request);

/* Does its answer wait for somebody's computation? Then it may take any time. */
bool request_parks(const struct brine_request *request);

#endif
