/* fuzz_frame.c - any bytes as a stream of frames, followed as a receiver follows them. What is accepted
 * is within the limits, and written again it is the same bytes. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "proto/frame.h"
#include "proto/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct stream {
	const uint8_t *at;
	const uint8_t *end;
};

/* NULL when the stream ends before. */
static const uint8_t *
take(struct stream *stream, size_t len)
{
	const uint8_t *at = stream->at;

	if ((size_t)(stream->end - at) < len)
		return NULL;
	stream->at += len;
	return at;
}

static void
expect_sound(const struct frame_segment *segment)
{
	assert(segment->mark <= FRAME_ABORT && segment->len <= FRAME_SEGMENT_MAX);
	assert(segment->len == 0 || segment->mark == FRAME_MORE ||
	       segment->mark == FRAME_LAST);
	assert((segment->error != 0) == (segment->mark == FRAME_ABORT));
}

/* Follows the segments behind the first. Returns 0 or, where the stream ends or breaks, -1. */
static int
follow_body(struct stream *stream, struct frame_segment segment)
{
	uint8_t again[FRAME_WORD_SIZE];
	const uint8_t *word;

	while (segment.mark == FRAME_MORE) {
		word = take(stream, FRAME_WORD_SIZE);
		if (!word || frame_read_segment(word, &segment))
			return -1;
		expect_sound(&segment);
		assert(segment.mark != FRAME_NONE);
		frame_write_segment(again, &segment);
		assert(memcmp(again, word, sizeof(again)) == 0);
		if (!take(stream, segment.len))
			return -1;
	}
	return 0;
}

static int
follow_frame(struct stream *stream)
{
	const uint8_t *preamble = take(stream, FRAME_PREAMBLE_SIZE), *header;
	uint8_t again[FRAME_PREAMBLE_SIZE];
	struct message message;
	struct frame frame;
	unsigned field;

	if (!preamble || frame_read(preamble, &frame))
		return -1;
	expect_sound(&frame.first);
	assert(frame_size(&frame) <= FRAME_WHOLE_MAX);
	frame_write(again, &frame);
	assert(memcmp(again, preamble, sizeof(again)) == 0);
	header = take(stream, frame.header_len);
	if (!header)
		return -1;
	message_decode(slice(header, frame.header_len), &message, &field);
	if (!take(stream, frame.first.len))
		return -1;
	return follow_body(stream, frame.first);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct stream stream = { bytes, bytes + len };

	while (follow_frame(&stream) == 0)
		;
	return 0;
}
