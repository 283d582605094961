/* request.c - the type Request: what an answer comes to. Its methods say in Python what get.c, put.c and turn.c
 * return for the blocking calls. */
#include "client/python/request.h"

#include <assert.h>

#include "client/python/state.h"
#include "client/python/turn.h"

/* ---- its life */

struct request *
request_new(struct client *client, enum brine_command command, const char *doing,
	    PyObject *object)
{
	struct request *request;
	Py_ssize_t len;
	char *bytes;

	request = (struct request *)PyType_GenericAlloc(client->state->request_type, 0);
	if (!request)
		return NULL;
	Py_INCREF(&client->ob_base);
	request->client = client;
	request->doing = doing;
	request->asked.command = command;
	request->asked.namespace_name = client->lanes.options.namespace_name;
	if (!object)
		return request;
	Py_INCREF(object);
	request->object = object;
	request->key = key_to_bytes(client->state, object);
	if (!request->key || PyBytes_AsStringAndSize(request->key, &bytes, &len) < 0) {
		Py_DECREF(&request->ob_base);
		return NULL;
	}
	request->asked.key = bytes;
	request->asked.key_len = (size_t)len;
	return request;
}

static int
request_traverse(PyObject *self, visitproc visit, void *arg)
{
	struct request *request = request_of(self);

	Py_VISIT(Py_TYPE(self));
	Py_VISIT((PyObject *)request->client);
	Py_VISIT(request->object);
	Py_VISIT(request->inherited);
	Py_VISIT(request->future);
	return 0;
}

static int
request_clear(PyObject *self)
{
	struct request *request = request_of(self);

	Py_CLEAR(request->future);
	Py_CLEAR(request->inherited);
	return 0;
}

static void
request_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
	struct request *request = request_of(self);

	PyObject_GC_UnTrack(self);
	request_clear(self);
	brine_value_release(&request->reply.value);
	encoded_done(&request->value);
	Py_XDECREF((PyObject *)request->client);
	Py_XDECREF(request->object);
	Py_XDECREF(request->key);
	Py_XDECREF(request->tags);
	Py_XDECREF(request->message);
	release(self);
	Py_DECREF(type);
}

/* ---- its answer */

/* A refused value's size, which the daemon's sentence does not have. */
static PyObject *
with_size(struct request *request, PyObject *message)
{
	PyObject *more;

	if (!message || request->reply.result != -BRINE_ERROR_TOO_LARGE ||
	    request->asked.command != BRINE_PUT)
		return message;
	more = PyUnicode_FromFormat("%U; this one has %zu bytes", message,
				    request->value.len);
	Py_DECREF(message);
	if (!more)
		PyErr_Clear(); /* request_tell() has its number's text */
	return more;
}

void
request_answer(struct request *request, struct brine_reply *reply, PyObject *message)
{
	request->state = REQUEST_ANSWERED;
	brine_value_release(&request->reply.value);
	request->reply = *reply;
	reply->value = NULL;
	Py_XDECREF(request->message);
	request->message = with_size(request, message);
}

bool
request_gives_back(const struct request *request, struct brine_request *ret_release)
{
	if (request->reply.lease.state != BRINE_LEASE_GRANTED || !request->asked.lease)
		return false;
	*ret_release = (struct brine_request){
		.command = BRINE_RELEASE,
		.namespace_name = request->asked.namespace_name,
		.key = request->asked.key,
		.key_len = request->asked.key_len,
		.token = request->reply.lease.token,
		.give_up = BRINE_FAILED,
	};
	return true;
}

/* May it be sent again, and is that of use? */
static bool
sent_again(const struct brine_reply *reply)
{
	switch (-reply->result) {
	case BRINE_ERROR_CUT_OFF:
	case BRINE_ERROR_UNREACHABLE:
	case BRINE_ERROR_SHUTTING_DOWN:
	case BRINE_ERROR_UNSUPPORTED:
		return reply->again;
	default:
		return false;
	}
}

int
request_tell(struct request *request)
{
	const char *message = NULL;

	if (request->message)
		message = PyUnicode_AsUTF8AndSize(request->message, NULL);
	if (!message) {
		PyErr_Clear();
		message = brine_error_text(request->reply.result);
	}
	return client_failed_one(request->client, request->reply.result, message,
				 request->doing);
}

/* 1 and a new reference; 0: it is a miss; or -1. */
static int
load(struct request *request, PyObject **ret_object)
{
	if (request->reply.result < 0)
		return request_tell(request);
	if (request->reply.result != BRINE_HIT || !request->reply.value)
		return 0;
	return client_load(request->client, request->uid, request->object,
			   &request->reply.value, ret_object);
}

static PyObject *
new_reference(PyObject *object)
{
	Py_INCREF(object);
	return object;
}

static PyObject *
request_value(PyObject *self, PyObject *otherwise)
{
	PyObject *object;
	int found = load(request_of(self), &object);

	if (found < 0)
		return NULL;
	return found ? object : new_reference(otherwise);
}

