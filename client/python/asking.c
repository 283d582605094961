/* asking.c - the type AsyncClient, from which brine.aio.Cache derives: what Client is for the blocking calls. It makes
 * Requests, for a Wire to carry. Owns, as Client does, what the arguments of a Cache came to. */
#include <string.h>

#include "client/python/arguments.h"
#include "client/python/request.h"
#include "client/python/state.h"
#include "client/python/turn.h"

/* So many keys come with one page: they are made in one go, while the loop waits. */
#define SCAN_PAGE 1000

/* The arguments are as many as the method takes, by position. */
static struct client *
begin(PyObject *object, Py_ssize_t count, Py_ssize_t takes)
{
	struct client *self = client_of(object);

	if (client_ready(self) < 0)
		return NULL;
	if (count == takes)
		return self;
	PyErr_Format(PyExc_TypeError, "%zd arguments, not %zd", takes, count);
	return NULL;
}

/* Gives the request on, or drops it where something was wrong. */
static PyObject *
end(struct request *request, int result)
{
	if (result == 0 && request)
		return &request->ob_base;
	Py_XDECREF((PyObject *)request);
	return NULL;
}

/* ---- what reads */

static PyObject *
ask_get(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
	struct client *self = begin(object, count, 3);
	struct request *request;

	if (!self)
		return NULL;
	request = request_new(self, BRINE_GET, "get", args[0]);
	if (!request)
		return NULL;
	if (client_ms(self, args[1], "max_age", &request->asked.max_age_ms) < 0 ||
	    argument_truth(args[2], "stale", &request->asked.stale_ok) < 0)
		return end(request, -1);
	return end(request, 0);
}

static PyObject *
ask_pop(PyObject *self, PyObject *key)
{
	return client_ready(client_of(self)) < 0
		       ? NULL
		       : end(request_new(client_of(self), BRINE_TAKE, "pop", key), 0);
}

static PyObject *
ask_contains(PyObject *self, PyObject *key)
{
	return client_ready(client_of(self)) < 0
		       ? NULL
		       : end(request_new(client_of(self), BRINE_META, "in", key), 0);
}

/* ---- what changes */

static int
keep_tags(struct request *request, const unsigned char *tags, size_t len)
{
	if (len == 0)
		return 0;
	request->tags = PyBytes_FromStringAndSize((const char *)tags, (Py_ssize_t)len);
	if (!request->tags)
		return -1;
	request->asked.tags = PyBytes_AsString(request->tags);
	request->asked.tags_len = len;
	return 0;
}

int
request_take_value(struct request *request, PyObject *value)
{
	if (client_dump(request->client, value, &request->value) < 0)
		return -1;
	request->asked.value = request->value.data;
	request->asked.value_len = request->value.len;
	request->asked.codec = request->value.codec;
	request->asked.kind = request->value.kind;
	return 0;
}

/* Who stores: under which condition, and as what errors call it. */
static const struct storing {
	const char *doing;
	enum brine_condition condition;
	bool or_get; /* what is there is the answer, unless it is of the version that is given */
} storing[] = {
	{ "set", BRINE_ALWAYS, false },
	{ "add", BRINE_IF_ABSENT, false },
	{ "cas", BRINE_IF_VERSION, false },
	{ "setdefault", BRINE_IF_ABSENT, true },
};

static const struct storing *
find_storing(PyObject *name)
{
	for (size_t i = 0; i < sizeof(storing) / sizeof(storing[0]); i++)
		if (PyUnicode_CompareWithASCIIString(name, storing[i].doing) == 0)
			return &storing[i];
	PyErr_Format(PyExc_ValueError, "nothing stores by %R", name);
	return NULL;
}

static int
take_condition(struct request *request, const struct storing *how, PyObject *version)
{
	request->asked.condition = how->condition;
	request->asked.or_get = how->or_get;
	return argument_version(version, how->or_get ? &request->asked.not_version
						     : &request->asked.version);
}

/* Keeps what the terms came to. */
static int
take_terms(struct request *request, PyObject *const *terms)
{
	struct brine_put_options options = { 0 };
	unsigned char tags[BRINE_TAGS_SIZE];

	if (client_terms(request->client, terms, &options, tags) < 0)
		return -1;
	request->asked.ttl_ms = options.ttl_ms;
	request->asked.stale_ms = options.stale_ms;
	request->asked.ack = options.ack;
	request->asked.cost_us = options.cost_us;
	return keep_tags(request, tags, options.tags_len);
}

/* (how, key, value, version, and the terms) */
static PyObject *
ask_put(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
	struct client *self = begin(object, count, 4 + TERMS);
	const struct storing *how = self ? find_storing(args[0]) : NULL;
	struct request *request =
		how ? request_new(self, BRINE_PUT, how->doing, args[1]) : NULL;

	if (!request)
		return NULL;
	if (take_condition(request, how, args[3]) < 0 ||
	    take_terms(request, args + 4) < 0)
		return end(request, -1);
	return end(request, request_take_value(request, args[2]));
}

static int
fill_incr(struct request *request, PyObject *const *args)
{
	uint8_t create;

	if (argument_int(args[1], "by", &request->asked.delta) < 0 ||
	    argument_int(args[2], "initial", &request->asked.initial) < 0 ||
	    argument_truth(args[4], "create", &create) < 0)
		return -1;
	request->asked.condition = create ? BRINE_ALWAYS : BRINE_IF_PRESENT;
	return client_ttl(request->client, args[3], &request->asked.ttl_ms);
}

static PyObject *
ask_incr(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
	struct client *self = begin(object, count, 5);
	struct request *request =
		self ? request_new(self, BRINE_INCR, "incr", args[0]) : NULL;

	return request ? end(request, fill_incr(request, args)) : NULL;
}

