/* structure.h - arguments by content: equal objects give equal bytes, in every process (PROTOCOL.md, "Memoized calls").
 *
 * Here are the types that most arguments have, and none derived from them: None, bool, int, float, complex, str, bytes,
 * tuple, list, dict, set, frozenset. The rest is brine/_structure.py's. */
#ifndef PYTHON_STRUCTURE_H
#define PYTHON_STRUCTURE_H

#include <Python.h>

/* For Python: encode_structure(*values), the encodings one behind the other, as bytes. TypeError: one has none. */
PyObject *structure_encode(PyObject *module, PyObject *const *args, Py_ssize_t count);

/* For Python: encode_call(prefix, values, type), the key of a call: an EncodedKey of that type. prefix: bytes, which are
 * kept as they are. values: a tuple. */
PyObject *structure_encode_call(PyObject *module, PyObject *const *args,
				Py_ssize_t count);

#endif
