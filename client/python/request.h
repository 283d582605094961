/* request.h - the type Request: one question to the daemon, and its answer, for event loops.
 *
 * asking.c makes it, a Wire carries it (as often as may be), and it says what the answer comes to. */
#ifndef PYTHON_REQUEST_H
#define PYTHON_REQUEST_H

#include <stdbool.h>

#include "client/python/client.h"

enum request_state {
	REQUEST_NEW, /* or to be sent again */
	REQUEST_UNDER_WAY,
	REQUEST_ANSWERED,
};

struct request {
	PyObject ob_base;
	struct client
		*client;  /* owned, and so all objects below; NULL where there is none */
	PyObject *object; /* the key as given; of many gets the tuple of keys */
	PyObject *key;    /* encoded */
	PyObject *tags;   /* or a scan's prefix */
	PyObject *inherited; /* of a lease: the Turn inside which it is asked for */
	struct encoded value;
	unsigned char token[BRINE_TOKEN_SIZE];
	struct brine_request asked; /* borrows them */
	const char *doing;          /* the method's name */

	enum request_state state;
	bool abandoned; /* nobody waits for it any more */
	PyObject *future;
	struct request *next, *previous; /* under way on the same wire */

	struct brine_reply reply;
	uint32_t uid;      /* that asked */
	PyObject *message; /* of an error */
};

static inline struct request *
request_of(PyObject *self)
{
	return (struct request *)self;
}

/* A new one for this key (as given, or NULL for none), or NULL. */
struct request *request_new(struct client *client, enum brine_command command,
			    const char *doing, PyObject *object);

/* Is its answer only to be awaited as long as somebody computes? */
static inline bool
request_parks(const struct request *request)
{
	return request->asked.lease && request->asked.wait_ms != BRINE_NO_WAIT;
}

/* What it stores, dumped; or why that cannot be, raised. 0 or -1. */
int request_take_value(struct request *request, PyObject *value);

/* Takes the reply's value, and the error's message if there is one (which may be NULL). */
void request_answer(struct request *request, struct brine_reply *reply,
		    PyObject *message);

/* Says through _failed of the Cache what went wrong. 0 where the call goes on as after a miss, or -1. */
int request_tell(struct request *request);

/* gets.c: (keys, a tuple of at most 1,024; max_age, stale). The Request that asks for all of them, or NULL. */
PyObject *ask_gets(PyObject *object, PyObject *const *args, Py_ssize_t count);
/* Its answer: fills the dict `found`. A list of the keys that are to be asked for alone, or NULL. */
PyObject *request_gets(PyObject *self, PyObject *found);

/* An answer that nobody waits for brought a lease: fills *ret_release, which borrows the request, so that it is
 * given back. False: it brought none. */
bool request_gives_back(const struct request *request, struct brine_request *ret_release);

#endif
