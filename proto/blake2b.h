/* blake2b.h - BLAKE2b with a digest of 32 bytes and no key (RFC 7693). Pure.
 *
 * Our own copy because Debian's libb2 brings OpenMP's runtime into every process that links libbrine,
 * for a function that only keys of over 1,023 bytes need. */
#ifndef PROTO_BLAKE2B_H
#define PROTO_BLAKE2B_H

#include <stddef.h>
#include <stdint.h>

#define BLAKE2B_BLOCK 128
#define BLAKE2B_DIGEST 32

struct blake2b {
	uint64_t state[8];
	uint64_t total; /* bytes hashed so far; 2^64 are never reached */
	size_t held;
	uint8_t block[BLAKE2B_BLOCK];
};

void blake2b_begin(struct blake2b *hash);
void blake2b_add(struct blake2b *hash, const void *bytes, size_t len);
void blake2b_end(struct blake2b *hash, uint8_t ret_digest[static BLAKE2B_DIGEST]);

#endif
