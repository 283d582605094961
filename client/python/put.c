/* put.c - what stores: set, add, cas, setdefault, and cache[key] = value. Owns nothing. */
#include <string.h>

#include "client/python/arguments.h"
#include "client/python/client.h"

#define COST_MAX 1e9 /* seconds */

/* One put. */
struct writing {
	PyObject *key, *value;
	struct brine_put_options options;
	const char *doing;
	unsigned char tags[BRINE_TAGS_SIZE];
};

/* Given in seconds. 0 or -1. */
static int
read_cost(PyObject *given, uint64_t *ret_cost_us)
{
	double seconds = given && given != Py_None ? PyFloat_AsDouble(given) : 0;

	if (seconds == -1 && PyErr_Occurred() &&
	    PyErr_ExceptionMatches(PyExc_TypeError)) {
		PyErr_Clear();
		return argument_refuse(PyExc_TypeError, "cost", given,
				       "the seconds that it took to compute the value");
	}
	if (seconds == -1 && PyErr_Occurred())
		return -1;
	if (!(seconds >= 0 && seconds <= COST_MAX)) {
		PyErr_Format(PyExc_ValueError,
			     "cost=%R: the seconds that it took to compute the value",
			     given);
		return -1;
	}
	*ret_cost_us = (uint64_t)(seconds * 1e6);
	return 0;
}

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

int
client_terms(struct client *self, PyObject *const given[TERMS],
	     struct brine_put_options *ret_options, unsigned char tags[BRINE_TAGS_SIZE])
{
	if (client_ttl(self, given[0], &ret_options->ttl_ms) < 0 ||
	    client_ms(self, given[1], "stale", &ret_options->stale_ms) < 0 ||
	    client_ack(given[3], &ret_options->ack) < 0 ||
	    read_cost(given[4], &ret_options->cost_us) < 0)
		return -1;
	if (!given[2])
		return 0;
	ret_options->tags = tags;
	return tags_encode(given[2], tags, &ret_options->tags_len);
}

/* The same for a put of here. */
static int
read_terms(struct client *self, PyObject *const given[TERMS], struct writing *ret_writing)
{
	return client_terms(self, given, &ret_writing->options, ret_writing->tags);
}

/* A method that takes (key, value, and the terms). 1, 0 or -1 as put_one(). */
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
	    read_terms(self, given + 2, &writing) < 0)
		return -1;
	writing.key = given[0];
	writing.value = given[1];
	return put_one(self, &writing);
}

PyObject *
client_set(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = {
		"set", { "key", "value", "ttl", "stale", "tags", "ack", "cost" }, 2, 3, 7
	};

	if (put_given(self, &signature, BRINE_ALWAYS, args, count, names) < 0)
		return NULL;
	Py_RETURN_NONE;
}

PyObject *
client_add(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = {
		"add", { "key", "value", "ttl", "stale", "tags", "ack", "cost" }, 2, 3, 7
	};
	int stored = put_given(self, &signature, BRINE_IF_ABSENT, args, count, names);

	return stored < 0 ? NULL : PyBool_FromLong(stored);
}

PyObject *
client_cas(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = { "cas",
						    { "key", "value", "version", "ttl",
						      "stale", "tags", "ack", "cost" },
						    3,
						    4,
						    8 };
	struct client *self = client_of(object);
	PyObject *given[PARAMETERS_MAX];
	struct writing writing;
	int stored;

	writing.options = (struct brine_put_options){ .condition = BRINE_IF_VERSION };
	writing.doing = "cas";
	if (client_ready(self) < 0 ||
	    arguments(&signature, args, count, names, given) < 0 ||
	    read_terms(self, given + 3, &writing) < 0)
		return NULL;
	if (argument_version(given[2], &writing.options.version) < 0)
		return NULL;
	writing.key = given[0];
	writing.value = given[1];
	stored = put_one(self, &writing);
	return stored < 0 ? NULL : PyBool_FromLong(stored);
}

/* ---- setdefault */

/* Values that cannot be loaded, one after the other: somebody stores them all the time. */
#define SETDEFAULT_MAX 100

/* One request. 1 and what is there, a new reference; 0: it cannot be loaded, and *ret_version is its version; 2: nothing
 * was there, and it is stored; or -1. */
static int
put_or_load(struct client *self, struct writing *writing, const struct key *key,
	    const struct encoded *encoded, uint64_t *version, PyObject **ret_value)
{
	struct lane *lane = lanes_take(&self->lanes);
	struct brine_value *value = NULL;
	uint32_t uid;
	int result;

	if (!lane)
		return -1;
	lane_wait(lane);
	result = brine_put_or_get(lane->brine, key->data, key->len, encoded->data,
				  encoded->len, &writing->options, *version, &value);
	lane_resume(lane);
	if (result < 0) {
		if (client_failed(self, lane, result, writing->doing) == 0)
			PyErr_SetString(PyExc_SystemError, "_failed did not raise");
		return -1;
	}
	uid = brine_uid(lane->brine);
	lanes_give(&self->lanes, lane);
	if (result == BRINE_MISS)
		return 2;
	*version = brine_value_meta(value)->version;
	return client_load(self, uid, writing->key, &value, ret_value);
}

/* Stores unless there is something that can be loaded. 1 and what is there then, a new reference, or -1. */
static int
set_default(struct client *self, struct writing *writing, PyObject **ret_value)
{
	struct encoded encoded;
	uint64_t version = 0;
	struct key key;
	int found = 0;

	if (key_encode(self->state, writing->key, &key) < 0 ||
	    client_dump(self, writing->value, &encoded) < 0)
		return -1;
	writing->options.codec = encoded.codec;
	writing->options.kind = encoded.kind;
	for (int left = SETDEFAULT_MAX; left && found == 0; left--)
		found = put_or_load(self, writing, &key, &encoded, &version, ret_value);
	encoded_done(&encoded);
	if (found == 2) {
		Py_INCREF(writing->value);
		*ret_value = writing->value;
		return 1;
	}
	if (found)
		return found;
	return client_failed_one(self, -BRINE_ERROR_CHANGED,
				 "others change this key all the time", "setdefault");
}

PyObject *
client_setdefault(PyObject *object, PyObject *const *args, Py_ssize_t count,
		  PyObject *names)
{
	static const struct signature signature = { "setdefault",
						    { "key", "default", "ttl", "stale",
						      "tags", "ack", "cost" },
						    1,
						    3,
						    7 };
	struct client *self = client_of(object);
	PyObject *given[PARAMETERS_MAX], *value;
	struct writing writing;

	writing.options = (struct brine_put_options){ 0 };
	writing.doing = signature.function;
	if (client_ready(self) < 0 ||
	    arguments(&signature, args, count, names, given) < 0 ||
	    read_terms(self, given + 2, &writing) < 0)
		return NULL;
	writing.key = given[0];
	writing.value = given[1] ? given[1] : Py_None;
	return set_default(self, &writing, &value) > 0 ? value : NULL;
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
	deleted = client_remove(self, key);
	if (deleted == 0)
		PyErr_SetObject(PyExc_KeyError, key);
	return deleted > 0 ? 0 : -1;
}
