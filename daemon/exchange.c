/* exchange.c - a connection's events: reads when there is something, sends what there is, ends.
 * Owns nothing but what it opens. Loop thread only. */
#include "daemon/exchange.h"

#include <stdlib.h>
#include <unistd.h>

#include "daemon/intake.h"

/* Rounds of carrying out and sending before the others have their turn. */
#define ROUNDS_MAX 4

static void
on_output(void *arg)
{
	conn_mark_dirty(arg);
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
	if (events & UV_READABLE && !conn_blocked(conn) &&
	    user_reads(conn->session->user, conn->all->round))
		intake_read(conn);
	conn_mark_dirty(conn);
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

/* No more requests will be carried out, and all answers are on their way. */
static bool
finished(const struct conn *conn)
{
	bool last = conn->all->leaving || (conn->ended && !intake_holds_unit(conn));

	return last && session_idle(conn->session);
}

static void
on_died(void *arg)
{
	struct conn *conn = arg;

	conn_turn_begin(conn->all);
	cache_peer_died(conn->all->sessions->cache, conn->session->peer);
	conn_mark_dirty(conn);
}

/* A child of a process that has ended may keep its socket open; what it held must pass on all the same. */
static void
watch_holder(struct conn *conn)
{
	bool holds = cache_peer_holds(conn->session->peer);

	if (holds && !conn->watch)
		conn->watch = watch_start(conn->all->loop, conn->fd, on_died, conn);
	else if (!holds && conn->watch)
		watch_stop(&conn->watch);
}

void
exchange_settle(struct conn *conn)
{
	struct conns *all = conn->all;
	bool blocked;
	int round = 0;

	if (conn->fd < 0 || !flush(conn))
		return;
	if (conn->input.len && conn->wait == WAIT_NONE && conn->need > conn->input.size)
		intake_reserve(conn);
	while (conn->fd >= 0 && intake_holds_unit(conn) && !conn_blocked(conn)) {
		if (round++ == ROUNDS_MAX ||
		    !user_has_turn(conn->session->user, all->round)) {
			/* Its client may close meanwhile. */
			conn->held_up = true;
			conn_mark_dirty(conn);
			break;
		}
		intake_go_on(conn);
		if (conn->fd < 0 || !flush(conn))
			return;
	}
	if (conn->fd < 0)
		return;
	if (finished(conn)) {
		conn_close(conn);
		return;
	}
	blocked = conn_blocked(conn);
	conn->held_up |= blocked;
	if (blocked || conn_owes(conn))
		all->owing = true;
	watch_holder(conn);
	set_interest(conn);
}

struct conn *
exchange_open(struct conns *all, int fd, uint32_t uid)
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
	conn->session->user->connections++;
	set_interest(conn);
	return conn;
}
