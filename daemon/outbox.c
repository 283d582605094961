/* outbox.c - queues replies and sends them.
 * Owns queued blocks; borrows the socket. Loop thread only. */
#include "daemon/outbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include "daemon/log.h"

/* With its head a block fills 16 KiB. */
#define BLOCK_SIZE (16 * 1024 - 64)
/* The longest header of a reply: a text, a cursor and every number at once. */
#define HEAD_MAX 2048
/* Free blocks that are kept: 1 MiB. */
#define POOL_KEEP 64
#define VECTOR_MAX 64
/* Calls of sendmsg() before the others have their turn. */
#define ROUNDS_MAX 4

_Static_assert(OUTBOX_COPY_MAX + HEAD_MAX + FRAME_PREAMBLE_SIZE <= BLOCK_SIZE,
	       "a copied value and its head fit a block");

/* A run of bytes to send: in `bytes`, where more can be added behind them, or in somebody's memory. */
struct block {
	struct block *next;
	const uint8_t *at;
	size_t len;
	void *owner; /* freed with the block; NULL when the bytes are in the block */
	struct keeper *keeper; /* let go with the block */
	bool foreign;          /* not in the block */
	uint8_t bytes[];
};

static void
account(struct outbox *outbox, size_t bytes)
{
	outbox->bytes += bytes;
	outbox->pool->bytes += bytes;
}

static void
discount(struct outbox *outbox, size_t bytes)
{
	outbox->bytes -= bytes;
	outbox->pool->bytes -= bytes;
}

static struct block *
block_new(struct outbox_pool *pool)
{
	struct block *block = pool->free;

	if (block) {
		pool->free = block->next;
		pool->free_count--;
	} else {
		block = malloc(sizeof(*block) + BLOCK_SIZE);
		if (!block)
			return NULL;
	}
	block->next = NULL;
	block->at = block->bytes;
	block->len = 0;
	block->owner = NULL;
	block->keeper = NULL;
	block->foreign = false;
	return block;
}

static void
block_free(struct outbox_pool *pool, struct block *block)
{
	if (block->keeper)
		cache_let_go(block->keeper);
	if (block->foreign || pool->free_count == POOL_KEEP) {
		free(block->owner);
		free(block);
		return;
	}
	block->next = pool->free;
	pool->free = block;
	pool->free_count++;
}

void
outbox_pool_done(struct outbox_pool *pool)
{
	CHECK(pool->bytes == 0);
	while (pool->free) {
		struct block *block = pool->free;

		pool->free = block->next;
		free(block);
	}
	pool->free_count = 0;
}

static void
pop_block(struct outbox *outbox)
{
	struct block *block = outbox->first;

	outbox->first = block->next;
	if (!outbox->first)
		outbox->last = NULL;
	block_free(outbox->pool, block);
}

static void
push_block(struct outbox *outbox, struct block *block)
{
	if (outbox->last)
		outbox->last->next = block;
	else
		outbox->first = block;
	outbox->last = block;
}

void
outbox_done(struct outbox *outbox)
{
	outbox->fd = -1;
	while (outbox->first) {
		discount(outbox, outbox->first->len);
		pop_block(outbox);
	}
	discount(outbox, streams_drop(&outbox->streams));
	CHECK(outbox->bytes == 0);
}

/* Room for size bytes in a row behind what is queued; NULL when there is no memory. */
static uint8_t *
reserve(struct outbox *outbox, size_t size)
{
	struct block *block = outbox->last;

	if (!block || block->foreign ||
	    block->at + block->len + size > block->bytes + BLOCK_SIZE) {
		block = block_new(outbox->pool);
		if (!block) {
			outbox->failed = true;
			return NULL;
		}
		push_block(outbox, block);
	}
	return (uint8_t *)block->at + block->len;
}

static void
commit(struct outbox *outbox, size_t size)
{
	outbox->last->len += size;
	account(outbox, size);
}

/* Preamble and header at `to`, which has room for them. Returns their length. */
static size_t
write_head(uint8_t *to, size_t size, uint8_t kind, uint32_t id,
	   const struct message *header, struct frame_segment first)
{
	struct frame frame = {
		.version = FRAME_VERSION, .kind = kind, .id = id, .first = first
	};

	frame.header_len = (uint32_t)message_encode(header, to + FRAME_PREAMBLE_SIZE,
						    size - FRAME_PREAMBLE_SIZE);
	CHECK(frame.header_len > 0);
	frame_write(to, &frame);
	return FRAME_PREAMBLE_SIZE + frame.header_len;
}