static PyObject *
request_entry(PyObject *self, PyObject *unused)
{
	struct request *request = request_of(self);
	PyObject *object, *entry;
	int found = load(request, &object);

	(void)unused;
	if (found < 0)
		return NULL;
	if (found == 0)
		Py_RETURN_NONE;
	entry = client_entry_tuple(object, &request->reply.meta);
	Py_DECREF(object);
	return entry;
}

/* Was it done? False also where the condition did not hold, the object was absent, or an outage was told. */
static PyObject *
request_done(PyObject *self, PyObject *unused)
{
	struct request *request = request_of(self);
	int result = request->reply.result;
	bool condition = result < 0 && request->asked.condition != BRINE_ALWAYS &&
			 brine_error_class(result) == BRINE_CONDITION;

	(void)unused;
	if (result < 0 && !condition && request_tell(request) < 0)
		return NULL;
	return PyBool_FromLong(result == BRINE_DONE);
}

/* It was not loaded, and is asked for no more. A new reference to the request, which is to be sent again. */
static PyObject *
ask_without(struct request *request)
{
	request->asked.not_version = request->reply.meta.version;
	request->state = REQUEST_NEW;
	return new_reference(&request->ob_base);
}

/* Of what stores unless there is something: what is there; or default, which was stored; or the request itself, where
 * what is there cannot be loaded: asked again, it stores in its place. */
static PyObject *
request_found(PyObject *self, PyObject *stored)
{
	struct request *request = request_of(self);
	const struct brine_reply *reply = &request->reply;
	bool damaged = reply->result == -BRINE_ERROR_DAMAGED && reply->meta.version;
	PyObject *object;
	int found;

	if (reply->result == BRINE_MISS)
		return new_reference(stored);
	found = damaged ? 0 : load(request, &object);
	if (found < 0)
		return NULL;
	return found ? object : ask_without(request);
}

static PyObject *
request_count(PyObject *self, PyObject *unused)
{
	struct request *request = request_of(self);
	int64_t value = request->reply.counter;
	int result = request->reply.result;

	(void)unused;
	if (result == -BRINE_ERROR_DISABLED) {
		if (client_count_nothing(request->asked.initial, request->asked.delta,
					 &value) < 0)
			return NULL;
	} else if (result < 0) {
		if (request_tell(request) == 0)
			PyErr_SetString(PyExc_SystemError, "_failed did not raise");
		return NULL;
	}
	return PyLong_FromLongLong(value);
}

static PyObject *
keys_of(const struct brine_value *page, struct request *request)
{
	PyObject *keys = PyList_New(0), *key;
	struct brine_entry entry;
	size_t position = 0;
	int result = BRINE_MISS;

	while (keys && page &&
	       (result = brine_page_next(page, &position, &entry)) == BRINE_HIT) {
		key = PyBytes_FromStringAndSize(entry.key, (Py_ssize_t)entry.key_len);
		if (!key || PyList_Append(keys, key) < 0)
			Py_CLEAR(keys);
		Py_XDECREF(key);
	}
	if (!keys || result == BRINE_MISS)
		return keys;
	Py_DECREF(keys);
	request->reply.result = result;
	request_tell(request);
	return NULL;
}

/* An error raises in any case: keys that are silently missing would be believed. */
static PyObject *
request_page(PyObject *self, PyObject *unused)
{
	struct request *request = request_of(self);
	struct brine_reply *reply = &request->reply;
	PyObject *keys;

	(void)unused;
	if (reply->result < 0) {
		if (request_tell(request) == 0)
			PyErr_SetString(PyExc_SystemError, "_failed did not raise");
		return NULL;
	}
	keys = keys_of(reply->value, request);
	brine_value_release(&reply->value);
	request->asked.cursor = reply->cursor;
	request->asked.cursor_len = reply->cursor_len;
	request->state = REQUEST_NEW;
	return keys;
}

static PyObject *
request_stats(PyObject *self, PyObject *unused)
{
	struct request *request = request_of(self);

	(void)unused;
	if (request->reply.result < 0 && request_tell(request) < 0)
		return NULL;
	return request->reply.value ? client_stats_list(request->reply.value)
				    : PyList_New(0);
}

/* ---- its answer, where it asked for a lease */

/* The value, or a Turn; or the request itself: the value cannot be loaded, and what is asked now is without it. Not so
 * if this was the last try: somebody stores again and again what does not load here. */
static PyObject *
request_turn(PyObject *self, PyObject *last)
{
	struct request *request = request_of(self);
	struct brine_reply *reply = &request->reply;
	const struct brine_lease *lease = &reply->lease;
	bool granted = reply->result >= 0 && lease->state == BRINE_LEASE_GRANTED;
	PyObject *object;
	int found;

	if (reply->result == BRINE_HIT && !granted) {
		found = load(request, &object);
		if (found < 0 || found > 0)
			return found < 0 ? NULL : object;
		return last == Py_True ? turn_awaited(request, NULL)
				       : ask_without(request);
	}
	if (reply->result < 0 && request_tell(request) < 0)
		return NULL;
	brine_value_release(&reply->value); /* a stale one, which this caller refreshes */
	return turn_awaited(request, granted ? lease->token : NULL);
}