static PyObject *
ask_touch(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
	struct client *self = begin(object, count, 2);
	struct request *request =
		self ? request_new(self, BRINE_TOUCH, "touch", args[0]) : NULL;

	return request ? end(request, client_ttl(self, args[1], &request->asked.ttl_ms))
		       : NULL;
}

static PyObject *
ask_delete(PyObject *self, PyObject *key)
{
	return client_ready(client_of(self)) < 0
		       ? NULL
		       : end(request_new(client_of(self), BRINE_DELETE, "delete", key),
			     0);
}

/* ---- what names no key */

static PyObject *
ask_whole(PyObject *object, enum brine_command command, const char *doing)
{
	struct client *self = begin(object, 0, 0);

	return self ? end(request_new(self, command, doing, NULL), 0) : NULL;
}

static PyObject *
ask_clear(PyObject *self, PyObject *unused)
{
	(void)unused;
	return ask_whole(self, BRINE_FLUSH, "clear");
}

static PyObject *
ask_sync(PyObject *self, PyObject *unused)
{
	(void)unused;
	return ask_whole(self, BRINE_SYNC, "sync");
}

static PyObject *
ask_ping(PyObject *self, PyObject *unused)
{
	(void)unused;
	return ask_whole(self, BRINE_PING, "ping");
}

static PyObject *
ask_stats(PyObject *self, PyObject *unused)
{
	(void)unused;
	return ask_whole(self, BRINE_STATS, "stats");
}

static PyObject *
ask_invalidate(PyObject *self, PyObject *tags)
{
	struct request *request =
		request_of(ask_whole(self, BRINE_INVALIDATE, "invalidate"));
	unsigned char encoded[BRINE_TAGS_SIZE];
	size_t len;

	if (!request || tags_encode(tags, encoded, &len) < 0)
		return end(request, -1);
	return end(request, keep_tags(request, encoded, len));
}

static PyObject *
ask_scan(PyObject *self, PyObject *prefix)
{
	struct request *request = request_of(ask_whole(self, BRINE_SCAN, "scan"));
	Py_ssize_t len;
	char *bytes;

	if (!request || PyBytes_AsStringAndSize(prefix, &bytes, &len) < 0)
		return end(request, -1);
	Py_INCREF(prefix);
	request->tags = prefix;
	request->asked.prefix = bytes;
	request->asked.prefix_len = (size_t)len;
	request->asked.limit = SCAN_PAGE;
	return end(request, 0);
}

/* ---- leases */

/* (key, the Turn inside which it is asked or None, lease_ms, accept_stale, not_version) */
static PyObject *
ask_turn(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
	struct client *self = begin(object, count, 5);
	struct request *request =
		self ? request_new(self, BRINE_GET, "get_or_set", args[0]) : NULL;
	struct turn *inherited;

	if (!request)
		return NULL;
	request->asked.lease = BRINE_ASK_LEASE;
	request->asked.stale_ok = args[3] == Py_True;
	request->asked.lease_ms = PyLong_AsUnsignedLongLong(args[2]);
	if (PyErr_Occurred())
		return end(request, -1);
	request->asked.not_version = PyLong_AsUnsignedLongLong(args[4]);
	inherited = turn_running(self->state, args[1]);
	Py_XINCREF((PyObject *)inherited);
	request->inherited = (PyObject *)inherited;
	request->asked.holder = turn_holder_id(self->state, inherited);
	return end(request, PyErr_Occurred() ? -1 : 0);
}

#define FAST(name, function, doc)                                                        \
	{                                                                                \
		name, (PyCFunction)(void (*)(void))function, METH_FASTCALL, doc          \
	}

static PyMethodDef methods[] = {
	FAST("_ask_get", ask_get, "_ask_get(key, max_age, stale)"),
	FAST("_ask_gets", ask_gets, "_ask_gets(keys, max_age, stale)"),
	FAST("_ask_put", ask_put,
	     "_ask_put(how, key, value, version, ttl, stale, tags, ack, cost)"),
	FAST("_ask_incr", ask_incr, "_ask_incr(key, by, initial, ttl, create)"),
	FAST("_ask_touch", ask_touch, "_ask_touch(key, ttl)"),
	FAST("_ask_turn", ask_turn,
	     "_ask_turn(key, inherited, lease_ms, accept_stale, not_version)"),
	{ "_ask_pop", ask_pop, METH_O, "_ask_pop(key)" },
	{ "_ask_contains", ask_contains, METH_O, "_ask_contains(key)" },
	{ "_ask_delete", ask_delete, METH_O, "_ask_delete(key)" },
	{ "_ask_invalidate", ask_invalidate, METH_O, "_ask_invalidate(tags)" },
	{ "_ask_scan", ask_scan, METH_O, "_ask_scan(prefix)" },
	{ "_ask_clear", ask_clear, METH_NOARGS, "_ask_clear()" },
	{ "_ask_sync", ask_sync, METH_NOARGS, "_ask_sync()" },
	{ "_ask_ping", ask_ping, METH_NOARGS, "_ask_ping()" },
	{ "_ask_stats", ask_stats, METH_NOARGS, "_ask_stats()" },
	{ "_counts", client_counts, METH_NOARGS, "_counts(): what this object counted" },
	{ NULL, NULL, 0, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_new, PyType_GenericNew },
	{ Py_tp_init, client_init },
	{ Py_tp_dealloc, client_dealloc },
	{ Py_tp_methods, methods },
	{ 0, NULL },
};

PyType_Spec async_client_spec = {
	.name = "brine._brine.AsyncClient",
	.basicsize = sizeof(struct client),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};
