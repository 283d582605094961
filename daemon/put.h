/* put.h - stores values, whole or segment by segment. Loop thread only. */
#ifndef DAEMON_PUT_H
#define DAEMON_PUT_H

#include "daemon/call.h"

/* A PUT with its first segment. If more follow, session->body says what becomes of them. */
void put_begin(struct call *call);

/* What the request says, if it may be carried out; else it is answered, and this returns false. */
bool put_read(struct call *call, struct put *ret_put);

/* A further segment, while session->body is BODY_UPLOAD. Sets it to BODY_DISCARD when the value was refused. */
void put_continue(struct session *session, const struct frame_segment *segment,
		  struct slice bytes);

#endif
