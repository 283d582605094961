/* put.c - what changes: set, add, cas, incr, delete, touch, and cache[key] = value. Owns nothing. */
#include <string.h>

#include "client/python/arguments.h"
#include "client/python/client.h"

/* One put. */
struct writing {
	PyObject *key, *value;
	struct brine_put_options options;
	const char *doing;
	unsigned char tags[BRINE_TAGS_SIZE];
};

/* 1: stored; 0: the condition does not hold, or it went on as after a miss; or -1. */
static int
put_one(struct client *self, struct writing *writing)
{
	struct brine_put_options *options = &writing->options;
	struct encoded encoded;
	struct lane *lane;
	struct key key;
	int result;

	if (key_encode(self->state, writing->key, &key) < 0 ||
	    client_dump(self, writing->value, &encoded) < 0)
		return -1;
	lane = lanes_take(&self->lanes);
	if (!lane) {
		encoded_done(&encoded);
		return -1;
	}
	options->codec = encoded.codec;
	options->kind = encoded.kind;
	lane_wait(lane);
	result = brine_put(lane->brine, key.data, key.len, encoded.data, encoded.len,
			   options, NULL);
	lane_resume(lane);
	encoded_done(&encoded);
	if (result < 0 && (options->condition == BRINE_ALWAYS ||
			   brine_error_class(result) != BRINE_CONDITION))
		return client_failed(self, lane, result, writing->doing);
	lanes_give(&self->lanes, lane);
	return result >= 0;
}

/* What set, add and cas take alike. 0 or -1. */
static int
read_terms(struct client *self, PyObject *ttl, PyObject *stale, PyObject *tags,
	   struct writing *ret_writing)
{
	struct brine_put_options *options = &ret_writing->options;

	if (client_ttl(self, ttl, &options->ttl_ms) < 0 ||
	    client_ms(self, stale, "stale", &options->stale_ms) < 0)
		return -1;
	if (!tags)
		return 0;
	options->tags = ret_writing->tags;
	return tags_encode(tags, ret_writing->tags, &options->tags_len);
}

/* A method that takes (key, value, ttl=..., *, stale=None, tags=()). 1, 0 or -1 as put_one(). */
static int
put_given(PyObject *object, const struct signature *signature, enum brine_condition when,
	  PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	struct client *self = client_of(object);
	PyObject *given[PARAMETERS_MAX];
	struct writing writing;

	writing.options = (struct brine_put_options){ .condition = (uint8_t)when };
	writing.doing = signature->function;
	if (client_ready(self) < 0 ||
	    arguments(signature, args, count, names, given) < 0 ||
	    read_terms(self, given[2], given[3], given[4], &writing) < 0)
		return -1;
	writing.key = given[0];
	writing.value = given[1];
	return put_one(self, &writing);
}

PyObject *
client_set(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = {
		"set", { "key", "value", "ttl", "stale", "tags" }, 2, 3, 5
	};

	if (put_given(self, &signature, BRINE_ALWAYS, args, count, names) < 0)
		return NULL;
	Py_RETURN_NONE;
}

PyObject *
client_add(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = {
		"add", { "key", "value", "ttl", "stale", "tags" }, 2, 3, 5
	};
	int stored = put_given(self, &signature, BRINE_IF_ABSENT, args, count, names);

	return stored < 0 ? NULL : PyBool_FromLong(stored);
}

PyObject *
client_cas(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = {
		"cas", { "key", "value", "version", "ttl", "stale", "tags" }, 3, 4, 6
	};
	struct client *self = client_of(object);
	PyObject *given[PARAMETERS_MAX];
	struct writing writing;
	int stored;

	writing.options = (struct brine_put_options){ .condition = BRINE_IF_VERSION };
	writing.doing = "cas";
	if (client_ready(self) < 0 ||
	    arguments(&signature, args, count, names, given) < 0 ||
	    read_terms(self, given[3], given[4], given[5], &writing) < 0)
		return NULL;
	writing.options.version = PyLong_AsUnsignedLongLong(given[2]);
	if (PyErr_Occurred())
		return NULL;
	writing.key = given[0];
	writing.value = given[1];
	stored = put_one(self, &writing);
	return stored < 0 ? NULL : PyBool_FromLong(stored);
}

/* ---- counters */

/* BRINE_DISABLE=1: counted, and forgotten. */
static int
count_nothing(int64_t initial, int64_t delta, int64_t *ret_value)
{
	if (!__builtin_add_overflow(initial, delta, ret_value))
		return 0;
	PyErr_SetString(PyExc_OverflowError,
			"the counter would leave the range of 64 bits");
	return -1;
}

