/* value.h - the bytes of one value and what is known about it. */
#ifndef CLIENT_VALUE_H
#define CLIENT_VALUE_H

#include <stddef.h>

#include "client/brine.h"

struct brine_value {
	struct brine_meta meta;
	size_t len;
	size_t mapped; /* bytes of a mapping of its own; 0: malloc()ed */
	_Alignas(max_align_t) unsigned char data[];
};

/* A value of len bytes, not set, and the NUL behind them. NULL when memory is short. */
struct brine_value *value_new(size_t len);

/* Gives it another length and keeps the bytes up to there; may move it. Returns 0, or -1 and leaves it as it was. */
int value_resize(struct brine_value **value, size_t len);

#endif
