/* gets.c - many gets as one Request, for event loops: how they are asked, and what they come to. Owns nothing but what it
 * makes. */
#include "client/python/arguments.h"
#include "client/python/request.h"
#include "client/python/state.h"

/* More than an entry takes beside its key: its head, and all fields that such a get has. */
#define ENTRY_MAX 64

/* ---- asking */

/* Writes one more entry. 0 or -1. */
static int
add_get(struct request *request, PyObject *key, const struct brine_request *like,
	char *body, size_t size)
{
	struct brine_request get = *like;
	PyObject *encoded = key_to_bytes(request->client->state, key);
	Py_ssize_t len;
	char *bytes;
	int added = -1;

	if (encoded && PyBytes_AsStringAndSize(encoded, &bytes, &len) == 0) {
		get.key = bytes;
		get.key_len = (size_t)len;
		added = brine_batch_add(body, size, &request->value.len, &get);
		if (added != BRINE_DONE)
			PyErr_Format(PyExc_SystemError, "get_many: %s",
				     brine_error_text(added));
	}
	Py_XDECREF(encoded);
	return added == BRINE_DONE ? 0 : -1;
}

/* The body, of all gets. 0 or -1. */
static int
add_gets(struct request *request, const struct brine_request *like)
{
	Py_ssize_t count = PyTuple_Size(request->object);
	size_t size = (size_t)count * (BRINE_KEY_MAX + ENTRY_MAX);
	char *body;

	request->value.object = PyBytes_FromStringAndSize(NULL, (Py_ssize_t)size);
	if (!request->value.object)
		return -1;
	body = PyBytes_AsString(request->value.object);
	for (Py_ssize_t i = 0; i < count; i++)
		if (add_get(request, PyTuple_GetItem(request->object, i), like, body,
			    size) < 0)
			return -1;
	request->value.data = body;
	request->asked.value = body;
	request->asked.value_len = request->value.len;
	return 0;
}

PyObject *
ask_gets(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
	struct client *self = client_of(object);
	struct brine_request like = { .command = BRINE_GET };
	struct request *request;

	if (client_ready(self) < 0)
		return NULL;
	if (count != 3 || !PyTuple_Check(args[0]) ||
	    PyTuple_Size(args[0]) > BRINE_BATCH_ENTRIES) {
		PyErr_SetString(PyExc_TypeError, "_ask_gets(keys, max_age, stale)");
		return NULL;
	}
	if (client_ms(self, args[1], "max_age", &like.max_age_ms) < 0 ||
	    argument_truth(args[2], "stale", &like.stale_ok) < 0)
		return NULL;
	request = request_new(self, BRINE_BATCH, "get_many", NULL);
	if (!request)
		return NULL;
	Py_INCREF(args[0]);
	request->object = args[0];
	if (add_gets(request, &like) < 0) {
		Py_DECREF(&request->ob_base);
		return NULL;
	}
	return &request->ob_base;
}

/* ---- what they come to */

/* One answer. 1: it is to be asked for alone; 0; or -1. */
static int
take_one(struct request *request, PyObject *key, struct brine_reply *reply,
	 PyObject *found)
{
	PyObject *object;
	int loaded;

	if (reply->result != BRINE_HIT)
		return reply->result == BRINE_ALONE;
	loaded = reply->value ? client_load(request->client, request->uid, key,
					    &reply->value, &object)
			      : 0;
	if (loaded <= 0)
		return loaded;
	loaded = PyDict_SetItem(found, key, object);
	Py_DECREF(object);
	return loaded;
}

/* Where the answer ends too early, or one get failed, the rest of them is asked for alone. */
static int
take_all(struct request *request, PyObject *found, PyObject *alone)
{
	const struct brine_value *answer = request->reply.value;
	size_t position = 0;
	struct brine_reply reply;

	for (Py_ssize_t i = 0; i < PyTuple_Size(request->object); i++) {
		PyObject *key = PyTuple_GetItem(request->object, i);
		int left = 1;

		if (answer && brine_batch_next(answer, &position, &reply) == BRINE_HIT) {
			left = take_one(request, key, &reply, found);
			brine_value_release(&reply.value);
		} else {
			answer = NULL;
		}
		if (left < 0 || (left && PyList_Append(alone, key) < 0))
			return -1;
	}
	return 0;
}

PyObject *
request_gets(PyObject *self, PyObject *found)
{
	struct request *request = request_of(self);
	int result = request->reply.result;
	PyObject *alone = PyList_New(0);
	/* A daemon that knows no batches, or has something against one of the gets: they are asked for one by one. */
	bool whole = result >= 0 || brine_error_class(result) == BRINE_REFUSAL;

	if (alone &&
	    (whole ? take_all(request, found, alone) : request_tell(request)) < 0)
		Py_CLEAR(alone);
	brine_value_release(&request->reply.value);
	return alone;
}
