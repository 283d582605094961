/* client.c - the type Client, from which brine.Cache derives: everything that asks the daemon.
 *
 * One call into here is all that a hit takes; what is rare is in outcome.c. Owns the lanes. */
#include "client/python/client.h"

#include <string.h>

#include "client/python/state.h"

/* ---- arguments */

#define PARAMETERS_MAX 3

struct signature {
	const char *function;
	const char *names[PARAMETERS_MAX];
	int required, count;
};

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

/* Fills ret_values with borrowed references, NULL for what was not given. */
static int
arguments(const struct signature *signature, PyObject *const *args, Py_ssize_t count,
	  PyObject *names, PyObject *ret_values[PARAMETERS_MAX])
{
	memset(ret_values, 0, PARAMETERS_MAX * sizeof(*ret_values));
	if (count > signature->count) {
		PyErr_Format(PyExc_TypeError,
			     "%s() takes at most %d arguments, %zd were given",
			     signature->function, signature->count, count);
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

/* ---- one key */

/* 1 and a new reference; 0, a miss; or -1. */
static int
get_one(struct client *self, PyObject *object, PyObject **ret_value)
{
	struct brine_value *value = NULL;
	struct lane *lane;
	struct key key;
	int result;

	if (client_ready(self) < 0 || key_encode(self->state, object, &key) < 0)
		return -1;
	lane = lanes_take(&self->lanes);
	if (!lane)
		return -1;
	lane_wait(lane);
	result = brine_get(lane->brine, key.data, key.len, NULL, &value);
	lane_resume(lane);
	if (result < 0)
		return client_failed(self, lane, result, "get");
	lanes_give(&self->lanes, lane);
	return result == BRINE_HIT ? client_load(self, object, &value, ret_value) : 0;
}

static PyObject *
client_get(PyObject *self, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = { "get", { "key", "default" }, 1, 2 };
	PyObject *given[PARAMETERS_MAX], *value;
	int found;

	if (arguments(&signature, args, count, names, given) < 0)
		return NULL;
	found = get_one(client_of(self), given[0], &value);
	if (found < 0)
		return NULL;
	if (found)
		return value;
	value = given[1] ? given[1] : Py_None;
	Py_INCREF(value);
	return value;
}

static int
put_one(struct client *self, PyObject *object, PyObject *value,
	const struct brine_put_options *wanted)
{
	struct brine_put_options options = *wanted;
	struct encoded encoded;
	struct lane *lane;
	struct key key;
	int result;

	if (key_encode(self->state, object, &key) < 0 ||
	    client_dump(self, value, &encoded) < 0)
		return -1;
	lane = lanes_take(&self->lanes);
	if (!lane) {
		encoded_done(&encoded);
		return -1;
	}
	options.codec = encoded.codec;
	options.kind = encoded.kind;
	lane_wait(lane);
	result = brine_put(lane->brine, key.data, key.len, encoded.data, encoded.len,
			   &options, NULL);
	lane_resume(lane);
	encoded_done(&encoded);
	if (result < 0)
		return client_failed(self, lane, result, "set");
	lanes_give(&self->lanes, lane);
	return 0;
}

static PyObject *
client_set(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = {
		"set", { "key", "value", "ttl" }, 2, 3
	};
	struct brine_put_options options = { 0 };
	struct client *self = client_of(object);
	PyObject *given[PARAMETERS_MAX];

	if (client_ready(self) < 0 ||
	    arguments(&signature, args, count, names, given) < 0 ||
	    client_ttl(self, given[2], &options.ttl_ms) < 0 ||
	    put_one(self, given[0], given[1], &options) < 0)
		return NULL;
	Py_RETURN_NONE;
}

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

static PyObject *
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

static PyObject *
client_touch(PyObject *object, PyObject *const *args, Py_ssize_t count, PyObject *names)
{
	static const struct signature signature = { "touch", { "key", "ttl" }, 2, 2 };
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

static int
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

static PyObject *
client_item(PyObject *self, PyObject *key)
{
	PyObject *value;
	int found = get_one(client_of(self), key, &value);

	if (found == 0)
		PyErr_SetObject(PyExc_KeyError, key);
	return found > 0 ? value : NULL;
}

static int
client_set_item(PyObject *object, PyObject *key, PyObject *value)
{
	struct client *self = client_of(object);
	struct brine_put_options options = { .ttl_ms = self->ttl_ms };
	int deleted;

	if (client_ready(self) < 0)
		return -1;
	if (value)
		return put_one(self, key, value, &options);
	deleted = delete_one(self, key);
	if (deleted == 0)
		PyErr_SetObject(PyExc_KeyError, key);
	return deleted > 0 ? 0 : -1;
}

/* ---- the type */

/* What brine_open() can find wrong before anybody is asked. */
static int
not_opened(int result, const struct brine_options *options)
{
	if (result == -BRINE_ERROR_LOCAL_MEMORY)
		PyErr_NoMemory();
	else
		PyErr_Format(
			PyExc_ValueError,
			"cannot use namespace \"%s\"%s%s: a namespace has 1 to 64 characters, a socket is an "
			"absolute path that a file system can hold",
			options->namespace_name, options->socket ? " at socket " : "",
			options->socket ? options->socket : "");
	return -1;
}

static int
client_init(PyObject *object, PyObject *args, PyObject *names)
{
	static char *keywords[] = { "namespace", "socket",    "daemon", "timeout_ms",
				    "ttl_ms",    "autostart", NULL };
	struct client *self = client_of(object);
	struct brine_options options = { 0 };
	PyObject *ttl_ms;
	long long timeout_ms;
	int result;

	if (self->state) {
		PyErr_SetString(PyExc_RuntimeError, "__init__ was called before");
		return -1;
	}
	if (!PyArg_ParseTupleAndKeywords(args, names, "szzLOp", keywords,
					 &options.namespace_name, &options.socket,
					 &options.daemon, &timeout_ms, &ttl_ms,
					 &options.autostart))
		return -1;
	self->ttl_ms =
		ttl_ms == Py_None ? BRINE_NEVER : PyLong_AsUnsignedLongLong(ttl_ms);
	if (PyErr_Occurred())
		return -1;
	options.timeout_ms = timeout_ms;
	result = lanes_init(&self->lanes, &options);
	if (result < 0)
		return not_opened(result, &options);
	self->state = state_of(Py_TYPE(object));
	return self->state ? 0 : -1;
}

static void
client_dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);
	freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

	lanes_done(&client_of(object)->lanes);
	release(object);
	Py_DECREF(type);
}

#define FAST(name, function, doc)                                                        \
	{                                                                                \
		name, (PyCFunction)(void (*)(void))function,                             \
			METH_FASTCALL | METH_KEYWORDS, doc                               \
	}

static PyMethodDef methods[] = {
	FAST("get", client_get,
	     "get($self, /, key, default=None)\n--\n\n"
	     "The value stored under key, or default. With default=brine.MISS a stored None\n"
	     "can be told from a miss."),
	FAST("set", client_set,
	     "set($self, /, key, value, ttl=...)\n--\n\n"
	     "Stores value under key for ttl: seconds, a timedelta, a text such as \"1h30m\", or\n"
	     "None for ever. Without ttl the cache's own holds. A value that cannot be pickled\n"
	     "raises; while the daemon is away nothing is stored (see on_error)."),
	FAST("touch", client_touch,
	     "touch($self, /, key, ttl)\n--\n\n"
	     "Gives what is stored under key a new time to live, counted from now. Says whether\n"
	     "it was there."),
	{ "delete", client_delete, METH_O,
	  "delete($self, key, /)\n--\n\n"
	  "Removes key, durably. Says whether it was there. Raises Unavailable when the daemon\n"
	  "does not answer: what should be gone may then still be there." },
	{ "get_many", client_get_many, METH_O,
	  "get_many($self, keys, /)\n--\n\nA dict of those keys that are stored, with their values." },
	{ "set_many", (PyCFunction)(void (*)(void))client_set_many,
	  METH_VARARGS | METH_KEYWORDS,
	  "set_many($self, /, mapping, ttl=...)\n--\n\n"
	  "Stores each item of mapping, as set does, with few waits. Each is stored or not by itself." },
	{ "clear", client_clear, METH_NOARGS,
	  "clear($self, /)\n--\n\nRemoves everything in this namespace, durably, at once." },
	{ "sync", client_sync, METH_NOARGS,
	  "sync($self, /)\n--\n\nReturns when all that was stored before is on the disk." },
	{ "close", client_close, METH_NOARGS,
	  "close($self, /)\n--\n\nCloses the idle connections. A later call opens new ones." },
	{ "_turn", (PyCFunction)(void (*)(void))client_turn, METH_FASTCALL,
	  "_turn(key, inherited, wait_ms, lease_ms, accept_stale): the value, or a Turn to compute it" },
	{ "_scan", client_scan, METH_O, "_scan(prefix): an iterator over encoded keys" },
	{ "_stats", client_stats, METH_NOARGS,
	  "_stats(): a list of (scope, name, value)" },
	{ "_counts", client_counts, METH_NOARGS, "_counts(): what this object counted" },
	{ "_ping", client_ping, METH_NOARGS, "_ping(): what the daemon says of itself" },
	{ "_where", client_where, METH_NOARGS, "_where(): the socket, and why it" },
	{ NULL, NULL, 0, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_new, PyType_GenericNew },         { Py_tp_init, client_init },
	{ Py_tp_dealloc, client_dealloc },        { Py_tp_methods, methods },
	{ Py_sq_contains, client_contains },      { Py_mp_subscript, client_item },
	{ Py_mp_ass_subscript, client_set_item }, { 0, NULL },
};

PyType_Spec client_spec = {
	.name = "brine._brine.Client",
	.basicsize = sizeof(struct client),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};
