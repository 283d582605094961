/* input.h - bytes of one client that cannot be used yet: half a frame, or whole ones that must wait.
 *
 * There is a buffer only while there are such bytes. What one read brings may always be kept; more than
 * that is taken from a budget which all clients share. Loop thread only. */
#ifndef DAEMON_INPUT_H
#define DAEMON_INPUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/slice.h"

/* What one read brings at most, and so every client's guaranteed share. */
#define INPUT_SHARE (16 * 1024)

struct input_budget {
	size_t used;
	size_t max;
};

struct user;

struct input {
	uint8_t *bytes;
	size_t len;
	size_t size; /* of the buffer */
};

/* Does the budget allow this user a buffer of size bytes? */
bool input_affords(const struct input *input, const struct input_budget *budget,
		   const struct user *user, size_t size);

/* Makes the buffer hold size bytes. Returns false when budget or memory do not allow it. */
bool input_reserve(struct input *input, struct input_budget *budget, struct user *user,
		   size_t size);

/* Adds bytes; more than was reserved only up to INPUT_SHARE. False: no memory. */
bool input_append(struct input *input, struct input_budget *budget, struct user *user,
		  struct slice bytes);

/* Removes the first len bytes; frees the buffer when nothing is left. */
void input_drop(struct input *input, struct input_budget *budget, struct user *user,
		size_t len);

/* Does it hold a part of the budget? */
static inline bool
input_large(const struct input *input)
{
	return input->size > INPUT_SHARE;
}

#endif
