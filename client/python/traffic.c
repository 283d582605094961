/* traffic.c - what moves on a Wire: requests under way, answers, bytes, and the end. Part of the type Wire. */
#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "client/python/request.h"
#include "client/python/state.h"
#include "client/python/wire.h"

/* Of one wire. What is beyond them waits its turn in Python. */
#define OUTSTANDING_MAX 1024 /* requests without an answer, those that park not counted */
#define PARKED_MAX 4096      /* of those that wait for somebody's computation */
/* Values that are not stored yet; a larger one goes alone. */
#define VALUES_MAX ((size_t)8 << 20)
/* Read or sent before the loop has its turn. */
#define TURN_BYTES ((size_t)1 << 20)
#define SEND_IOVECS 64

uint64_t
wire_now_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC_COARSE, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- the list of what is under way */

void
wire_add(struct wire *self, struct request *request)
{
	Py_INCREF(&request->ob_base);
	request->state = REQUEST_UNDER_WAY;
	request->previous = NULL;
	request->next = self->under_way;
	if (self->under_way)
		self->under_way->previous = request;
	self->under_way = request;
	if (request_parks(request))
		self->parked++;
	else
		self->outstanding++;
	self->values += request->value.len;
}

void
wire_remove(struct wire *self, struct request *request)
{
	if (request->next)
		request->next->previous = request->previous;
	if (request->previous)
		request->previous->next = request->next;
	else
		self->under_way = request->next;
	request->next = request->previous = NULL;
	if (request_parks(request))
		self->parked--;
	else
		self->outstanding--;
	self->values -= request->value.len;
}

bool
wire_has_room(const struct wire *self, const struct request *request)
{
	if (request_parks(request))
		return self->parked < PARKED_MAX;
	return self->outstanding < OUTSTANDING_MAX &&
	       (!self->values || self->values + request->value.len <= VALUES_MAX);
}

/* ---- answers */

int
wire_call(struct wire *self, const char *name)
{
	PyObject *answer = PyObject_CallMethod((PyObject *)self, name, NULL);

	Py_XDECREF(answer);
	return answer ? 0 : -1;
}

/* Whoever waits goes on in the loop's next turn. One that was cancelled meanwhile sees the answer all the same. */
static int
wake(struct wire *self, struct request *request)
{
	PyObject *future = request->future, *answer;

	request->future = NULL;
	if (!future)
		return 0;
	answer = PyObject_CallMethodObjArgs(future, self->state->set_result, Py_None,
					    NULL);
	Py_DECREF(future);
	Py_XDECREF(answer);
	if (!answer && PyErr_ExceptionMatches(PyExc_Exception)) {
		PyErr_Clear(); /* InvalidStateError: cancelled */
		return 0;
	}
	return answer ? 0 : -1;
}

PyObject *
wire_message(struct wire *self, int result)
{
	const char *text = brine_wire_message(self->wire);
	char where[WHERE_MAX];
	bool of_connection = result <= -BRINE_ERROR_UNREACHABLE ||
			     result == -BRINE_ERROR_SHUTTING_DOWN;
	PyObject *message;

	if (!*text)
		text = brine_error_text(result);
	if (of_connection) {
		brine_where(self->brine, where, sizeof(where));
		message = PyUnicode_FromFormat("%s (%s)", text, where);
	} else {
		message = PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace");
	}
	if (!message)
		PyErr_Clear();
	return message;
}

void
wire_give_back(struct wire *self, const struct request *request)
{
	struct brine_request release;

	if (!self->wire || !request_gives_back(request, &release))
		return;
	brine_wire_request(self->wire, &release, 0, wire_now_ms());
	self->owes = true;
}

static int
take_reply(struct wire *self, struct brine_reply *reply)
{
	struct request *request = (struct request *)(uintptr_t)reply->token;
	PyObject *message = NULL;
	int result;

	if (!request) /* give_back()'s */
		return 0;
	wire_remove(self, request);
	if (reply->result < 0)
		message = wire_message(self, reply->result);
	if (reply->result >= 0 || !reply->again)
		self->answers++;
	request_answer(request, reply, message);
	if (request->abandoned)
		wire_give_back(self, request);
	result = wake(self, request);
	Py_DECREF(&request->ob_base);
	return result;
}

/* Takes all replies that are there. 0, or -1 with an exception; *ret_error: the wire's. */
static int
take_replies(struct wire *self, int *ret_error)
{
	struct brine_reply reply;
	int result;

	while ((result = brine_wire_next(self->wire, &reply)) == 1)
		if (take_reply(self, &reply) < 0)
			return -1;
	*ret_error = result;
	return 0;
}

/* ---- the end of a connection */

