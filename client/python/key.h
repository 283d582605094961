/* key.h - Python objects as keys (PROTOCOL.md, "Keys"): str, bytes, int, float, bool, None and tuples of these.
 * A class derived from one of them is the same key as its base. An EncodedKey stands for itself. */
#ifndef PYTHON_KEY_H
#define PYTHON_KEY_H

#include <Python.h>

#include "client/brine.h"

struct state;

/* Room for one key, and the key in it. */
struct key {
	const void *data; /* borrows room, or the object */
	size_t len;
	struct brine_key room;
};

/* Fills *ret_key, which borrows object. 0 or -1. */
int key_encode(struct state *state, PyObject *object, struct key *ret_key);

/* The same as a new bytes object. */
PyObject *key_to_bytes(struct state *state, PyObject *object);

/* An EncodedKey of bytes that are one. type: EncodedKey or a class derived from it. */
PyObject *key_from_bytes(PyTypeObject *type, PyObject *encoded);

#endif