void
outbox_frame(struct outbox *outbox, uint8_t kind, uint32_t id,
	     const struct message *header)
{
	const struct frame_segment none = { .mark = FRAME_NONE };
	uint8_t *to;

	if (outbox->fd < 0)
		return;
	to = reserve(outbox, FRAME_PREAMBLE_SIZE + HEAD_MAX);
	if (to)
		commit(outbox, write_head(to, FRAME_PREAMBLE_SIZE + HEAD_MAX, kind, id,
					  header, none));
}

/* Queues bytes that are elsewhere. Takes owner. */
static void
push_foreign(struct outbox *outbox, struct slice bytes, void *owner)
{
	struct block *block = malloc(sizeof(*block));

	if (!block) {
		free(owner);
		outbox->failed = true;
		return;
	}
	*block = (struct block){
		.at = bytes.data, .len = bytes.len, .owner = owner, .foreign = true
	};
	push_block(outbox, block);
	account(outbox, bytes.len);
}

/* Makes what is left of borrowed bytes the outbox's own, if nobody keeps them for it. */
static void
keep_foreign(struct outbox *outbox, struct keeper *keeper)
{
	struct block *block = outbox->first;
	void *copy;

	while (block && (!block->foreign || block->owner || block->keeper))
		block = block->next;
	if (!block)
		return;
	if (keeper) {
		cache_keep(keeper);
		block->keeper = keeper;
		return;
	}
	copy = malloc(block->len);
	if (!copy) {
		discount(outbox, block->len);
		block->len = 0;
		outbox->failed = true;
		return;
	}
	memcpy(copy, block->at, block->len);
	block->at = block->owner = copy;
}

void
outbox_value(struct outbox *outbox, uint32_t id, const struct message *header,
	     struct slice value, void *owner, struct keeper *keeper)
{
	const struct frame_segment first = { .mark = FRAME_LAST,
					     .len = (uint32_t)value.len };
	bool copied = value.len <= OUTBOX_COPY_MAX;
	size_t size = FRAME_PREAMBLE_SIZE + HEAD_MAX + (copied ? value.len : 0);
	uint8_t *to = outbox->fd < 0 ? NULL : reserve(outbox, size);
	size_t len;

	if (!to) {
		free(owner);
		return;
	}
	len = write_head(to, FRAME_PREAMBLE_SIZE + HEAD_MAX, FRAME_REPLY, id, header,
			 first);
	if (copied) {
		if (value.len)
			memcpy(to + len, value.data, value.len);
		commit(outbox, len + value.len);
		free(owner);
		return;
	}
	commit(outbox, len);
	push_foreign(outbox, value, owner);
	if (owner || outbox->failed)
		return;
	/* Borrowed: most of it fits the socket, and what does not is copied. An error shows again at the
	 * next flush. */
	outbox_flush(outbox, NULL);
	keep_foreign(outbox, keeper);
}

/* Puts a segment's word between each two segments of a body, from its end on. Returns the new length; 0: no
 * memory, and the body is as it was. */
static size_t
cut(uint8_t **body, size_t len)
{
	size_t words = (len - 1) / FRAME_SEGMENT_MAX;
	size_t total = len + words * FRAME_WORD_SIZE, end = len;
	uint8_t *bytes = realloc(*body, total);

	if (!bytes)
		return 0;
	*body = bytes;
	for (size_t i = words; i > 0; i--) {
		size_t start = i * FRAME_SEGMENT_MAX;
		uint8_t *to = bytes + start + i * FRAME_WORD_SIZE;

		memmove(to, bytes + start, end - start);
		frame_write_segment(to - FRAME_WORD_SIZE,
				    &(struct frame_segment){
					    .mark = i == words ? FRAME_LAST : FRAME_MORE,
					    .len = (uint32_t)(end - start) });
		end = start;
	}
	return total;
}

void
outbox_body(struct outbox *outbox, uint32_t id, const struct message *header,
	    uint8_t *body, size_t len)
{
	struct frame_segment first = { .mark = FRAME_MORE, .len = FRAME_SEGMENT_MAX };
	uint8_t *to;

	if (len <= FRAME_SEGMENT_MAX) {
		outbox_value(outbox, id, header, slice(body, len), body, NULL);
		return;
	}
	to = outbox->fd < 0 ? NULL : reserve(outbox, FRAME_PREAMBLE_SIZE + HEAD_MAX);
	len = to ? cut(&body, len) : 0;
	if (!len) {
		outbox->failed = outbox->fd >= 0;
		free(body);
		return;
	}
	commit(outbox, write_head(to, FRAME_PREAMBLE_SIZE + HEAD_MAX, FRAME_REPLY, id,
				  header, first));
	push_foreign(outbox, slice(body, len), body);
}

