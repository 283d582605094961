/* archive.h - the file that brine export writes and brine import reads: brine-export(5). One thread at a time.
 *
 * Each block ends with a checksum of it and of all blocks before, and the last block counts them: what was cut,
 * damaged, mixed or put together differently is noticed, at the latest at the block where it happened. */
#ifndef CLI_ARCHIVE_H
#define CLI_ARCHIVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/brine.h"
#include "client/cli/sink.h"
#include "client/cli/source.h"

#define ARCHIVE_NAME_MAX 64
#define ARCHIVE_DIGEST 16
/* Values are cut into pieces of at most so many bytes. */
#define ARCHIVE_PIECE_MAX (UINT32_C(1) << 20)

struct archive_object {
	unsigned char key[BRINE_KEY_MAX];
	size_t key_len;
	uint32_t codec;
	uint32_t kind;   /* enum brine_kind */
	uint32_t writer; /* BRINE_NOBODY when it is not known */
	uint64_t length;
	uint64_t cost_us;
	uint64_t expires_ms; /* since 1970; BRINE_NEVER */
	uint64_t stale_for_ms;
};

/* ---- writing; each returns 0 or -errno, after which nothing more is to be written */

struct archive_writer {
	struct sink *sink; /* borrowed */
	uint8_t digest[ARCHIVE_DIGEST];
	uint64_t objects;          /* that are whole */
	uint64_t bytes;            /* of their values */
	uint64_t value_bytes;      /* of the value that is being written */
	struct archive_hash *hash; /* of the block that is; owned */
};

int archive_begin(struct archive_writer *writer, struct sink *sink, const char *name,
		  uint64_t now_ms);
/* An object, then its value piece by piece, then its end: the value is whole, or (void_value) it could not be read and
 * the object is none. */
int archive_object(struct archive_writer *writer, const struct archive_object *object);
int archive_piece(struct archive_writer *writer, const void *bytes, size_t len);
int archive_object_end(struct archive_writer *writer, bool void_value);
/* The last block. */
int archive_end(struct archive_writer *writer);
/* At any time. */
void archive_writer_done(struct archive_writer *writer);

/* ---- reading */

enum archive_answer {
	ARCHIVE_MORE = 1, /* an object; a piece */
	ARCHIVE_LAST = 0, /* the end of the file; of the value, whose checksum is right */
	ARCHIVE_VOID = -1,   /* the value is not in the file whole: no object */
	ARCHIVE_CUT = -2,    /* the file ends too early */
	ARCHIVE_WRONG = -3,  /* it is damaged, or no such file */
	ARCHIVE_OTHER = -4,  /* a version of the format that this release does not know */
	ARCHIVE_FAILED = -5, /* it cannot be read: see error */
	ARCHIVE_MEMORY = -6,
};

struct archive_reader {
	struct source *source; /* borrowed */
	int error;             /* with ARCHIVE_FAILED: errno */
	uint64_t at;           /* bytes read so far */
	char name[ARCHIVE_NAME_MAX + 1];
	uint64_t begun_ms;
	uint64_t objects, bytes; /* whole so far */
	uint64_t value_bytes;
	uint8_t digest[ARCHIVE_DIGEST];
	struct archive_hash *hash;
};

/* Reads the head: ARCHIVE_MORE, or what is wrong. archive_reader_done() in every case. */
enum archive_answer archive_open(struct archive_reader *reader, struct source *source);
/* ARCHIVE_MORE and an object, whose value is to be read to its end before the next is asked for; ARCHIVE_LAST at the
 * end; or what is wrong, after which nothing more can be read. */
enum archive_answer archive_next(struct archive_reader *reader,
				 struct archive_object *ret_object);
/* ARCHIVE_MORE and a piece in to, which has room for ARCHIVE_PIECE_MAX bytes; ARCHIVE_LAST or ARCHIVE_VOID at its end;
 * or what is wrong. Nothing of the object may be believed before ARCHIVE_LAST. */
enum archive_answer archive_read(struct archive_reader *reader, void *to,
				 size_t *ret_len);
void archive_reader_done(struct archive_reader *reader);

#endif
