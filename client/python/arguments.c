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

/* ---- of what kind they are */

int
argument_refuse(PyObject *exception, const char *name, PyObject *given, const char *wants)
{
	PyObject *type = PyType_GetQualName(Py_TYPE(given));

	if (type)
		PyErr_Format(exception, "%s=%.80R: %s, not %U", name, given, wants, type);
	Py_XDECREF(type);
	return -1;
}

int
argument_int(PyObject *given, const char *name, int64_t *ret_value)
{
	PyObject *number;
	long long value;
	int overflow;

	if (!given)
		return 0;
	if (!PyIndex_Check(given))
		return argument_refuse(PyExc_TypeError, name, given, "an int");
	number = PyNumber_Index(given);
	if (!number)
		return -1;
	value = PyLong_AsLongLongAndOverflow(number, &overflow);
	Py_DECREF(number);
	if (overflow) {
		PyErr_Format(
			PyExc_OverflowError,
			"%s=%.80R: a counter has 64 bits, so an int from -2**63 to 2**63-1",
			name, given);
		return -1;
	}
	*ret_value = value;
	return PyErr_Occurred() ? -1 : 0;
}

int
argument_version(PyObject *given, uint64_t *ret_version)
{
	uint64_t version;

	if (!PyLong_Check(given))
		return argument_refuse(PyExc_TypeError, "version", given,
				       "the version of an Entry");
	version = PyLong_AsUnsignedLongLong(given);
	if (PyErr_Occurred()) {
		PyErr_Clear();
		PyErr_Format(
			PyExc_ValueError,
			"version=%.80R: the version of an Entry, which is positive and "
			"has 64 bits",
			given);
		return -1;
	}
	*ret_version = version;
	return 0;
}

int
argument_truth(PyObject *given, const char *name, uint8_t *ret_truth)
{
	if (given && !PyBool_Check(given))
		return argument_refuse(PyExc_TypeError, name, given, "True or False");
	if (given)
		*ret_truth = given == Py_True;
	return 0;
}

PyObject *
argument_list(PyObject *given, const char *name, const char *wants)
{
	PyObject *items, *list;

	if (PyUnicode_Check(given) || PyBytes_Check(given))
		return PyErr_Format(PyExc_TypeError, "%s=%.80R: %s, not one", name, given,
				    wants);
	items = PyObject_GetIter(given);
	if (!items && PyErr_ExceptionMatches(PyExc_TypeError)) {
		PyErr_Clear();
		argument_refuse(PyExc_TypeError, name, given, wants);
	}
	list = items ? PySequence_List(items) : NULL;
	Py_XDECREF(items);
	return list;
}
