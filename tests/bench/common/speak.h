/* speak.h - the four systems' ways to say get and put, made from a frame that is built once and patched for each
 * request, so that the client costs about the same whomever it speaks to. Pure; any thread. */
#ifndef BENCH_SPEAK_H
#define BENCH_SPEAK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SPEAK_KEY_LEN 16
#define SPEAK_VALUE_MAX (1u << 20)
#define SPEAK_REQUEST_MAX (SPEAK_VALUE_MAX + 256)
/* What goes to and fro with `echo`: about a small get's reply. */
#define SPEAK_ECHO_SIZE 128

enum speak_work {
	SPEAK_GET,
	SPEAK_PUT,      /* acknowledged as the system does by itself */
	SPEAK_PUT_DISK, /* Brine: ack=disk; the others know no such thing */
};

enum speak_outcome {
	SPEAK_DONE,
	SPEAK_MISS,
	SPEAK_FAILED,
};

struct speaker;

/* One request, ready but for its key and id. */
struct request {
	const struct speaker *speaker;
	uint8_t *bytes; /* borrowed: SPEAK_REQUEST_MAX, the caller's */
	size_t len;
	size_t key_at;
	size_t value_at; /* 0: no value */
};

struct speaker {
	const char *name;
	/* Bytes that open a connection, answered like a request; 0 for none. */
	size_t (*hello)(uint8_t *to);
	void (*make)(struct request *request, enum speak_work work, size_t value_len);
	/* Bytes of the first whole reply, 0 while it is not whole. value_len is what a hit must have. */
	size_t (*reply)(const uint8_t *from, size_t len, size_t value_len,
			enum speak_outcome *ret);
	bool ids; /* requests are numbered */
};

/* NULL for an unknown name: brine, redis, memcached, echo. */
const struct speaker *speaker_find(const char *name);

/* Which object, and which request of this connection. */
void request_patch(struct request *request, uint64_t object, uint32_t id);

#endif
