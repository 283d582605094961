/* link.c - the connection of a handle. Owns its socket and its wire. One thread at a time.
 *
 * One request costs one send() and one recv(): SO_RCVTIMEO keeps the time, poll() comes in only when the
 * daemon does not take what is sent. */
#include "client/link.h"

#include <errno.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "client/find.h"
#include "client/renew.h"
#include "client/silence.h"

#define SEND_IOVECS 64
/* How long the successor of a daemon that leaves is waited for, whatever the timeout, and in which steps. */
#define SUCCESSOR_MAX_MS 10000
#define SUCCESSOR_STEP_MS 5

/* ---- a daemon that leaves */

/* It may be on its way to be replaced: by its administrator, or by a newer one. */
static void
expect_successor(struct brine *brine)
{
	int64_t wait_ms = brine->timeout_ms;

	if (wait_ms < 0 || wait_ms > SUCCESSOR_MAX_MS)
		wait_ms = SUCCESSOR_MAX_MS;
	if (!brine->successor_until_ms)
		brine->successor_until_ms = handle_now_ms() + (uint64_t)wait_ms;
}

static bool
may_await(const struct brine *brine)
{
	return brine->successor_until_ms && handle_now_ms() < brine->successor_until_ms;
}

int
link_await_successor(struct brine *brine)
{
	if (!may_await(brine))
		return 0;
	if (poll(NULL, 0, SUCCESSOR_STEP_MS) < 0 && handle_interrupted(brine))
		return handle_fail(brine, BRINE_ERROR_INTERRUPTED,
				   "the wait for another daemon was broken off");
	return 1;
}

void
link_close(struct brine *brine)
{
	struct brine_wire *wire = brine->wire;

	if (wire && (wire->leaving || wire->error == -BRINE_ERROR_SHUTTING_DOWN))
		expect_successor(brine);
	if (brine->fd >= 0)
		close(brine->fd);
	brine->fd = -1;
	brine->send_broken = false;
	brine_wire_free(&brine->wire);
}

/* ---- connecting */

/* Every call answers this error for a while, without trying. What one waited for in vain, no other handle waits for that
 * shares its silence; what fails at once, each finds out by itself. */
static void
pause_trying(struct brine *brine, int error, bool waited)
{
	uint64_t now_ms = handle_now_ms();

	if (waited)
		silence_begin(brine->silence, brine->retry_ms, now_ms);
	else
		brine->retry_at_ms = now_ms + brine->retry_ms;
	brine->retry_error = error;
}

static int
keep_away(struct brine *brine)
{
	if (brine->retry_error)
		return brine
			->retry_error; /* this handle's own, and its message with it */
	return handle_fail(
		brine, BRINE_ERROR_TIMED_OUT,
		"the daemon kept silent when it was asked before%s%s%s; it is asked again from time to time",
		*brine->place.path ? " (" : "", brine->place.path,
		*brine->place.path ? ")" : "");
}

/* A failure that was waited for, as in a queue of new connections that stayed full. */
static bool
took_long(const struct brine *brine, uint64_t since_ms)
{
	return brine->timeout_ms > 0 &&
	       (handle_now_ms() - since_ms) * 2 >= (uint64_t)brine->timeout_ms;
}

static int
find_or_await(struct brine *brine)
{
	bool absent;
	int error, more;

	do {
		error = find_daemon(brine, &absent);
		more = error && absent ? link_await_successor(brine) : 0;
	} while (more > 0);
	return more < 0 ? more : error;
}

/* On a new connection, before anything else: the leases that the handle still holds. Nobody waits for the answers. */
static void
resume_leases(struct brine *brine)
{
	struct brine_request request;

	for (unsigned place = 0; place < HELD_MAX; place++)
		if (held_request(&brine->held, place, &request))
			wire_resume(brine->wire, &request, place, handle_now_ms());
}

int
link_idle(struct brine *brine)
{
	if (!brine->stream)
		return 0;
	return handle_fail(
		brine, BRINE_ERROR_BAD_ARGUMENT,
		"an upload or a download is under way on this handle; end it first");
}

