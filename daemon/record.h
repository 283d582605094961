/* record.h - the bytes of a row: an object in its leaf, and one chunk of a large value. Pure.
 *
 * Format 1; it never changes within a v1/ directory. Little-endian.
 *
 *   record: 0 format | 1 kind | 2 flags | 3 tags | 4 codec (4) | 8 version (8) | 16 created ms (8)
 *           | 24 cost us (8) | 32 writer uid (4) | 36 key length (2) | 38 zero (2)
 *           [EXPIRES: expires ms, stale-until ms, TTL ms, armed ms (8 each)]
 *           [CHUNKED: object id, length, stored length (8 each), big rows, small rows (4 each)]
 *           tags (16 each) | key | value (unless CHUNKED) | checksum (8)
 *   stamp:  0 number (8) | checksum (8)
 *   chunk:  0 object id (8) | 8 index (4) | 12 payload length (4) | payload | padding | checksum (8)
 *
 * The checksum is XXH3-64 (xxHash 0.8) over all before it, seeded with the row's key, so that a row that
 * is found in another's place is not believed. */
#ifndef DAEMON_RECORD_H
#define DAEMON_RECORD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "proto/key.h"
#include "proto/slice.h"

#define ROW_KEY_SIZE 16
#define CHUNK_KEY_SIZE 12

/* LMDB 0.9 keeps a row in its leaf while 8 + key + value <= 2,038 (pages of 4,096 bytes). */
#define PAGE_SIZE_BYTES 4096
#define RECORD_MAX (2038 - 8 - ROW_KEY_SIZE)
#define RECORD_FIXED 40
#define RECORD_EXPIRY 32
#define RECORD_CHUNKS 32
#define RECORD_CHECKSUM 8
#define RECORD_TAGS_MAX 16
#define RECORD_TAG_SIZE ROW_KEY_SIZE
#define STAMP_ROW_SIZE 16

/* Chunk rows fill whole pages: n * 4,096 - 16 bytes of LMDB's page header. */
#define CHUNK_BIG_PAGES 16
#define CHUNK_BIG_ROW (CHUNK_BIG_PAGES * PAGE_SIZE_BYTES - 16)
#define CHUNK_SMALL_ROW (PAGE_SIZE_BYTES - 16)
#define CHUNK_HEAD 16
#define CHUNK_OVERHEAD (CHUNK_HEAD + RECORD_CHECKSUM)
#define CHUNK_BIG (CHUNK_BIG_ROW - CHUNK_OVERHEAD)
#define CHUNK_SMALL (CHUNK_SMALL_ROW - CHUNK_OVERHEAD)

enum record_flag {
	RECORD_EXPIRES = 1,
	RECORD_CHUNKED = 2,
};

struct record {
	uint8_t kind;
	uint8_t flags;
	uint8_t tag_count;
	uint32_t codec;
	uint32_t writer_uid;
	uint64_t version;
	uint64_t created_ms;
	uint64_t cost_us;
	/* with RECORD_EXPIRES, else 0 */
	uint64_t expires_ms;
	uint64_t stale_until_ms;
	uint64_t ttl_ms;
	uint64_t armed_ms; /* the row in the expiry index; 0: none */
	/* with RECORD_CHUNKED; length is filled for others too */
	uint64_t object_id;
	uint64_t length;
	uint64_t stored;
	uint32_t big_rows;
	uint32_t small_rows;
	const uint8_t *tags; /* tag_count * RECORD_TAG_SIZE */
	struct slice key;
	struct slice value; /* empty with RECORD_CHUNKED */
};

/* Bytes that the record takes, its value inside unless RECORD_CHUNKED. */
size_t record_size(const struct record *record);

/* True if a value of this many bytes stays in the leaf beside this record's other parts. */
bool record_fits(const struct record *record, size_t value_len);

/* Writes it without a valid checksum: record_seal() does that, when the last field is known. to has
 * room for record_size(). Returns that size. */
size_t record_write(const struct record *record, uint8_t *to);
void record_seal(uint8_t *bytes, size_t len, const uint8_t row_key[static ROW_KEY_SIZE]);

/* Patches one field of written bytes. */
void record_set_armed(uint8_t *bytes, uint64_t armed_ms);
void record_set_rows(uint8_t *bytes, uint32_t big_rows, uint32_t small_rows);

/* Parses; *ret_record borrows the bytes. Returns false if they are not a record of format 1. Does not
 * look at the checksum. */
bool record_read(struct slice bytes, struct record *ret_record);

bool record_sound(struct slice bytes, const uint8_t row_key[static ROW_KEY_SIZE]);

static inline bool
record_expired(const struct record *record, uint64_t now_ms)
{
	return record->flags & RECORD_EXPIRES && record->expires_ms <= now_ms;
}

/* Of no use to anybody any more, its stale window included. */
static inline bool
record_over(const struct record *record, uint64_t now_ms)
{
	return record_expired(record, now_ms) && record->stale_until_ms <= now_ms;
}

/* For how long the old value may be given out once it has expired. */
static inline uint64_t
record_stale_window(const struct record *record)
{
	return record->stale_until_ms > record->expires_ms
		       ? record->stale_until_ms - record->expires_ms
		       : 0;
}

/* The row of a tag: the number with which it was invalidated. */
void stamp_write(uint64_t number, const uint8_t tag_key[static RECORD_TAG_SIZE],
		 uint8_t to[static STAMP_ROW_SIZE]);
/* False if it is not this tag's sound row. */
bool stamp_read(struct slice row, const uint8_t tag_key[static RECORD_TAG_SIZE],
		uint64_t *ret_number);

/* Chunk rows. */
void chunk_key(uint64_t object_id, uint32_t index, uint8_t to[static CHUNK_KEY_SIZE]);
/* Writes a row of row_size bytes (CHUNK_BIG_ROW or CHUNK_SMALL_ROW) around the payload. */
void chunk_write(uint64_t object_id, uint32_t index, struct slice payload,
		 size_t row_size, uint8_t *to);
/* Checks everything. Returns false if it is not this object's sound chunk; *ret_payload borrows. */
bool chunk_read(struct slice row, uint64_t object_id, uint32_t index,
		struct slice *ret_payload);

/* How `len` bytes are laid out: full big rows, then small ones, or one more big row where the rest
 * would fill nearly as many pages. */
void chunk_layout(uint64_t len, uint32_t *ret_big, uint32_t *ret_small);

static inline uint64_t
chunk_pages(uint32_t big_rows, uint32_t small_rows)
{
	return (uint64_t)big_rows * CHUNK_BIG_PAGES + small_rows;
}

#endif
