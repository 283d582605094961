/* whole.c - the calls that name no key: of the namespace, the daemon, and the object itself. */
#define PY_SSIZE_T_CLEAN /* before Python.h: lengths in Py_BuildValue() */
#include "client/python/client.h"

/* Runs one of libbrine's functions that take the handle alone. */
static PyObject *
whole(PyObject *object, int (*function)(struct brine *), const char *doing)
{
	struct client *self = client_of(object);
	struct lane *lane = client_ready(self) < 0 ? NULL : lanes_take(&self->lanes);
	int result;

	if (!lane)
		return NULL;
	lane_wait(lane);
	result = function(lane->brine);
	lane_resume(lane);
	if (result < 0) {
		if (client_failed(self, lane, result, doing) < 0)
			return NULL;
	} else {
		lanes_give(&self->lanes, lane);
	}
	Py_RETURN_NONE;
}

static int
flush_own(struct brine *brine)
{
	return brine_flush(brine, NULL);
}

PyObject *
client_clear(PyObject *self, PyObject *unused)
{
	(void)unused;
	return whole(self, flush_own, "clear");
}

PyObject *
client_invalidate(PyObject *object, PyObject *tags)
{
	struct client *self = client_of(object);
	struct lane *lane;
	char *bytes;
	Py_ssize_t len;
	int result;

	if (PyBytes_AsStringAndSize(tags, &bytes, &len) < 0 || client_ready(self) < 0)
		return NULL;
	lane = lanes_take(&self->lanes);
	if (!lane)
		return NULL;
	lane_wait(lane);
	result = brine_invalidate(lane->brine, bytes, (size_t)len, NULL, 0);
	lane_resume(lane);
	if (result < 0) {
		if (client_failed(self, lane, result, "invalidate") < 0)
			return NULL;
	} else {
		lanes_give(&self->lanes, lane);
	}
	Py_RETURN_NONE;
}

PyObject *
client_sync(PyObject *self, PyObject *unused)
{
	(void)unused;
	return whole(self, brine_sync, "sync");
}

PyObject *
client_close(PyObject *self, PyObject *unused)
{
	(void)unused;
	lanes_drain(&client_of(self)->lanes);
	Py_RETURN_NONE;
}

PyObject *
client_ping(PyObject *object, PyObject *unused)
{
	struct client *self = client_of(object);
	struct lane *lane = client_ready(self) < 0 ? NULL : lanes_take(&self->lanes);
	struct brine_daemon daemon = { 0 };
	int result;

	(void)unused;
	if (!lane)
		return NULL;
	lane_wait(lane);
	result = brine_ping(lane->brine, &daemon);
	lane_resume(lane);
	if (result < 0) {
		if (client_failed(self, lane, result, "ping") < 0)
			return NULL;
		Py_RETURN_NONE;
	}
	lanes_give(&self->lanes, lane);
	return Py_BuildValue("{s:I,s:I,s:I,s:K}", "release", daemon.release, "uid",
			     daemon.uid, "server_uid", daemon.server_uid, "max_value",
			     (unsigned long long)daemon.max_value);
}

PyObject *
client_where(PyObject *object, PyObject *unused)
{
	struct client *self = client_of(object);
	struct lane *lane = client_ready(self) < 0 ? NULL : lanes_take(&self->lanes);
	char place[4096];

	(void)unused;
	if (!lane)
		return NULL;
	brine_where(lane->brine, place, sizeof(place));
	lanes_give(&self->lanes, lane);
	return PyUnicode_DecodeFSDefault(place);
}

PyObject *
client_stats_list(const struct brine_value *text)
{
	PyObject *list = PyList_New(0), *item;
	struct brine_stat stat;
	size_t position = 0;

	while (list && brine_stats_next(text, &position, &stat) == BRINE_HIT) {
		item = Py_BuildValue("(s#s#s#)", stat.scope, (Py_ssize_t)stat.scope_len,
				     stat.name, (Py_ssize_t)stat.name_len, stat.value,
				     (Py_ssize_t)stat.value_len);
		if (!item || PyList_Append(list, item) < 0)
			Py_CLEAR(list);
		Py_XDECREF(item);
	}
	return list;
}

PyObject *
client_stats(PyObject *object, PyObject *unused)
{
	struct client *self = client_of(object);
	struct lane *lane = client_ready(self) < 0 ? NULL : lanes_take(&self->lanes);
	struct brine_value *text;
	PyObject *list;
	int result;

	(void)unused;
	if (!lane)
		return NULL;
	lane_wait(lane);
	result = brine_stats(lane->brine, &text);
	lane_resume(lane);
	if (result < 0) {
		if (client_failed(self, lane, result, "stats") < 0)
			return NULL;
		return PyList_New(0);
	}
	lanes_give(&self->lanes, lane);
	list = client_stats_list(text);
	brine_value_release(&text);
	return list;
}

PyObject *
client_counts(PyObject *object, PyObject *unused)
{
	struct client *self = client_of(object);

	(void)unused;
	return Py_BuildValue("{s:K,s:K,s:K}", "outages",
			     (unsigned long long)self->outages, "load_errors",
			     (unsigned long long)self->load_errors, "strangers",
			     (unsigned long long)self->strangers);
}