/* ---- streams */

static void
stream_arrived(void *arg, size_t bytes)
{
	struct outbox *outbox = arg;

	account(outbox, bytes);
	outbox->events->part(outbox->arg);
}

static void
stream_refused(void *arg, uint32_t id, enum error error)
{
	struct outbox *outbox = arg;
	struct message header = { 0 };

	MESSAGE_SET(&header, ERROR, error, error);
	MESSAGE_SET(&header, TEXT, text, slice_text(error_text((int)error)));
	outbox_frame(outbox, FRAME_ERROR, id, &header);
	outbox->events->refused(outbox->arg, error);
	outbox->events->part(outbox->arg);
}

static const struct stream_events stream_events = {
	.arrived = stream_arrived,
	.refused = stream_refused,
};

void
outbox_init(struct outbox *outbox, struct outbox_pool *pool, int fd,
	    const struct outbox_events *events, void *arg)
{
	*outbox = (struct outbox){
		.pool = pool,
		.fd = fd,
		.streams = { .events = &stream_events, .arg = outbox },
		.events = events,
		.arg = arg,
	};
}

void
outbox_stream(struct outbox *outbox, uint32_t id, const struct message *header,
	      struct download *download)
{
	if (outbox->fd < 0)
		download_close(&download);
	else if (streams_add(&outbox->streams, id, header, download))
		outbox->failed = true;
}

/* ---- sending */

/* What to send next. */
static int
gather(const struct outbox *outbox, struct iovec vectors[static VECTOR_MAX])
{
	const struct block *block =
		streams_begun(&outbox->streams) ? NULL : outbox->first;
	int count = 0;

	for (; block && count < VECTOR_MAX - STREAM_VECTORS; block = block->next)
		if (block->len)
			vectors[count++] = (struct iovec){ .iov_base = (void *)block->at,
							   .iov_len = block->len };
	if (block)
		return count;
	return count + streams_gather(&outbox->streams, vectors + count);
}

static void
advance(struct outbox *outbox, size_t len)
{
	while (outbox->first && !streams_begun(&outbox->streams)) {
		struct block *block = outbox->first;
		size_t here = block->len < len ? block->len : len;

		block->at += here;
		block->len -= here;
		len -= here;
		discount(outbox, here);
		if (block->len)
			return;
		pop_block(outbox);
	}
	if (len)
		discount(outbox, streams_advance(&outbox->streams, len));
}

static size_t
total(const struct iovec *vectors, int count)
{
	size_t sum = 0;

	for (int i = 0; i < count; i++)
		sum += vectors[i].iov_len;
	return sum;
}

/* One sendmsg(). Returns 1 when all of it left and there may be more, 0 when there is nothing to send or
 * the socket is full, -1 when the client is gone. */
static int
send_round(struct outbox *outbox, size_t *ret_sent)
{
	struct iovec vectors[VECTOR_MAX];
	struct msghdr message = { .msg_iov = vectors };
	int count = gather(outbox, vectors);
	size_t wanted = total(vectors, count);
	ssize_t sent;

	outbox->stuck = false;
	if (!count)
		return 0;
	message.msg_iovlen = (size_t)count;
	outbox->pool->sends++;
	do /* send() is the cheaper one, and enough for small replies */
		sent = count > 1 ? sendmsg(outbox->fd, &message,
					   MSG_NOSIGNAL | MSG_DONTWAIT)
				 : send(outbox->fd, vectors[0].iov_base,
					vectors[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
	while (sent < 0 && errno == EINTR);
	if (sent < 0 && errno != EAGAIN && errno != ENOBUFS && errno != ENOMEM)
		return -1;
	if (sent > 0) {
		advance(outbox, (size_t)sent);
		*ret_sent += (size_t)sent;
	}
	outbox->stuck = sent < 0 || (size_t)sent < wanted;
	return !outbox->stuck;
}

int
outbox_flush(struct outbox *outbox, size_t *ret_sent)
{
	size_t sent = 0;
	int result = 1;

	for (int round = 0; result > 0 && round < ROUNDS_MAX; round++) {
		streams_ask(&outbox->streams);
		result = outbox->failed ? -1 : send_round(outbox, &sent);
	}
	/* Out of rounds: the socket is writable, so the loop comes back at once. */
	if (result > 0 && !outbox_empty(outbox)) {
		streams_ask(&outbox->streams);
		outbox->stuck = outbox->first || streams_ready(&outbox->streams);
	}
	if (ret_sent)
		*ret_sent = sent;
	return result < 0 ? -1 : 0;
}
