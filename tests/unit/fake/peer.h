/* peer.h - a daemon's connections and its clients in one thread: the loop runs when the test says so, and
 * the time is what the test says. Include after tests/unit/unit.h and tests/unit/fake/cache.c. */
#ifndef TESTS_UNIT_FAKE_PEER_H
#define TESTS_UNIT_FAKE_PEER_H

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "daemon/clock.h"
#include "daemon/conns.h"
#include "daemon/log.h"
#include "proto/frame.h"
#include "proto/message.h"

#define PEERS_MAX 64
#define SECOND_NS UINT64_C(1000000000)

/* One client. */
struct peer {
	int fd;
	uint32_t next_id;
	uint8_t *bytes; /* received, not looked at yet */
	size_t len, size;
	bool closed;          /* the daemon closed */
	uint8_t header[4096]; /* of the frame taken last; its message borrows it */
};

struct world {
	uv_loop_t loop;
	struct sessions sessions;
	struct conns *conns;
};

/* A frame that came. */
struct got {
	struct frame frame;
	struct message message;
	uint8_t *body; /* all segments; free() */
	size_t body_len;
	unsigned segments;
	enum frame_mark end; /* FRAME_NONE, FRAME_LAST or FRAME_ABORT */
	uint32_t error;      /* with FRAME_ABORT */
};

static uint64_t peer_now_ns;

static uint64_t
peer_mono_ns(void)
{
	return peer_now_ns;
}

static uint64_t
peer_us(void)
{
	return peer_now_ns / 1000;
}

static inline void
world_open(struct world *world, const struct conns_limits *limits)
{
	static const struct clock_source source = { peer_mono_ns, peer_us, peer_us };
	const struct conns_limits usual = { 64, false, 64 << 20, 30 * SECOND_NS };
	struct cache_config config = { 0 };
	char error[CACHE_ERROR_MAX];

	memset(world, 0, sizeof(*world));
	memset(&fake, 0, sizeof(fake));
	peer_now_ns = 1000 * SECOND_NS;
	clock_use(&source);
	clock_start(0);
	log_set_level(LOG_WARNING);
	assert_int_equal(cache_open(&config, 0, &world->sessions.cache, error), 0);
	world->sessions.data = "/home/ada/.cache/brine";
	world->sessions.usermap = (struct usermap){ .whole = true, .overflow = 65534 };
	world->sessions.release = 256;
	world->sessions.own_uid = 1000;
	assert_int_equal(uv_loop_init(&world->loop), 0);
	world->conns =
		conns_new(&world->loop, &world->sessions, limits ? limits : &usual);
	assert_non_null(world->conns);
}

static inline void
world_close(struct world *world)
{
	conns_close_all(world->conns);
	while (conns_turn(world->conns))
		;
	uv_run(&world->loop, UV_RUN_NOWAIT);
	conns_free(&world->conns);
	cache_close(&world->sessions.cache);
	sessions_done(&world->sessions);
	assert_int_equal(uv_loop_close(&world->loop), 0);
	assert_int_equal(fake.open_payers, 0);
	assert_int_equal(fake.open_peers, 0);
	assert_int_equal(fake.open_downloads, 0);
	assert_int_equal(fake.uploads, 0);
	clock_use(NULL);
}

/* One round of events. */
static inline void
world_turn(struct world *world)
{
	uv_run(&world->loop, UV_RUN_NOWAIT);
	conns_turn(world->conns);
}

static inline struct peer
peer_connect_as(struct world *world, uint32_t uid)
{
	struct peer peer = { .fd = -1 };
	int fds[2];

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds),
		0);
	conns_add(world->conns, fds[0], uid);
	peer.fd = fds[1];
	return peer;
}

static inline void
peer_close(struct peer *peer)
{
	if (peer->fd >= 0)
		close(peer->fd);
	free(peer->bytes);
	*peer = (struct peer){ .fd = -1 };
}

/* Takes what the daemon sent, up to `most` bytes. */
static inline size_t
peer_receive(struct peer *peer, size_t most)
{
	size_t total = 0;
	ssize_t count;

	for (;;) {
		size_t want = most - total < 65536 ? most - total : 65536;

		if (!want)
			return total;
		if (peer->size - peer->len < want) {
			peer->size = 2 * peer->size + want;
			peer->bytes = realloc(peer->bytes, peer->size);
			assert_non_null(peer->bytes);
		}
		count = recv(peer->fd, peer->bytes + peer->len, want, 0);
		if (count == 0 || (count < 0 && errno != EAGAIN))
			peer->closed = true;
		if (count <= 0)
			return total;
		peer->len += (size_t)count;
		total += (size_t)count;
	}
}

/* Sends bytes whole, with rounds of the daemon in between. */
static inline void
peer_send(struct world *world, struct peer *peer, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	for (unsigned idle = 0; len && idle < 100; idle++) {
		ssize_t count = send(peer->fd, at, len, MSG_NOSIGNAL);

		if (count < 0 && errno != EAGAIN)
			return;
		if (count > 0) {
			at += count;
			len -= (size_t)count;
			idle = 0;
		}
		if (len)
			world_turn(world);
	}
	assert_int_equal(len, 0);
}

/* Writes a request at `to`, which has room; returns its length. */
static inline size_t
peer_frame(struct peer *peer, uint8_t *to, unsigned kind, const struct message *message,
	   enum frame_mark mark, const void *body, size_t body_len)
{
	struct frame frame = { .version = 1,
			       .kind = (uint8_t)kind,
			       .id = peer->next_id++,
			       .first = { mark, (uint32_t)body_len, 0 } };

