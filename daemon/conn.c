/* conn.c - what is known of a connection, its place in the lists, and its end.
 * Owns socket, poll handle, session and input buffer. Loop thread only. */
#include "daemon/conn.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/log.h"

/* Lines about closed connections in a minute. */
#define SAID_MAX 20
/* What is read from a client whose connection ends, so that it sees the replies and not a reset. */
#define DRAIN_MAX 16

/* ---- the list of those who can go on */

void
conn_mark_dirty(struct conn *conn)
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

void
conn_wake_waiting(struct conns *all, enum wait wait)
{
	for (struct conn *conn = all->first; conn; conn = conn->next) {
		if (conn->wait != wait)
			continue;
		conn->wait = WAIT_NONE;
		conn_mark_dirty(conn);
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
	watch_stop(&conn->watch);
	if (conn->session) {
		input_drop(&conn->input, &all->budget, conn->session->user,
			   conn->input.len);
		conn->session->user->connections--;
	}
	session_close(&conn->session);
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
	unsigned withheld;
	bool may = ration_take(&all->said, all->now_ns, SAID_MAX, &withheld);

	if (withheld)
		log_info("%u more connections were closed like that", withheld);
	return may;
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
		log_with(LOG_INFO,
			 (const struct log_field[]){
				 { "BRINE_UID", NULL, conn->uid },
				 { "BRINE_CONNECTION", NULL, conn->number },
				 { NULL, NULL, 0 } },
			 "conn %" PRIu64 " of uid %" PRIu32 ": %s; closing", conn->number,
			 conn->uid, why);
	conn->all->sessions->counters.connections_dropped++;
	conn_close(conn);
}

/* ---- how it stands */

bool
conn_blocked(const struct conn *conn)
{
	return conn->wait != WAIT_NONE || conn->all->leaving ||
	       session_full(conn->session);
}

bool
conn_owes(const struct conn *conn)
{
	bool half = conn->input.len || conn->skip || conn->session->body != BODY_NONE;

	return conn->session->outbox.stuck || (half && !conn_blocked(conn));
}

void
conn_turn_begin(struct conns *all)
{
	if (all->in_turn)
		return;
	all->in_turn = true;
	all->now_ns = cache_turn_begin(all->sessions->cache);
}
