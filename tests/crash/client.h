/* client.h - a plain client over a blocking socket, for load: requests are sent one after the other, replies
 * read when the caller likes. It aborts with a sentence where a test has nothing to decide. */
#ifndef BRINE_TESTS_CLIENT_H
#define BRINE_TESTS_CLIENT_H

#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include "proto/errors.h"
#include "proto/frame.h"
#include "proto/message.h"

#define CLIENT_IN_MIN (64 << 10)

struct client {
	int fd;
	uint32_t next_id;
	uint8_t *in;
	size_t room, start, end;
	uint8_t *body; /* of the last reply */
	size_t body_room;
};

struct client_reply {
	uint32_t id;
	uint8_t kind;
	struct message message;
	const uint8_t *body; /* borrowed until the next reply */
	size_t len;
	unsigned aborted; /* the error that ended the body */
};

/* Somebody who looks at a body while it comes, instead of having it gathered. */
typedef void client_part(void *arg, const uint8_t *bytes, size_t len);

__attribute__((noreturn, format(printf, 1, 2))) static inline void
die(const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vfprintf(stderr, format, arguments);
	va_end(arguments);
	fputc('\n', stderr);
	exit(EXIT_FAILURE);
}

static inline uint64_t
now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* xorshift64* */
static inline uint64_t
dice(uint64_t *state, uint64_t below)
{
	*state ^= *state >> 12;
	*state ^= *state << 25;
	*state ^= *state >> 27;
	return (*state * 0x2545f4914f6cdd1d >> 11) % below;
}

/* Room for more bytes at the end of the buffer. */
static inline void
client_make_room(struct client *client, size_t len)
{
	if (client->start) {
		memmove(client->in, client->in + client->start,
			client->end - client->start);
		client->end -= client->start;
		client->start = 0;
	}
	if (client->room - client->end >= len)
		return;
	client->room = client->end + len;
	client->in = realloc(client->in, client->room);
	if (!client->in)
		die("no memory");
}

/* Waits until more can be sent, and takes meanwhile what comes: the daemon need not read from one who
 * does not. */
static inline bool
client_wait(struct client *client)
{
	struct pollfd ready = { client->fd, POLLIN | POLLOUT, 0 };
	ssize_t got;

	if (poll(&ready, 1, -1) < 0)
		return errno == EINTR;
	if (!(ready.revents & POLLIN))
		return true;
	client_make_room(client, CLIENT_IN_MIN);
	got = recv(client->fd, client->in + client->end, client->room - client->end,
		   MSG_DONTWAIT);
	if (got > 0)
		client->end += (size_t)got;
	return got > 0 || (got < 0 && (errno == EAGAIN || errno == EINTR));
}

static inline bool
client_write(struct client *client, struct iovec *parts, int count)
{
	while (count) {
		struct msghdr message = { .msg_iov = parts, .msg_iovlen = (size_t)count };
		ssize_t sent = sendmsg(client->fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent < 0 && (errno == EAGAIN || errno == EINTR)) {
			if (!client_wait(client))
				return false;
			continue;
		}
		if (sent < 0)
			return false;
		while (count && (size_t)sent >= parts->iov_len) {
			sent -= (ssize_t)parts->iov_len;
			parts++;
			count--;
		}
		if (count) {
			parts->iov_base = (uint8_t *)parts->iov_base + sent;
			parts->iov_len -= (size_t)sent;
		}
	}
	return true;
}

/* Sends a request up to the end of its first segment. */
static inline bool
client_begin(struct client *client, unsigned kind, const struct message *message,
	     enum frame_mark mark, const void *bytes, size_t len)
{
	uint8_t head[FRAME_PREAMBLE_SIZE + 2048];
	struct frame frame = { .version = FRAME_VERSION,
			       .kind = (uint8_t)kind,
			       .id = client->next_id++,
			       .first = { .mark = mark, .len = (uint32_t)len } };
	struct iovec parts[2] = { { .iov_base = head },
				  { .iov_base = (void *)bytes, .iov_len = len } };

	frame.header_len = (uint32_t)message_encode(message, head + FRAME_PREAMBLE_SIZE,
						    sizeof(head) - FRAME_PREAMBLE_SIZE);
	frame_write(head, &frame);
	parts[0].iov_len = FRAME_PREAMBLE_SIZE + frame.header_len;
	return client_write(client, parts, len ? 2 : 1);
}

static inline bool
client_more(struct client *client, enum frame_mark mark, const void *bytes, size_t len)
{
	uint8_t word[FRAME_WORD_SIZE];
	struct frame_segment segment = { .mark = mark, .len = (uint32_t)len };
	struct iovec parts[2] = { { .iov_base = word, .iov_len = sizeof(word) },
				  { .iov_base = (void *)bytes, .iov_len = len } };

	frame_write_segment(word, &segment);
	return client_write(client, parts, len ? 2 : 1);
}

static inline bool
client_ask(struct client *client, unsigned kind, const struct message *message)
{
	return client_begin(client, kind, message, FRAME_NONE, NULL, 0);
}

