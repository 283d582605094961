/* session.c - one client's state between its requests.
 * Owns outbox, payer and a running upload. Loop thread only. */
#include "daemon/session.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

/* Bytes of replies that may wait for one client. One value more can come on top. */
#define OUTPUT_MAX (512u * 1024)
#define STREAMS_MAX 16
/* Answers to come, and of these values. */
#define OUTSTANDING_MAX 4096
#define VALUES_MAX 64
/* Of all clients together: each may have a part of what is left of them, and a few in any case. So many
 * greedy ones get little each, and nobody's requests wait behind thousands of others'. */
#define OUTSTANDING_TOTAL_MAX 6144
#define OUTSTANDING_PART 2
#define OUTSTANDING_ALWAYS 4

static void
on_part(void *arg)
{
	struct session *session = arg;

	session->on_output(session->arg);
}

static void
on_refused(void *arg, enum error error)
{
	struct session *session = arg;

	session->all->counters.errors[error]++;
}

static const struct outbox_events outbox_events = {
	.part = on_part,
	.refused = on_refused,
};

struct session *
session_open(struct sessions *all, int fd, uint32_t uid, void (*on_output)(void *arg),
	     void *arg)
{
	struct session *session = calloc(1, sizeof(*session));

	if (!session)
		return NULL;
	session->payer = payer_new(all->cache, uid);
	session->peer = cache_peer_new(all->cache, uid);
	session->user = user_join(&all->users, uid, uid == 0 || uid == all->own_uid);
	if (!session->payer || !session->peer || !session->user) {
		user_leave(&all->users, &session->user);
		payer_release(&session->payer);
		cache_peer_free(all->cache, &session->peer);
		free(session);
		return NULL;
	}
	session->all = all;
	session->uid = uid;
	session->references = 1;
	session->on_output = on_output;
	session->arg = arg;
	if (all->conf)
		session->standing = rights_standing(fd, all->conf);
	outbox_init(&session->outbox, &all->pool, fd, &outbox_events, session);
	session->next = all->first;
	if (all->first)
		all->first->previous = session;
	all->first = session;
	return session;
}

static void
session_free(struct session *session)
{
	if (session->previous)
		session->previous->next = session->next;
	else
		session->all->first = session->next;
	if (session->next)
		session->next->previous = session->previous;
	free(session);
}

static void
release(struct session *session)
{
	if (--session->references == 0)
		session_free(session);
}

void
session_drop_batch(struct session *session)
{
	struct batch *batch = session->batch;

	if (!batch)
		return;
	session->all->batch_bytes -= batch->room;
	session->user->batches -= batch->room;
	free(batch->bytes);
	free(batch);
	session->batch = NULL;
}

void
session_close(struct session **session)
{
	struct session *gone = *session;

	if (!gone)
		return;
	*session = NULL;
	outbox_done(&gone->outbox);
	upload_abort(&gone->upload);
	session_drop_batch(gone);
	payer_release(&gone->payer);
	cache_peer_free(gone->all->cache, &gone->peer);
	user_leave(&gone->all->users, &gone->user);
	release(gone);
}

bool
session_hung_up(const struct session *session)
{
	struct pollfd socket = { .fd = session->outbox.fd };

	return session_gone(session) ||
	       (poll(&socket, 1, 0) == 1 && socket.revents & POLLHUP);
}

static bool
gone(void *arg)
{
	return session_hung_up(arg);
}

/* It may not be full any more. */
static void
in_line(void *arg)
{
	const struct session *session = arg;

	if (!session_gone(session))
		session->on_output(session->arg);
}

static uint32_t
uid_of(void *arg)
{
	const struct session *session = arg;

	return session->uid;
}

static const struct asker asker = {
	.in_line = in_line,
	.gone = gone,
	.may = session_may,
	.uid = uid_of,
};

struct later
session_expect(struct session *session, uint32_t id, unsigned values,
	       void (*answered)(void *, uint32_t, const struct answer *))
{
	session->references++;
	session->all->outstanding++;
	session->values += values;
	return (struct later){
		.answered = answered, .arg = session, .id = id, .asker = &asker
	};
}

void
session_unexpect(struct session *session, unsigned values)
{
	session->values -= values;
	session->all->outstanding--;
	session->references--;
	CHECK(session->references > 0);
}

