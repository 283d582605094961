/* turn.c - one computes, the others wait: the type Turn, which is a caller's turn to compute what is missing.
 *
 * A Turn that was granted a lease keeps the lane on which it was, because the lease lives as long as its connection;
 * computations inside it, in its thread, ask over the same lane. One that was granted to who awaited it, in an event
 * loop, has no lane: it makes Requests. All of one outermost computation, its threads, tasks and forked
 * children included, have one holder id, by which the daemon knows a circle. */
#include <stdbool.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "client/python/request.h"
#include "client/python/state.h"
#include "client/python/turn.h"

/* A stored value that cannot be loaded is asked for again without it, so often. */
#define LOADS_MAX 4

#define SHARED_SIZE 4096

/* ---- who computes */

static uint64_t
mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ x >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ x >> 27) * UINT64_C(0x94d049bb133111eb);
	return x ^ x >> 31;
}

/* Never 0; another one in each forked child. */
static uint64_t
new_holder(struct state *state)
{
	uint64_t pid = (uint64_t)getpid();
	uint64_t holder;

	do {
		holder = mix(state->holder_base ^ (pid << 42 | state->holder_count++));
	} while (!holder);
	return holder;
}

/* What was started inside a computation and outlived it is on its own. */
struct turn *
turn_running(struct state *state, PyObject *object)
{
	struct turn *turn, *outermost;

	if (!PyObject_TypeCheck(object, state->turn_type))
		return NULL;
	turn = turn_of(object);
	outermost = turn->outermost ? turn->outermost : turn;
	if (outermost->over || (outermost->over_shared && *outermost->over_shared))
		return NULL;
	return turn;
}

uint64_t
turn_holder_id(struct state *state, const struct turn *inherited)
{
	return inherited ? inherited->holder : new_holder(state);
}

/* The lane on which this thread holds a lease already, or any. */
static struct lane *
take_lane(struct client *self, struct turn *inherited)
{
	for (; inherited; inherited = inherited->outer) {
		if (inherited->client != self || !inherited->lane ||
		    inherited->pid != getpid())
			continue;
		if (lane_take_again(inherited->lane))
			return inherited->lane;
		break;
	}
	return lanes_take(&self->lanes);
}

/* ---- its beginning */

PyObject *
turn_new(struct client *self, const void *key, size_t key_len, struct turn *inherited,
	 uint64_t holder)
{
	PyObject *object = PyType_GenericAlloc(self->state->turn_type, 0);
	struct turn *turn = turn_of(object);

	if (!object)
		return NULL;
	turn->key = PyBytes_FromStringAndSize(key, (Py_ssize_t)key_len);
	if (!turn->key) {
		Py_DECREF(object);
		return NULL;
	}
	turn->holder = holder;
	turn->pid = getpid();
	Py_INCREF(&self->ob_base);
	turn->client = self;
	if (inherited) {
		turn->outer = inherited;
		turn->outermost = inherited->outermost ? inherited->outermost : inherited;
		Py_INCREF(&turn->outer->ob_base);
		Py_INCREF(&turn->outermost->ob_base);
	}
	return object;
}

void
turn_grant(struct turn *turn, struct lane *lane,
	   const unsigned char token[BRINE_TOKEN_SIZE])
{
	if (lane)
		lane_pin(lane);
	turn->lane = lane;
	turn->leased = true;
	memcpy(turn->token, token, BRINE_TOKEN_SIZE);
}

struct asking {
	struct client *client;
	PyObject *object; /* the key as given */
	struct turn *inherited;
	struct key key;
	struct brine_lease_options options;
	bool load_failed;
};

/* One question. 1: *ret is the value or a Turn; 0: the value cannot be loaded, ask without it; or -1. */
static int
ask(struct asking *asking, PyObject **ret)
{
	struct client *self = asking->client;
	struct brine_value *value = NULL;
	struct brine_lease lease;
	struct lane *lane;
	PyObject *turn = NULL;
	int result;

	lane = take_lane(self, asking->inherited);
	if (!lane)
		return -1;
	lane_wait(lane);
	result = brine_get_or_lease(lane->brine, asking->key.data, asking->key.len,
				    &asking->options, &value, &lease);
	lane_resume(lane);
	if (result < 0 && client_failed(self, lane, result, "get_or_set") < 0)
		return -1;
	if (result == BRINE_HIT && lease.state == BRINE_LEASE_NONE) {
		uint32_t uid = brine_uid(lane->brine);

		lanes_give(&self->lanes, lane);
		asking->options.not_version = brine_value_meta(value)->version;
		return client_load(self, uid, asking->object, &value, ret);
	}
	brine_value_release(&value); /* a stale one, which this caller refreshes */
	turn = turn_new(self, asking->key.data, asking->key.len, asking->inherited,
			asking->options.holder);
	if (result >= 0) {
		if (lease.state == BRINE_LEASE_GRANTED && turn)
			turn_grant(turn_of(turn), lane, lease.token);
		else if (lease.state == BRINE_LEASE_GRANTED)
			brine_release(lane->brine, asking->key.data, asking->key.len,
				      NULL, lease.token, BRINE_FAILED);
		lanes_give(&self->lanes, lane);
	}
	*ret = turn;
	return turn ? 1 : -1;
}

