/* input.c - grows and frees the buffers of half-received requests.
 * Owns each buffer; borrows the budget. Loop thread only. */
#include "daemon/input.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "daemon/user.h"

/* What a buffer of this size takes from the budget. */
static size_t
charge(size_t size)
{
	return size > INPUT_SHARE ? size : 0;
}

bool
input_affords(const struct input *input, const struct input_budget *budget,
	      const struct user *user, size_t size)
{
	size_t more = size > input->size ? charge(size) - charge(input->size) : 0;

	return !more || user_may(user, user->received, budget->used, budget->max, more);
}

bool
input_reserve(struct input *input, struct input_budget *budget, struct user *user,
	      size_t size)
{
	size_t more;
	uint8_t *bytes;

	if (size <= input->size)
		return true;
	more = charge(size) - charge(input->size);
	if (!input_affords(input, budget, user, size))
		return false;
	bytes = realloc(input->bytes, size);
	if (!bytes)
		return false;
	input->bytes = bytes;
	input->size = size;
	budget->used += more;
	user->received += more;
	return true;
}

bool
input_append(struct input *input, struct input_budget *budget, struct user *user,
	     struct slice bytes)
{
	size_t len = input->len + bytes.len;

	if (!bytes.len)
		return true;
	if (len > input->size) {
		/* Whole frames wait here, and their rest came with one read: it is kept even when the
		 * budget is spent. */
		uint8_t *grown = realloc(input->bytes, len);

		if (!grown)
			return false;
		budget->used += charge(len) - charge(input->size);
		user->received += charge(len) - charge(input->size);
		input->bytes = grown;
		input->size = len;
	}
	memcpy(input->bytes + input->len, bytes.data, bytes.len);
	input->len = len;
	return true;
}

void
input_drop(struct input *input, struct input_budget *budget, struct user *user,
	   size_t len)
{
	CHECK(len <= input->len);
	input->len -= len;
	if (input->len) {
		memmove(input->bytes, input->bytes + len, input->len);
		return;
	}
	budget->used -= charge(input->size);
	if (input->size)
		user->received -= charge(input->size);
	free(input->bytes);
	*input = (struct input){ 0 };
}
