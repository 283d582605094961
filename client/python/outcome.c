/* outcome.c - what is rare: errors, values that cannot be loaded or dumped, units of time. Each is decided by a
 * method that brine.Cache defines: _failed, _not_loaded, _not_dumped, _of_script, _ttl_ms. */
#include <string.h>

#include "client/python/client.h"
#include "client/python/codec.h"
#include "client/python/script.h"
#include "client/python/state.h"

int
client_ready(struct client *self)
{
	if (self->state)
		return 0;
	PyErr_SetString(PyExc_RuntimeError, "Cache.__init__ was not called");
	return -1;
}

int
client_failed_one(struct client *self, int result, const char *message, const char *doing)
{
	PyObject *text, *answer;

	if (result == -BRINE_ERROR_INTERRUPTED && PyErr_Occurred())
		return -1;
	if (brine_error_class(result) == BRINE_OUTAGE)
		atomic_fetch_add(&self->outages, 1);
	text = PyUnicode_DecodeUTF8(message, (Py_ssize_t)strlen(message), "replace");
	if (!text)
		return -1;
	answer = PyObject_CallMethod((PyObject *)self, "_failed", "iisOs", -result,
				     (int)brine_error_class(result),
				     brine_error_name(result), text, doing);
	Py_DECREF(text);
	Py_XDECREF(answer);
	return answer ? 0 : -1;
}

int
client_failed(struct client *self, struct lane *lane, int result, const char *doing)
{
	const char *message = brine_message(lane->brine);
	int answer;

	answer = client_failed_one(self, result,
				   *message ? message : brine_error_text(result), doing);
	lanes_give(&self->lanes, lane);
	return answer;
}

static const char *const reasons[] = {
	[VALUE_STRANGER] = "stranger",
	[VALUE_OTHER_PYTHON] = "other python",
	[VALUE_UNKNOWN] = "unknown",
	[VALUE_BROKEN] = "broken",
};

/* Tells Python, with the exception that loading raised, if any. */
static int
not_loaded(struct client *self, PyObject *key, enum value_answer why, uint32_t codec,
	   uint32_t writer_uid)
{
	PyObject *type, *error, *trace, *answer;

	atomic_fetch_add(why == VALUE_STRANGER ? &self->strangers : &self->load_errors,
			 1);
	PyErr_Fetch(&type, &error, &trace);
	PyErr_NormalizeException(&type, &error, &trace);
	answer = PyObject_CallMethod((PyObject *)self, "_not_loaded", "OsOII", key,
				     reasons[why], error ? error : Py_None, codec,
				     writer_uid);
	Py_XDECREF(type);
	Py_XDECREF(error);
	Py_XDECREF(trace);
	Py_XDECREF(answer);
	return answer ? 0 : -1;
}

int
client_load(struct client *self, uint32_t uid, PyObject *key, struct brine_value **value,
	    PyObject **ret_object)
{
	const struct trust trust = { uid, self->trusted, self->trusted_count };
	uint32_t codec = brine_value_meta(*value)->codec;
	uint32_t writer_uid = brine_value_meta(*value)->writer_uid;
	enum value_answer answer =
		value_load(self->state, &self->codec, &trust, value, ret_object);

	if (answer == VALUE_LOADED)
		return 1;
	if (answer == VALUE_RAISED)
		return -1;
	return not_loaded(self, key, answer, codec, writer_uid);
}

/* Warns where a pickle names a class that only this script has. 0 or -1. */
static int
look_for_script(struct client *self, const struct encoded *encoded)
{
	size_t len;
	const char *name = script_name(encoded->data, encoded->len, &len);
	PyObject *text, *answer = NULL;

	if (!name)
		return 0;
	text = PyUnicode_DecodeUTF8(name, (Py_ssize_t)len, "replace");
	if (text)
		answer = PyObject_CallMethod((PyObject *)self, "_of_script", "O", text);
	Py_XDECREF(text);
	Py_XDECREF(answer);
	return answer ? 0 : -1;
}

int
client_dump(struct client *self, PyObject *object, struct encoded *ret_encoded)
{
	PyObject *type, *error, *trace, *answer;

	if (value_dump(&self->codec, object, ret_encoded) == 0) {
		if (codec_id(ret_encoded->codec) != CODEC_PICKLE ||
		    look_for_script(self, ret_encoded) == 0)
			return 0;
		encoded_done(ret_encoded);
		return -1;
	}
	if (!PyErr_ExceptionMatches(PyExc_Exception) ||
	    PyErr_ExceptionMatches(PyExc_MemoryError))
		return -1;
	PyErr_Fetch(&type, &error, &trace);
	PyErr_NormalizeException(&type, &error, &trace);
	answer =
		PyObject_CallMethod((PyObject *)self, "_not_dumped", "OO", object, error);
	Py_XDECREF(type);
	Py_XDECREF(error);
	Py_XDECREF(trace);
	if (answer) {
		Py_DECREF(answer);
		PyErr_SetString(PyExc_SystemError, "_not_dumped did not raise");
	}
	return -1;
}

int
client_ttl(struct client *self, PyObject *ttl, uint64_t *ret_ttl_ms)
{
	if (!ttl || ttl == Py_None || ttl == Py_Ellipsis) {
		*ret_ttl_ms = ttl == Py_None ? BRINE_NEVER : self->ttl_ms;
		return 0;
	}
	return client_ms(self, ttl, "ttl", ret_ttl_ms);
}

int
client_ms(struct client *self, PyObject *given, const char *name, uint64_t *ret_ms)
{
	PyObject *ms;
	uint64_t value;

	if (!given || given == Py_None) {
		*ret_ms = 0;
		return 0;
	}
	ms = PyObject_CallMethod((PyObject *)self, "_ttl_ms", "Os", given, name);
	if (!ms)
		return -1;
	value = PyLong_AsUnsignedLongLong(ms);
	Py_DECREF(ms);
	if (PyErr_Occurred())
		return -1;
	*ret_ms = value;
	return 0;
}

int
client_ack(PyObject *given, uint8_t *ret_ack)
{
	*ret_ack = BRINE_ACK_DEFAULT;
	if (!given || given == Py_None)
		return 0;
	if (PyUnicode_Check(given) &&
	    PyUnicode_CompareWithASCIIString(given, "memory") == 0)
		*ret_ack = BRINE_ACK_MEMORY;
	else if (PyUnicode_Check(given) &&
		 PyUnicode_CompareWithASCIIString(given, "disk") == 0)
		*ret_ack = BRINE_ACK_DISK;
	else
		PyErr_Format(PyExc_ValueError, "ack=%R: \"memory\" or \"disk\"", given);
	return PyErr_Occurred() ? -1 : 0;
}
