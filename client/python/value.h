/* value.h - values on their way out of and into the daemon. The one place that unpickles. */
#ifndef PYTHON_VALUE_H
#define PYTHON_VALUE_H

#include <Python.h>

#include "client/brine.h"

struct state;

enum value_answer {
	VALUE_LOADED,
	VALUE_STRANGER, /* a pickle of another uid, not looked at */
	VALUE_TOO_NEW,  /* a pickle of a later Python or protocol, not looked at */
	VALUE_UNKNOWN, /* a codec or shape that this client does not know, not looked at */
	VALUE_BROKEN,  /* loading it raised an Exception, which is set */
	VALUE_RAISED, /* it raised what is no business of a cache: MemoryError, KeyboardInterrupt; set */
};

#define TRUST_MAX 64

/* Whose pickles are loaded: this process's effective uid's, and those of the uids that it was told to trust. */
struct trust {
	uint32_t uid;
	const uint32_t *others;
	unsigned count;
};

/* Takes *value. *ret_object is a new reference, set only when it was loaded. */
enum value_answer value_load(struct state *state, const struct trust *trust,
			     struct brine_value **value, PyObject **ret_object);

/* An object as bytes to store. */
struct encoded {
	const void *data; /* borrows bytes, or counter */
	size_t len;
	PyObject *bytes; /* owned, or NULL */
	unsigned char counter[8];
	uint32_t codec;
	uint8_t kind;
};

/* *ret_encoded must not move while it is in use. -1: the object cannot be pickled, and why is set. */
int value_dump(struct state *state, PyObject *object, struct encoded *ret_encoded);
void encoded_done(struct encoded *encoded);

#endif