int
link_ready(struct brine *brine)
{
	uint64_t now_ms;
	int error;

	handle_look(brine);
	error = link_idle(brine);
	if (error)
		return error;
	now_ms = handle_now_ms();
	if (silence_holds(brine->silence, brine->retry_ms, now_ms))
		return keep_away(brine);
	if (brine->fd >= 0 && brine->wire->leaving)
		link_close(brine);
	if (brine->fd >= 0)
		return 0;
	if (brine->retry_at_ms && now_ms < brine->retry_at_ms)
		return brine->retry_error;
	brine->retry_at_ms = 0;
	error = find_or_await(brine);
	if (error && error != -BRINE_ERROR_INTERRUPTED)
		pause_trying(brine, error, took_long(brine, now_ms));
	if (error)
		return error;
	brine->retry_error = 0;
	resume_leases(brine);
	return 0;
}

/* ---- moving bytes */

/* The connection ended by itself; what is open is told so. */
static int
lose(struct brine *brine, int error)
{
	/* Where a child of this process has the socket as well, closing it tells the daemon nothing: what was given up
	 * might then be done at any time later. */
	shutdown(brine->fd, SHUT_RDWR);
	brine_wire_cut(brine->wire);
	return error;
}

static int
give_up(struct brine *brine, int error, const char *what)
{
	error = wire_break(brine->wire, error, "%s (%s)", what, brine->place.path);
	return lose(brine, error);
}

static int
after_signal(struct brine *brine)
{
	if (!handle_interrupted(brine))
		return 0;
	return give_up(brine, BRINE_ERROR_INTERRUPTED,
		       "the wait for the daemon was broken off");
}

/* Waits until the socket is ready or the silence is too long. */
static int
wait_ready(struct brine *brine, short events, short *ret_events)
{
	struct pollfd poller = { .fd = brine->fd, .events = events };
	uint64_t deadline = brine_wire_deadline(brine->wire);
	uint64_t now = handle_now_ms();
	int ready, error;

	if (now < deadline) {
		uint64_t left = deadline - now;

		ready = poll(&poller, 1,
			     deadline == BRINE_NEVER ? -1
			     : left > 60000          ? 60000
						     : (int)left);
		*ret_events = ready > 0 ? poller.revents : 0;
		return ready < 0 && errno == EINTR ? after_signal(brine) : 0;
	}
	*ret_events = 0;
	error = brine_wire_tick(brine->wire, now);
	/* A signal that came just before the wait began broke nothing off: it is asked for now. */
	return error ? lose(brine, error) : after_signal(brine);
}

static int
receive(struct brine *brine, int flags)
{
	struct iovec space[2];
	struct msghdr header = { .msg_iov = space };
	ssize_t bytes;
	short ready;

	header.msg_iovlen = (size_t)brine_wire_space(brine->wire, space);
	/* No room for control messages in either, so no descriptor arrives. recv() is the cheaper one. */
	bytes = header.msg_iovlen == 1
			? recv(brine->fd, space[0].iov_base, space[0].iov_len, flags)
			: recvmsg(brine->fd, &header, flags);
	if (bytes > 0)
		return brine_wire_received(brine->wire, (size_t)bytes, handle_now_ms())
			       ? lose(brine, brine->wire->error)
			       : 0;
	if (bytes == 0)
		return lose(brine, -BRINE_ERROR_CUT_OFF);
	if (errno == EINTR)
		return after_signal(brine);
	if (errno == EAGAIN)
		return wait_ready(brine, POLLIN, &ready);
	return lose(brine, -BRINE_ERROR_CUT_OFF);
}

