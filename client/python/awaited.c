/* awaited.c - a Turn in an event loop: what it says of its computation, as Requests. They go over the wire of the loop
 * in which it was granted; what becomes of them is that one's business. Owns nothing. */
#include <string.h>

#include "client/python/request.h"
#include "client/python/turn.h"

PyObject *
turn_awaited(const struct request *request, const unsigned char *token)
{
	PyObject *turn =
		turn_new(request->client, request->asked.key, request->asked.key_len,
			 request->inherited ? turn_of(request->inherited) : NULL,
			 request->asked.holder);

	if (turn && token)
		turn_grant(turn_of(turn), NULL, token);
	return turn;
}

static struct request *
request_for(struct turn *turn, enum brine_command command)
{
	struct request *request = request_new(turn->client, command, "get_or_set", NULL);

	if (!request)
		return NULL;
	Py_INCREF(turn->key);
	request->key = turn->key;
	request->asked.key = PyBytes_AsString(turn->key);
	request->asked.key_len = (size_t)PyBytes_Size(turn->key);
	memcpy(request->token, turn->token, BRINE_TOKEN_SIZE);
	if (turn_holds(turn))
		request->asked.token = request->token;
	return request;
}

static int
fill_publishing(struct request *request, PyObject *args)
{
	unsigned long long cost_us, stale_ms;
	PyObject *value, *ttl, *tags;

	if (!PyArg_ParseTuple(args, "OKOKO!:publishing", &value, &cost_us, &ttl,
			      &stale_ms, &PyBytes_Type, &tags) ||
	    client_ttl(request->client, ttl, &request->asked.ttl_ms) < 0 ||
	    request_take_value(request, value) < 0)
		return -1;
	request->asked.cost_us = cost_us;
	request->asked.stale_ms = stale_ms;
	Py_INCREF(tags);
	request->tags = tags;
	request->asked.tags = PyBytes_AsString(tags);
	request->asked.tags_len = (size_t)PyBytes_Size(tags);
	return 0;
}

PyObject *
turn_publishing(PyObject *self, PyObject *args)
{
	struct turn *turn = turn_of(self);
	struct request *request;

	if (turn->over || (turn->leased && !turn_holds(turn)))
		Py_RETURN_NONE;
	request = request_for(turn, BRINE_PUT);
	if (request && fill_publishing(request, args) < 0)
		Py_CLEAR(request);
	return (PyObject *)request;
}

PyObject *
turn_giving_up(PyObject *self, PyObject *kept)
{
	struct turn *turn = turn_of(self);
	struct request *request;

	if (turn->over || !turn_holds(turn))
		Py_RETURN_NONE;
	request = request_for(turn, BRINE_RELEASE);
	if (request)
		request->asked.give_up =
			kept == Py_True ? BRINE_FAILED : BRINE_CANNOT_BE_KEPT;
	return (PyObject *)request;
}

PyObject *
turn_resuming(PyObject *self, PyObject *unused)
{
	struct turn *turn = turn_of(self);
	struct request *request;

	(void)unused;
	if (turn->over || !turn_holds(turn))
		Py_RETURN_NONE;
	request = request_for(turn, BRINE_RESUME);
	if (request)
		request->asked.holder = turn->holder;
	return (PyObject *)request;
}
