/* stream.c - from the parts of a download to the segments of a reply's body.
 * Owns the downloads. Loop thread only. */
#include "daemon/stream.h"

#include <stdlib.h>

#include "daemon/log.h"
#include "proto/frame.h"

/* Numbers only, at most 11 bytes each. */
#define HEADER_MAX 256

/* `head` is what precedes the present part: a preamble and a header, or a segment's word. */
struct stream {
	struct stream *next;
	struct streams *all;
	struct download *download;
	uint32_t id;
	uint16_t header_len;
	bool asked; /* for a part that has not come */
	bool ready; /* head and rest are what to send */
	bool begun; /* its first byte was sent */
	bool last;  /* the present part ends it */
	uint16_t head_at, head_len;
	struct slice rest;
	uint8_t head[FRAME_PREAMBLE_SIZE + HEADER_MAX];
};

int
streams_add(struct streams *streams, uint32_t id, const struct message *header,
	    struct download *download)
{
	struct stream *stream = calloc(1, sizeof(*stream));

	if (!stream) {
		download_close(&download);
		return -1;
	}
	stream->all = streams;
	stream->download = download;
	stream->id = id;
	stream->header_len = (uint16_t)message_encode(
		header, stream->head + FRAME_PREAMBLE_SIZE, HEADER_MAX);
	CHECK(stream->header_len > 0);
	if (streams->last)
		streams->last->next = stream;
	else
		streams->first = stream;
	streams->last = stream;
	streams->count++;
	return 0;
}

/* The first one goes. Returns how many bytes of its value were not sent. */
static size_t
pop(struct streams *streams)
{
	struct stream *stream = streams->first;
	size_t unsent = stream->ready ? stream->rest.len : 0;

	streams->first = stream->next;
	if (!streams->first)
		streams->last = NULL;
	streams->count--;
	download_close(&stream->download);
	free(stream);
	return unsent;
}

size_t
streams_drop(struct streams *streams)
{
	size_t unsent = 0;

	while (streams->first)
		unsent += pop(streams);
	return unsent;
}

/* ---- parts */

static void
set_head(struct stream *stream, const struct frame_segment *segment)
{
	if (stream->begun) {
		frame_write_segment(stream->head, segment);
		stream->head_len = FRAME_WORD_SIZE;
	} else {
		const struct frame frame = {
			.version = FRAME_VERSION,
			.kind = FRAME_REPLY,
			.id = stream->id,
			.header_len = stream->header_len,
			.first = *segment,
		};

		frame_write(stream->head, &frame);
		stream->head_len = FRAME_PREAMBLE_SIZE + stream->header_len;
	}
	stream->head_at = 0;
}

static void
part_arrived(void *arg, const struct part *part)
{
	struct stream *stream = arg;
	struct streams *all = stream->all;
	uint32_t id = stream->id;
	struct frame_segment segment = { .mark = part->last ? FRAME_LAST : FRAME_MORE,
					 .len = (uint32_t)part->bytes.len };

	CHECK(stream->asked && part->bytes.len <= FRAME_SEGMENT_MAX);
	stream->asked = false;
	if (part->error && !stream->begun) {
		enum error error = part->error; /* the part goes with its stream */

		pop(all);
		all->events->refused(all->arg, id, error);
		return;
	}
	if (part->error)
		segment = (struct frame_segment){ .mark = FRAME_ABORT,
						  .error = part->error };
	set_head(stream, &segment);
	stream->rest = part->error ? slice(NULL, 0) : part->bytes;
	stream->last = part->last || part->error;
	stream->ready = true;
	all->events->arrived(all->arg, stream->rest.len);
}

void
streams_ask(struct streams *streams)
{
	struct stream *stream = streams->first;

	if (!stream || stream->asked || stream->ready)
		return;
	stream->asked = true;
	download_next(stream->download, part_arrived, stream);
}

/* ---- sending */

bool
streams_ready(const struct streams *streams)
{
	return streams->first && streams->first->ready;
}

bool
streams_begun(const struct streams *streams)
{
	return streams->first && streams->first->begun;
}

int
streams_gather(const struct streams *streams, struct iovec vectors[static STREAM_VECTORS])
{
	struct stream *stream = streams->first;
	int count = 0;

	if (!streams_ready(streams))
		return 0;
	if (stream->head_at < stream->head_len)
		vectors[count++] = (struct iovec){
			.iov_base = stream->head + stream->head_at,
			.iov_len = (size_t)(stream->head_len - stream->head_at),
		};
	if (stream->rest.len)
		vectors[count++] = (struct iovec){ .iov_base = (void *)stream->rest.data,
						   .iov_len = stream->rest.len };
	return count;
}

size_t
streams_advance(struct streams *streams, size_t len)
{
	struct stream *stream = streams->first;
	size_t head = (size_t)(stream->head_len - stream->head_at);

	if (head > len)
		head = len;
	stream->begun = stream->begun || len > 0;
	stream->head_at = (uint16_t)(stream->head_at + head);
	len -= head;
	stream->rest.data = (const uint8_t *)stream->rest.data + len;
	stream->rest.len -= len;
	if (!stream->rest.len && stream->head_at == stream->head_len) {
		stream->ready = false;
		if (stream->last)
			pop(streams);
	}
	return len;
}
