/* link.h - the connection of a handle: making it, moving bytes on it, dropping it. */
#ifndef CLIENT_LINK_H
#define CLIENT_LINK_H

#include "client/handle.h"

/* Makes sure that a connection stands on which requests can be queued: looks for fork and uid, finds the daemon,
 * connects. Returns 0 or an error with its message. */
int link_ready(struct brine *brine);

/* 0, or -BRINE_ERROR_BAD_ARGUMENT: an upload or a download is under way. */
int link_idle(struct brine *brine);

/* Closes at once, without a byte; what was outstanding is forgotten. */
void link_close(struct brine *brine);

/* Waits for the next reply to what was queued. When the connection is lost, each open request still gets its
 * (error) reply. Returns 1, or 0 when nothing is outstanding any more. */
int link_next(struct brine *brine, struct brine_reply *ret_reply);

/* Sends and receives something, waiting for it if need be. Returns 0, or the error that ended the connection:
 * the wire is cut then. */
int link_move(struct brine *brine);

/* Sends what is queued. Returns 0 when all of it has gone, 1 when a reply came first, or an error as above. */
int link_send(struct brine *brine, struct brine_reply *ret_reply);

/* Before what cannot be sent twice: drops an idle connection that the daemon has closed or is leaving. */
void link_check(struct brine *brine);

/* After a call: closes a connection that is of no more use, and remembers for a while that the daemon
 * does not answer. */
void link_settle(struct brine *brine);

/* After an answer that will not be asked for again: whoever gave it is there. Before link_settle(). */
static inline void
link_answered(struct brine *brine)
{
	brine->successor_until_ms = 0;
}

/* A daemon that leaves may have a successor soon. Waits a moment and returns 1; 0 when that has been long enough, or
 * when the daemon did not say that it leaves; an error when the caller wants to stop. */
int link_await_successor(struct brine *brine);

/* Was this error reply given because of the connection, so that a new one may help? */
bool link_may_repeat(const struct brine_reply *reply);

#endif