int
wire_end(struct wire *self, int error, bool mute)
{
	PyObject *message = wire_message(self, error), *answer;
	int fd = self->fd, leaving = brine_wire_leaving(self->wire), unused;
	int result;

	/* Where a child of this process has the socket as well, closing it tells the daemon nothing. */
	if (!mute)
		shutdown(fd, SHUT_RDWR);
	brine_wire_cut(self->wire);
	result = take_replies(self, &unused);
	brine_wire_free(&self->wire);
	self->fd = -1;
	if (result == 0 && message) {
		answer = PyObject_CallMethod((PyObject *)self, "_ended", "iiOii", fd,
					     error, message, leaving, self->answers > 0);
		result = answer ? 0 : -1;
		Py_XDECREF(answer);
	}
	close(fd);
	if (!message) {
		PyErr_NoMemory();
		return -1;
	}
	Py_DECREF(message);
	return result;
}

/* ---- moving bytes */

/* One read. The bytes; 0: there are no more just now, or the connection ended; or -1 with an exception. */
static ssize_t
receive(struct wire *self)
{
	struct iovec space[2] = { { 0 } };
	struct msghdr header = { .msg_iov = space };
	ssize_t bytes;
	int error;

	header.msg_iovlen = (size_t)brine_wire_space(self->wire, space);
	/* No room for control messages, so no descriptor arrives. */
	bytes = recvmsg(self->fd, &header, MSG_DONTWAIT);
	if (bytes < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (bytes <= 0)
		return wire_end(self, -BRINE_ERROR_CUT_OFF, false);
	error = brine_wire_received(self->wire, (size_t)bytes, wire_now_ms());
	self->asked = false;
	if (!error && take_replies(self, &error) < 0)
		return -1;
	if (error < 0)
		return wire_end(self, error, false);
	return (size_t)bytes < space[0].iov_len + space[1].iov_len ? 0 : bytes;
}

/* Sends what the socket takes. True: there is more. */
static bool
send_some(struct wire *self)
{
	struct iovec pieces[SEND_IOVECS];
	struct msghdr header = { .msg_iov = pieces };
	size_t sent = 0;
	ssize_t bytes;
	int count;

	while ((count = brine_wire_output(self->wire, pieces, SEND_IOVECS)) > 0) {
		if (sent >= TURN_BYTES)
			return true;
		header.msg_iovlen = (size_t)count;
		bytes = sendmsg(self->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (bytes < 0 && errno == EAGAIN)
			return true;
		/* It may have said why before it closed: what there is to read shows it. */
		if (bytes < 0 && errno != EINTR)
			return false;
		if (bytes > 0) {
			brine_wire_sent(self->wire, (size_t)bytes, wire_now_ms());
			sent += (size_t)bytes;
		}
	}
	return false;
}

int
wire_flush_now(struct wire *self)
{
	PyObject *answer;
	bool more;

	if (!self->wire)
		return 0;
	self->asked = true;
	self->owes = false;
	more = send_some(self);
	if (more == self->writing)
		return 0;
	self->writing = more;
	answer = PyObject_CallMethod((PyObject *)self, "_write", "ii", self->fd, more);
	Py_XDECREF(answer);
	return answer ? 0 : -1;
}

/* Tells which daemon it is, once it has said so. */
static int
meet(struct wire *self)
{
	struct brine_daemon daemon;
	PyObject *answer;

	if (!self->wire || brine_wire_daemon(self->wire, &daemon) < 0)
		return 0;
	self->met = true;
	answer = PyObject_CallMethod((PyObject *)self, "_met", "IK",
				     (unsigned)daemon.release,
				     (unsigned long long)daemon.epoch);
	Py_XDECREF(answer);
	return answer ? 0 : -1;
}

int
wire_receive(struct wire *self)
{
	size_t taken = 0;
	ssize_t bytes = 1;

	while (self->wire && bytes > 0 && taken < TURN_BYTES) {
		bytes = receive(self);
		taken += bytes > 0 ? (size_t)bytes : 0;
	}
	if (bytes < 0 || (!self->met && meet(self) < 0) ||
	    (self->owes && wire_flush_now(self) < 0))
		return -1;
	/* After its GOAWAY the daemon has nothing more to say, and we go elsewhere. */
	if (self->wire && brine_wire_leaving(self->wire) && !self->under_way &&
	    wire_end(self, -BRINE_ERROR_SHUTTING_DOWN, false) < 0)
		return -1;
	return self->wanted ? wire_call(self, "_room") : 0;
}

int
wire_flush_soon(struct wire *self, bool at_once)
{
	if (at_once && !self->asked)
		return wire_flush_now(self);
	if (self->soon || self->writing)
		return 0;
	self->soon = true;
	return wire_call(self, "_soon");
}
