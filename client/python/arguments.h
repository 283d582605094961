/* arguments.h - what a method was called with, by position and by name, without a tuple or a dict being made. */
#ifndef PYTHON_ARGUMENTS_H
#define PYTHON_ARGUMENTS_H

#include <Python.h>

#define PARAMETERS_MAX 8

struct signature {
	const char *function;
	const char *names[PARAMETERS_MAX];
	int required, positional, count; /* those behind `positional` are given by name */
};

/* Fills ret_values with borrowed references, NULL for what was not given. 0, or -1 and a TypeError. */
int arguments(const struct signature *signature, PyObject *const *args, Py_ssize_t count,
	      PyObject *names, PyObject *ret_values[PARAMETERS_MAX]);

#endif
