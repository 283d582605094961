/* client.h - what the files that make up the type Client share. Private to this folder. */
#ifndef PYTHON_CLIENT_H
#define PYTHON_CLIENT_H

#include <Python.h>
#include <stdatomic.h>

#include "client/python/key.h"
#include "client/python/lanes.h"
#include "client/python/value.h"

struct client {
	PyObject ob_base;
	struct state *state; /* borrowed from the type; NULL before __init__ */
	struct lanes lanes;
	struct codec codec;
	uint64_t ttl_ms; /* of what is stored without one */
	_Atomic uint64_t outages, load_errors, strangers;
	unsigned trusted_count;
	uint32_t trusted[TRUST_MAX]; /* uids besides the process's own */
};

static inline struct client *
client_of(PyObject *self)
{
	return (struct client *)self;
}

/* client.c: of every type that is laid out so. */
int client_init(PyObject *self, PyObject *args, PyObject *names);
void client_dealloc(PyObject *self);

/* outcome.c */

/* Sets "not initialised" if __init__ did not run. 0 or -1. */
int client_ready(struct client *self);
/* Takes the lane back and says through self._failed what went wrong with `doing`. Returns 0 when the caller
 * is to go on as after a miss, -1 when that raised. */
int client_failed(struct client *self, struct lane *lane, int result, const char *doing);
/* The same for an answer among many; the lane stays the caller's. */
int client_failed_one(struct client *self, int result, const char *message,
		      const char *doing);

/* Takes *value, the one stored under key, which uid (as brine_uid() says) asked for. 1 and a new reference, 0 for a
 * miss that was counted and told, or -1. */
int client_load(struct client *self, uint32_t uid, PyObject *key,
		struct brine_value **value, PyObject **ret_object);
/* Encodes object, or raises what self._unpicklable makes of the reason. 0 or -1. */
int client_dump(struct client *self, PyObject *object, struct encoded *ret_encoded);
/* ttl: a Python object or NULL for the default. 0 or -1. */
int client_ttl(struct client *self, PyObject *ttl, uint64_t *ret_ttl_ms);

/* The same for another time, called `name`; NULL and None: 0. */
int client_ms(struct client *self, PyObject *given, const char *name, uint64_t *ret_ms);

/* NULL, None: the default; else "memory" or "disk". 0 or -1. */
int client_ack(PyObject *given, uint8_t *ret_ack);

/* tags.c */

/* An iterable of str, as brine_tags_add() writes it. 0 or -1. */
int tags_encode(PyObject *given, unsigned char tags[BRINE_TAGS_SIZE], size_t *ret_len);

/* get.c */
PyObject *client_get(PyObject *self, PyObject *const *args, Py_ssize_t count,
		     PyObject *names);
PyObject *client_pop(PyObject *self, PyObject *const *args, Py_ssize_t count,
		     PyObject *names);
PyObject *client_entry(PyObject *self, PyObject *args);
int client_contains(PyObject *self, PyObject *key);
PyObject *client_item(PyObject *self, PyObject *key);
/* What _entry() returns. */
PyObject *client_entry_tuple(PyObject *value, const struct brine_meta *meta);

/* put.c */

/* What all that store take alike: ttl, stale, tags, ack, cost; NULL: not given. 0 or -1. */
#define TERMS 5
int client_terms(struct client *self, PyObject *const given[TERMS],
		 struct brine_put_options *ret_options,
		 unsigned char tags[BRINE_TAGS_SIZE]);

PyObject *client_set(PyObject *self, PyObject *const *args, Py_ssize_t count,
		     PyObject *names);
PyObject *client_add(PyObject *self, PyObject *const *args, Py_ssize_t count,
		     PyObject *names);
PyObject *client_cas(PyObject *self, PyObject *const *args, Py_ssize_t count,
		     PyObject *names);
PyObject *client_setdefault(PyObject *self, PyObject *const *args, Py_ssize_t count,
			    PyObject *names);
int client_set_item(PyObject *self, PyObject *key, PyObject *value);

/* change.c */
PyObject *client_incr(PyObject *self, PyObject *const *args, Py_ssize_t count,
		      PyObject *names);
/* BRINE_DISABLE=1: counted, and forgotten. 0 or -1. */
int client_count_nothing(int64_t initial, int64_t delta, int64_t *ret_value);
PyObject *client_touch(PyObject *self, PyObject *const *args, Py_ssize_t count,
		       PyObject *names);
PyObject *client_delete(PyObject *self, PyObject *key);
int client_remove(struct client *self, PyObject *key); /* 1: it was there; 0; or -1 */

/* many.c */
PyObject *client_get_many(PyObject *self, PyObject *const *args, Py_ssize_t count,
			  PyObject *names);
PyObject *client_set_many(PyObject *self, PyObject *const *args, Py_ssize_t count,
			  PyObject *names);
PyObject *client_delete_many(PyObject *self, PyObject *keys);

/* whole.c */
PyObject *client_clear(PyObject *self, PyObject *unused);
PyObject *client_invalidate(PyObject *self, PyObject *tags);
PyObject *client_sync(PyObject *self, PyObject *unused);
PyObject *client_close(PyObject *self, PyObject *unused);
PyObject *client_ping(PyObject *self, PyObject *unused);
PyObject *client_where(PyObject *self, PyObject *unused);
PyObject *client_stats(PyObject *self, PyObject *unused);
PyObject *client_counts(PyObject *self, PyObject *unused);
/* What _stats() returns. */
PyObject *client_stats_list(const struct brine_value *text);

/* turn.c */
PyObject *client_turn(PyObject *self, PyObject *const *args, Py_ssize_t count);

/* scan.c */
PyObject *client_scan(PyObject *self, PyObject *prefix);
PyObject *client_count(PyObject *self, PyObject *unused);

#endif
