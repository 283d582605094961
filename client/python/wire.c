/* wire.c - the type Wire: one connection to the daemon, run by an event loop. Owns its socket, and a handle that finds
 * the daemon. In the thread of its loop alone, but for connect().
 *
 * The loop calls readable() and flush(); the class that derives from it in Python (Link) is told through its methods
 * what the loop has to do: _soon, _watch, _write, _room, _met, _ended.
 *
 * Who is answered is found by the Request's own address, which went along as the token: it is in the list of those
 * under way, and owned by it, until its one reply was taken, whether or not anybody still waits. */
#include "client/python/wire.h"

#include <unistd.h>

#include "client/python/request.h"
#include "client/python/state.h"

static PyObject *
none_or_null(int result)
{
	if (result < 0)
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
wire_readable(PyObject *object, PyObject *unused)
{
	struct wire *self = wire_of(object);

	(void)unused;
	return none_or_null(self->wire ? wire_receive(self) : 0);
}

static PyObject *
wire_flush(PyObject *object, PyObject *unused)
{
	(void)unused;
	wire_of(object)->soon = false;
	return none_or_null(wire_flush_now(wire_of(object)));
}

/* ---- requests */

/* Under BRINE_DISABLE=1, from which brine_many() answers without a socket. */
static void
answer_disabled(struct wire *self, struct request *request)
{
	struct brine_reply reply;

	brine_many(self->brine, &request->asked, 1, &reply);
	request_answer(request, &reply, NULL);
}

/* Looks whether the connection still stands and is this process's. 0 or -1. */
static int
look(struct wire *self, const struct request *request)
{
	if (brine_moved(self->brine))
		return wire_end(self, -BRINE_ERROR_UNREACHABLE, true);
	/* An idle one that the daemon has left cuts off what cannot be sent twice. */
	if (!self->under_way && request->asked.command != BRINE_GET)
		return wire_receive(self);
	return 0;
}

/* 1: it is under way; 0: not now, or it was refused and is answered; or -1. */
static int
queue(struct wire *self, struct request *request)
{
	struct brine_reply reply = { .entry = BRINE_UNKNOWN };
	int result;

	if (request->state != REQUEST_NEW) {
		PyErr_SetString(PyExc_ValueError, "a request that was sent already");
		return -1;
	}
	if (self->disabled)
		answer_disabled(self, request);
	if (self->wire && look(self, request) < 0)
		return -1;
	if (!self->wire || brine_wire_leaving(self->wire) ||
	    !wire_has_room(self, request))
		return 0;
	result = brine_wire_request(self->wire, &request->asked,
				    (uint64_t)(uintptr_t)request, wire_now_ms());
	if (result == -BRINE_ERROR_BUSY || result == -BRINE_ERROR_SHUTTING_DOWN)
		return 0;
	if (result < 0) {
		reply.result = result;
		request_answer(request, &reply, wire_message(self, result));
		return 0;
	}
	request->uid = brine_uid(self->brine);
	wire_add(self, request);
	if (self->watched)
		return 1;
	self->watched = true;
	return wire_call(self, "_watch") < 0 ? -1 : 1;
}

static struct request *
given_request(struct wire *self, PyObject *object)
{
	if (PyObject_TypeCheck(object, self->state->request_type))
		return request_of(object);
	PyErr_SetString(PyExc_TypeError, "not a Request");
	return NULL;
}

static PyObject *
wait_for(struct wire *self, struct request *request)
{
	PyObject *future = PyObject_CallObject(self->create_future, NULL);

	if (!future)
		return NULL;
	Py_INCREF(future);
	Py_XDECREF(request->future);
	request->future = future;
	return future;
}

/* in_line: whether it waited for room; then it goes before those that come now. */
static PyObject *
wire_ask(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
	struct wire *self = wire_of(object);
	struct request *request = count ? given_request(self, args[0]) : NULL;
	int queued;

	if (!request)
		return NULL;
	if (self->wanted && count < 2)
		Py_RETURN_NONE;
	queued = queue(self, request);
	if (queued < 0 || (queued && wire_flush_soon(self, true) < 0))
		return NULL;
	/* It may have been answered by the end of the connection. */
	if (!queued || request->state != REQUEST_UNDER_WAY)
		Py_RETURN_NONE;
	return wait_for(self, request);
}

static PyObject *
wire_post(PyObject *object, PyObject *given)
{
	struct wire *self = wire_of(object);
	struct request *request = given_request(self, given);
	int queued = request ? queue(self, request) : -1;

	if (queued < 0 || (queued && wire_flush_soon(self, false) < 0))
		return NULL;
	return PyBool_FromLong(queued || request->state == REQUEST_ANSWERED);
}

static PyObject *
wire_wait(PyObject *object, PyObject *given)
{
	struct wire *self = wire_of(object);
	struct request *request = given_request(self, given);

	if (!request)
		return NULL;
	if (request->state != REQUEST_UNDER_WAY)
		Py_RETURN_NONE;
	return wait_for(self, request);
}

static PyObject *
wire_abandon(PyObject *object, PyObject *given)
{
	struct wire *self = wire_of(object);
	struct request *request = given_request(self, given);

	if (!request)
		return NULL;
	request->abandoned = true;
	Py_CLEAR(request->future);
	if (request->state == REQUEST_ANSWERED)
		wire_give_back(self, request);
	return none_or_null(wire_flush_now(self));
}

/* ---- time */

static PyObject *
wire_tick(PyObject *object, PyObject *unused)
{
	struct wire *self = wire_of(object);
	uint64_t deadline, now;
	int error;

	(void)unused;
	/* Where the loop was held up, the answer may be here. */
	if (self->wire && (wire_flush_now(self) < 0 || wire_receive(self) < 0))
		return NULL;
	if (self->wire && brine_wire_deadline(self->wire) <= wire_now_ms()) {
		error = brine_wire_tick(self->wire, wire_now_ms());
		if (error ? wire_end(self, error, false) < 0 : wire_flush_now(self) < 0)
			return NULL;
	}
	deadline = self->wire ? brine_wire_deadline(self->wire) : BRINE_NEVER;
	if (deadline == BRINE_NEVER) {
		self->watched = false;
		Py_RETURN_NONE;
	}
	now = wire_now_ms();
	return PyFloat_FromDouble(deadline > now ? (double)(deadline - now) / 1000 : 0);
}

/* ---- connecting */

static PyObject *
wire_connect(PyObject *object, PyObject *given)
{
	struct wire *self = wire_of(object);
	int may_wait = PyObject_IsTrue(given), fd, result;

	if (may_wait < 0)
		return NULL;
	if (self->connecting) /* for somebody who did not wait for it */
		return PyLong_FromLong(-BRINE_ERROR_BUSY);
	if (self->fd >= 0)
		return PyLong_FromLong(BRINE_DONE);
	self->connecting = true;
	Py_BEGIN_ALLOW_THREADS;
	result = brine_connect(self->brine, may_wait, &fd);
	Py_END_ALLOW_THREADS;
	self->connecting = false;
	self->disabled = result == -BRINE_ERROR_DISABLED;
	if (result == BRINE_DONE && self->closed) {
		close(fd);
		result = -BRINE_ERROR_UNREACHABLE;
	} else if (result == BRINE_DONE) {
		self->fd = fd;
	}
	return PyLong_FromLong(result);
}

/* In the loop's thread: from here on there are requests. */
static PyObject *
wire_attach(PyObject *object, PyObject *unused)
{
	struct wire *self = wire_of(object);
	struct brine_wire_options options = {
		.timeout_ms = self->timeout_ms,
	};

	(void)unused;
	if (brine_wire_new(&options, &self->wire))
		return PyErr_NoMemory();
	self->answers = 0;
	self->asked = self->writing = self->met = false;
	return PyLong_FromLong(self->fd);
}

static PyObject *
wire_shut(PyObject *object, PyObject *unused)
{
	struct wire *self = wire_of(object);

	(void)unused;
	self->closed = true;
	if (self->wire)
		return none_or_null(wire_end(self, -BRINE_ERROR_CUT_OFF, false));
	if (self->fd >= 0)
		close(self->fd);
	self->fd = -1;
	Py_RETURN_NONE;
}

/* ---- the type */

/* Only the options of the client are taken over: a connection does not keep a Cache that nobody uses. */
static int
wire_init(PyObject *object, PyObject *args, PyObject *names)
{
	struct wire *self = wire_of(object);
	struct state *state = state_of(Py_TYPE(object));
	PyObject *client, *create_future;

	if (!state)
		return -1;
	if (names || self->state) {
		PyErr_SetString(PyExc_TypeError, "Wire(client, create_future), once");
		return -1;
	}
	if (!PyArg_ParseTuple(args, "O!O:Wire", state->async_client_type, &client,
			      &create_future) ||
	    client_ready(client_of(client)) < 0)
		return -1;
	/* The options were good once: only memory can fail. */
	if (brine_open(&client_of(client)->lanes.options, &self->brine) < 0) {
		PyErr_NoMemory();
		return -1;
	}
	Py_INCREF(create_future);
	self->create_future = create_future;
	self->fd = -1;
	self->timeout_ms = client_of(client)->lanes.options.timeout_ms;
	self->watched = self->timeout_ms < 0; /* nothing to watch for */
	self->state = state;
	return 0;
}

static int
wire_traverse(PyObject *object, visitproc visit, void *arg)
{
	struct wire *self = wire_of(object);

	Py_VISIT(Py_TYPE(object));
	Py_VISIT(self->create_future);
	for (struct request *at = self->under_way; at; at = at->next)
		Py_VISIT(&at->ob_base);
	return 0;
}

/* Nobody is left to be told: the connection ends, without a word where it is another process's. */
static int
wire_clear(PyObject *object)
{
	struct wire *self = wire_of(object);
	struct request *request;

	brine_wire_free(&self->wire);
	if (self->state && self->fd >= 0)
		close(self->fd);
	self->fd = -1;
	while ((request = self->under_way)) {
		wire_remove(self, request);
		Py_DECREF(&request->ob_base);
	}
	Py_CLEAR(self->create_future);
	return 0;
}

static void
wire_dealloc(PyObject *object)
{
	PyTypeObject *type = Py_TYPE(object);
	freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
	struct wire *self = wire_of(object);

	PyObject_GC_UnTrack(object);
	wire_clear(object);
	brine_close(&self->brine);
	release(object);
	Py_DECREF(type);
}

static PyObject *
wire_get_connected(PyObject *object, void *unused)
{
	(void)unused;
	return PyBool_FromLong(wire_of(object)->wire != NULL);
}

static PyObject *
wire_get_leaving(PyObject *object, void *unused)
{
	(void)unused;
	return PyBool_FromLong(wire_of(object)->wire &&
			       brine_wire_leaving(wire_of(object)->wire));
}

static PyObject *
wire_get_answered(PyObject *object, void *unused)
{
	(void)unused;
	return PyBool_FromLong(wire_of(object)->answers > 0);
}

static PyObject *
wire_get_outstanding(PyObject *object, void *unused)
{
	(void)unused;
	return PyLong_FromSize_t(wire_of(object)->outstanding);
}

static PyObject *
wire_get_message(PyObject *object, void *unused)
{
	(void)unused;
	return PyUnicode_FromString(brine_message(wire_of(object)->brine));
}

static PyObject *
wire_get_where(PyObject *object, void *unused)
{
	char where[WHERE_MAX];

	(void)unused;
	brine_where(wire_of(object)->brine, where, sizeof(where));
	return PyUnicode_DecodeFSDefault(where);
}

static PyObject *
wire_get_wanted(PyObject *object, void *unused)
{
	(void)unused;
	return PyBool_FromLong(wire_of(object)->wanted);
}

static int
wire_set_wanted(PyObject *object, PyObject *given, void *unused)
{
	int wanted = given ? PyObject_IsTrue(given) : 0;

	(void)unused;
	if (wanted < 0)
		return -1;
	wire_of(object)->wanted = wanted;
	return 0;
}

static PyMethodDef methods[] = {
	{ "ask", (PyCFunction)(void (*)(void))wire_ask, METH_FASTCALL,
	  "ask(request, in_line): sends it. A future that is done when it is answered; None: not now, or it is" },
	{ "post", wire_post, METH_O, "post(request): queues it. False: not now" },
	{ "wait", wire_wait, METH_O,
	  "wait(request): a future, or None if it is not under way" },
	{ "abandon", wire_abandon, METH_O,
	  "abandon(request): whatever comes of it is nobody's" },
	{ "readable", wire_readable, METH_NOARGS,
	  "readable(): there is something to read" },
	{ "flush", wire_flush, METH_NOARGS, "flush(): sends what is queued" },
	{ "tick", wire_tick, METH_NOARGS,
	  "tick(): seconds until it is to be called again, or None" },
	{ "connect", wire_connect, METH_O,
	  "connect(may_wait): 0, or an error's number, negative. In any thread" },
	{ "attach", wire_attach, METH_NOARGS,
	  "attach(): after connect(): the socket, to be watched" },
	{ "shut", wire_shut, METH_NOARGS, "shut(): ends it for ever" },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef attributes[] = {
	{ "connected", wire_get_connected, NULL, "Can requests be sent?", NULL },
	{ "leaving", wire_get_leaving, NULL, "Did the daemon say that it leaves?", NULL },
	{ "answered", wire_get_answered, NULL,
	  "Was a request answered on this connection?", NULL },
	{ "outstanding", wire_get_outstanding, NULL,
	  "Requests without an answer, those that park not counted.", NULL },
	{ "message", wire_get_message, NULL, "Of connect()'s last error.", NULL },
	{ "where", wire_get_where, NULL, "The socket, and why it.", NULL },
	{ "wanted", wire_get_wanted, wire_set_wanted,
	  "Does somebody wait for room? Then _room() is called.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_new, PyType_GenericNew }, { Py_tp_init, wire_init },
	{ Py_tp_dealloc, wire_dealloc },  { Py_tp_traverse, wire_traverse },
	{ Py_tp_clear, wire_clear },      { Py_tp_methods, methods },
	{ Py_tp_getset, attributes },     { 0, NULL },
};

PyType_Spec wire_spec = {
	.name = "brine._brine.Wire",
	.basicsize = sizeof(struct wire),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE | Py_TPFLAGS_HAVE_GC |
		 Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};
