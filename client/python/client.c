/* client.c - the type Client, from which brine.Cache derives: everything that asks the daemon.
 *
 * One call into C is all that a hit takes; what is rare is in outcome.c. Owns the lanes. */
#include "client/python/client.h"

#include "client/python/state.h"

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

/* A tuple of uids. */
static int
take_trust(struct client *self, PyObject *uids)
{
	Py_ssize_t count = PyTuple_Size(uids);

	if (count > TRUST_MAX) {
		PyErr_Format(PyExc_ValueError, "trust: %zd users, %d at most", count,
			     TRUST_MAX);
		return -1;
	}
	for (Py_ssize_t i = 0; i < count; i++) {
		unsigned long uid = PyLong_AsUnsignedLong(PyTuple_GetItem(uids, i));

		if (PyErr_Occurred())
			return -1;
		self->trusted[i] = (uint32_t)uid;
	}
	self->trusted_count = (unsigned)count;
	return 0;
}

int
client_init(PyObject *object, PyObject *args, PyObject *names)
{
	static char *keywords[] = { "namespace",  "socket", "daemon",
				    "timeout_ms", "ttl_ms", "autostart",
				    "trust",      "codec",  NULL };
	struct client *self = client_of(object);
	struct brine_options options = { 0 };
	PyObject *ttl_ms, *trust, *codec;
	long long timeout_ms;
	int result;

	if (self->state) {
		PyErr_SetString(PyExc_RuntimeError, "__init__ was called before");
		return -1;
	}
	if (!PyArg_ParseTupleAndKeywords(
		    args, names, "szzLOpO!O!", keywords, &options.namespace_name,
		    &options.socket, &options.daemon, &timeout_ms, &ttl_ms,
		    &options.autostart, &PyTuple_Type, &trust, &PyTuple_Type, &codec) ||
	    take_trust(self, trust) < 0)
		return -1;
	self->ttl_ms =
		ttl_ms == Py_None ? BRINE_NEVER : PyLong_AsUnsignedLongLong(ttl_ms);
	if (PyErr_Occurred())
		return -1;
	codec_done(&self->codec);
	if (codec_init(&self->codec, codec) < 0)
		return -1;
	options.timeout_ms = timeout_ms;
	result = lanes_init(&self->lanes, &options);
	if (result < 0)
		return not_opened(result, &options);
	self->state = state_of(Py_TYPE(object));
	return self->state ? 0 : -1;
}

