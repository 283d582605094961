/* arguments.c - matches what was given with a method's parameters. Owns nothing. */
#include "client/python/arguments.h"

#include <string.h>

static int
parameter_named(const struct signature *signature, PyObject *name)
{
	for (int i = 0; i < signature->count; i++)
		if (PyUnicode_CompareWithASCIIString(name, signature->names[i]) == 0)
			return i;
	PyErr_Format(PyExc_TypeError, "%s() has no parameter %R", signature->function,
		     name);
	return -1;
}

int
arguments(const struct signature *signature, PyObject *const *args, Py_ssize_t count,
	  PyObject *names, PyObject *ret_values[PARAMETERS_MAX])
{
	memset(ret_values, 0, PARAMETERS_MAX * sizeof(*ret_values));
	if (count > signature->positional) {
		PyErr_Format(PyExc_TypeError,
			     "%s() takes at most %d arguments%s, %zd were given",
			     signature->function, signature->positional,
			     signature->positional < signature->count ? " without a name"
								      : "",
			     count);
		return -1;
	}
	for (Py_ssize_t i = 0; i < count; i++)
		ret_values[i] = args[i];
	for (Py_ssize_t i = 0; names && i < PyTuple_Size(names); i++) {
		PyObject *name = PyTuple_GetItem(names, i);
		int at = parameter_named(signature, name);

		if (at < 0)
			return -1;
		if (ret_values[at]) {
			PyErr_Format(PyExc_TypeError, "%s() got %R twice",
				     signature->function, name);
			return -1;
		}
		ret_values[at] = args[count + i];
	}
	for (int i = 0; i < signature->required; i++) {
		if (ret_values[i])
			continue;
		PyErr_Format(PyExc_TypeError, "%s() misses its argument '%s'",
			     signature->function, signature->names[i]);
		return -1;
	}
	return 0;
}
