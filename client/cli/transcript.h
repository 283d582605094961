/* transcript.h - what a command wrote, piece by piece in the order in which it came, and how it ended: the form in
 * which `brine run` keeps it.
 *
 *	head    "brinerun", version (1 byte, 1), where the pieces are (1 byte), 2 zero bytes, exit status (4 bytes),
 *	        length of the pieces (8), their BLAKE2b-256 (32); numbers are little-endian
 *	pieces  each: stream (1 byte: 1 standard output, 2 standard error), length (4 bytes, 1 to 65,536), the bytes
 *
 * The head alone is the value under the run's key. Few pieces stand behind it; many are a value of their own, so
 * that no program must hold them in memory. */
#ifndef CLI_TRANSCRIPT_H
#define CLI_TRANSCRIPT_H

#include <stddef.h>
#include <stdint.h>

#include "client/cli/hoard.h"

#define TRANSCRIPT_PIECE 65536u
#define TRANSCRIPT_HEAD 56u
/* The most that stands behind the head. */
#define TRANSCRIPT_INLINE (HOARD_MEMORY - TRANSCRIPT_HEAD)

/* Taking it down. */
struct transcript {
	struct hoard hoard; /* the pieces */
	int stream;         /* of the piece under way */
	size_t held;        /* its bytes so far */
	char piece[TRANSCRIPT_PIECE];
};

/* max: of the pieces. Returns 0 or -errno; then there is nothing to close. */
int transcript_open(struct transcript *transcript, uint64_t max);
/* Returns 0 or -errno, after which it is to be closed. */
int transcript_add(struct transcript *transcript, int stream, const void *bytes,
		   size_t len);
/* Nothing more will come. Returns 0 or -errno. */
int transcript_finish(struct transcript *transcript);
void transcript_close(struct transcript *transcript);

struct transcript_head {
	int status; /* exit status, 0 to 255 */
	bool apart; /* the pieces are a value of their own */
	uint64_t len;
	uint8_t digest[BLAKE2B_DIGEST];
};

void transcript_write_head(const struct transcript_head *head,
			   uint8_t to[static TRANSCRIPT_HEAD]);
/* Of a whole value. Returns 0, or -EBADMSG: it is none, is of another version, or its parts do not fit together. */
int transcript_read_head(const void *value, size_t len, struct transcript_head *ret_head);

/* Gives each piece to fn, whose negative result ends it. Returns 0, that, -EBADMSG for what are no pieces, or -errno.
 * fn NULL: only looks whether they are. */
int transcript_walk(const struct hoard *pieces,
		    int (*fn)(void *arg, int stream, const void *bytes, size_t len),
		    void *arg);

#endif
