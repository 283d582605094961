/* state.h - what one interpreter's copy of the module owns, and the types that make it up.
 *
 * Nothing mutable is static, so every subinterpreter has its own. Everything in this folder wants the GIL,
 * and gives it back only while it waits for the daemon. NULL, -1: a Python exception is set. */
#ifndef PYTHON_STATE_H
#define PYTHON_STATE_H

#include <Python.h>

struct state {
	PyTypeObject *async_client_type;
	PyTypeObject *client_type;
	PyTypeObject *key_type;
	PyTypeObject *request_type;
	PyTypeObject *scan_type;
	PyTypeObject *turn_type;
	PyTypeObject *value_type;
	PyTypeObject *wire_type;
	PyObject *encode_other; /* of brine._structure; NULL: not asked for yet */
	PyObject *set_result;   /* the name */
	uint64_t holder_base, holder_count; /* of the holder ids that turn.c makes */
};

/* Of one of the types above, or of a class derived from it. Borrowed from the type. */
struct state *state_of(PyTypeObject *type);

extern PyType_Spec async_client_spec, client_spec, key_spec, request_spec, scan_spec,
	turn_spec, value_spec, wire_spec;

#endif