/* Sends what it can. Returns 1 when everything queued has gone, 0 when not, or an error. */
static int
transmit(struct brine *brine)
{
	struct iovec pieces[SEND_IOVECS];
	struct msghdr header = { .msg_iov = pieces };
	ssize_t bytes;
	short ready;
	int count, error;

	if (brine->send_broken)
		return 1;
	count = brine_wire_output(brine->wire, pieces, SEND_IOVECS);
	if (count == 0)
		return 1;
	header.msg_iovlen = (size_t)count;
	bytes = count == 1 ? send(brine->fd, pieces[0].iov_base, pieces[0].iov_len,
				  MSG_NOSIGNAL | MSG_DONTWAIT)
			   : sendmsg(brine->fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
	if (bytes >= 0) {
		brine_wire_sent(brine->wire, (size_t)bytes, handle_now_ms());
		return outgoing_empty(&brine->wire->outgoing) ? 1 : 0;
	}
	if (errno == EINTR)
		return after_signal(brine);
	if (errno != EAGAIN) {
		brine->send_broken = true; /* it may have said why before it closed */
		return 1;
	}
	error = wait_ready(brine, POLLIN | POLLOUT, &ready);
	if (!error && ready & POLLIN)
		error = receive(brine, MSG_DONTWAIT);
	return error;
}

int
link_move(struct brine *brine)
{
	int sent = transmit(brine);

	return sent == 1 ? receive(brine, 0) : sent;
}

int
link_send(struct brine *brine, struct brine_reply *ret_reply)
{
	int sent, result;

	for (;;) {
		sent = transmit(brine);
		if (sent < 0)
			return sent;
		if (brine->send_broken)
			return lose(brine, -BRINE_ERROR_CUT_OFF);
		result = brine_wire_next(brine->wire, ret_reply);
		if (result)
			return result < 0 ? lose(brine, result) : 1;
		if (sent == 1)
			return 0;
	}
}

void
link_check(struct brine *brine)
{
	struct pollfd poller = { .fd = brine->fd, .events = POLLIN };
	struct brine_reply nobodys;

	if (brine->fd < 0 || brine->wire->asked.open)
		return;
	if (brine->wire->incoming.open) /* the rest of a value that nobody wanted */
		return;
	/* Nothing was asked, so whatever there is to read is GOAWAY or the end: it makes a difference which. */
	brine_wire_next(brine->wire, &nobodys);
	if (!brine->wire->leaving && !brine->wire->error) {
		if (poll(&poller, 1, 0) == 0)
			return;
		if (receive(brine, MSG_DONTWAIT) == 0)
			brine_wire_next(brine->wire, &nobodys);
	}
	link_close(brine);
}

int
link_next(struct brine *brine, struct brine_reply *ret_reply)
{
	int result;

	for (;;) {
		result = brine_wire_next(brine->wire, ret_reply);
		if (result == 1)
			return 1;
		if (brine->wire->cut)
			return 0;
		if (result < 0)
			lose(brine, result);
		else if (brine_wire_outstanding(brine->wire) == 0)
			return 0;
		else
			link_move(brine); /* an error shows in the replies */
	}
}

void
link_settle(struct brine *brine)
{
	struct brine_wire *wire = brine->wire;
	bool idle;
	int error;

	if (!wire)
		return;
	error = wire->error;
	idle = brine_wire_outstanding(wire) == 0;
	/* A refusal may overtake its value: the rest of it is the caller's, and must not be sent later. */
	if (!wire->cut && !error &&
	    !(idle && (wire->leaving || !outgoing_empty(&wire->outgoing)))) {
		silence_end(brine->silence);
		if (idle && !wire->incoming.open)
			renew_daemon(brine);
		return;
	}
	link_close(brine);
	if (error == -BRINE_ERROR_SHUTTING_DOWN && may_await(brine))
		return;
	if (error && error != -BRINE_ERROR_INTERRUPTED)
		pause_trying(brine, error, error == -BRINE_ERROR_TIMED_OUT);
}

bool
link_may_repeat(const struct brine_reply *reply)
{
	if (!reply->again)
		return false;
	return reply->result == -BRINE_ERROR_CUT_OFF ||
	       reply->result == -BRINE_ERROR_UNREACHABLE ||
	       reply->result == -BRINE_ERROR_SHUTTING_DOWN;
}
