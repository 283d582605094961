/* fuzz_conn.c - any bytes as what a client sends, to the whole way from the socket to a cache in an array.
 * The first byte chooses how the cache behaves and how the bytes are cut; a HELLO goes before the rest.
 * Nothing may be left behind when the client is gone. */
#include <assert.h>
#include <stdint.h>
#include <sys/socket.h>
#include <unistd.h>

#include <uv.h>

#include "tests/unit/fake/cache.c"

#include "daemon/conns.h"

enum {
	HOLD_ANSWERS = 1,
	HOLD_PARTS = 2,
	NO_ROOM = 4,
	BORROW = 8,
	SMALL_PIECES = 16,
	NO_HELLO = 32,
	LEAVE = 64,
	HALF_CLOSE = 128,
};

#define PIECE 7

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

struct daemon {
	uv_loop_t loop;
	struct sessions sessions;
	struct conns *conns;
};

static void
turn(struct daemon *daemon, int client)
{
	static uint8_t away[1 << 16];

	uv_run(&daemon->loop, UV_RUN_NOWAIT);
	conns_turn(daemon->conns);
	while (recv(client, away, sizeof(away), MSG_DONTWAIT) > 0)
		;
}

static void
feed(struct daemon *daemon, int client, const uint8_t *bytes, size_t len, size_t piece)
{
	while (len) {
		size_t here = len < piece ? len : piece;
		ssize_t sent = send(client, bytes, here, MSG_NOSIGNAL | MSG_DONTWAIT);

		turn(daemon, client);
		if (sent <= 0)
			return;
		bytes += sent;
		len -= (size_t)sent;
	}
}

static void
begin(struct daemon *daemon)
{
	const struct conns_limits limits = { 8, false, 4 << 20, UINT64_C(1) << 62 };
	struct cache_config config = { 0 };
	char error[CACHE_ERROR_MAX];

	log_set_level(LOG_ERROR);
	cache_open(&config, 0, &daemon->sessions.cache, error);
	daemon->sessions.data = "/data";
	daemon->sessions.usermap = (struct usermap){ .whole = true, .overflow = 65534 };
	uv_loop_init(&daemon->loop);
	daemon->conns = conns_new(&daemon->loop, &daemon->sessions, &limits);
	assert(daemon->conns);
}

static void
end(struct daemon *daemon)
{
	conns_close_all(daemon->conns);
	while (conns_turn(daemon->conns))
		;
	uv_run(&daemon->loop, UV_RUN_NOWAIT);
	assert(conns_count(daemon->conns) == 0 && daemon->sessions.pool.bytes == 0);
	conns_free(&daemon->conns);
	fake_answer(daemon->sessions.cache);
	assert(!daemon->sessions.first);
	cache_close(&daemon->sessions.cache);
	sessions_done(&daemon->sessions);
	uv_loop_close(&daemon->loop);
	assert(!fake.open_payers && !fake.open_downloads && !fake.uploads && !fake.held);
}

static void
run(struct daemon *daemon, int client, uint8_t control, const uint8_t *bytes, size_t len)
{
	static const uint8_t hello[16] = { 1, 1 };

	if (!(control & NO_HELLO))
		feed(daemon, client, hello, sizeof(hello), sizeof(hello));
	feed(daemon, client, bytes, len, control & SMALL_PIECES ? PIECE : 1 << 16);
	if (control & HALF_CLOSE)
		shutdown(client, SHUT_WR);
	turn(daemon, client);
	if (control & LEAVE)
		conns_leave(daemon->conns);
	fake_answer(daemon->sessions.cache);
	fake_give_room(daemon->sessions.cache);
	for (int i = 0; i < 4; i++)
		turn(daemon, client);
	conns_sweep(daemon->conns);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct daemon *daemon;
	int fds[2];

	if (!len)
		return 0;
	daemon = calloc(1, sizeof(*daemon));
	assert(daemon);
	memset(&fake, 0, sizeof(fake));
	fake.max_value = 4 << 20;
	fake.hold_answers = bytes[0] & HOLD_ANSWERS;
	fake.hold_parts = bytes[0] & HOLD_PARTS;
	fake.no_room = bytes[0] & NO_ROOM;
	fake.borrow = bytes[0] & BORROW;
	begin(daemon);
	assert(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
	if (!conns_add(daemon->conns, fds[0], 0))
		run(daemon, fds[1], bytes[0], bytes + 1, len - 1);
	close(fds[1]);
	end(daemon);
	free(daemon);
	return 0;
}
