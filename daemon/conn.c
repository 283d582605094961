/* conn.c - one client's socket: reads, cuts into frames, has them carried out, sends.
 * Owns sockets, poll handles, sessions and input buffers. Loop thread only. */
#include "daemon/conn.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "daemon/dispatch.h"
#include "daemon/input.h"
#include "daemon/log.h"

/* Lines about closed connections in a minute. */
#define SAID_MAX 20
#define MINUTE_NS (60 * UINT64_C(1000000000))
/* Rounds of carrying out and sending before the others have their turn. */
#define ROUNDS_MAX 4
/* Who holds a large buffer for longer than this must give it up when others wait for one. */
#define STALL_NS (1000 * UINT64_C(1000000))
/* What is read from a client whose connection ends, so that it sees the replies and not a reset. */
#define DRAIN_MAX 16

/* ---- the list of those who can go on */

static void
mark_dirty(struct conn *conn)
{
	struct conns *all = conn->all;

	if (conn->dirty || conn->fd < 0)
		return;
	conn->dirty = true;
	conn->next_dirty = NULL;
	if (all->last_dirty)
		all->last_dirty->next_dirty = conn;
	else
		all->first_dirty = conn;
	all->last_dirty = conn;
	all->dirty_count++;
}

struct conn *
conn_take_dirty(struct conns *all)
{
	struct conn *conn = all->first_dirty;

	if (!conn)
		return NULL;
	all->first_dirty = conn->next_dirty;
	if (!all->first_dirty)
		all->last_dirty = NULL;
	all->dirty_count--;
	conn->dirty = false;
	return conn;
}

static void
on_output(void *arg)
{
	mark_dirty(arg);
}

void
conn_wake_waiting(struct conns *all, enum wait wait)
{
	for (struct conn *conn = all->first; conn; conn = conn->next) {
		if (conn->wait != wait)
			continue;
		conn->wait = WAIT_NONE;
		mark_dirty(conn);
	}
}

/* ---- closing */

static void
on_closed(uv_handle_t *handle)
{
	struct conn *conn = handle->data;

	CHECK(!conn->dirty);
	free(conn);
}

static void
undirty(struct conn *conn)
{
	struct conns *all = conn->all;
	struct conn **at = &all->first_dirty;
	struct conn *before = NULL;

	if (!conn->dirty)
		return;
	for (; *at != conn; at = &(*at)->next_dirty)
		before = *at;
	*at = conn->next_dirty;
	if (all->last_dirty == conn)
		all->last_dirty = before;
	all->dirty_count--;
	conn->dirty = false;
}

/* A socket that is closed with unread bytes gives its peer an error in place of the last replies. */
static void
drain(struct conn *conn)
{
	uint8_t bytes[INPUT_SHARE]; /* not the common buffer: it may be in use */

	for (int i = 0; i < DRAIN_MAX; i++)
		if (recv(conn->fd, bytes, sizeof(bytes), MSG_DONTWAIT) <= 0)
			return;
}

void
conn_close(struct conn *conn)
{
	struct conns *all = conn->all;
	bool large = input_large(&conn->input);

	if (conn->fd < 0)
		return;
	session_close(&conn->session);
	input_drop(&conn->input, &all->budget, conn->input.len);
	undirty(conn);
	if (conn->previous)
		conn->previous->next = conn->next;
	else
		all->first = conn->next;
	if (conn->next)
		conn->next->previous = conn->previous;
	uv_close((uv_handle_t *)&conn->poll, on_closed);
	if (!conn->ended)
		drain(conn);
	close(conn->fd);
	conn->fd = -1;
	all->sessions->counters.connections--;
	if (large)
		conn_wake_waiting(all, WAIT_MEMORY);
}

/* Somebody who does wrong all the time must not fill the log. */
static bool
may_say(struct conns *all)
{
	if (all->now_ns - all->minute_ns >= MINUTE_NS) {
		if (all->said > SAID_MAX)
			log_info("%u more connections were closed like that",
				 all->said - SAID_MAX);
		all->minute_ns = all->now_ns;
		all->said = 0;
	}
	return all->said++ < SAID_MAX;
}

