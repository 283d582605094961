/* intake.c - from a socket's bytes to requests.
 * Owns nothing; the bytes that it keeps belong to the connection. Loop thread only. */
#include "daemon/intake.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "daemon/dispatch.h"
#include "daemon/input.h"

/* Who holds a large buffer for longer than this must give it up when others wait for one. */
#define STALL_NS (1000 * UINT64_C(1000000))

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

/* Has the client closed while its requests had to wait? It may have asked for something newer since, on another
 * connection: they must not come behind that. */
static bool
gave_up(struct conn *conn)
{
	bool held_up = conn->held_up;

	conn->held_up = false;
	return held_up && session_hung_up(conn->session);
}

/* Carries out what is complete in `from`. Returns how many bytes that were; the connection may be closed
 * afterwards. */
static size_t
process(struct conn *conn, struct slice from)
{
	const uint8_t *start = from.data;

	if (gave_up(conn)) {
		conn_close(conn);
		return 0;
	}
	conn_turn_begin(conn->all);
	conn->need = 0;
	while (from.len && !conn_blocked(conn) &&
	       user_has_turn(conn->session->user, conn->all->round)) {
		size_t used = conn->skip < from.len ? conn->skip : from.len;
		enum step step = STEP_DONE;

		if (conn->skip)
			conn->skip -= used;
		else if (conn->session->body == BODY_NONE)
			step = step_frame(conn, from, &used);
		else
			step = step_segment(conn, from, &used);
		if (step != STEP_DONE)
			break;
		user_served(conn->session->user,
			    1 + (unsigned)(used / USER_REQUEST_BYTES));
		from = slice((const uint8_t *)from.data + used, from.len - used);
		conn->need = 0; /* it was said of the unit that is done */
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

void
intake_reserve(struct conn *conn)
{
	struct conns *all = conn->all;
	bool small = !input_large(&conn->input);

	while (!input_reserve(&conn->input, &all->budget, conn->session->user,
			      conn->need)) {
		/* Nobody tells when the machine has memory again, so there is nothing to wait for. */
		if (input_affords(&conn->input, &all->budget, conn->session->user,
				  conn->need)) {
			conn_drop(conn, "out of memory for its request");
			return;
		}
		if (drop_stalled(all) && conn->fd >= 0)
			continue;
		if (conn->fd >= 0)
			conn->wait = WAIT_MEMORY;
		return;
	}
	if (small && input_large(&conn->input))
		conn->reserved_ns = all->now_ns;
}

bool
intake_holds_unit(const struct conn *conn)
{
	return conn->input.len && conn->input.len >= conn->need;
}

void
intake_go_on(struct conn *conn)
{
	struct conns *all = conn->all;
	bool large = input_large(&conn->input);
	size_t used = process(conn, slice(conn->input.bytes, conn->input.len));

	if (conn->fd < 0)
		return;
	if (used)
		input_drop(&conn->input, &all->budget, conn->session->user, used);
	if (large && !input_large(&conn->input))
		conn_wake_waiting(all, WAIT_MEMORY);
	if (conn->input.len && conn->need > conn->input.size)
		intake_reserve(conn);
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
		intake_reserve(conn);
	if (conn->fd < 0)
		return;
	if (!input_append(&conn->input, &all->budget, conn->session->user, bytes))
		conn_drop(conn, "out of memory for its request");
}

/* ---- reading */

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

void
intake_read(struct conn *conn)
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
	if (received == 0 && session_hung_up(conn->session)) {
		conn_close(conn); /* at once: others may wait for what it holds */
		return;
	}
	if (received == 0) {
		conn->ended = true;
		return;
	}
	conn->moved_ns = all->now_ns;
	user_served(conn->session->user, (unsigned)received / USER_READ_BYTES);
	kept = (size_t)received < room ? (size_t)received : room;
	conn->input.len += kept;
	if (kept && conn->input.len >= conn->need)
		intake_go_on(conn);
	if (conn->fd >= 0 && (size_t)received > kept)
		process_new(conn, slice(all->buffer, (size_t)received - kept));
}
