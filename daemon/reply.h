/* reply.h - puts answers of the cache into frames. PROTOCOL.md chapter "Commands". Loop thread only. */
#ifndef DAEMON_REPLY_H
#define DAEMON_REPLY_H

#include "daemon/session.h"

/* What a command's reply has. */
#define REPLY_FORMS(X)                                                                   \
	X(VALUE)   /* everything about the object, and the value as body */              \
	X(META)    /* everything but the value */                                        \
	X(VERSION) /* the version, of the object that was stored */                      \
	X(FOUND)   /* as VALUE; or a miss, and the version that was stored on it */      \
	X(COUNTER) /* what it stands at, and the version */                              \
	X(TOUCHED) /* the version and a status */                                        \
	X(STATUS)  /* whether there was something */                                     \
	X(BUNDLE)  /* what became of each entry */                                       \
	X(EMPTY)   /* nothing */                                                         \
	X(PAGE)    /* entries of a scan */                                               \
	X(LINES)   /* the cache's lines, and where to go on */                           \
	X(STATS)   /* the cache's lines and the daemon's own */

enum reply_form {
#define X(name) REPLY_##name,
	REPLY_FORMS(X)
#undef X
};

/* Takes what the answer says the receiver takes. */
void reply_answer(struct session *session, uint32_t id, enum reply_form form,
		  const struct answer *answer);

/* The same for an answer that comes later. If there is none after all (CACHE_NOW), call
 * reply_now(), which gives it back. */
struct later reply_later(struct session *session, uint32_t id, enum reply_form form);
void reply_now(struct session *session, uint32_t id, enum reply_form form,
	       const struct answer *answer);

/* Everything about an object, and what came of asking for a lease. */
void reply_meta(struct message *header, const struct answer *answer);

/* Entries of a batch; takes the malloc()ed body. */
void reply_body(struct session *session, uint32_t id, size_t count, uint8_t *body,
		size_t len);

/* text NULL: the error's own sentence; detail 0: none. The second one is about an entry of a batch. */
void reply_error(struct session *session, uint32_t id, enum error error, uint64_t detail,
		 const char *text);
void reply_entry_error(struct session *session, uint32_t id, enum error error,
		       uint64_t detail, const char *text, uint32_t entry);

#endif
