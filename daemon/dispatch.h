/* dispatch.h - carries out requests: checks every field, asks the cache, has the reply queued.
 *
 * Bytes become requests in conn; here they are whole. Everything a client can do wrong is either answered
 * with an ERROR, or, where PROTOCOL.md says so, ends the connection. Loop thread only. */
#ifndef DAEMON_DISPATCH_H
#define DAEMON_DISPATCH_H

#include "daemon/session.h"
#include "proto/frame.h"
#include "proto/slice.h"

enum dispatch_result {
	DISPATCH_TAKEN,
	DISPATCH_NO_ROOM, /* nothing happened: give the same again when the cache has room */
	DISPATCH_BROKEN, /* a protocol error: *ret_why says which, in words; close */
};

/* A frame with its header and the bytes of its first segment, all borrowed during the call.
 * Only when the body of the frame before has ended. */
enum dispatch_result dispatch_frame(struct session *session, const struct frame *frame,
				    struct slice header, struct slice first,
				    const char **ret_why);

/* A further segment of that frame's body; while session->body is not BODY_NONE. */
enum dispatch_result dispatch_segment(struct session *session,
				      const struct frame_segment *segment,
				      struct slice bytes);

#endif