void
conn_drop(struct conn *conn, const char *format, ...)
{
	char why[256];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(why, sizeof(why), format, arguments);
	va_end(arguments);
	if (may_say(conn->all))
		log_info("conn %" PRIu64 " of uid %" PRIu32 ": %s; closing", conn->number,
			 conn->uid, why);
	conn->all->sessions->counters.connections_dropped++;
	conn_close(conn);
}

/* ---- from bytes to requests */

enum step {
	STEP_DONE,  /* *ret_used bytes were used */
	STEP_SHORT, /* the unit is not here whole; conn->need says how long it is */
	STEP_WAIT,  /* it must wait */
	STEP_GONE,  /* the connection is closed */
};

static enum step
step_result(struct conn *conn, enum dispatch_result result, const char *why)
{
	if (result == DISPATCH_TAKEN)
		return STEP_DONE;
	if (result == DISPATCH_NO_ROOM) {
		conn->wait = WAIT_ROOM;
		return STEP_WAIT;
	}
	conn_drop(conn, "protocol error: %s", why);
	return STEP_GONE;
}

static enum step
step_frame(struct conn *conn, struct slice from, size_t *ret_used)
{
	const uint8_t *bytes = from.data;
	const char *why = "";
	enum dispatch_result result;
	struct frame frame;

	conn->need = FRAME_PREAMBLE_SIZE;
	if (from.len < conn->need)
		return STEP_SHORT;
	if (frame_read(bytes, &frame)) {
		conn_drop(conn, "protocol error: bytes that are no frame");
		return STEP_GONE;
	}
	conn->need = frame_size(&frame);
	if (from.len < conn->need)
		return STEP_SHORT;
	*ret_used = conn->need;
	bytes += FRAME_PREAMBLE_SIZE;
	result = dispatch_frame(conn->session, &frame, slice(bytes, frame.header_len),
				slice(bytes + frame.header_len, frame.first.len), &why);
	return step_result(conn, result, why);
}

static enum step
step_segment(struct conn *conn, struct slice from, size_t *ret_used)
{
	const uint8_t *bytes = from.data;
	struct frame_segment segment;

	conn->need = FRAME_WORD_SIZE;
	if (from.len < conn->need)
		return STEP_SHORT;
	if (frame_read_segment(bytes, &segment)) {
		conn_drop(conn, "protocol error: bytes that are no segment");
		return STEP_GONE;
	}
	if (conn->session->body == BODY_DISCARD) {
		conn->skip = segment.len;
		*ret_used = FRAME_WORD_SIZE;
		return step_result(
			conn, dispatch_segment(conn->session, &segment, slice(NULL, 0)),
			"");
	}
	conn->need = FRAME_WORD_SIZE + segment.len;
	if (from.len < conn->need)
		return STEP_SHORT;
	*ret_used = conn->need;
	return step_result(conn,
			   dispatch_segment(conn->session, &segment,
					    slice(bytes + FRAME_WORD_SIZE, segment.len)),
			   "");
}

bool
conn_blocked(const struct conn *conn)
{
	return conn->wait != WAIT_NONE || conn->all->leaving ||
	       session_full(conn->session);
}

/* Carries out what is complete in `from`. Returns how many bytes that were; the connection may be closed
 * afterwards. */
static size_t
process(struct conn *conn, struct slice from)
{
	const uint8_t *start = from.data;
	enum step step = STEP_DONE;

	conn_turn_begin(conn->all);
	conn->need = 0;
	while (step == STEP_DONE && from.len && !conn_blocked(conn)) {
		size_t used = conn->skip < from.len ? conn->skip : from.len;

		if (conn->skip)
			conn->skip -= used;
		else if (conn->session->body == BODY_NONE)
			step = step_frame(conn, from, &used);
		else
			step = step_segment(conn, from, &used);
		if (step == STEP_DONE) {
			from = slice((const uint8_t *)from.data + used, from.len - used);
			conn->need = 0; /* what is behind it was not looked at */
		}
	}
	return (size_t)((const uint8_t *)from.data - start);
}

