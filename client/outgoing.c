/* outgoing.c - the queue of a wire's frames. Owns the heads; borrows the values. One thread. */
#include "client/outgoing.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "proto/frame.h"

#define HEADS_FIRST 8192
#define PIECES_FIRST 16

void
outgoing_free(struct outgoing *out)
{
	free(out->heads);
	free(out->pieces);
	*out = (struct outgoing){ 0 };
}

/* Moves what is left to the front of both arrays. */
static void
compact(struct outgoing *out)
{
	size_t cut = out->count ? out->pieces[out->first].head_at : out->heads_len;

	if (out->count) /* else there may be no array at all */
		memmove(out->pieces, out->pieces + out->first,
			out->count * sizeof(*out->pieces));
	out->first = 0;
	if (cut == 0)
		return;
	memmove(out->heads, out->heads + cut, out->heads_len - cut);
	out->heads_len -= cut;
	for (size_t i = 0; i < out->count; i++)
		out->pieces[i].head_at -= (uint32_t)cut;
}

/* Doubles *size until `needed` fits. */
static int
grow(void **array, size_t *size, size_t needed, size_t first, size_t max, size_t width)
{
	size_t wanted = *size ? *size : first;
	void *moved;

	if (needed <= *size)
		return OUTGOING_OK;
	if (needed > max)
		return OUTGOING_FULL;
	while (wanted < needed)
		wanted *= 2;
	if (wanted > max)
		wanted = max;
	moved = realloc(*array, wanted * width);
	if (!moved)
		return OUTGOING_NO_MEMORY;
	*array = moved;
	*size = wanted;
	return OUTGOING_OK;
}

static int
make_room(struct outgoing *out, size_t bytes)
{
	int result;

	if (out->count == 0 || out->first + out->count == out->size ||
	    out->heads_len + bytes > out->heads_size)
		compact(out);
	result = grow((void **)&out->pieces, &out->size, out->count + 1, PIECES_FIRST,
		      OUTGOING_PIECES_MAX, sizeof(*out->pieces));
	if (result)
		return result;
	return grow((void **)&out->heads, &out->heads_size, out->heads_len + bytes,
		    HEADS_FIRST, OUTGOING_HEADS_MAX, 1);
}

static void
append(struct outgoing *out, const void *bytes, size_t len)
{
	if (len)
		memcpy(out->heads + out->heads_len, bytes, len);
	out->heads_len += len;
}

int
outgoing_add(struct outgoing *out, uint32_t id, bool ends, const void *head,
	     size_t head_len, const void *value, uint64_t value_len)
{
	bool copy = value_len <= OUTGOING_COPY_MAX;
	size_t copied = copy ? (size_t)value_len : 0;
	int result = make_room(out, head_len + copied);

	if (result)
		return result;
	out->pieces[out->first + out->count++] = (struct outgoing_piece){
		.value = copy ? NULL : value,
		.value_len = copy ? 0 : value_len,
		.head_at = (uint32_t)out->heads_len,
		.head_len = (uint32_t)(head_len + copied),
		.id = id,
		.ends = ends,
	};
	append(out, head, head_len);
	append(out, value, copied);
	return OUTGOING_OK;
}

/* Length on the wire: the value and a word before each segment but the first. */
static uint64_t
piece_size(const struct outgoing_piece *piece)
{
	uint64_t words =
		piece->value_len ? (piece->value_len - 1) / FRAME_SEGMENT_MAX : 0;

	return piece->head_len + piece->value_len + words * FRAME_WORD_SIZE;
}

/* An iovec under construction. */
struct filling {
	struct iovec *to;
	int count, max;
	int words;
};

static bool
push(struct filling *filling, const void *bytes, size_t len)
{
	struct iovec *last = filling->to + filling->count - 1;

	if (filling->count && (uint8_t *)last->iov_base + last->iov_len == bytes) {
		last->iov_len += len;
		return true;
	}
	if (filling->count == filling->max)
		return false;
	filling->to[filling->count++] = (struct iovec){ (void *)(uintptr_t)bytes, len };
	return true;
}

static bool
push_word(struct outgoing *out, struct filling *filling, uint64_t left, size_t done)
{
	struct frame_segment segment = {
		.mark = left > FRAME_SEGMENT_MAX ? FRAME_MORE : FRAME_LAST,
		.len = left > FRAME_SEGMENT_MAX ? FRAME_SEGMENT_MAX : (uint32_t)left,
	};

	if (filling->words == OUTGOING_WORDS)
		return false;
	frame_write_segment(out->words[filling->words], &segment);
	return push(filling, out->words[filling->words++] + done, FRAME_WORD_SIZE - done);
}

/* Pushes what follows byte `at` of the value's wire form. False when there is no room left. */
static bool
push_value(struct outgoing *out, struct filling *filling,
	   const struct outgoing_piece *piece, uint64_t at)
{
	const uint64_t stride = FRAME_WORD_SIZE + FRAME_SEGMENT_MAX;
	/* As if the first segment had a word as well: every segment is one stride then. */
	uint64_t virtual = at + FRAME_WORD_SIZE;

	for (;;) {
		uint64_t index = virtual / stride, within = virtual % stride;
		uint64_t start = index * FRAME_SEGMENT_MAX, from, len;

		if (start >= piece->value_len)
			return true;
		if (within < FRAME_WORD_SIZE) {
			if (!push_word(out, filling, piece->value_len - start, within))
				return false;
			within = FRAME_WORD_SIZE;
		}
		from = start + within - FRAME_WORD_SIZE;
		len = start + FRAME_SEGMENT_MAX < piece->value_len
			      ? start + FRAME_SEGMENT_MAX
			      : piece->value_len;
		len -= from;
		if (len && !push(filling, piece->value + from, len))
			return false;
		virtual = (index + 1) * stride;
	}
}

int
outgoing_fill(struct outgoing *out, struct iovec *to, int count)
{
	struct filling filling = { .to = to, .max = count };
	uint64_t at = out->sent;

	for (size_t i = 0; i < out->count; i++, at = 0) {
		const struct outgoing_piece *piece = out->pieces + out->first + i;

		if (at < piece->head_len) {
			if (!push(&filling, out->heads + piece->head_at + at,
				  piece->head_len - at))
				break;
			at = piece->head_len;
		}
		if (!push_value(out, &filling, piece, at - piece->head_len))
			break;
	}
	return filling.count;
}

bool
outgoing_sent(struct outgoing *out, size_t *bytes, uint32_t *ret_id)
{
	while (out->count) {
		const struct outgoing_piece piece = out->pieces[out->first];
		uint64_t left = piece_size(&piece) - out->sent;

		if (*bytes < left) {
			out->sent += *bytes;
			*bytes = 0;
			return false;
		}
		*bytes -= (size_t)left;
		out->sent = 0;
		out->first++;
		out->count--;
		if (piece.ends) {
			*ret_id = piece.id;
			return true;
		}
	}
	assert(*bytes == 0);
	return false;
}

void
outgoing_drop_after(struct outgoing *out, uint32_t last_id)
{
	while (out->count &&
	       frame_id_before(last_id, out->pieces[out->first + out->count - 1].id))
		out->count--;
	if (out->count == 0)
		out->sent = 0;
}
