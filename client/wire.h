/* wire.h - one connection's protocol without its socket: brine_wire_*() and what streams need on top. */
#ifndef CLIENT_WIRE_H
#define CLIENT_WIRE_H

#include <stdbool.h>

#include "client/asked.h"
#include "client/brine.h"
#include "client/lacks.h"
#include "client/outgoing.h"
#include "client/request.h"
#include "proto/frame.h"
#include "proto/message.h"

/* One whole preamble and header, and as much again for what follows in the same read. */
#define WIRE_INPUT_SIZE (2 * (FRAME_PREAMBLE_SIZE + FRAME_HEADER_MAX))
#define WIRE_MESSAGE_MAX 512
/* This library's, as in HELLO. */
#define WIRE_RELEASE                                                                     \
	(BRINE_VERSION_MAJOR << 16 | BRINE_VERSION_MINOR << 8 | BRINE_VERSION_PATCH)
/* A body whose header names no length (pages, statistics) may have so many bytes. */
#define WIRE_UNKNOWN_MAX (64u << 20)

/* The body that is arriving, and the reply that it belongs to. */
struct incoming {
	bool open;
	bool streamed;  /* goes where wire_body_into() says */
	bool discarded; /* nobody wants it */
	bool known;     /* its length was announced */
	bool answers;   /* its end closes the request `id` */
	uint32_t id;
	uint32_t left; /* of the segment */
	enum frame_mark mark;
	uint64_t length; /* announced */
	uint64_t taken;
	uint8_t *to; /* where its next bytes go */
	size_t room;
	struct brine_value *value;
	struct brine_reply reply;
};

struct brine_wire {
	struct brine_wire_options options;
	struct asked_table asked;
	struct outgoing outgoing;
	struct incoming incoming;
	uint8_t *input;
	size_t start, end; /* what of input is not read yet */
	size_t direct;     /* how much of the space given last is not in input */
	uint64_t quiet_since_ms;
	int error;       /* not 0: nothing more can be read */
	bool greeted;    /* HELLO was answered */
	bool refused;    /* HELLO was answered with an error */
	bool makes_room; /* the daemon said that it leaves for a newer one */
	bool uploading;
	bool leaving; /* GOAWAY came */
	bool cut;
	uint32_t upload_id;
	uint32_t last_id; /* GOAWAY's */
	struct brine_daemon daemon;
	struct lacks lacks;
	uint64_t not_resumed; /* bit n: the RESUME of place n was refused */
	char message[WIRE_MESSAGE_MAX];
	/* A streamed put's first frame waits here for its first segment. */
	size_t head_len;
	uint8_t head[FRAME_PREAMBLE_SIZE + REQUEST_HEADER_MAX];
};

/* Like brine_wire_request() for a GET whose value is taken with wire_body_step(): the reply then comes
 * with its header, value NULL. */
int wire_request_streamed(struct brine_wire *wire, const struct brine_request *request,
			  uint64_t token, uint64_t now_ms);

/* Queues a RESUME of whose answer only `not_resumed` tells; place is 0 to 63. */
int wire_resume(struct brine_wire *wire, const struct brine_request *request,
		unsigned place, uint64_t now_ms);

/* A PUT whose value comes in segments (request->value NULL, value_len the length or BRINE_UNKNOWN). Until its
 * last segment nothing else can be queued. */
int wire_upload_begin(struct brine_wire *wire, const struct brine_request *request,
		      uint64_t token, uint64_t now_ms);
/* One segment; bytes are borrowed until sent. FRAME_LAST and FRAME_ABORT end the upload. */
int wire_upload_segment(struct brine_wire *wire, enum frame_mark mark, const void *bytes,
			size_t len);
/* Whether wire_upload_begin()'s request is still without an answer. */
bool wire_upload_open(const struct brine_wire *wire);

enum wire_body {
	WIRE_BODY_END = 0,  /* complete, of the announced length */
	WIRE_BODY_MORE = 1, /* needs more bytes, or more room */
};

/* Where the streamed body's next bytes go, some of them perhaps straight from the socket. */
void wire_body_into(struct brine_wire *wire, void *to, size_t room);
/* Moves what has arrived there. incoming.room says what is left. Or an error: the daemon's, which leaves the
 * wire usable, or one that broke it (wire->error). */
int wire_body_step(struct brine_wire *wire);
/* Lets the rest of a streamed body pass unseen. */
void wire_body_discard(struct brine_wire *wire);

/* ---- between the wire's own files */

/* Opens the body of the reply that stands in incoming.reply (asked: NULL for a frame that is no reply). */
void body_open(struct brine_wire *wire, const struct frame *frame,
	       const struct asked *asked, const struct message *message);
/* Reads on in it. Returns 1 at its end, 0 (needs more bytes or room) or the error that broke the wire. */
int body_read(struct brine_wire *wire);
/* Some of its bytes are where they belong. */
void body_advance(struct incoming *incoming, size_t bytes);

/* What a reply's message says of the object. */
void answer_meta(const struct message *message, struct brine_meta *meta);

/* The wire is of no more use; says why. Returns the error, negative. */
int wire_break(struct brine_wire *wire, int error, const char *format, ...)
	__attribute__((format(printf, 3, 4)));

#endif
