/* session.h - what the daemon remembers of one client: who it is, which request comes next, what it is
 * owed. A session outlives its connection for as long as answers are on their way to it: those are
 * dropped. Loop thread only. */
#ifndef DAEMON_SESSION_H
#define DAEMON_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/cache.h"
#include "daemon/counters.h"
#include "daemon/outbox.h"
#include "daemon/ration.h"
#include "daemon/rights.h"
#include "daemon/user.h"
#include "daemon/usermap.h"

/* What all sessions share; the owner fills in the first lines. */
struct sessions {
	struct cache *cache; /* borrowed */
	const char *data;    /* the data directory, for messages; borrowed */
	uint32_t release;    /* major * 65536 + minor * 256 + patch */
	bool makes_room;     /* for a daemon of a higher release */
	uint32_t successor;  /* the release of the one that asked for it; 0: none did */
	uint32_t own_uid;    /* it is an administrator, as uid 0 is and admin_group */
	const struct conf *conf; /* borrowed; NULL: nothing is shared */
	struct usermap usermap;
	struct users users;
	struct counters counters;
	struct ration refusals; /* lines about refused requests */
	struct outbox_pool pool;
	size_t batch_bytes;    /* that half-received batches hold */
	size_t outstanding;    /* answers to come, of all of them */
	struct session *first; /* all of them, those without a connection too */
};

/* Above this, only who has nothing waiting may ask: bytes of replies that wait for all clients together. */
#define OUTPUT_TOTAL_MAX ((size_t)64 << 20)

/* A batch that is arriving. */
struct batch {
	uint8_t *bytes; /* its body; behind it there is room for the namespace's name */
	size_t len, room;
	size_t limit;
	uint32_t id;
	enum ack ack;
	size_t name_len;
	char name[NAMESPACE_NAME_MAX];
};

/* A page of a scan, or the reply to a batch of gets, counts for so many values. */
#define SESSION_PAGE_WEIGHT 16

/* The body of the last request, when it is still arriving. */
enum session_body {
	BODY_NONE,
	BODY_UPLOAD,
	BODY_BATCH,
	BODY_DISCARD, /* the request is answered already */
};

struct session {
	struct sessions *all;
	struct session *previous, *next;
	struct outbox outbox;
	struct payer *payer;
	struct peer *peer;
	uint32_t uid;
	struct user *user; /* until it is closed */
	struct standing standing;
	const struct conf_namespace *declared; /* that was last asked for, or NULL */
	uint32_t next_id;
	unsigned references; /* the connection's, and one for each answer to come */
	unsigned values;     /* answers to come that may bring a value */
	bool greeted;        /* HELLO came */
	enum session_body body;
	struct upload *upload;  /* with BODY_UPLOAD */
	struct batch *batch;    /* with BODY_BATCH: what has come of it */
	uint64_t upload_length; /* as announced; UINT64_MAX: not */
	uint64_t upload_received;
	void (*on_output)(
		void *arg); /* the outbox has something, and it is not the client's turn */
	void *arg;
};

/* Returns NULL when there is no memory. fd is borrowed until session_close(). */
struct session *session_open(struct sessions *all, int fd, uint32_t uid,
			     void (*on_output)(void *arg), void *arg);
/* The connection is gone; so is *session for its holder. NULL is fine. */
void session_close(struct session **session);

/* An answer to this session will come later (values: how much it may bring); it was given at once after
 * all; it came. The last may free the session. */
struct later session_expect(struct session *session, uint32_t id, unsigned values,
			    void (*answered)(void *, uint32_t, const struct answer *));
void session_unexpect(struct session *session, unsigned values);
void session_settle(struct session *session, unsigned values);
/* One of the requests waits for so many answers of the cache, each as one that waits by itself; it does so no
 * longer. */
void session_expect_parts(struct session *session, unsigned parts);
void session_settle_parts(struct session *session, unsigned parts);

static inline bool
session_gone(const struct session *session)
{
	return session->outbox.fd < 0;
}

/* Is nobody there any more who could read a reply? Known before session_gone() where the connection is not being read
 * from. */
bool session_hung_up(const struct session *session);

/* Answers that are to come. */
static inline unsigned
session_outstanding(const struct session *session)
{
	return session->references - !session_gone(session);
}

/* The declaration of a shared namespace, NULL if there is none; and what the client may do there. */
const struct conf_namespace *session_declaration(struct session *session,
						 struct slice name,
						 enum right *ret_right);

/* The same for the cache, which asks with the session as arg; and may it see and change more than its own? */
enum right session_may(void *session, struct slice namespace);
bool session_admin(void *session);

/* The configuration is another one, and the cache has it: each client has the rights that it gives from now on. */
void sessions_review(struct sessions *all);

/* Forgets a batch that is arriving. */
void session_drop_batch(struct session *session);

/* No answers to come, nothing to send. */
static inline bool
session_idle(const struct session *session)
{
	return !session_outstanding(session) && outbox_empty(&session->outbox);
}

/* Must not give the daemon more work until something was answered or sent. */
bool session_full(const struct session *session);

/* Tells the client that nothing after the last complete request will be executed. */
void session_goaway(struct session *session);

/* Frees sessions that still waited for answers when the cache was closed. */
void sessions_done(struct sessions *all);

#endif