static int
read_u64(PyObject *object, uint64_t *ret_value)
{
	*ret_value = PyLong_AsUnsignedLongLong(object);
	return *ret_value == UINT64_MAX && PyErr_Occurred() ? -1 : 0;
}

PyObject *
client_turn(PyObject *object, PyObject *const *args, Py_ssize_t count)
{
	struct asking asking = { .client = client_of(object) };
	struct brine_lease_options *options = &asking.options;
	PyObject *answer;
	int result = 0;

	if (client_ready(asking.client) < 0)
		return NULL;
	if (count < 5 || count > 6) {
		PyErr_SetString(PyExc_TypeError, "_turn() takes 5 or 6 arguments");
		return NULL;
	}
	asking.object = args[0];
	if (key_encode(asking.client->state, args[0], &asking.key) < 0 ||
	    read_u64(args[2], &options->wait_ms) < 0 ||
	    read_u64(args[3], &options->lease_ms) < 0 ||
	    (count == 6 && read_u64(args[5], &options->not_version) < 0))
		return NULL;
	options->stale_ok = args[4] == Py_True;
	asking.inherited = turn_running(asking.client->state, args[1]);
	options->holder = turn_holder_id(asking.client->state, asking.inherited);
	for (int i = 0; i < LOADS_MAX && result == 0; i++)
		result = ask(&asking, &answer);
	/* Somebody stores again and again what does not load here. */
	if (result == 0)
		answer = turn_new(asking.client, asking.key.data, asking.key.len,
				  asking.inherited, options->holder);
	return result < 0 ? NULL : answer;
}

/* ---- its end */

void
turn_end(struct turn *turn)
{
	struct client *client = turn->client;
	struct turn *outer = turn->outer;

	turn->over = true;
	if (turn->over_shared && turn->pid == getpid())
		*turn->over_shared = 1;
	if (turn->lane)
		lanes_unpin(&client->lanes, turn->lane);
	turn->lane = NULL;
	turn->leased = false;
	turn->client = NULL;
	turn->outer = NULL;
	Py_CLEAR(turn->key);
	Py_XDECREF((PyObject *)outer);
	Py_XDECREF((PyObject *)client);
}

static struct lane *
turn_lane(struct turn *turn)
{
	if (turn->lane && turn_holds(turn) && lane_take_again(turn->lane))
		return turn->lane;
	return take_lane(turn->client, turn->outer);
}

static PyObject *
turn_give_up(struct turn *turn, enum brine_give_up why)
{
	char *key;
	Py_ssize_t len;
	struct lane *lane;

	if (turn->over)
		Py_RETURN_NONE;
	lane = turn->lane && turn_holds(turn) ? turn_lane(turn) : NULL;
	if (lane) {
		PyBytes_AsStringAndSize(turn->key, &key, &len);
		lane_wait(lane);
		lane->spoiled |= brine_release(lane->brine, key, (size_t)len, NULL,
					       turn->token, why) < 0;
		lane_resume(lane);
		lanes_give(&turn->client->lanes, lane);
	}
	turn_end(turn);
	if (PyErr_Occurred())
		return NULL;
	Py_RETURN_NONE;
}

static PyObject *
turn_failed(PyObject *self, PyObject *unused)
{
	(void)unused;
	return turn_give_up(turn_of(self), BRINE_FAILED);
}

static PyObject *
turn_cannot_keep(PyObject *self, PyObject *unused)
{
	(void)unused;
	return turn_give_up(turn_of(self), BRINE_CANNOT_BE_KEPT);
}

/* 1: it is stored, or was not ours to store; 0: an outage that was told; or -1. */
static int
publish(struct turn *turn, const struct encoded *encoded,
	struct brine_put_options *options)
{
	struct client *client = turn->client;
	struct lane *lane;
	char *key;
	Py_ssize_t len;
	int result;

	PyBytes_AsStringAndSize(turn->key, &key, &len);
	lane = turn_lane(turn);
	if (!lane)
		return -1;
	options->codec = encoded->codec;
	options->kind = encoded->kind;
	options->token = turn_holds(turn) ? turn->token : NULL;
	lane_wait(lane);
	result = brine_put(lane->brine, key, (size_t)len, encoded->data, encoded->len,
			   options, NULL);
	lane_resume(lane);
	/* With a token that is old the key was deleted or stored meanwhile: what was computed is not to be kept. */
	if (result < 0 && result != -BRINE_ERROR_OLD_TOKEN)
		return client_failed(client, lane, result, "get_or_set");
	lanes_give(&client->lanes, lane);
	return 1;
}

