/* outgoing.h - what is still to be sent: frames in order, their values borrowed, not copied. Pure. */
#ifndef CLIENT_OUTGOING_H
#define CLIENT_OUTGOING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#define OUTGOING_HEADS_MAX (1u << 20)
#define OUTGOING_PIECES_MAX 4096
/* Values up to this length are copied behind their header: cheaper than one more iovec. */
#define OUTGOING_COPY_MAX 4096
#define OUTGOING_WORDS 8

/* A run of bytes of our own (preamble and header, or a segment's word), then a value. */
struct outgoing_piece {
	const uint8_t *value;
	uint64_t value_len;
	uint32_t head_at;
	uint32_t head_len;
	uint32_t id;
	bool ends; /* the request's frame is complete with it */
};

struct outgoing {
	uint8_t *heads;
	size_t heads_len, heads_size;
	struct outgoing_piece *pieces;
	size_t first, count, size;
	uint64_t sent;                    /* of the first piece, segment words counted */
	uint8_t words[OUTGOING_WORDS][4]; /* that the last outgoing_fill() points at */
};

enum outgoing_result {
	OUTGOING_OK = 0,
	OUTGOING_FULL = -1,
	OUTGOING_NO_MEMORY = -2,
};

void outgoing_free(struct outgoing *out);

/* Adds a piece. head is copied, value borrowed until it was sent (or copied when it is small).
 * A value longer than a segment gets its segment words on the way. */
int outgoing_add(struct outgoing *out, uint32_t id, bool ends, const void *head,
		 size_t head_len, const void *value, uint64_t value_len);

/* Fills up to count entries with what to send now; returns how many. They are valid until the next call. */
int outgoing_fill(struct outgoing *out, struct iovec *to, int count);

/* Takes *bytes, sent, off the queue. Returns true, with *bytes the rest, when a request was completed:
 * call it again. */
bool outgoing_sent(struct outgoing *out, size_t *bytes, uint32_t *ret_id);

/* Forgets every piece of requests after last_id. */
void outgoing_drop_after(struct outgoing *out, uint32_t last_id);

static inline bool
outgoing_empty(const struct outgoing *out)
{
	return out->count == 0;
}

#endif
