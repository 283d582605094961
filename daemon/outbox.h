/* outbox.h - what is on its way to one client: replies, values, and streams of parts.
 *
 * Replies gather in blocks and leave with one sendmsg(). A block comes from a pool and returns to it as
 * soon as it is sent, so a client that reads its replies costs no memory between them. Large values are
 * sent from where they are. A stream sends the parts of a download, each from its own memory; replies
 * that are ready overtake a stream that has not begun, and wait for one that has. Loop thread only. */
#ifndef DAEMON_OUTBOX_H
#define DAEMON_OUTBOX_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/cache.h"
#include "daemon/stream.h"
#include "proto/frame.h"
#include "proto/message.h"

/* Longer values are not copied beside their header. */
#define OUTBOX_COPY_MAX 8192

struct block;

/* Shared by all outboxes of a loop. */
struct outbox_pool {
	struct block *free;
	unsigned free_count;
	size_t bytes;   /* queued in all outboxes, the parts of streams included */
	uint64_t sends; /* calls of sendmsg() */
};

/* Frees the blocks; all outboxes are done by then. */
void outbox_pool_done(struct outbox_pool *pool);

/* Whom it belongs to hears of its streams. */
struct outbox_events {
	void (*part)(void *arg); /* one arrived: flush soon */
	void (*refused)(void *arg,
			enum error error); /* before it began: an error frame is queued */
};

struct outbox {
	struct outbox_pool *pool;
	int fd; /* borrowed; -1 once the client is gone: everything is dropped then */
	struct block *first, *last;
	struct streams streams;
	size_t bytes;
	bool stuck; /* the socket took less than there was: flush again when it is writable */
	bool failed; /* no memory for a reply: the connection cannot go on */
	const struct outbox_events *events;
	void *arg;
};

/* Borrows events, which may be NULL where nothing is streamed. */
void outbox_init(struct outbox *outbox, struct outbox_pool *pool, int fd,
		 const struct outbox_events *events, void *arg);
/* Drops everything that was not sent; closes downloads. The outbox takes nothing any more. */
void outbox_done(struct outbox *outbox);

/* A frame without a body. */
void outbox_frame(struct outbox *outbox, uint8_t kind, uint32_t id,
		  const struct message *header);

/* A reply with a whole value of at most FRAME_SEGMENT_MAX. Takes owner (NULL: value is copied, or sent,
 * before this returns; or kept, where there is a keeper). */
void outbox_value(struct outbox *outbox, uint32_t id, const struct message *header,
		  struct slice value, void *owner, struct keeper *keeper);

/* A reply with a body of any length, which it takes (malloc()ed) and cuts into segments. */
void outbox_body(struct outbox *outbox, uint32_t id, const struct message *header,
		 uint8_t *body, size_t len);

/* A reply whose value comes from the download, which it takes. */
void outbox_stream(struct outbox *outbox, uint32_t id, const struct message *header,
		   struct download *download);

/* Sends what can be sent now. Returns 0, or -1 when the client is gone (or `failed`). *ret_sent, if
 * not NULL, says how many bytes left. */
int outbox_flush(struct outbox *outbox, size_t *ret_sent);

/* Nothing queued, no stream. */
static inline bool
outbox_empty(const struct outbox *outbox)
{
	return !outbox->first && !outbox->streams.first;
}

#endif