static int
incr_one(struct client *self, PyObject *object, int64_t delta,
	 const struct brine_incr_options *options, int64_t *ret_value)
{
	struct lane *lane;
	struct key key;
	int result;

	if (key_encode(self->state, object, &key) < 0)
		return -1;
	lane = lanes_take(&self->lanes);
	if (!lane)
		return -1;
	lane_wait(lane);
	result = brine_incr(lane->brine, key.data, key.len, delta, options, ret_value);
	lane_resume(lane);
	if (result < 0 && result != -BRINE_ERROR_DISABLED) {
		if (client_failed(self, lane, result, "incr") == 0)
			PyErr_SetString(PyExc_SystemError, "_failed did not raise");
		return -1;
	}
	lanes_give(&self->lanes, lane);
	return result < 0 ? count_nothing(options->initial, delta, ret_value) : 0;
}

static int
read_i64(PyObject *object, int64_t otherwise, int64_t *ret_value)
{
	*ret_value = object ? PyLong_AsLongLong(object) : otherwise;
	return PyErr_Occurred() ? -1 : 0;
}

PyObject *
client_incr(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = {
		"incr", { "key", "by", "initial", "ttl", "create" }, 1, 2, 5
	};
	struct brine_incr_options options = { 0 };
	struct client *self = client_of(object);
	PyObject *given[PARAMETERS_MAX];
	int64_t delta, value;
	int create;

	if (client_ready(self) < 0 ||
	    arguments(&signature, args, count, names, given) < 0 ||
	    read_i64(given[1], 1, &delta) < 0 ||
	    read_i64(given[2], 0, &options.initial) < 0 ||
	    client_ttl(self, given[3], &options.ttl_ms) < 0)
		return NULL;
	create = given[4] ? PyObject_IsTrue(given[4]) : 1;
	options.only_if_present = !create;
	if (create < 0 || incr_one(self, given[0], delta, &options, &value) < 0)
		return NULL;
	return PyLong_FromLongLong(value);
}

/* ---- delete and touch */

/* 1: it was there; 0: it was not; -1. */
static int
delete_one(struct client *self, PyObject *object)
{
	struct lane *lane;
	struct key key;
	int result;

	if (client_ready(self) < 0 || key_encode(self->state, object, &key) < 0)
		return -1;
	lane = lanes_take(&self->lanes);
	if (!lane)
		return -1;
	lane_wait(lane);
	result = brine_delete(lane->brine, key.data, key.len, NULL);
	lane_resume(lane);
	if (result < 0)
		return client_failed(self, lane, result, "delete");
	lanes_give(&self->lanes, lane);
	return result == BRINE_DONE;
}

PyObject *
client_delete(PyObject *self, PyObject *key)
{
	int deleted = delete_one(client_of(self), key);

	return deleted < 0 ? NULL : PyBool_FromLong(deleted);
}

static int
touch_one(struct client *self, PyObject *object, uint64_t ttl_ms)
{
	struct brine_touch_options options = { .ttl_ms = ttl_ms };
	struct lane *lane;
	struct key key;
	int result;

	if (key_encode(self->state, object, &key) < 0)
		return -1;
	lane = lanes_take(&self->lanes);
	if (!lane)
		return -1;
	lane_wait(lane);
	result = brine_touch(lane->brine, key.data, key.len, &options);
	lane_resume(lane);
	if (result < 0)
		return client_failed(self, lane, result, "touch");
	lanes_give(&self->lanes, lane);
	return result == BRINE_DONE;
}

PyObject *
client_touch(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = { "touch", { "key", "ttl" }, 2, 2, 2 };
	struct client *self = client_of(object);
	PyObject *given[PARAMETERS_MAX];
	uint64_t ttl_ms;
	int touched;

	if (client_ready(self) < 0 ||
	    arguments(&signature, args, count, names, given) < 0 ||
	    client_ttl(self, given[1], &ttl_ms) < 0)
		return NULL;
	touched = touch_one(self, given[0], ttl_ms);
	return touched < 0 ? NULL : PyBool_FromLong(touched);
}

/* ---- as a mapping */

int
client_set_item(PyObject *object, PyObject *key, PyObject *value)
{
	struct client *self = client_of(object);
	struct writing writing;
	int deleted;

	if (client_ready(self) < 0)
		return -1;
	if (value) {
		writing.key = key;
		writing.value = value;
		writing.options = (struct brine_put_options){ .ttl_ms = self->ttl_ms };
		writing.doing = "set";
		return put_one(self, &writing) < 0 ? -1 : 0;
	}
	deleted = delete_one(self, key);
	if (deleted == 0)
		PyErr_SetObject(PyExc_KeyError, key);
	return deleted > 0 ? 0 : -1;
}
