/* scan.c - the type Scan: an iterator over the encoded keys of one namespace. Holds a lane until its end. */
#include <string.h>

#include "client/python/client.h"
#include "client/python/state.h"

struct scan {
	PyObject ob_base;
	struct client *client; /* owned; with the two below NULL at the end */
	struct lane *lane;
	struct brine_scan *scan;
	int busy; /* another thread waits in it */
};

static void
scan_finish(struct scan *self)
{
	struct client *client = self->client;

	if (!client)
		return;
	self->client = NULL;
	brine_scan_end(&self->scan);
	if (self->lane)
		lanes_give(&client->lanes, self->lane);
	self->lane = NULL;
	Py_DECREF(client);
}

PyObject *
client_scan(PyObject *object, PyObject *prefix)
{
	struct client *client = client_of(object);
	struct brine_scan_options options = { 0 };
	Py_ssize_t len;
	struct scan *self;
	char *bytes;
	int result;

	if (client_ready(client) < 0 || PyBytes_AsStringAndSize(prefix, &bytes, &len) < 0)
		return NULL;
	options.prefix = bytes;
	options.prefix_len = (size_t)len;
	self = (struct scan *)PyType_GenericAlloc(client->state->scan_type, 0);
	if (!self)
		return NULL;
	Py_INCREF(object);
	self->client = client;
	self->lane = lanes_take(&client->lanes);
	result = self->lane ? brine_scan_begin(self->lane->brine, &options, &self->scan)
			    : 0;
	if (result < 0) {
		client_failed_one(client, result, brine_message(self->lane->brine),
				  "scan");
		if (!PyErr_Occurred())
			PyErr_NoMemory();
	}
	if (!self->lane || result < 0)
		Py_CLEAR(self);
	return (PyObject *)self;
}

static int
scan_step(struct scan *self, struct brine_entry *ret_entry)
{
	int result;

	if (brine_scan_held(self->scan) > 0)
		return brine_scan_next(self->scan, ret_entry);
	self->busy = 1;
	lane_wait(self->lane);
	result = brine_scan_next(self->scan, ret_entry);
	lane_resume(self->lane);
	self->busy = 0;
	return result;
}

/* An error raises in any case: keys that are silently missing would be believed. */
static void
scan_failed(struct scan *self, int result)
{
	client_failed_one(self->client, result, brine_message(self->lane->brine), "scan");
}

static PyObject *
scan_next(PyObject *object)
{
	struct scan *self = (struct scan *)object;
	struct brine_entry entry;
	int result;

	if (self->busy) {
		PyErr_SetString(PyExc_ValueError,
				"another thread waits in this iterator");
		return NULL;
	}
	if (!self->client)
		return NULL;
	result = scan_step(self, &entry);
	if (result == BRINE_HIT)
		return PyBytes_FromStringAndSize(entry.key, (Py_ssize_t)entry.key_len);
	if (result < 0)
		scan_failed(self, result);
	scan_finish(self);
	return NULL;
}

PyObject *
client_count(PyObject *object, PyObject *unused)
{
	PyObject *prefix = PyBytes_FromStringAndSize("", 0), *scan;
	struct brine_entry entry;
	size_t count = 0;
	int result = BRINE_HIT;

	(void)unused;
	scan = prefix ? client_scan(object, prefix) : NULL;
	Py_XDECREF(prefix);
	if (!scan)
		return NULL;
	while (result == BRINE_HIT) {
		result = scan_step((struct scan *)scan, &entry);
		count += result == BRINE_HIT;
	}
	if (result < 0)
		scan_failed((struct scan *)scan, result);
	Py_DECREF(scan);
	return result < 0 ? NULL : PyLong_FromSize_t(count);
}

static PyObject *
scan_iter(PyObject *self)
{
	Py_INCREF(self);
	return self;
}

static int
scan_traverse(PyObject *object, visitproc visit, void *arg)
{
	Py_VISIT(Py_TYPE(object));
	Py_VISIT((PyObject *)((struct scan *)object)->client);
	return 0;
}

static int
scan_clear(PyObject *object)
{
	scan_finish((struct scan *)object);
	return 0;
}

static void
scan_dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);
	freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);

	PyObject_GC_UnTrack(object);
	scan_finish((struct scan *)object);
	release(object);
	Py_DECREF(type);
}

static PyType_Slot slots[] = {
	{ Py_tp_dealloc, scan_dealloc }, { Py_tp_traverse, scan_traverse },
	{ Py_tp_clear, scan_clear },     { Py_tp_iter, scan_iter },
	{ Py_tp_iternext, scan_next },   { 0, NULL },
};

PyType_Spec scan_spec = {
	.name = "brine._brine.Scan",
	.basicsize = sizeof(struct scan),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_HAVE_GC |
		 Py_TPFLAGS_DISALLOW_INSTANTIATION | Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};
