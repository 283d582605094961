/* key.h - one encoding of keys for every client. Pure; PROTOCOL.md chapter "Keys".
 *
 * A text is its plain UTF-8. Every other key starts with a byte that UTF-8 never uses:
 *
 *   0xF5  bytes   the bytes
 *   0xF6  int     two's complement, big-endian, as short as it can be; zero has no bytes
 *   0xF7  float   IEEE 754 binary64, big-endian; every NaN is 7ff8000000000000
 *   0xF8  bool    00 or 01
 *   0xF9  None    nothing
 *   0xFA  tuple   for each item: its length (LEB128, shortest form) and its own encoding
 *   0xFB  call    a memoized call; what follows is the Python client's
 *   0xFC..0xFF    kept for later
 *
 * Up to KEY_PLAIN_MAX bytes an encoding is the key. A longer one becomes exactly KEY_MAX bytes: its first
 * KEY_HEAD bytes and the BLAKE2b-256 of the whole, so the length alone tells the two apart. */
#ifndef PROTO_KEY_H
#define PROTO_KEY_H

#include "proto/blake2b.h"
#include "proto/slice.h"

#define KEY_MAX 1024
#define KEY_PLAIN_MAX (KEY_MAX - 1)
#define KEY_HEAD (KEY_MAX - BLAKE2B_DIGEST)

enum key_tag {
	KEY_BYTES = 0xf5,
	KEY_INT = 0xf6,
	KEY_FLOAT = 0xf7,
	KEY_BOOL = 0xf8,
	KEY_NONE = 0xf9,
	KEY_TUPLE = 0xfa,
	KEY_CALL = 0xfb,
};

/* Names of namespaces; PROTOCOL.md chapter "Namespaces". */
#define NAMESPACE_NAME_MAX 64

#define KEY_INT_MAX 9     /* tag and eight bytes */
#define KEY_FLOAT_SIZE 9  /* tag and eight bytes */
#define KEY_LENGTH_MAX 10 /* LEB128 of 64 bits */

/* An encoding under construction, of any length; never allocates. */
struct key_builder {
	uint8_t bytes[KEY_MAX];
	size_t len; /* of the whole encoding, past KEY_MAX too */
	struct blake2b hash;
};

void key_begin(struct key_builder *key);
void key_add(struct key_builder *key, const void *bytes, size_t len);
/* Returns the key as it travels; borrows the builder. Call once. */
struct slice key_end(struct key_builder *key);

/* Encodings of one value, tag included; each returns its length. */
size_t key_encode_int(int64_t value, uint8_t to[static KEY_INT_MAX]);
size_t key_encode_float(double value, uint8_t to[static KEY_FLOAT_SIZE]);
size_t key_encode_length(uint64_t len, uint8_t to[static KEY_LENGTH_MAX]);

/* May a daemon take this as a key? At least one byte, at most KEY_MAX, and typed or UTF-8
 * (of a shortened text the head, whose last character may be cut). */
bool key_valid(struct slice key);

static inline bool
key_shortened(struct slice key)
{
	return key.len == KEY_MAX;
}

/* The length of the longest valid UTF-8 start of the bytes: equal to len when all is valid. */
size_t key_utf8_prefix(const void *bytes, size_t len);

#endif
