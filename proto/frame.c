/* frame.c - packs and unpacks preambles and segment words. Pure; owns nothing; any thread. */
#include "proto/frame.h"

#include <assert.h>

#include "proto/bytes.h"

#define MARK_SHIFT 30
#define LEN_MASK ((1u << MARK_SHIFT) - 1)

static int
unpack_segment(uint32_t word, struct frame_segment *ret)
{
	enum frame_mark mark = word >> MARK_SHIFT;
	uint32_t low = word & LEN_MASK;

	if (mark == FRAME_ABORT) {
		/* 0 would look like success to whoever asks "is there an error?". */
		if (low == 0 || low > UINT8_MAX)
			return -1;
		*ret = (struct frame_segment){ .mark = mark, .error = low };
		return 0;
	}
	if (low > FRAME_SEGMENT_MAX || (mark == FRAME_NONE && low != 0))
		return -1;
	*ret = (struct frame_segment){ .mark = mark, .len = low };
	return 0;
}

static uint32_t
pack_segment(const struct frame_segment *segment)
{
	uint32_t low = segment->mark == FRAME_ABORT ? segment->error : segment->len;

	assert(segment->mark <= FRAME_ABORT && segment->len <= FRAME_SEGMENT_MAX);
	assert(segment->mark == FRAME_MORE || segment->mark == FRAME_LAST ||
	       segment->len == 0);
	assert(segment->mark != FRAME_ABORT ||
	       (segment->error && segment->error <= UINT8_MAX));
	return (uint32_t)segment->mark << MARK_SHIFT | low;
}

int
frame_read(const uint8_t from[static FRAME_PREAMBLE_SIZE], struct frame *ret_frame)
{
	struct frame frame = {
		.version = from[0],
		.kind = from[1],
		.flags = le16_load(from + 2),
		.id = le32_load(from + 4),
		.header_len = le32_load(from + 8),
	};

	if (frame.version == 0 || frame.kind == 0 || frame.header_len > FRAME_HEADER_MAX)
		return -1;
	if (unpack_segment(le32_load(from + 12), &frame.first))
		return -1;
	*ret_frame = frame;
	return 0;
}

void
frame_write(uint8_t to[static FRAME_PREAMBLE_SIZE], const struct frame *frame)
{
	assert(frame->version && frame->kind && frame->header_len <= FRAME_HEADER_MAX);
	to[0] = frame->version;
	to[1] = frame->kind;
	le16_store(to + 2, frame->flags);
	le32_store(to + 4, frame->id);
	le32_store(to + 8, frame->header_len);
	le32_store(to + 12, pack_segment(&frame->first));
}

int
frame_read_segment(const uint8_t from[static FRAME_WORD_SIZE], struct frame_segment *ret)
{
	struct frame_segment segment;

	if (unpack_segment(le32_load(from), &segment) || segment.mark == FRAME_NONE)
		return -1;
	*ret = segment;
	return 0;
}

void
frame_write_segment(uint8_t to[static FRAME_WORD_SIZE],
		    const struct frame_segment *segment)
{
	assert(segment->mark != FRAME_NONE);
	le32_store(to, pack_segment(segment));
}
