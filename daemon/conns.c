/* conns.c - who may connect, whose turn it is, who is sent away.
 * Owns the connections. Loop thread only. */
#include "daemon/conns.h"

#include <inttypes.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/conn.h"
#include "daemon/exchange.h"
#include "daemon/log.h"

#define SAY_AGAIN_NS (60 * UINT64_C(1000000000))
/* Of all connections, this part, and no more than so many, are kept for administrators' uids: one of them must get in when
 * others have all the rest. */
#define RESERVED_PART 16
#define RESERVED_MAX 8

static void
on_room(void *arg)
{
	conn_wake_waiting(arg, WAIT_ROOM);
}

struct conns *
conns_new(uv_loop_t *loop, struct sessions *sessions, const struct conns_limits *limits)
{
	struct conns *all = calloc(1, sizeof(*all));

	if (!all)
		return NULL;
	all->loop = loop;
	all->sessions = sessions;
	all->now_ns = clock_mono_ns();
	conns_configure(all, limits);
	cache_on_room(sessions->cache, on_room, all);
	return all;
}

void
conns_free(struct conns **conns)
{
	if (!*conns)
		return;
	CHECK(!(*conns)->first && !(*conns)->first_dirty && !(*conns)->budget.used);
	free(*conns);
	*conns = NULL;
}

void
conns_configure(struct conns *conns, const struct conns_limits *limits)
{
	conns->connections_max = limits->connections;
	conns->scarce = limits->scarce;
	conns->idle_timeout_ns = limits->idle_timeout_ns;
	conns->budget.max = limits->receive_size;
}

unsigned
conns_count(const struct conns *conns)
{
	return (unsigned)conns->sessions->counters.connections;
}

static void
say_scarce(struct conns *all)
{
	if (all->now_ns < all->refusal_said_ns)
		return;
	all->refusal_said_ns = all->now_ns + SAY_AGAIN_NS;
	log_warning("no descriptor is left for more than %u clients: closing the longest "
		    "idle ones; raise LimitNOFILE or ulimit -n (said once a minute)",
		    all->connections_max);
}

/* Places for administrators' uids alone. */
static unsigned
reserved(const struct conns *all)
{
	unsigned part = all->connections_max / RESERVED_PART;

	return part < RESERVED_MAX ? part : RESERVED_MAX;
}

/* May this uid have one more, when `count` are connected? */
static bool
within_share(const struct conns *all, uint32_t uid, unsigned count)
{
	const struct user *user = user_find(&all->sessions->users, uid);

	if (uid == 0 || uid == all->sessions->own_uid)
		return true;
	return user_may(user, user ? user->connections : 0, count,
			all->connections_max - reserved(all), 1);
}

/* Nobody is closed for one who is not let in then. */
static bool
admitted(struct conns *all, uint32_t uid)
{
	unsigned count = conns_count(all);

	if (count < all->connections_max)
		return within_share(all, uid, count);
	return all->scarce && within_share(all, uid, count - 1) && conns_drop_idle(all);
}

/* Answers a HELLO that is not read. Whether it arrives does not matter. */
static void
send_away(struct conns *all, int fd, uint32_t uid, enum error error, const char *text)
{
	const struct user *user = user_find(&all->sessions->users, uid);
	const struct log_field fields[] = { { "BRINE_UID", NULL, uid },
					    { "BRINE_ERROR", error_name((int)error), 0 },
					    { NULL, NULL, 0 } };
	struct message header = { 0 };
	struct outbox outbox;

	all->sessions->counters.connections_refused++;
	all->sessions->counters.errors[error]++;
	MESSAGE_SET(&header, ERROR, error, error);
	MESSAGE_SET(&header, TEXT, text, slice_text(text));
	outbox_init(&outbox, &all->sessions->pool, fd, NULL, NULL);
	outbox_frame(&outbox, FRAME_ERROR, 0, &header);
	outbox_flush(&outbox, NULL);
	outbox_done(&outbox);
	recv(fd, all->buffer, sizeof(all->buffer), MSG_DONTWAIT);
	close(fd);
	if (all->leaving || all->now_ns < all->refusal_said_ns)
		return;
	all->refusal_said_ns = all->now_ns + SAY_AGAIN_NS;
	if (error == ERROR_FORBIDDEN) {
		log_with(LOG_WARNING, fields,
			 "refused a client of uid %" PRIu32 ": %s (said once a minute)",
			 uid, text);
		return;
	}
	log_with(LOG_WARNING, fields,
		 "refused a client of uid %" PRIu32
		 ": it has %zu of the %u connections, and may have half of what others "
		 "leave of max_connections, %u; raise that, or look for a program that "
		 "leaks connections (said once a minute)",
		 uid, user ? user->connections : 0, conns_count(all),
		 all->connections_max);
}

