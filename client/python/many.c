/* many.c - get_many, set_many and delete_many: requests in runs of bounded size, each run with one wait. */
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "client/python/arguments.h"
#include "client/python/client.h"
#include "client/python/state.h"

/* Of one run: so many requests, and so many bytes of values before the next one is begun. */
#define RUN_MAX 256
#define RUN_BYTES ((size_t)8 << 20)

struct run {
	struct brine_request requests[RUN_MAX];
	struct brine_reply replies[RUN_MAX];
	PyObject *objects[RUN_MAX]; /* the keys as given, owned */
	PyObject *keys[RUN_MAX];    /* encoded, owned */
	struct encoded values[RUN_MAX];
	size_t count, bytes;
	uint32_t uid; /* that asked */
	bool away;    /* the daemon is: ask no more */
};

static struct run *
run_new(void)
{
	struct run *run = calloc(1, sizeof(*run));

	if (!run)
		PyErr_NoMemory();
	return run;
}

static void
run_empty(struct run *run)
{
	brine_replies_release(run->replies, run->count);
	for (size_t i = 0; i < run->count; i++) {
		Py_CLEAR(run->objects[i]);
		Py_CLEAR(run->keys[i]);
		encoded_done(&run->values[i]);
	}
	memset(run->requests, 0, run->count * sizeof(run->requests[0]));
	memset(run->replies, 0, run->count * sizeof(run->replies[0]));
	run->count = 0;
	run->bytes = 0;
}

static void
run_free(struct run *run)
{
	if (run)
		run_empty(run);
	free(run);
}

static bool
run_full(const struct run *run)
{
	return run->count == RUN_MAX || run->bytes >= RUN_BYTES;
}

/* The next request, its key filled in. NULL: the key is none. */
static struct brine_request *
run_add(struct run *run, struct state *state, PyObject *object)
{
	struct brine_request *request = &run->requests[run->count];
	PyObject *key = key_to_bytes(state, object);
	Py_ssize_t len;
	char *bytes;

	if (!key || PyBytes_AsStringAndSize(key, &bytes, &len) < 0) {
		Py_XDECREF(key);
		return NULL;
	}
	request->key = bytes;
	request->key_len = (size_t)len;
	Py_INCREF(object);
	run->objects[run->count] = object;
	run->keys[run->count] = key;
	run->count++;
	return request;
}

/* Asks, and reports what was not answered at all. 0 or -1. */
static int
run_ask(struct client *self, struct run *run, const char *doing)
{
	struct lane *lane = lanes_take(&self->lanes);
	int result;

	if (!lane)
		return -1;
	lane_wait(lane);
	result = brine_many(lane->brine, run->requests, run->count, run->replies);
	lane_resume(lane);
	if (result < 0) {
		run->away = true;
		return client_failed(self, lane, result, doing);
	}
	run->uid = brine_uid(lane->brine);
	lanes_give(&self->lanes, lane);
	return 0;
}

/* One request's own error. What kept the whole run from its answers was told by run_ask(). */
static int
run_failed(struct client *self, struct run *run, size_t i, const char *doing)
{
	int result = run->replies[i].result;

	if (run->away && brine_error_class(result) == BRINE_OUTAGE)
		return 0;
	return client_failed_one(self, result, brine_error_text(result), doing);
}

/* ---- get_many */

static int
take_reply(struct client *self, struct run *run, size_t i, PyObject *found)
{
	struct brine_reply *reply = &run->replies[i];
	PyObject *value;
	int result;

	if (reply->result < 0)
		return run_failed(self, run, i, "get_many");
	if (reply->result != BRINE_HIT || !reply->value)
		return 0;
	result = client_load(self, run->uid, run->objects[i], &reply->value, &value);
	if (result <= 0)
		return result;
	result = PyDict_SetItem(found, run->objects[i], value);
	Py_DECREF(value);
	return result;
}

static int
get_run(struct client *self, struct run *run, PyObject *found)
{
	int result = run_ask(self, run, "get_many");

	for (size_t i = 0; i < run->count && result == 0; i++)
		result = take_reply(self, run, i, found);
	run_empty(run);
	return result;
}

static int
get_all(struct client *self, struct run *run, PyObject *keys,
	const struct brine_get_options *options, PyObject *found)
{
	Py_ssize_t count = PyList_Size(keys);

	for (Py_ssize_t i = 0; i < count && !run->away; i++) {
		struct brine_request *request =
			run_add(run, self->state, PyList_GetItem(keys, i));

		if (!request)
			return -1;
		request->command = BRINE_GET;
		request->max_age_ms = options->max_age_ms;
		request->stale_ok = options->stale_ok;
		if ((run_full(run) || i + 1 == count) && get_run(self, run, found) < 0)
			return -1;
	}
	return 0;
}

PyObject *
client_get_many(PyObject *object, PyObject *const *args, Py_ssize_t count,
		PyObject *names)
{
	static const struct signature signature = {
		"get_many", { "keys", "max_age", "stale" }, 1, 1, 3
	};
	struct client *self = client_of(object);
	struct brine_get_options options = { 0 };
	PyObject *given[PARAMETERS_MAX], *list, *found;
	struct run *run;

	if (client_ready(self) < 0 ||
	    arguments(&signature, args, count, names, given) < 0 ||
	    client_ms(self, given[1], "max_age", &options.max_age_ms) < 0 ||
	    argument_truth(given[2], "stale", &options.stale_ok) < 0)
		return NULL;
	list = argument_list(given[0], "keys", "a list of keys");
	found = list ? PyDict_New() : NULL;
	run = found ? run_new() : NULL;
	if (!run || get_all(self, run, list, &options, found) < 0)
		Py_CLEAR(found);
	run_free(run);
	Py_XDECREF(list);
	return found;
}