void
client_dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);
	freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

	lanes_done(&client_of(object)->lanes);
	codec_done(&client_of(object)->codec);
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
	     "get($self, /, key, default=None, *, max_age=None, stale=False)\n--\n\n"
	     "The value stored under key, or default. With default=brine.MISS a stored None\n"
	     "can be told from a miss. max_age: an older one is a miss (seconds, a timedelta, or\n"
	     "a text such as \"1h30m\"). stale=True: an expired one inside its stale window is a hit."),
	FAST("set", client_set,
	     "set($self, /, key, value, ttl=..., *, stale=None, tags=(), "
	     "ack=None, cost=None)\n--\n\n"
	     "Stores value under key for ttl: seconds, a timedelta, a text such as \"1h30m\", or\n"
	     "None for ever. Without ttl the cache's own holds. stale: so long after that it is\n"
	     "still given to those who accept stale values. tags: up to 16 names, for invalidate.\n"
	     "ack=\"disk\": returns when it is on the disk; else when every get finds it (it is on\n"
	     "the disk milliseconds later). cost: the seconds that computing it took; what is cheap\n"
	     "is evicted first.\n"
	     "A value that the codec cannot take raises Unpicklable, one that is too large Refused;\n"
	     "while the daemon is away nothing is stored (see on_error)."),
	FAST("add", client_add,
	     "add($self, /, key, value, ttl=..., *, stale=None, tags=(), "
	     "ack=None, cost=None)\n--\n\n"
	     "Stores value if nothing is stored under key, and says whether it did: of several\n"
	     "who add, one succeeds. Raises Unavailable when the daemon does not answer: it may\n"
	     "then be stored. The rest as in set."),
	FAST("setdefault", client_setdefault,
	     "setdefault($self, /, key, default=None, ttl=..., *, stale=None, tags=(), "
	     "ack=None, cost=None)\n--\n\n"
	     "What is stored under key; where nothing is, or nothing that can be loaded (get would not\n"
	     "give it either: what a stranger pickled, say), stores default and returns it. One atomic\n"
	     "request, which carries default in any case: of several who do so, one stores, and all get\n"
	     "its value. Raises Unavailable without a daemon. The rest as in set. get_or_set computes\n"
	     "the value only where it is needed."),
	FAST("cas", client_cas,
	     "cas($self, /, key, value, version, ttl=..., *, stale=None, tags=(), "
	     "ack=None, cost=None)\n--\n\n"
	     "Compares and swaps: stores value if what is stored has this version (of\n"
	     "entry(key).version), and says whether it did; False if it was changed or is gone.\n"
	     "ttl and all the rest are anew, as in set. Raises Unavailable: it may then be stored."),
	FAST("incr", client_incr,
	     "incr($self, /, key, by=1, *, initial=0, ttl=..., create=True)\n--\n\n"
	     "Adds to the int stored under key, atomically, and returns the sum. An absent one\n"
	     "counts as initial and gets the ttl; one that is there keeps its own. create=False:\n"
	     "an absent one raises Conflict. Both are 64 bits: beyond them Conflict, and the counter\n"
	     "stays as it was. What is no such int raises Refused. When the daemon does not answer\n"
	     "it raises Unavailable, and may have been counted."),
	FAST("pop", client_pop,
	     "pop($self, /, key, default=...)\n--\n\n"
	     "Removes key, durably, and returns its value: of several who pop it, one gets it.\n"
	     "Without a default an absent key raises KeyError. Raises Unavailable when the daemon\n"
	     "does not answer: it may then be gone."),
	FAST("touch", client_touch,
	     "touch($self, /, key, ttl)\n--\n\n"
	     "Gives what is stored under key a new time to live, counted from now. Says whether\n"
	     "it was there."),
	{ "delete", client_delete, METH_O,
	  "delete($self, key, /)\n--\n\n"
	  "Removes key, durably. Says whether it was there. Raises Unavailable when the daemon\n"
	  "does not answer: what should be gone may then still be there." },
	FAST("get_many", client_get_many,
	     "get_many($self, /, keys, *, max_age=None, stale=False)\n--\n\n"
	     "A dict of those keys that are stored, with their values. max_age and stale as in get."),
	FAST("set_many", client_set_many,
	     "set_many($self, /, mapping, ttl=..., *, stale=None, tags=(), ack=None)\n--\n\n"
	     "Stores each item of mapping, as set does, with few waits. Each is stored or not by itself."),
	{ "delete_many", client_delete_many, METH_O,
	  "delete_many($self, keys, /)\n--\n\n"
	  "Removes each of the keys, durably, with few waits. Says how many were there. Raises\n"
	  "Unavailable, as delete does." },
	{ "clear", client_clear, METH_NOARGS,
	  "clear($self, /)\n--\n\nRemoves everything in this namespace, durably, at once." },
	{ "sync", client_sync, METH_NOARGS,
	  "sync($self, /)\n--\n\nReturns when all that was stored before is on the disk." },
	{ "close", client_close, METH_NOARGS,
	  "close($self, /)\n--\n\nCloses the idle connections. A later call opens new ones." },
	{ "_turn", (PyCFunction)(void (*)(void))client_turn, METH_FASTCALL,
	  "_turn(key, inherited, wait_ms, lease_ms, accept_stale, not_version=0): the value, or a Turn to compute it" },
	{ "_entry", client_entry, METH_VARARGS,
	  "_entry(key, accept_stale): a tuple, or None" },
	{ "_invalidate", client_invalidate, METH_O, "_invalidate(encoded tags)" },
	{ "_scan", client_scan, METH_O, "_scan(prefix): an iterator over encoded keys" },
	{ "_count", client_count, METH_NOARGS, "_count(): how many keys a scan finds" },
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
