/* value.h - values on their way out of and into the daemon. The one place that loads them, whoever asked and however. */
#ifndef PYTHON_VALUE_H
#define PYTHON_VALUE_H

#include <Python.h>

#include "client/brine.h"

struct state;

/* How one cache stores what is neither bytes nor a str nor an int of 64 bits; these every cache stores alike. */
struct codec {
	uint32_t
		number; /* of what it writes (PROTOCOL.md, "Values"): what else is loaded, codec.h says */
	PyObject *dumps;    /* owned, and so the next three */
	PyObject *protocol; /* its second argument; NULL: it has none */
	PyObject *loads;    /* takes any buffer */
	PyObject *
		dumps_large; /* takes the object and its expected length; NULL: dumps does it */
	Py_ssize_t large; /* bytes of the last dump, if it was large; otherwise 0 */
};

/* From (number, dumps, protocol or None, loads, dumps_large or None). 0 or -1. */
int codec_init(struct codec *codec, PyObject *given);
void codec_done(struct codec *codec);

enum value_answer {
	VALUE_LOADED,
	VALUE_STRANGER, /* another uid's, and loading it would run code: not looked at */
	VALUE_OTHER_PYTHON, /* of another Python or protocol: not looked at */
	VALUE_UNKNOWN, /* of a codec that is not the cache's, or no shape of it: not looked at */
	VALUE_BROKEN, /* loading it raised an Exception, which is set */
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
enum value_answer value_load(struct state *state, const struct codec *codec,
			     const struct trust *trust, struct brine_value **value,
			     PyObject **ret_object);

/* An object as bytes to store. */
struct encoded {
	const void *data; /* borrows object, or counter */
	size_t len;
	PyObject
		*object; /* the bytes, str or memoryview that hold them; owned, or NULL */
	unsigned char counter[8];
	uint32_t codec;
	uint8_t kind;
};

/* *ret_encoded must not move while it is in use. -1: the codec cannot take the object, and why is set. */
int value_dump(struct codec *codec, PyObject *object, struct encoded *ret_encoded);
void encoded_done(struct encoded *encoded);

#endif
