/* transcript.c - takes down what a command wrote, and reads it again. Owns its hoard. */
#include "client/cli/transcript.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define MAGIC "brinerun"
#define MAGIC_SIZE 8
#define VERSION 1
#define PIECE_HEAD 5

int
transcript_open(struct transcript *transcript, uint64_t max)
{
	transcript->held = 0;
	transcript->stream = 0;
	return hoard_open(&transcript->hoard, max);
}

static int
end_piece(struct transcript *transcript)
{
	uint32_t len = htole32((uint32_t)transcript->held);
	uint8_t head[PIECE_HEAD] = { (uint8_t)transcript->stream };
	int result;

	if (!transcript->held)
		return 0;
	memcpy(head + 1, &len, sizeof(len));
	result = hoard_add(&transcript->hoard, head, sizeof(head));
	if (result == 0)
		result = hoard_add(&transcript->hoard, transcript->piece,
				   transcript->held);
	transcript->held = 0;
	return result;
}

int
transcript_add(struct transcript *transcript, int stream, const void *bytes, size_t len)
{
	const char *from = bytes;

	while (len) {
		size_t room = TRANSCRIPT_PIECE - transcript->held;
		size_t part = len < room ? len : room;

		if (!room || stream != transcript->stream) {
			int result = end_piece(transcript);

			if (result)
				return result;
			transcript->stream = stream;
			continue;
		}
		memcpy(transcript->piece + transcript->held, from, part);
		transcript->held += part;
		from += part;
		len -= part;
	}
	return 0;
}

int
transcript_finish(struct transcript *transcript)
{
	return end_piece(transcript);
}

void
transcript_close(struct transcript *transcript)
{
	hoard_close(&transcript->hoard);
}

void
transcript_write_head(const struct transcript_head *head,
		      uint8_t to[static TRANSCRIPT_HEAD])
{
	uint32_t status = htole32((uint32_t)head->status);
	uint64_t len = htole64(head->len);

	memcpy(to, MAGIC, MAGIC_SIZE);
	to[8] = VERSION;
	to[9] = head->apart;
	to[10] = to[11] = 0;
	memcpy(to + 12, &status, sizeof(status));
	memcpy(to + 16, &len, sizeof(len));
	memcpy(to + 24, head->digest, BLAKE2B_DIGEST);
}

int
transcript_read_head(const void *value, size_t len, struct transcript_head *ret_head)
{
	const uint8_t *from = value;
	struct transcript_head head;
	uint32_t status;

	if (len < TRANSCRIPT_HEAD || memcmp(from, MAGIC, MAGIC_SIZE) != 0)
		return -EBADMSG;
	if (from[8] != VERSION || from[9] > 1 || from[10] || from[11])
		return -EBADMSG;
	head.apart = from[9];
	memcpy(&status, from + 12, sizeof(status));
	memcpy(&head.len, from + 16, sizeof(head.len));
	memcpy(head.digest, from + 24, BLAKE2B_DIGEST);
	status = le32toh(status);
	head.len = le64toh(head.len);
	if (status > 255 || len - TRANSCRIPT_HEAD != (head.apart ? 0 : head.len))
		return -EBADMSG;
	head.status = (int)status;
	*ret_head = head;
	return 0;
}

/* Reads all of it. Returns 0, -EBADMSG at an early end, or -errno. */
static int
read_all(const struct hoard *pieces, uint64_t position, void *to, size_t size)
{
	char *at = to;

	while (size) {
		int64_t count = hoard_read(pieces, position, at, size);

		if (count <= 0)
			return count ? (int)count : -EBADMSG;
		at += count;
		position += (uint64_t)count;
		size -= (size_t)count;
	}
	return 0;
}

static int
walk(const struct hoard *pieces, char *piece,
     int (*fn)(void *arg, int stream, const void *bytes, size_t len), void *arg)
{
	uint64_t position = 0;

	while (position < pieces->len) {
		uint8_t head[PIECE_HEAD];
		uint32_t len;
		int result = read_all(pieces, position, head, sizeof(head));

		if (result)
			return result;
		memcpy(&len, head + 1, sizeof(len));
		len = le32toh(len);
		position += PIECE_HEAD;
		if (head[0] < 1 || head[0] > 2 || len < 1 || len > TRANSCRIPT_PIECE ||
		    len > pieces->len - position)
			return -EBADMSG;
		result = fn ? read_all(pieces, position, piece, len) : 0;
		if (result == 0 && fn)
			result = fn(arg, head[0], piece, len);
		if (result < 0)
			return result;
		position += len;
	}
	return 0;
}

int
transcript_walk(const struct hoard *pieces,
		int (*fn)(void *arg, int stream, const void *bytes, size_t len),
		void *arg)
{
	char *piece = malloc(TRANSCRIPT_PIECE);
	int result = piece ? walk(pieces, piece, fn, arg) : -ENOMEM;

	free(piece);
	return result;
}