void
session_settle(struct session *session, unsigned values)
{
	session->values -= values;
	session->all->outstanding--;
	if (!session_gone(session))
		session->on_output(session->arg);
	release(session);
}

void
session_expect_parts(struct session *session, unsigned parts)
{
	session->values += parts;
	session->all->outstanding += parts;
}

void
session_settle_parts(struct session *session, unsigned parts)
{
	session->values -= parts;
	session->all->outstanding -= parts;
}

/* ---- rights */

const struct conf_namespace *
session_declaration(struct session *session, struct slice name, enum right *ret_right)
{
	const struct conf_namespace *declared = session->declared;

	if (!session->all->conf)
		return NULL;
	if (!declared || strlen(declared->name) != name.len ||
	    memcmp(declared->name, name.data, name.len) != 0)
		declared = conf_find_namespace(&session->all->conf->tenants, name.data,
					       name.len);
	session->declared = declared;
	if (declared)
		*ret_right = rights_of(declared, session->uid, &session->standing);
	return declared;
}

enum right
session_may(void *arg, struct slice namespace)
{
	struct session *session = arg;
	enum right right = RIGHT_NONE;

	/* Its groups are not known any more. */
	if (!session_gone(session))
		session_declaration(session, namespace, &right);
	return right;
}

bool
session_admin(void *arg)
{
	const struct session *session = arg;

	return session->uid == 0 || session->uid == session->all->own_uid ||
	       (!session_gone(session) && session->standing.in_admin_group);
}

static void
bar(struct session *session, enum cache_bar what)
{
	bool any = what == BAR_LEASES ? cache_peer_holds(session->peer)
				      : cache_peer_waiting(session->peer) > 0;

	if (any)
		cache_bar(session->all->cache, session->peer, what, session_may, session);
}

void
sessions_review(struct sessions *all)
{
	for (struct session *at = all->first; at; at = at->next) {
		at->declared = NULL;
		if (!session_gone(at))
			at->standing = rights_standing(at->outbox.fd, all->conf);
	}
	/* Nobody is given a lease who is about to lose it. */
	for (struct session *at = all->first; at; at = at->next)
		if (!session_gone(at))
			bar(at, BAR_WAITS);
	for (struct session *at = all->first; at; at = at->next)
		if (!session_gone(at))
			bar(at, BAR_LEASES);
}

static unsigned
outstanding_most(const struct sessions *all)
{
	size_t waiting = cache_waiting(all->cache);
	size_t busy = all->outstanding > waiting ? all->outstanding - waiting : 0;
	size_t part = busy < OUTSTANDING_TOTAL_MAX
			      ? (OUTSTANDING_TOTAL_MAX - busy) / OUTSTANDING_PART
			      : 0;

	if (part > OUTSTANDING_MAX)
		return OUTSTANDING_MAX;
	return part > OUTSTANDING_ALWAYS ? (unsigned)part : OUTSTANDING_ALWAYS;
}

bool
session_full(const struct session *session)
{
	const struct outbox *outbox = &session->outbox;
	/* Who waits for somebody to compute waits for nothing of ours, and must be able to send a PING. */
	unsigned waiting = (unsigned)cache_peer_waiting(session->peer);

	return outbox->bytes > OUTPUT_MAX || outbox->streams.count >= STREAMS_MAX ||
	       session->values - waiting >= VALUES_MAX ||
	       session_outstanding(session) - waiting >= outstanding_most(session->all) ||
	       (outbox->bytes && outbox->pool->bytes > OUTPUT_TOTAL_MAX);
}

void
session_goaway(struct session *session)
{
	struct message header = { 0 };
	uint32_t last = session->next_id - 1;

	/* A value that is not here whole was not executed. */
	if (session->body == BODY_UPLOAD || session->body == BODY_BATCH)
		last--;
	upload_abort(&session->upload);
	session_drop_batch(session);
	session->body = BODY_NONE;
	MESSAGE_SET(&header, LAST_ID, last_id, last);
	outbox_frame(&session->outbox, FRAME_GOAWAY, 0, &header);
}

void
sessions_done(struct sessions *all)
{
	while (all->first) {
		CHECK(session_gone(all->first));
		session_free(all->first);
	}
	outbox_pool_done(&all->pool);
}
