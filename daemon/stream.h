/* stream.h - replies of one client whose values come in parts, one after the other.
 *
 * The first stream asks its download for a part when it has none, and is sent from that part's own memory;
 * the others wait behind it. A stream has begun when its first byte was sent: until it ends, nothing else
 * may be sent then. Loop thread only. */
#ifndef DAEMON_STREAM_H
#define DAEMON_STREAM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "daemon/cache.h"
#include "proto/message.h"

/* What streams_gather() fills at most. */
#define STREAM_VECTORS 2

struct stream;

struct stream_events {
	/* bytes of a value wait to be sent (0 when the part is an abort). */
	void (*arrived)(void *arg, size_t bytes);
	/* A value failed before it began, and its stream is gone: answer the request. */
	void (*refused)(void *arg, uint32_t id, enum error error);
};

struct streams {
	struct stream *first, *last;
	unsigned count;
	const struct stream_events *events;
	void *arg; /* of the events */
};

/* A reply whose value comes from the download, which it takes. Returns 0, or -1 when there is no memory. */
int streams_add(struct streams *streams, uint32_t id, const struct message *header,
		struct download *download);

/* Asks for the first stream's next part, if it is time to; it may arrive before this returns. */
void streams_ask(struct streams *streams);

/* Does the first stream have bytes to send; were some of it sent already? */
bool streams_ready(const struct streams *streams);
bool streams_begun(const struct streams *streams);

/* What to send next. Returns how many vectors it filled. */
int streams_gather(const struct streams *streams,
		   struct iovec vectors[static STREAM_VECTORS]);
/* len bytes of that were sent. Returns how many of them were value. */
size_t streams_advance(struct streams *streams, size_t len);

/* Closes all downloads. Returns how many bytes of values were not sent. */
size_t streams_drop(struct streams *streams);

#endif
