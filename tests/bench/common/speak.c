/* speak.c - gets and puts as Brine, Redis, memcached and a bare echo understand them. Pure; any thread. */
#include "tests/bench/common/speak.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "proto/bytes.h"
#include "proto/frame.h"
#include "proto/message.h"

#define HEADER_MAX 512
static const char key_blank[SPEAK_KEY_LEN + 1] = "k000000000000000";

/* ---- Brine ---- */

static size_t
write_frame(uint8_t *to, unsigned kind, const struct message *message, size_t value_len,
	    bool value)
{
	struct frame frame = { .version = FRAME_VERSION, .kind = (uint8_t)kind };

	frame.header_len =
		(uint32_t)message_encode(message, to + FRAME_PREAMBLE_SIZE, HEADER_MAX);
	if (value)
		frame.first = (struct frame_segment){ .mark = FRAME_LAST,
						      .len = (uint32_t)value_len };
	frame_write(to, &frame);
	return FRAME_PREAMBLE_SIZE + frame.header_len;
}

static size_t
brine_hello(uint8_t *to)
{
	struct message message = { .present = { 0 } };

	MESSAGE_SET(&message, FEATURES, features, 0);
	return write_frame(to, COMMAND_HELLO, &message, 0, false);
}

static void
brine_make(struct request *request, enum speak_work work, size_t value_len)
{
	struct message message = { .present = { 0 } };
	bool put = work != SPEAK_GET;
	uint8_t *key;

	MESSAGE_SET(&message, KEY, key, slice(key_blank, SPEAK_KEY_LEN));
	if (work == SPEAK_PUT_DISK)
		MESSAGE_SET(&message, ACK, ack, ACK_DISK);
	request->len = write_frame(request->bytes, put ? COMMAND_PUT : COMMAND_GET,
				   &message, value_len, put);
	key = memmem(request->bytes, request->len, key_blank, SPEAK_KEY_LEN);
	request->key_at = (size_t)(key - request->bytes);
	request->value_at = put ? request->len : 0;
	request->len += put ? value_len : 0;
}

/* A hit is a body of the right length; the segments' words lie between its parts. */
static size_t
brine_reply(const uint8_t *from, size_t len, size_t value_len, enum speak_outcome *ret)
{
	struct frame frame;
	struct frame_segment segment;
	size_t at, got;

	if (len < FRAME_PREAMBLE_SIZE)
		return 0;
	*ret = SPEAK_FAILED;
	if (frame_read(from, &frame))
		return len;
	at = frame_size(&frame);
	segment = frame.first;
	got = segment.len;
	while (segment.mark == FRAME_MORE) {
		if (len < at + FRAME_WORD_SIZE)
			return 0;
		if (frame_read_segment(from + at, &segment))
			return len;
		at += FRAME_WORD_SIZE + segment.len;
		got += segment.len;
	}
	if (len < at)
		return 0;
	if (frame.kind == FRAME_REPLY && segment.mark == FRAME_NONE)
		*ret = SPEAK_MISS; /* of a get; to a put it is the answer */
	else if (frame.kind == FRAME_REPLY && segment.mark == FRAME_LAST &&
		 got == value_len)
		*ret = SPEAK_DONE;
	return at;
}

/* ---- Redis ---- */

static size_t
no_hello(uint8_t *to)
{
	(void)to;
	return 0;
}

/* Text with the blank key in it, then the value and the line's end. */
static void
fill(struct request *request, const char *text, bool value, size_t value_len)
{
	const char *key = strstr(text, key_blank);

	request->len = strlen(text);
	memcpy(request->bytes, text, request->len);
	request->key_at = (size_t)(key - text);
	request->value_at = value ? request->len : 0;
	if (!value)
		return;
	request->len += value_len;
	memcpy(request->bytes + request->len, "\r\n", 2);
	request->len += 2;
}