static PyObject *
turn_publish(PyObject *self, PyObject *args)
{
	struct turn *turn = turn_of(self);
	struct brine_put_options options = { 0 };
	unsigned long long cost_us, stale_ms;
	struct encoded encoded;
	PyObject *value, *ttl, *tags;
	char *bytes;
	Py_ssize_t len;
	int kept;

	if (!PyArg_ParseTuple(args, "OKOKS:publish", &value, &cost_us, &ttl, &stale_ms,
			      &tags))
		return NULL;
	if (turn->over || (turn->leased && !turn_holds(turn))) {
		turn_end(turn);
		Py_RETURN_TRUE;
	}
	if (client_ttl(turn->client, ttl, &options.ttl_ms) < 0 ||
	    PyBytes_AsStringAndSize(tags, &bytes, &len) < 0 ||
	    client_dump(turn->client, value, &encoded) < 0)
		return NULL;
	options.cost_us = cost_us;
	options.stale_ms = stale_ms;
	options.tags = bytes;
	options.tags_len = (size_t)len;
	kept = publish(turn, &encoded, &options);
	encoded_done(&encoded);
	if (kept > 0)
		turn_end(turn);
	return kept < 0 ? NULL : PyBool_FromLong(kept);
}

static PyObject *
turn_over(PyObject *self, PyObject *unused)
{
	(void)unused;
	if (!turn_of(self)->over)
		turn_end(turn_of(self));
	Py_RETURN_NONE;
}

/* Right before a fork: the child is to learn when the outermost computation is over. Without memory it takes
 * itself for a part of it for ever, and then computes some things that others compute too. */
static PyObject *
turn_share(PyObject *self, PyObject *unused)
{
	struct turn *turn = turn_of(self);
	struct turn *outermost = turn->outermost ? turn->outermost : turn;
	void *page;

	(void)unused;
	if (!outermost->over && !outermost->over_shared) {
		page = mmap(NULL, SHARED_SIZE, PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
		if (page != MAP_FAILED)
			outermost->over_shared = page;
	}
	Py_RETURN_NONE;
}

/* ---- the type */

static PyObject *
turn_granted(PyObject *self, void *unused)
{
	(void)unused;
	return PyBool_FromLong(turn_holds(turn_of(self)));
}

static PyObject *
turn_holder(PyObject *self, void *unused)
{
	(void)unused;
	return PyLong_FromUnsignedLongLong(turn_of(self)->holder);
}

/* Whoever drops it unfinished fails. Nothing is waited for here where the connection can simply end. */
static void
turn_dealloc(PyObject *self)
{
	PyTypeObject *type = Py_TYPE(self);
	freefunc release = (freefunc)PyType_GetSlot(type, Py_tp_free);
	struct turn *turn = turn_of(self);
	PyObject *error_type, *error, *trace;

	if (!turn->over && turn->client) {
		if (turn->lane && turn_holds(turn) && lanes_drop(turn->lane))
			turn->lane = NULL;
		PyErr_Fetch(&error_type, &error, &trace);
		Py_XDECREF(turn_give_up(turn, BRINE_FAILED));
		PyErr_Restore(error_type, error, trace);
	}
	if (turn->over_shared)
		munmap(turn->over_shared, SHARED_SIZE);
	Py_XDECREF((PyObject *)turn->outermost);
	release(self);
	Py_DECREF(type);
}

static PyMethodDef methods[] = {
	{ "publish", turn_publish, METH_VARARGS,
	  "publish(value, cost_us, ttl, stale_ms, tags): stores what was computed. False: it was not kept" },
	{ "failed", turn_failed, METH_NOARGS, "failed(): the next one computes" },
	{ "cannot_keep", turn_cannot_keep, METH_NOARGS,
	  "cannot_keep(): all who wait compute for themselves" },
	{ "share", turn_share, METH_NOARGS, "share(): before a fork" },
	{ "publishing", turn_publishing, METH_VARARGS,
	  "publishing(value, cost_us, ttl, stale_ms, tags): the Request that stores it, or None" },
	{ "giving_up", turn_giving_up, METH_O,
	  "giving_up(may_be_kept): the Request that says so, or None. True: the next one computes; False: all who wait do" },
	{ "resuming", turn_resuming, METH_NOARGS,
	  "resuming(): on a new connection: the Request that takes the lease up, or None" },
	{ "end", turn_over, METH_NOARGS, "end(): the computation is over" },
	{ NULL, NULL, 0, NULL },
};

static PyGetSetDef attributes[] = {
	{ "granted", turn_granted, NULL, "Does it hold a lease?", NULL },
	{ "holder", turn_holder, NULL, "The outermost computation's number.", NULL },
	{ NULL, NULL, NULL, NULL, NULL },
};

static PyType_Slot slots[] = {
	{ Py_tp_dealloc, turn_dealloc },
	{ Py_tp_methods, methods },
	{ Py_tp_getset, attributes },
	{ 0, NULL },
};

PyType_Spec turn_spec = {
	.name = "brine._brine.Turn",
	.basicsize = sizeof(struct turn),
	.flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION |
		 Py_TPFLAGS_IMMUTABLETYPE,
	.slots = slots,
};