	frame.header_len =
		(uint32_t)message_encode(message, to + FRAME_PREAMBLE_SIZE, 2048);
	frame_write(to, &frame);
	if (body_len)
		memcpy(to + FRAME_PREAMBLE_SIZE + frame.header_len, body, body_len);
	return FRAME_PREAMBLE_SIZE + frame.header_len + body_len;
}

static inline void
peer_request(struct world *world, struct peer *peer, unsigned kind,
	     const struct message *message, enum frame_mark mark, const void *body,
	     size_t body_len)
{
	uint8_t *bytes = malloc(4096 + body_len);
	size_t len;

	assert_non_null(bytes);
	len = peer_frame(peer, bytes, kind, message, mark, body, body_len);
	peer_send(world, peer, bytes, len);
	free(bytes);
}

static inline void
peer_segment(struct world *world, struct peer *peer, enum frame_mark mark,
	     const void *body, size_t len, uint32_t error)
{
	struct frame_segment segment = { mark, (uint32_t)len, error };
	uint8_t word[FRAME_WORD_SIZE];

	frame_write_segment(word, &segment);
	peer_send(world, peer, word, sizeof(word));
	if (len)
		peer_send(world, peer, body, len);
}

/* Cuts the next frame off what was received. False: it is not here whole. */
static inline bool
peer_take(struct peer *peer, struct got *ret)
{
	struct got got = { 0 };
	struct frame_segment segment;
	unsigned field;
	size_t at;

	if (peer->len < FRAME_PREAMBLE_SIZE)
		return false;
	assert_int_equal(frame_read(peer->bytes, &got.frame), 0);
	at = frame_size(&got.frame);
	if (peer->len < at)
		return false;
	segment = got.frame.first;
	assert_true(got.frame.header_len <= sizeof(peer->header));
	memcpy(peer->header, peer->bytes + FRAME_PREAMBLE_SIZE, got.frame.header_len);
	for (;;) {
		got.segments += segment.mark != FRAME_NONE;
		got.end = segment.mark;
		got.error = segment.error;
		if (segment.len) {
			got.body = realloc(got.body, got.body_len + segment.len);
			assert_non_null(got.body);
			memcpy(got.body + got.body_len, peer->bytes + at - segment.len,
			       segment.len);
			got.body_len += segment.len;
		}
		if (segment.mark != FRAME_MORE)
			break;
		if (peer->len < at + FRAME_WORD_SIZE) {
			free(got.body);
			return false;
		}
		assert_int_equal(frame_read_segment(peer->bytes + at, &segment), 0);
		at += FRAME_WORD_SIZE + segment.len;
		if (peer->len < at) {
			free(got.body);
			return false;
		}
	}
	peer->len -= at;
	memmove(peer->bytes, peer->bytes + at, peer->len);
	*ret = got;
	assert_int_equal(message_decode(slice(peer->header, ret->frame.header_len),
					&ret->message, &field),
			 MESSAGE_OK);
	return true;
}

/* Waits, for some rounds, for the next frame. False: there is none. */
static inline bool
peer_get(struct world *world, struct peer *peer, struct got *ret)
{
	for (int round = 0; round < 200; round++) {
		peer_receive(peer, SIZE_MAX);
		if (peer_take(peer, ret))
			return true;
		world_turn(world);
	}
	return false;
}

/* The next frame must be this one's reply. */
static inline struct got
peer_reply(struct world *world, struct peer *peer, uint32_t id)
{
	struct got got;

	assert_true(peer_get(world, peer, &got));
	assert_int_equal(got.frame.id, id);
	return got;
}

static inline void
peer_expect_error(struct world *world, struct peer *peer, enum error error)
{
	struct got got;

	assert_true(peer_get(world, peer, &got));
	assert_int_equal(got.frame.kind, FRAME_ERROR);
	assert_int_equal(got.message.error, error);
	free(got.body);
}

/* Rounds until the daemon has closed, or not. */
static inline bool
peer_is_closed(struct world *world, struct peer *peer)
{
	for (int round = 0; round < 20 && !peer->closed; round++) {
		world_turn(world);
		peer_receive(peer, SIZE_MAX);
	}
	return peer->closed;
}

static inline struct peer
peer_greet_as(struct world *world, uint32_t uid)
{
	struct peer peer = peer_connect_as(world, uid);
	const struct message none = { 0 };
	struct got got;

	peer_request(world, &peer, COMMAND_HELLO, &none, FRAME_NONE, NULL, 0);
	got = peer_reply(world, &peer, 0);
	assert_int_equal(got.frame.kind, FRAME_REPLY);
	return peer;
}

static inline struct peer
peer_greet(struct world *world)
{
	return peer_greet_as(world, 1000);
}

static inline struct message
peer_key(const char *key)
{
	struct message message = { 0 };

	MESSAGE_SET(&message, KEY, key, slice_text(key));
	return message;
}

static inline void
peer_put(struct world *world, struct peer *peer, const char *key, const void *value,
	 size_t len)
{
	struct message message = peer_key(key);

	peer_request(world, peer, COMMAND_PUT, &message, FRAME_LAST, value, len);
}

static inline void
peer_ask(struct world *world, struct peer *peer, unsigned kind, const char *key)
{
	struct message message = peer_key(key);

	peer_request(world, peer, kind, &message, FRAME_NONE, NULL, 0);
}

/* A value of this length, that tells its bytes apart; free() it. */
static inline uint8_t *
make_value(size_t len)
{
	uint8_t *value = malloc(len + 1);

	assert_non_null(value);
	for (size_t i = 0; i < len; i++)
		value[i] = (uint8_t)(i * 31 + i / 251);
	return value;
}

#endif
