/* change.c - what changes without a value: incr, delete, touch. Owns nothing. */
#include "client/python/arguments.h"
#include "client/python/client.h"

/* ---- counters */

int
client_count_nothing(int64_t initial, int64_t delta, int64_t *ret_value)
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
	return result < 0 ? client_count_nothing(options->initial, delta, ret_value) : 0;
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
	int64_t delta = 1, value;
	uint8_t create = 1;

	if (client_ready(self) < 0 ||
	    arguments(&signature, args, count, names, given) < 0 ||
	    argument_int(given[1], "by", &delta) < 0 ||
	    argument_int(given[2], "initial", &options.initial) < 0 ||
	    client_ttl(self, given[3], &options.ttl_ms) < 0 ||
	    argument_truth(given[4], "create", &create) < 0)
		return NULL;
	options.only_if_present = !create;
	if (incr_one(self, given[0], delta, &options, &value) < 0)
		return NULL;
	return PyLong_FromLongLong(value);
}

/* ---- delete and touch */

int
client_remove(struct client *self, PyObject *object)
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
	int deleted = client_remove(client_of(self), key);

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
