/* conn.h - a client's connection, and what all of them share.
 *
 * A struct conn lives until its loop has let go of it; once
 * fd is -1 it is closed, and nothing else in it may be used. Loop thread only. */
#ifndef DAEMON_CONN_H
#define DAEMON_CONN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <uv.h>

#include "daemon/input.h"
#include "daemon/ration.h"
#include "daemon/session.h"
#include "daemon/watch.h"

/* One read's worth of what is thrown away. */
#define CONN_DISCARD_MAX (256 * 1024)

/* Why a connection is not read from, besides what it is owed (session_full()). */
enum wait {
	WAIT_NONE,
	WAIT_ROOM,   /* for the cache */
	WAIT_MEMORY, /* for the receive budget */
};

struct conn {
	struct conns *all;
	struct conn *previous, *next;
	struct conn *next_dirty;
	bool dirty;
	uv_poll_t poll;
	int fd; /* -1 when it is closed */
	int interest;
	uint32_t uid;
	uint64_t number;
	struct session *session;
	struct watch *watch; /* of its process, while that holds a lease */
	struct input input;
	size_t need; /* bytes of the unit at the front of input; 0: not looked at yet */
	size_t skip; /* bytes of a segment that are still to be thrown away */
	enum wait wait;
	bool held_up;      /* it was blocked since its requests were last carried out */
	bool ended;        /* the client sends no more */
	uint64_t moved_ns; /* when bytes last came or left */
	uint64_t reserved_ns; /* when the large input buffer was reserved */
};

/* What they share. */
struct conns {
	uv_loop_t *loop;
	struct sessions *sessions;
	unsigned connections_max;
	bool scarce;              /* there are no descriptors for more */
	uint64_t idle_timeout_ns; /* for those who owe something */
	struct conn *first;
	struct conn *first_dirty, *last_dirty; /* to be settled before the loop sleeps */
	unsigned dirty_count;
	struct input_budget budget;
	uint64_t now_ns;
	bool in_turn;
	uint64_t round; /* of events, so far */
	bool leaving;
	bool owing; /* somebody may owe something: sweep */
	uint64_t refusal_said_ns;
	struct ration said; /* lines about closed connections */
	uint8_t buffer[CONN_DISCARD_MAX];
};

void conn_close(struct conn *conn);

/* The same for a client that did wrong; why ends up in the log. */
__attribute__((format(printf, 2, 3))) void conn_drop(struct conn *conn,
						     const char *format, ...);

/* Must not be read from: what it wants has no room, or it does not take what it was given. */
bool conn_blocked(const struct conn *conn);
/* Half a request has come, and nobody but the client keeps it from being whole; or replies wait, and the
 * client does not read them. */
bool conn_owes(const struct conn *conn);

/* Lets those go on that wait for this. */
void conn_wake_waiting(struct conns *all, enum wait wait);

/* It has something to do before the loop sleeps. */
void conn_mark_dirty(struct conn *conn);
/* The first of those marked to be settled; NULL if there is none. It is not marked any more. */
struct conn *conn_take_dirty(struct conns *all);

/* The begin of a round, in which the cache may be asked; may be repeated. */
void conn_turn_begin(struct conns *all);

#endif