/* How long it may park: in ms; 0: for ever, UINT64_MAX: not at all. */
static PyObject *
request_park(PyObject *self, PyObject *given)
{
	struct request *request = request_of(self);

	assert(request->state != REQUEST_UNDER_WAY); /* it is counted as what it is */
	request->asked.wait_ms = PyLong_AsUnsignedLongLong(given);
	if (PyErr_Occurred())
		return NULL;
	request->state = REQUEST_NEW;
	Py_RETURN_NONE;
}

/* ---- asking again */

static PyObject *
request_renew(PyObject *self, PyObject *unused)
{
	(void)unused;
	assert(request_of(self)->state != REQUEST_UNDER_WAY);
	request_of(self)->state = REQUEST_NEW;
	Py_RETURN_NONE;
}

static PyObject *
request_fail(PyObject *self, PyObject *args)
{
	struct brine_reply reply = { .entry = BRINE_UNKNOWN };
	PyObject *message;

	if (!PyArg_ParseTuple(args, "iO!:fail", &reply.result, &PyUnicode_Type, &message))
		return NULL;
	request_answer(request_of(self), &reply, new_reference(message));
	Py_RETURN_NONE;
}

static PyObject *
request_after_cut(PyObject *self, PyObject *unused)
{
	struct request *request = request_of(self);
	struct brine_reply *reply = &request->reply;
	int result = brine_request_after_cut(&request->asked, reply->result);

	(void)unused;
	if (result != reply->result) {
		reply->result = result;
		Py_XDECREF(request->message);
		request->message = PyUnicode_FromString(
			"the connection to the daemon broke before the answer, which may have been that it is "
			"done; sent again it was not done");
		if (!request->message)
			return NULL;
	}
	Py_RETURN_NONE;
}

/* ---- the type */

static PyObject *
request_get_result(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromLong(request_of(self)->reply.result);
}

static PyObject *
request_get_answered(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(request_of(self)->state == REQUEST_ANSWERED);
}

static PyObject *
request_get_again(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(sent_again(&request_of(self)->reply));
}

static PyObject *
request_get_more(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(request_of(self)->asked.cursor_len > 0);
}

/* Of what was found, 0 where nothing was: also where it cannot be loaded. */
static PyObject *
request_get_version(PyObject *self, void *unused)
{
	const struct brine_reply *reply = &request_of(self)->reply;

	(void)unused;
	return PyLong_FromUnsignedLongLong(
		reply->result == BRINE_HIT ? reply->meta.version : 0);
}

static PyObject *
request_get_waited(PyObject *self, void *unused)
{
	const struct brine_reply *reply = &request_of(self)->reply;

	(void)unused;
	return PyBool_FromLong(reply->result == BRINE_MISS &&
			       reply->lease.state == BRINE_LEASE_WAITED);
}

static PyMethodDef methods[] = {
	{ "value", request_value, METH_O,
	  "value(default): of what reads: what is stored, or default" },
	{ "entry", request_entry, METH_NOARGS, "entry(): the same, as a tuple, or None" },
	{ "done", request_done, METH_NOARGS, "done(): of what changes: whether it did" },
	{ "gets", request_gets, METH_O,
	  "gets(found): of many gets: puts into a dict what is stored; a list of keys that are to be asked for alone" },
	{ "found", request_found, METH_O,
	  "found(default): of what stores unless there is something: what is there, or default; or this request, to be "
	  "asked again" },
	{ "count", request_count, METH_NOARGS, "count(): of a counter: its sum" },
	{ "page", request_page, METH_NOARGS,
	  "page(): of a scan: encoded keys; more says whether to ask on" },
	{ "stats", request_stats, METH_NOARGS,
	  "stats(): a list of (scope, name, value)" },
	{ "turn", request_turn, METH_O,
	  "turn(last): of a lease: the value, a Turn, or this request, to be asked again" },
	{ "park", request_park, METH_O, "park(wait_ms): before it is sent" },
	{ "renew", request_renew, METH_NOARGS, "renew(): to be sent again" },
	{ "fail", request_fail, METH_VARARGS,
	  "fail(result, message): it cannot be sent" },
	{ "after_cut", request_after_cut, METH_NOARGS,
	  "after_cut(): an earlier sending was cut off, too" },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef attributes[] = {
	{ "result", request_get_result, NULL,
	  "0 and up: an answer; else an error's number, negative.", NULL },
	{ "answered", request_get_answered, NULL, "Is there an answer?", NULL },
	{ "again", request_get_again, NULL, "May it be sent again, and is that of use?",
	  NULL },
	{ "more", request_get_more, NULL, "Has the scan another page?", NULL },
	{ "version", request_get_version, NULL, "Of what was found, or 0.", NULL },
	{ "waited", request_get_waited, NULL, "Was it parked in vain?", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_dealloc, request_dealloc }, { Py_tp_traverse, request_traverse },
	{ Py_tp_clear, request_clear },     { Py_tp_methods, methods },
	{ Py_tp_getset, attributes },       { 0, NULL },
};

PyType_Spec request_spec = {
	.name = "brine._brine.Request",
	.basicsize = sizeof(struct request),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
		 Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};
