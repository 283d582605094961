/* run.h - a length and what is behind it, or its digest: the one part of an encoded argument that may be large. */
#ifndef PYTHON_RUN_H
#define PYTHON_RUN_H

#include <Python.h>
#include <stdbool.h>
#include <stddef.h>

#include "client/python/encoding.h"

/* Up to so many bytes stand there as they are. */
#define RUN_PLAIN_MAX 1024

/* From so many on, numbers are hashed at the speed of memory. */
#define RUN_NUMBERS_MIN ((size_t)1 << 20)

/* Adds a run of bytes; gives the GIL back while it hashes many, so they must not move. numbers: they are an array's
 * and not what somebody could choose to make two alike. 0, or -1 and an exception. */
int run_add(struct encoding *encoding, const void *bytes, size_t len, bool numbers);

/* For Python: encode_run(buffer, numbers=False). */
PyObject *run_encode(PyObject *module, PyObject *const *args, Py_ssize_t count);

#endif
