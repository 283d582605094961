/* handover.c - a short client of the daemon that this one may follow. Owns its connection. Before the loop runs. */
#include "daemon/handover.h"

#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <sys/socket.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/listener.h"
#include "proto/errors.h"
#include "proto/frame.h"
#include "proto/message.h"

#define WAIT_MS 1000
/* An answer to HELLO and GOAWAY have a few dozen bytes; what needs more is no answer of a daemon. */
#define FRAME_MAX (FRAME_PREAMBLE_SIZE + 2048)

/* What was read last. */
struct heard {
	struct frame frame;
	struct message message;
	uint8_t bytes[FRAME_MAX];
};

static uint64_t
now_ms(void)
{
	return clock_mono_ns() / 1000000;
}

static bool
send_hello(int fd, uint32_t release)
{
	uint8_t bytes[FRAME_PREAMBLE_SIZE + 64];
	struct frame frame = { .version = FRAME_VERSION, .kind = COMMAND_HELLO };
	struct message message = { 0 };
	size_t len;

	MESSAGE_SET(&message, RELEASE, release, release);
	MESSAGE_SET(&message, SUCCESSOR, successor, release);
	len = message_encode(&message, bytes + FRAME_PREAMBLE_SIZE,
			     sizeof(bytes) - FRAME_PREAMBLE_SIZE);
	frame.header_len = (uint32_t)len;
	frame_write(bytes, &frame);
	len += FRAME_PREAMBLE_SIZE;
	return send(fd, bytes, len, MSG_NOSIGNAL) == (ssize_t)len;
}

/* Reads exactly len bytes. False: the connection or the time has ended. */
static bool
read_exactly(int fd, uint8_t *to, size_t len, uint64_t deadline_ms)
{
	struct pollfd poller = { .fd = fd, .events = POLLIN };

	while (len) {
		uint64_t now = now_ms();
		ssize_t some;

		if (now >= deadline_ms || poll(&poller, 1, (int)(deadline_ms - now)) == 0)
			return false;
		some = recv(fd, to, len, 0);
		if (some == 0 || (some < 0 && errno != EAGAIN && errno != EINTR))
			return false;
		if (some > 0) {
			to += some;
			len -= (size_t)some;
		}
	}
	return true;
}

static bool
hear(int fd, uint64_t deadline_ms, struct heard *heard)
{
	uint8_t *header = heard->bytes + FRAME_PREAMBLE_SIZE;
	unsigned unknown;

	return read_exactly(fd, heard->bytes, FRAME_PREAMBLE_SIZE, deadline_ms) &&
	       frame_read(heard->bytes, &heard->frame) == 0 &&
	       heard->frame.first.mark == FRAME_NONE &&
	       heard->frame.header_len <= FRAME_MAX - FRAME_PREAMBLE_SIZE &&
	       read_exactly(fd, header, heard->frame.header_len, deadline_ms) &&
	       message_decode(slice(header, heard->frame.header_len), &heard->message,
			      &unknown) != MESSAGE_MALFORMED;
}

/* HELLO was sent. */
static enum handover
await_answer(int fd, uint32_t release, uint64_t deadline_ms)
{
	struct heard heard;

	if (!hear(fd, deadline_ms, &heard))
		return HANDOVER_NOBODY;
	if (heard.frame.kind == FRAME_ERROR)
		return heard.message.error == ERROR_SHUTTING_DOWN ? HANDOVER_LEAVING
								  : HANDOVER_STAYS;
	if (!heard.message.makes_room || heard.message.release >= release)
		return HANDOVER_STAYS;
	/* GOAWAY, or the end of the connection: either is said when nobody listens there any more. */
	if (!hear(fd, deadline_ms, &heard) && now_ms() >= deadline_ms)
		return HANDOVER_STAYS;
	return HANDOVER_LEAVING;
}

enum handover
handover_ask(const char *path, uint32_t release)
{
	uint64_t deadline_ms = now_ms() + WAIT_MS;
	enum handover result = HANDOVER_NOBODY;
	int fd = listener_connect(path);

	if (fd < 0)
		return result;
	if (send_hello(fd, release))
		result = await_answer(fd, release, deadline_ms);
	close(fd);
	return result;
}
