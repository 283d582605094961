/* batch.h - BATCH: from a body of entries to gets, or to one bundle of puts and deletes. Loop thread only. */
#ifndef DAEMON_BATCH_H
#define DAEMON_BATCH_H

#include "daemon/call.h"

/* Bodies that are arriving, all together; beyond it a batch is answered BUSY. */
#define BATCH_ARRIVING_MAX (UINT64_C(64) << 20)

/* The first frame. Answers, or leaves session->body at BODY_BATCH. */
void batch_begin(struct call *call);
/* A further segment, while session->body is BODY_BATCH. */
void batch_continue(struct session *session, const struct frame_segment *segment,
		    struct slice bytes);
/* May the body, which ends with these bytes, be carried out now? If not, ask again at on_room. */
bool batch_admitted(const struct session *session, struct slice bytes);

#endif
