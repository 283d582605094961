/* get.c - what reads: get, pop, entry, in, and cache[key]. Owns nothing. */
#include "client/python/arguments.h"
#include "client/python/client.h"

struct reading {
	PyObject *key;
	struct brine_get_options options;
	struct brine_meta *meta; /* where it goes; NULL: nowhere */
};

/* 1 and a new reference; 0, a miss; or -1. */
static int
get_one(struct client *self, const struct reading *reading, PyObject **ret_value)
{
	struct brine_value *value = NULL;
	struct lane *lane;
	struct key key;
	uint32_t uid;
	int result;

	if (key_encode(self->state, reading->key, &key) < 0)
		return -1;
	lane = lanes_take(&self->lanes);
	if (!lane)
		return -1;
	lane_wait(lane);
	result = brine_get(lane->brine, key.data, key.len, &reading->options, &value);
	lane_resume(lane);
	if (result < 0)
		return client_failed(self, lane, result, "get");
	uid = brine_uid(lane->brine);
	lanes_give(&self->lanes, lane);
	if (result != BRINE_HIT)
		return 0;
	if (reading->meta)
		*reading->meta = *brine_value_meta(value);
	return client_load(self, uid, reading->key, &value, ret_value);
}

static PyObject *
value_or(int found, PyObject *value, PyObject *otherwise)
{
	if (found < 0)
		return NULL;
	if (found)
		return value;
	value = otherwise ? otherwise : Py_None;
	Py_INCREF(value);
	return value;
}

PyObject *
client_get(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = {
		"get", { "key", "default", "max_age", "stale" }, 1, 2, 4
	};
	struct client *self = client_of(object);
	PyObject *given[PARAMETERS_MAX], *value = NULL;
	struct reading reading = { 0 };
	int found;

	if (client_ready(self) < 0 ||
	    arguments(&signature, args, count, names, given) < 0 ||
	    client_ms(self, given[2], "max_age", &reading.options.max_age_ms) < 0 ||
	    argument_truth(given[3], "stale", &reading.options.stale_ok) < 0)
		return NULL;
	reading.key = given[0];
	found = get_one(self, &reading, &value);
	return value_or(found, value, given[1]);
}

PyObject *
client_entry_tuple(PyObject *value, const struct brine_meta *meta)
{
	return Py_BuildValue(
		"(OKKKKKKKII)", value, (unsigned long long)meta->version,
		(unsigned long long)meta->length, (unsigned long long)meta->age_ms,
		(unsigned long long)meta->ttl_left_ms, (unsigned long long)meta->stale_ms,
		(unsigned long long)meta->cost_us, (unsigned long long)meta->kind,
		(unsigned)meta->codec, (unsigned)meta->writer_uid);
}

PyObject *
client_entry(PyObject *object, PyObject *args)
{
	struct client *self = client_of(object);
	struct brine_meta meta = { 0 };
	struct reading reading = { .meta = &meta };
	PyObject *value, *entry, *stale;
	int found;

	if (client_ready(self) < 0 ||
	    !PyArg_ParseTuple(args, "OO:_entry", &reading.key, &stale) ||
	    argument_truth(stale, "stale", &reading.options.stale_ok) < 0)
		return NULL;
	found = get_one(self, &reading, &value);
	if (found <= 0)
		return value_or(found, NULL, NULL);
	entry = client_entry_tuple(value, &meta);
	Py_DECREF(value);
	return entry;
}

/* 1 and a new reference; 0, there was none; or -1. */
static int
take_one(struct client *self, PyObject *object, PyObject **ret_value)
{
	struct brine_value *value = NULL;
	struct lane *lane;
	struct key key;
	uint32_t uid;
	int result;

	if (key_encode(self->state, object, &key) < 0)
		return -1;
	lane = lanes_take(&self->lanes);
	if (!lane)
		return -1;
	lane_wait(lane);
	result = brine_take(lane->brine, key.data, key.len, NULL, &value);
	lane_resume(lane);
	if (result < 0)
		return client_failed(self, lane, result, "pop");
	uid = brine_uid(lane->brine);
	lanes_give(&self->lanes, lane);
	return result == BRINE_HIT ? client_load(self, uid, object, &value, ret_value)
				   : 0;
}

PyObject *
client_pop(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = {
		"pop", { "key", "default" }, 1, 2, 2
	};
	struct client *self = client_of(object);
	PyObject *given[PARAMETERS_MAX], *value = NULL;
	int found;

	if (client_ready(self) < 0 ||
	    arguments(&signature, args, count, names, given) < 0)
		return NULL;
	found = take_one(self, given[0], &value);
	if (found == 0 && !given[1]) {
		PyErr_SetObject(PyExc_KeyError, given[0]);
		return NULL;
	}
	return value_or(found, value, given[1]);
}

/* ---- as a mapping */

int
client_contains(PyObject *object, PyObject *key_object)
{
	struct client *self = client_of(object);
	struct lane *lane;
	struct key key;
	int result;

	if (client_ready(self) < 0 || key_encode(self->state, key_object, &key) < 0)
		return -1;
	lane = lanes_take(&self->lanes);
	if (!lane)
		return -1;
	lane_wait(lane);
	result = brine_meta(lane->brine, key.data, key.len, NULL, NULL);
	lane_resume(lane);
	if (result < 0)
		return client_failed(self, lane, result, "in");
	lanes_give(&self->lanes, lane);
	return result == BRINE_HIT;
}

PyObject *
client_item(PyObject *self, PyObject *key)
{
	struct reading reading = { .key = key };
	PyObject *value;
	int found = -1;

	if (client_ready(client_of(self)) == 0)
		found = get_one(client_of(self), &reading, &value);
	if (found == 0)
		PyErr_SetObject(PyExc_KeyError, key);
	return found > 0 ? value : NULL;
}
