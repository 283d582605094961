/* arguments.h - what a method was called with, by position and by name, without a tuple or a dict being made; and what
 * each of it has to be. An exception names the argument, what was given, and what is wanted. */
#ifndef PYTHON_ARGUMENTS_H
#define PYTHON_ARGUMENTS_H

#include <Python.h>
#include <stdint.h>

#define PARAMETERS_MAX 8

struct signature {
	const char *function;
	const char *names[PARAMETERS_MAX];
	int required, positional, count; /* those behind `positional` are given by name */
};

/* Fills ret_values with borrowed references, NULL for what was not given. 0, or -1 and a TypeError. */
int arguments(const struct signature *signature, PyObject *const *args, Py_ssize_t count,
	      PyObject *names, PyObject *ret_values[PARAMETERS_MAX]);

/* Each: 0, or -1 and an exception. `given` may be NULL where it was not: *ret stays as it is. */

/* An int (or what stands for one, such as a numpy scalar). OverflowError: of more than 64 bits. */
int argument_int(PyObject *given, const char *name, int64_t *ret_value);
/* An Entry's version. */
int argument_version(PyObject *given, uint64_t *ret_version);
/* True or False, and nothing that merely counts as one: stale="1h" means something else elsewhere. */
int argument_truth(PyObject *given, const char *name, uint8_t *ret_truth);

/* A new list of what it iterates over, or NULL and a TypeError. A text is none: its letters are hardly meant.
 * wants: "a list of keys". */
PyObject *argument_list(PyObject *given, const char *name, const char *wants);

/* Sets the exception: NAME=GIVEN: WANTS, not TYPE. -1. */
int argument_refuse(PyObject *exception, const char *name, PyObject *given,
		    const char *wants);

#endif