static void
redis_make(struct request *request, enum speak_work work, size_t value_len)
{
	char text[128];

	if (work == SPEAK_GET)
		snprintf(text, sizeof(text), "*2\r\n$3\r\nGET\r\n$%d\r\n%s\r\n",
			 SPEAK_KEY_LEN, key_blank);
	else
		snprintf(text, sizeof(text), "*3\r\n$3\r\nSET\r\n$%d\r\n%s\r\n$%zu\r\n",
			 SPEAK_KEY_LEN, key_blank, value_len);
	fill(request, text, work != SPEAK_GET, value_len);
}

/* Bytes of the first line with its end, or 0. */
static size_t
line(const uint8_t *from, size_t len)
{
	const uint8_t *end = memchr(from, '\n', len);

	return end ? (size_t)(end - from) + 1 : 0;
}

static size_t
redis_reply(const uint8_t *from, size_t len, size_t value_len, enum speak_outcome *ret)
{
	size_t first = line(from, len);

	if (!first)
		return 0;
	*ret = from[0] == '+' ? SPEAK_DONE : SPEAK_FAILED;
	if (from[0] != '$')
		return first;
	if (from[1] == '-') {
		*ret = SPEAK_MISS;
		return first;
	}
	if (len < first + value_len + 2)
		return 0;
	if (strtoul((const char *)from + 1, NULL, 10) == value_len)
		*ret = SPEAK_DONE;
	return first + value_len + 2;
}

/* ---- memcached ---- */

static void
memcached_make(struct request *request, enum speak_work work, size_t value_len)
{
	char text[128];

	if (work == SPEAK_GET)
		snprintf(text, sizeof(text), "get %s\r\n", key_blank);
	else
		snprintf(text, sizeof(text), "set %s 0 0 %zu\r\n", key_blank, value_len);
	fill(request, text, work != SPEAK_GET, value_len);
}

static size_t
memcached_reply(const uint8_t *from, size_t len, size_t value_len,
		enum speak_outcome *ret)
{
	static const char tail[] = "\r\nEND\r\n";
	size_t first = line(from, len), whole;

	if (!first)
		return 0;
	*ret = from[0] == 'S' ? SPEAK_DONE : from[0] == 'E' ? SPEAK_MISS : SPEAK_FAILED;
	if (from[0] != 'V')
		return first;
	whole = first + value_len + sizeof(tail) - 1;
	if (len < whole)
		return 0;
	if (!memcmp(from + first + value_len, tail, sizeof(tail) - 1))
		*ret = SPEAK_DONE;
	return whole;
}

/* ---- echo ---- */

static void
echo_make(struct request *request, enum speak_work work, size_t value_len)
{
	(void)work;
	(void)value_len;
	memset(request->bytes, 'e', SPEAK_ECHO_SIZE);
	memcpy(request->bytes, key_blank, SPEAK_KEY_LEN);
	request->len = SPEAK_ECHO_SIZE;
	request->key_at = request->value_at = 0;
}

static size_t
echo_reply(const uint8_t *from, size_t len, size_t value_len, enum speak_outcome *ret)
{
	(void)from;
	(void)value_len;
	*ret = SPEAK_DONE;
	return len < SPEAK_ECHO_SIZE ? 0 : SPEAK_ECHO_SIZE;
}

static const struct speaker speakers[] = {
	{ "brine", brine_hello, brine_make, brine_reply, true },
	{ "redis", no_hello, redis_make, redis_reply, false },
	{ "memcached", no_hello, memcached_make, memcached_reply, false },
	{ "echo", no_hello, echo_make, echo_reply, false },
};

const struct speaker *
speaker_find(const char *name)
{
	for (size_t i = 0; i < sizeof(speakers) / sizeof(speakers[0]); i++)
		if (!strcmp(speakers[i].name, name))
			return &speakers[i];
	return NULL;
}

void
request_patch(struct request *request, uint64_t object, uint32_t id)
{
	static const char digits[] = "0123456789abcdef";
	uint8_t *key = request->bytes + request->key_at;

	for (unsigned i = SPEAK_KEY_LEN - 1; i > 0; i--, object >>= 4)
		key[i] = (uint8_t)digits[object & 15];
	if (request->speaker->ids)
		le32_store(request->bytes + 4, id);
	if (request->value_at)
		memcpy(request->bytes + request->value_at, key, SPEAK_KEY_LEN);
}