/* ---- memory for what is not complete */

/* Closes the one that has held a large buffer for longest without finishing its request. */
static bool
drop_stalled(struct conns *all)
{
	struct conn *worst = NULL;

	for (struct conn *conn = all->first; conn; conn = conn->next)
		if (input_large(&conn->input) && !conn_blocked(conn) &&
		    (!worst || conn->reserved_ns < worst->reserved_ns))
			worst = conn;
	if (!worst || all->now_ns - worst->reserved_ns < STALL_NS)
		return false;
	conn_drop(worst, "half a request while others wait for its memory");
	return true;
}

/* Makes room for the rest of the unit at the front, or lets the connection wait for it. */
static void
reserve(struct conn *conn)
{
	struct conns *all = conn->all;
	bool small = !input_large(&conn->input);

	while (!input_reserve(&conn->input, &all->budget, conn->need)) {
		if (drop_stalled(all) && conn->fd >= 0)
			continue;
		if (conn->fd >= 0)
			conn->wait = WAIT_MEMORY;
		return;
	}
	if (small && input_large(&conn->input))
		conn->reserved_ns = all->now_ns;
}

/* Goes on with what is kept. */
static void
process_input(struct conn *conn)
{
	struct conns *all = conn->all;
	bool large = input_large(&conn->input);
	size_t used = process(conn, slice(conn->input.bytes, conn->input.len));

	if (conn->fd < 0)
		return;
	if (used)
		input_drop(&conn->input, &all->budget, used);
	if (large && !input_large(&conn->input))
		conn_wake_waiting(all, WAIT_MEMORY);
	if (conn->input.len && conn->need > conn->input.size)
		reserve(conn);
}

/* Bytes that came behind what is kept. */
static void
process_new(struct conn *conn, struct slice bytes)
{
	struct conns *all = conn->all;
	size_t used = 0;

	if (!conn->input.len) {
		used = process(conn, bytes);
		if (conn->fd < 0)
			return;
	}
	bytes = slice((const uint8_t *)bytes.data + used, bytes.len - used);
	if (!bytes.len)
		return;
	/* Reserved first, so that the rest of the unit is received where it will stay. */
	if (!conn->input.len && conn->need > bytes.len)
		reserve(conn);
	if (!input_append(&conn->input, &all->budget, bytes))
		conn_drop(conn, "out of memory for its request");
}

/* ---- events */

/* One read: what is missing of the unit under way goes where it belongs, the rest into the common
 * buffer. There is no room for control messages, so the kernel releases every descriptor that is sent
 * along without installing it. */
static ssize_t
receive(struct conn *conn, size_t *ret_room)
{
	struct conns *all = conn->all;
	struct input *input = &conn->input;
	size_t room =
		input->len && input->size > input->len ? input->size - input->len : 0;
	struct iovec vectors[2] = {
		{ .iov_base = room ? input->bytes + input->len : NULL, .iov_len = room },
		{ .iov_base = all->buffer,
		  .iov_len = conn->skip > INPUT_SHARE ? CONN_DISCARD_MAX : INPUT_SHARE },
	};
	struct msghdr message = { .msg_iov = vectors, .msg_iovlen = 2 };
	ssize_t received;

	do /* recv() is the cheaper one, and nearly always enough */
		received = room ? recvmsg(conn->fd, &message, MSG_DONTWAIT)
				: recv(conn->fd, vectors[1].iov_base, vectors[1].iov_len,
				       MSG_DONTWAIT);
	while (received < 0 && errno == EINTR);
	*ret_room = room;
	return received;
}

static void
on_readable(struct conn *conn)
{
	struct conns *all = conn->all;
	size_t room;
	ssize_t received = receive(conn, &room);
	size_t kept;

	if (received < 0 && errno == EAGAIN)
		return;
	if (received < 0) {
		conn_close(conn);
		return;
	}
	if (received == 0) {
		conn->ended = true;
		return;
	}
	conn->moved_ns = all->now_ns;
	kept = (size_t)received < room ? (size_t)received : room;
	conn->input.len += kept;
	if (kept && conn->input.len >= conn->need)
		process_input(conn);
	if (conn->fd >= 0 && (size_t)received > kept)
		process_new(conn, slice(all->buffer, (size_t)received - kept));
}

