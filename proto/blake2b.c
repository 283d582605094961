/* blake2b.c - the compression function and the padding of RFC 7693. Pure; any thread. */
#include "proto/blake2b.h"

#include <stdbool.h>
#include <string.h>

#include "proto/bytes.h"

static const uint64_t initial[8] = {
	0x6a09e667f3bcc908, 0xbb67ae8584caa73b, 0x3c6ef372fe94f82b, 0xa54ff53a5f1d36f1,
	0x510e527fade682d1, 0x9b05688c2b3e6c1f, 0x1f83d9abfb41bd6b, 0x5be0cd19137e2179,
};

static const uint8_t schedule[12][16] = {
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
	{ 11, 8, 12, 0, 5, 2, 15, 13, 10, 14, 3, 6, 7, 1, 9, 4 },
	{ 7, 9, 3, 1, 13, 12, 11, 14, 2, 6, 5, 10, 4, 0, 15, 8 },
	{ 9, 0, 5, 7, 2, 4, 10, 15, 14, 1, 11, 12, 6, 8, 3, 13 },
	{ 2, 12, 6, 10, 0, 11, 8, 3, 4, 13, 7, 5, 15, 14, 1, 9 },
	{ 12, 5, 1, 15, 14, 13, 4, 10, 0, 7, 6, 3, 9, 2, 8, 11 },
	{ 13, 11, 7, 14, 12, 1, 3, 9, 5, 0, 15, 4, 8, 6, 2, 10 },
	{ 6, 15, 14, 9, 11, 3, 0, 8, 12, 2, 13, 7, 1, 4, 10, 5 },
	{ 10, 2, 8, 4, 7, 6, 1, 5, 15, 11, 9, 14, 3, 12, 13, 0 },
	{ 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15 },
	{ 14, 10, 4, 8, 9, 15, 13, 6, 1, 12, 0, 2, 11, 7, 5, 3 },
};

static inline uint64_t
rotate(uint64_t word, unsigned bits)
{
	return word >> bits | word << (64 - bits);
}

/* "G" of the RFC. */
static inline void
mix(uint64_t v[16], unsigned a, unsigned b, unsigned c, unsigned d, uint64_t x,
    uint64_t y)
{
	v[a] += v[b] + x;
	v[d] = rotate(v[d] ^ v[a], 32);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 24);
	v[a] += v[b] + y;
	v[d] = rotate(v[d] ^ v[a], 16);
	v[c] += v[d];
	v[b] = rotate(v[b] ^ v[c], 63);
}

static void
compress(struct blake2b *hash, const uint8_t *block, bool last)
{
	uint64_t v[16], m[16];

	for (unsigned i = 0; i < 16; i++)
		m[i] = le64_load(block + 8 * i);
	memcpy(v, hash->state, sizeof(hash->state));
	memcpy(v + 8, initial, sizeof(initial));
	v[12] ^= hash->total;
	if (last)
		v[14] = ~v[14];
	for (unsigned round = 0; round < 12; round++) {
		const uint8_t *s = schedule[round];

		for (unsigned i = 0; i < 4; i++)
			mix(v, i, 4 + i, 8 + i, 12 + i, m[s[2 * i]], m[s[2 * i + 1]]);
		for (unsigned i = 0; i < 4; i++)
			mix(v, i, 4 + (i + 1) % 4, 8 + (i + 2) % 4, 12 + (i + 3) % 4,
			    m[s[8 + 2 * i]], m[s[9 + 2 * i]]);
	}
	for (unsigned i = 0; i < 8; i++)
		hash->state[i] ^= v[i] ^ v[8 + i];
}

void
blake2b_begin(struct blake2b *hash)
{
	memcpy(hash->state, initial, sizeof(initial));
	hash->state[0] ^= 0x01010000 ^ BLAKE2B_DIGEST; /* no key, fan-out 1, depth 1 */
	hash->total = 0;
	hash->held = 0;
}

void
blake2b_add(struct blake2b *hash, const void *bytes, size_t len)
{
	const uint8_t *at = bytes;

	while (len) {
		size_t part = BLAKE2B_BLOCK - hash->held;

		/* The last block is marked as such, so a full one waits until more is known to come. */
		if (part == 0) {
			hash->total += BLAKE2B_BLOCK;
			compress(hash, hash->block, false);
			hash->held = 0;
			continue;
		}
		if (part > len)
			part = len;
		memcpy(hash->block + hash->held, at, part);
		hash->held += part;
		at += part;
		len -= part;
	}
}

void
blake2b_end(struct blake2b *hash, uint8_t ret_digest[static BLAKE2B_DIGEST])
{
	hash->total += hash->held;
	memset(hash->block + hash->held, 0, BLAKE2B_BLOCK - hash->held);
	compress(hash, hash->block, true);
	for (unsigned i = 0; i < BLAKE2B_DIGEST / 8; i++)
		le64_store(ret_digest + 8 * i, hash->state[i]);
}