/* A PUT with its whole value. */
static inline bool
client_put(struct client *client, const struct message *message, const uint8_t *value,
	   size_t len)
{
	size_t now = len < FRAME_SEGMENT_MAX ? len : FRAME_SEGMENT_MAX;

	if (!client_begin(client, COMMAND_PUT, message,
			  now == len ? FRAME_LAST : FRAME_MORE, value, now))
		return false;
	while (now < len) {
		size_t part =
			len - now < FRAME_SEGMENT_MAX ? len - now : FRAME_SEGMENT_MAX;

		if (!client_more(client, now + part == len ? FRAME_LAST : FRAME_MORE,
				 value + now, part))
			return false;
		now += part;
	}
	return true;
}

/* Makes at least len bytes lie in the buffer. */
static inline bool
client_fill(struct client *client, size_t len)
{
	if (client->end - client->start >= len)
		return true;
	client_make_room(client, len - (client->end - client->start));
	while (client->end < len) {
		ssize_t got = recv(client->fd, client->in + client->end,
				   client->room - client->end, 0);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		client->end += (size_t)got;
	}
	return true;
}

static inline void
client_keep(struct client *client, struct client_reply *reply, const uint8_t *bytes,
	    size_t len)
{
	if (client->body_room < reply->len + len) {
		client->body_room = 2 * (reply->len + len);
		client->body = realloc(client->body, client->body_room);
		if (!client->body)
			die("no memory");
	}
	if (len)
		memcpy(client->body + reply->len, bytes, len);
	reply->len += len;
	reply->body = client->body;
}

/* The next reply, its body given to part if there is one. False: the connection is gone. */
static inline bool
client_receive_with(struct client *client, struct client_reply *ret, client_part *part,
		    void *arg)
{
	struct frame_segment segment;
	struct frame frame;
	unsigned field;

	if (!client_fill(client, FRAME_PREAMBLE_SIZE))
		return false;
	if (frame_read(client->in + client->start, &frame))
		die("a broken preamble");
	client->start += FRAME_PREAMBLE_SIZE;
	/* The fields of a reply borrow nothing that outlives the next fill: numbers and TEXT only. */
	if (!client_fill(client, frame.header_len))
		return false;
	*ret = (struct client_reply){ .id = frame.id, .kind = frame.kind };
	if (message_decode(slice(client->in + client->start, frame.header_len),
			   &ret->message, &field) == MESSAGE_MALFORMED)
		die("a malformed header");
	client->start += frame.header_len;
	segment = frame.first;
	while (segment.mark != FRAME_NONE) {
		if (segment.mark == FRAME_ABORT) {
			ret->aborted = segment.error;
			return true;
		}
		if (!client_fill(client, segment.len))
			return false;
		if (part) {
			part(arg, client->in + client->start, segment.len);
			ret->len += segment.len;
		} else {
			client_keep(client, ret, client->in + client->start, segment.len);
		}
		client->start += segment.len;
		if (segment.mark == FRAME_LAST)
			return true;
		if (!client_fill(client, FRAME_WORD_SIZE))
			return false;
		if (frame_read_segment(client->in + client->start, &segment))
			die("a broken segment");
		client->start += FRAME_WORD_SIZE;
	}
	return true;
}

static inline bool
client_receive(struct client *client, struct client_reply *ret)
{
	return client_receive_with(client, ret, NULL, NULL);
}

/* True when a reply, or a part of one, can be read without waiting. */
static inline bool
client_readable(const struct client *client)
{
	uint8_t byte;

	return client->end > client->start ||
	       recv(client->fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) >= 0;
}

static inline bool
client_open(struct client *client, const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct message hello = { 0 };
	struct client_reply reply;

	*client = (struct client){ .fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0) };
	if (client->fd < 0)
		die("socket: %s", strerror(errno));
	if (strlen(path) >= sizeof(address.sun_path))
		die("the socket's path is too long");
	strcpy(address.sun_path, path);
	client->room = CLIENT_IN_MIN;
	client->in = malloc(client->room);
	if (!client->in)
		die("no memory");
	if (connect(client->fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
	    client_ask(client, COMMAND_HELLO, &hello) && client_receive(client, &reply) &&
	    reply.kind == FRAME_REPLY)
		return true;
	close(client->fd);
	free(client->in);
	return false;
}

static inline void
client_close(struct client *client)
{
	close(client->fd);
	free(client->in);
	free(client->body);
}

static inline uint64_t
client_figure(const struct client_reply *stats, const char *name)
{
	char line[128];
	const char *found;

	snprintf(line, sizeof(line), "\t%s\t", name);
	found = memmem(stats->body, stats->len, line, strlen(line));
	/* A scope of its own would stand before the tab. */
	while (found && found != (const char *)stats->body && found[-1] != '\n')
		found = memmem(found + 1,
			       stats->len -
				       (size_t)(found + 1 - (const char *)stats->body),
			       line, strlen(line));
	return found ? strtoull(found + strlen(line), NULL, 10) : UINT64_MAX;
}

#endif