static void
on_poll(uv_poll_t *poll, int status, int events)
{
	struct conn *conn = poll->data;

	conn_turn_begin(conn->all);
	if (status < 0) {
		conn_close(conn);
		return;
	}
	if (events & UV_WRITABLE)
		conn->session->outbox.stuck = false;
	if (events & UV_READABLE && !conn_blocked(conn))
		on_readable(conn);
	conn_settle(conn);
}

/* Sends what there is. False: the connection is closed. */
static bool
flush(struct conn *conn)
{
	struct outbox *outbox = &conn->session->outbox;
	size_t sent = 0;

	if (outbox->failed) {
		conn_drop(conn, "out of memory for its replies");
		return false;
	}
	if (outbox_empty(outbox) || outbox->stuck)
		return true;
	if (outbox_flush(outbox, &sent)) {
		conn_close(conn);
		return false;
	}
	if (sent)
		conn->moved_ns = conn->all->now_ns;
	return true;
}

bool
conn_owes(const struct conn *conn)
{
	bool half = conn->input.len || conn->skip || conn->session->body != BODY_NONE;

	return conn->session->outbox.stuck || (half && !conn_blocked(conn));
}

static void
set_interest(struct conn *conn)
{
	int interest = 0;

	if (!conn->ended && !conn_blocked(conn))
		interest |= UV_READABLE;
	if (conn->session->outbox.stuck)
		interest |= UV_WRITABLE;
	if (interest == conn->interest)
		return;
	conn->interest = interest;
	if (interest)
		uv_poll_start(&conn->poll, interest, on_poll);
	else
		uv_poll_stop(&conn->poll);
}

/* Does the unit at the front of input wait to be carried out? */
static bool
holds_unit(const struct conn *conn)
{
	return conn->input.len && conn->input.len >= conn->need;
}

/* No more requests will be carried out, and all answers are on their way. */
static bool
finished(const struct conn *conn)
{
	bool last = conn->all->leaving || (conn->ended && !holds_unit(conn));

	return last && session_idle(conn->session);
}

void
conn_settle(struct conn *conn)
{
	struct conns *all = conn->all;
	int round = 0;

	if (conn->fd < 0 || !flush(conn))
		return;
	if (conn->wait == WAIT_NONE && conn->need > conn->input.size)
		reserve(conn);
	while (conn->fd >= 0 && holds_unit(conn) && !conn_blocked(conn)) {
		if (round++ == ROUNDS_MAX) {
			mark_dirty(conn);
			break;
		}
		process_input(conn);
		if (conn->fd < 0 || !flush(conn))
			return;
	}
	if (conn->fd < 0)
		return;
	if (finished(conn)) {
		conn_close(conn);
		return;
	}
	if (conn_blocked(conn) || conn_owes(conn))
		all->owing = true;
	set_interest(conn);
}

/* ---- opening */

struct conn *
conn_open(struct conns *all, int fd, uint32_t uid)
{
	struct conn *conn = calloc(1, sizeof(*conn));

	if (!conn || uv_poll_init(all->loop, &conn->poll, fd)) {
		free(conn);
		close(fd);
		return NULL;
	}
	conn->poll.data = conn;
	conn->all = all;
	conn->fd = fd;
	conn->uid = uid;
	conn->number = ++all->sessions->counters.connections_total;
	conn->moved_ns = all->now_ns;
	conn->session = session_open(all->sessions, fd, uid, on_output, conn);
	conn->next = all->first;
	if (all->first)
		all->first->previous = conn;
	all->first = conn;
	all->sessions->counters.connections++;
	if (!conn->session) {
		conn_close(conn);
		return NULL;
	}
	set_interest(conn);
	return conn;
}

void
conn_turn_begin(struct conns *all)
{
	if (all->in_turn)
		return;
	all->in_turn = true;
	all->now_ns = cache_turn_begin(all->sessions->cache);
}
