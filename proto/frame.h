/* frame.h - the fixed outer shape of everything on the wire. Pure; PROTOCOL.md chapter "Frames".
 *
 * A frame is a preamble of 16 bytes, a header (msgpack, message.h) and a body. The body is a run of
 * segments. The mark and length of the first segment stand in the preamble; each later segment is
 * preceded by its own segment word. */
#ifndef PROTO_FRAME_H
#define PROTO_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define FRAME_VERSION 1
#define FRAME_PREAMBLE_SIZE 16
#define FRAME_WORD_SIZE 4
#define FRAME_HEADER_MAX 65536u
#define FRAME_SEGMENT_MAX (1u << 20)
/* Preamble, header and first segment together: the largest run that a receiver must take whole. */
#define FRAME_WHOLE_MAX (FRAME_PREAMBLE_SIZE + FRAME_HEADER_MAX + FRAME_SEGMENT_MAX)
#define FRAME_OUTSTANDING_MAX 65536u

/* Kinds 1 to 127 are requests: the command's number. */
enum frame_kind {
	FRAME_REPLY = 128,  /* the request was done; STATUS tells hit from miss */
	FRAME_ERROR = 129,  /* it was not: ERROR, TEXT, DETAIL */
	FRAME_GOAWAY = 130, /* no reply: what follows LAST_ID will not be executed */
};

enum frame_flag {
	FRAME_FD = 1, /* a descriptor travels with the first byte of this frame */
};

enum frame_mark {
	FRAME_NONE = 0,  /* no body at all (only in a preamble) */
	FRAME_MORE = 1,  /* another segment follows */
	FRAME_LAST = 2,  /* the body is complete */
	FRAME_ABORT = 3, /* the body is void; in place of the length: an error */
};

struct frame_segment {
	enum frame_mark mark;
	uint32_t len;   /* bytes that follow; 0 with FRAME_ABORT */
	uint32_t error; /* 1 to 255, with FRAME_ABORT only */
};

struct frame {
	uint8_t version;
	uint8_t kind;
	uint16_t flags;
	uint32_t id;
	uint32_t header_len;
	struct frame_segment first;
};

/* Reads a preamble. Returns 0, or -1 when it breaks a limit that no version may break:
 * the stream cannot be followed any further then. */
int frame_read(const uint8_t from[static FRAME_PREAMBLE_SIZE], struct frame *ret_frame);

/* The caller's numbers must be within the limits (checked by assertion). */
void frame_write(uint8_t to[static FRAME_PREAMBLE_SIZE], const struct frame *frame);

/* The word before the second and each later segment. Returns 0 or -1 as above. */
int frame_read_segment(const uint8_t from[static FRAME_WORD_SIZE],
		       struct frame_segment *ret);
void frame_write_segment(uint8_t to[static FRAME_WORD_SIZE],
			 const struct frame_segment *segment);

/* Bytes of preamble, header and first segment. */
static inline size_t
frame_size(const struct frame *frame)
{
	return FRAME_PREAMBLE_SIZE + (size_t)frame->header_len + frame->first.len;
}

/* Does id a come before b, on a counter that wraps? (Serial-number arithmetic, RFC 1982.) */
static inline bool
frame_id_before(uint32_t a, uint32_t b)
{
	return (int32_t)(a - b) < 0;
}

#endif
