/* fake.h - a daemon for the tests of the client: a thread behind a real socket, that a test can make misbehave.
 *
 * It keeps a few objects and answers as PROTOCOL.md says, unless the test's hook decides otherwise. */
#ifndef TESTS_FAKE_H
#define TESTS_FAKE_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/frame.h"
#include "proto/message.h"

#define FAKE_CONNS 256
#define FAKE_OBJECTS 64

struct fake;

struct fake_conn {
	int fd; /* -1: free */
	uint8_t *bytes;
	size_t len, size;
};

struct fake_request {
	struct fake_conn *conn;
	struct frame frame;
	struct message message;
	const uint8_t *body;
	size_t body_len;
	bool aborted;
};

enum fake_does {
	FAKE_ANSWERS,  /* the built-in answer */
	FAKE_DOES_NOT, /* nothing, or the hook has answered */
	FAKE_CLOSES,   /* the connection */
};

/* In the fake's thread, for every request but HELLO (and for that one too with hook_hello). */
typedef enum fake_does fake_hook(struct fake *fake, const struct fake_request *request);

struct fake_object {
	uint8_t key[1024];
	size_t key_len;
	uint8_t *value;
	size_t len;
	uint64_t version, codec, kind;
};

struct fake {
	char folder[64];
	char path[128];
	int listener;
	int stop[2];
	pthread_t thread;
	fake_hook *hook;
	bool hook_hello;
	void *arg;
	struct fake_conn conns[FAKE_CONNS];
	struct fake_object objects[FAKE_OBJECTS];
	uint64_t versions;
	atomic_int connections; /* so far */
	atomic_int requests;    /* so far, HELLO not counted */
	atomic_int stage;       /* the test's own */
};

/* Starts a daemon at brine.sock in a new folder (or in `folder`, which must exist). */
void fake_start(struct fake *fake, const char *folder, fake_hook *hook);
/* Ends it: closes everything, removes its socket and, if it made it, its folder. */
void fake_stop(struct fake *fake);

/* For hooks. */
void fake_reply(const struct fake_request *request, unsigned kind,
		const struct message *message, const void *body, size_t len);
void fake_error(const struct fake_request *request, int error);
/* UNSUPPORTED; field 0: the command itself. */
void fake_unsupported(const struct fake_request *request, unsigned field);
void fake_goaway(const struct fake_request *request, uint32_t last_id);
void fake_answer(struct fake *fake, const struct fake_request *request);
void fake_send(const struct fake_request *request, const void *bytes, size_t len);

#endif