/* Why this uid is nobody whom the daemon may believe; NULL: it may. */
static const char *
unbelievable(const struct sessions *sessions, uint32_t uid)
{
	const struct usermap *map = &sessions->usermap;

	if (uid == map->overflow && (uid != sessions->own_uid || !map->whole))
		return "the kernel cannot tell this daemon who you are: your uid has no "
		       "number in its user namespace";
	if (!map->whole && uid != sessions->own_uid)
		return "this daemon runs in a user namespace and serves its own user only";
	return NULL;
}

int
conns_add(struct conns *conns, int fd, uint32_t uid)
{
	const char *why = unbelievable(conns->sessions, uid);
	enum error error = ERROR_NONE;

	conns_turn_begin(conns);
	if (conns->leaving)
		error = ERROR_SHUTTING_DOWN;
	else if (why)
		error = ERROR_FORBIDDEN;
	else if (!admitted(conns, uid))
		error = ERROR_BUSY;
	if (error) {
		send_away(conns, fd, uid, error,
			  error == ERROR_FORBIDDEN ? why : error_text((int)error));
		return -1;
	}
	return exchange_open(conns, fd, uid) ? 0 : -1;
}

void
conns_turn_begin(struct conns *conns)
{
	conn_turn_begin(conns);
}

/* One pass over those that are dirty now; who becomes so again waits for the next. */
static void
settle_dirty(struct conns *conns)
{
	struct conn *conn;

	for (unsigned left = conns->dirty_count; left; left--) {
		conn = conn_take_dirty(conns);
		if (!conn)
			return;
		conn_turn_begin(conns);
		exchange_settle(conn);
	}
}

bool
conns_turn(struct conns *conns)
{
	conns->round++;
	settle_dirty(conns);
	if (conns->in_turn) {
		conns->in_turn = false;
		cache_turn_end(conns->sessions->cache);
	}
	return conns->first_dirty != NULL;
}

bool
conns_owing(const struct conns *conns)
{
	return conns->owing;
}

static bool
late(const struct conns *all, const struct conn *conn)
{
	return all->now_ns - conn->moved_ns >= all->idle_timeout_ns;
}

/* A socket is called writable only when it is three quarters empty. Somebody who reads slowly has made
 * some room before that. */
static void
prod(struct conn *conn)
{
	conn->session->outbox.stuck = false;
	exchange_settle(conn);
}

bool
conns_sweep(struct conns *conns)
{
	struct conn *next;

	conns_turn_begin(conns);
	conns->owing = false;
	for (struct conn *conn = conns->first; conn; conn = next) {
		next = conn->next;
		if (conn->fd < 0) /* closed for the memory it held */
			continue;
		if (!conn_owes(conn)) {
			if (conn_blocked(conn)) { /* by us: its time does not count */
				conn->moved_ns = conns->now_ns;
				conns->owing = true;
			}
			continue;
		}
		conns->owing = true;
		if (late(conns, conn) && conn->session->outbox.stuck)
			prod(conn);
		if (conn->fd < 0 || !conn_owes(conn) || !late(conns, conn))
			continue;
		conn_drop(conn, conn->session->outbox.stuck
					? "it does not read its replies"
					: "it does not finish its request");
	}
	conn_wake_waiting(conns, WAIT_MEMORY);
	return conns->owing;
}

static bool
is_idle(const struct conn *conn)
{
	return !conn_owes(conn) && !conn->input.len && session_idle(conn->session) &&
	       !cache_peer_holds(conn->session->peer);
}

/* The user who has most gives; of its connections, the one that is idle for longest. */
static bool
gives_before(const struct conn *conn, const struct conn *other)
{
	size_t own = conn->session->user->connections;
	size_t others = other->session->user->connections;

	return own > others || (own == others && conn->moved_ns <= other->moved_ns);
}

bool
conns_drop_idle(struct conns *conns)
{
	struct conn *worst = NULL;

	for (struct conn *conn = conns->first; conn; conn = conn->next)
		if (is_idle(conn) && (!worst || gives_before(conn, worst)))
			worst = conn;
	if (!worst)
		return false;
	say_scarce(conns);
	conn_close(worst);
	return true;
}

void
conns_refuse(struct conns *conns)
{
	conns->leaving = true;
}

void
conns_leave(struct conns *conns)
{
	struct conn *next;

	conns_turn_begin(conns);
	conns_refuse(conns);
	cache_leave(conns->sessions->cache);
	for (struct conn *conn = conns->first; conn; conn = next) {
		next = conn->next;
		session_goaway(conn->session);
		conn->skip = 0;
		exchange_settle(conn);
	}
}

void
conns_close_all(struct conns *conns)
{
	while (conns->first)
		conn_close(conns->first);
}