/* ---- set_many */

/* A new list of pairs. */
static PyObject *
items_listed(PyObject *mapping)
{
	if (!PyObject_HasAttrString(mapping, "items"))
		return PyErr_Format(
			PyExc_TypeError,
			"set_many() takes a mapping, such as a dict, not %.80R; "
			"update() takes pairs too",
			mapping);
	return PyMapping_Items(mapping);
}

static int
set_run(struct client *self, struct run *run)
{
	int result = run_ask(self, run, "set_many");

	for (size_t i = 0; i < run->count && result == 0; i++)
		if (run->replies[i].result < 0)
			result = run_failed(self, run, i, "set_many");
	run_empty(run);
	return result;
}

static int
add_put(struct client *self, struct run *run, PyObject *item,
	const struct brine_put_options *options)
{
	struct encoded *encoded = &run->values[run->count];
	PyObject *key, *value;
	struct brine_request *request;

	if (!PyArg_ParseTuple(item, "OO", &key, &value))
		return -1;
	request = run_add(run, self->state, key);
	if (!request || client_dump(self, value, encoded) < 0)
		return -1;
	request->command = BRINE_PUT;
	request->value = encoded->data;
	request->value_len = encoded->len;
	request->codec = encoded->codec;
	request->kind = encoded->kind;
	request->ttl_ms = options->ttl_ms;
	request->stale_ms = options->stale_ms;
	request->tags = options->tags;
	request->tags_len = options->tags_len;
	request->ack = options->ack;
	run->bytes += encoded->len;
	return 0;
}

static int
set_all(struct client *self, struct run *run, PyObject *items,
	const struct brine_put_options *options)
{
	Py_ssize_t count = PyList_Size(items);

	for (Py_ssize_t i = 0; i < count && !run->away; i++) {
		if (add_put(self, run, PyList_GetItem(items, i), options) < 0)
			return -1;
		if ((run_full(run) || i + 1 == count) && set_run(self, run) < 0)
			return -1;
	}
	return 0;
}

PyObject *
client_set_many(PyObject *object, PyObject *const *args, Py_ssize_t count,
		PyObject *names)
{
	static const struct signature signature = {
		"set_many", { "mapping", "ttl", "stale", "tags", "ack" }, 1, 2, 5
	};
	struct client *self = client_of(object);
	struct brine_put_options options = { 0 };
	PyObject *given[PARAMETERS_MAX], *items;
	unsigned char tags[BRINE_TAGS_SIZE];
	struct run *run = NULL;
	int result = -1;

	options.tags = tags;
	if (client_ready(self) < 0 ||
	    arguments(&signature, args, count, names, given) < 0 ||
	    client_ttl(self, given[1], &options.ttl_ms) < 0 ||
	    client_ms(self, given[2], "stale", &options.stale_ms) < 0 ||
	    client_ack(given[4], &options.ack) < 0 ||
	    (given[3] && tags_encode(given[3], tags, &options.tags_len) < 0))
		return NULL;
	items = items_listed(given[0]);
	if (items)
		run = run_new();
	if (run)
		result = set_all(self, run, items, &options);
	run_free(run);
	Py_XDECREF(items);
	if (result < 0)
		return NULL;
	Py_RETURN_NONE;
}

/* ---- delete_many */

static int
delete_run(struct client *self, struct run *run, size_t *deleted)
{
	int result = run_ask(self, run, "delete_many");

	for (size_t i = 0; i < run->count && result == 0; i++) {
		if (run->replies[i].result < 0)
			result = run_failed(self, run, i, "delete_many");
		else if (run->replies[i].result == BRINE_DONE)
			++*deleted;
	}
	run_empty(run);
	return result;
}

static int
delete_all(struct client *self, struct run *run, PyObject *keys, size_t *deleted)
{
	Py_ssize_t count = PyList_Size(keys);

	for (Py_ssize_t i = 0; i < count && !run->away; i++) {
		struct brine_request *request =
			run_add(run, self->state, PyList_GetItem(keys, i));

		if (!request)
			return -1;
		request->command = BRINE_DELETE;
		if ((run_full(run) || i + 1 == count) &&
		    delete_run(self, run, deleted) < 0)
			return -1;
	}
	return 0;
}

PyObject *
client_delete_many(PyObject *object, PyObject *keys)
{
	struct client *self = client_of(object);
	struct run *run = NULL;
	size_t deleted = 0;
	PyObject *list;
	int result = -1;

	if (client_ready(self) < 0)
		return NULL;
	list = argument_list(keys, "keys", "a list of keys");
	if (list)
		run = run_new();
	if (run)
		result = delete_all(self, run, list, &deleted);
	run_free(run);
	Py_XDECREF(list);
	return result < 0 ? NULL : PyLong_FromSize_t(deleted);
}
