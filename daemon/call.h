/* call.h - one request while it is carried out, and what may be wrong with it. Loop thread only. */
#ifndef DAEMON_CALL_H
#define DAEMON_CALL_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/cache.h"
#include "daemon/reply.h"
#include "daemon/session.h"
#include "proto/frame.h"
#include "proto/message.h"

/* Borrows everything; on the stack of dispatch_frame(). */
struct call {
	struct session *session;
	const struct frame *frame;
	struct message message;
	uint8_t kind; /* the command, also that of a batch's entry */
	const struct conf_namespace
		*declared; /* of a shared namespace; filled by the checks, as is: */
	struct target target;
	struct slice body; /* its first segment */
	int entry;         /* of a batch, from 0; -1: it is a request of its own */
};

/* detail 0: none; text NULL: the error's own sentence. */
void call_refuse(const struct call *call, enum error error, uint64_t detail,
		 const char *text);

/* Each answers the request and returns false when it must not be carried out. */

/* Is it a namespace, and may the client do this there? Every command that names one comes through here. */
bool call_check_namespace(struct call *call);
/* Namespace and key. */
bool call_check_target(struct call *call);
/* Sets ttl_ms where it is absent: to what the namespace says, or TTL_NEVER. */
bool call_check_ttl(struct call *call);
bool call_check_choice(struct call *call, enum field field, uint64_t value,
		       uint64_t highest);
bool call_check_ack(struct call *call);
bool call_check_tags(struct call *call);

/* What ACK says, or else this. */
enum ack call_ack_or(const struct call *call, enum ack initial);

/* Calls the cache with the place of a later answer, and gives out the answer if it is there. */
#define CALL_ASK(call, form, function, ...)                                              \
	do {                                                                             \
		struct session *session_ = (call)->session;                              \
		uint32_t id_ = (call)->frame->id;                                        \
		struct later later_ = reply_later(session_, id_, form);                  \
		struct answer answer_ = { 0 };                                           \
		if (function(__VA_ARGS__, &later_, &answer_) == CACHE_NOW)               \
			reply_now(session_, id_, form, &answer_);                        \
	} while (0)

#endif
