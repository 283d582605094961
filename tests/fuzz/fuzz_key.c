/* fuzz_key.c - any bytes as a key that a daemon is asked to take, and as an encoding that a client builds. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "proto/key.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
expect_same_in_pieces(const uint8_t *bytes, size_t len)
{
	struct key_builder whole, pieces;
	size_t step = len ? 1 + bytes[len - 1] * 5u : 1;
	struct slice key;

	key_begin(&whole);
	key_add(&whole, bytes, len);
	key = key_end(&whole);
	assert(key.len == (len < KEY_MAX ? len : KEY_MAX));
	assert(len == 0 || memcmp(key.data, bytes, len < KEY_MAX ? len : KEY_HEAD) == 0);
	key_begin(&pieces);
	for (size_t at = 0; at < len; at += step)
		key_add(&pieces, bytes + at, len - at < step ? len - at : step);
	assert(slice_equal(key_end(&pieces), key));
	/* What a client may build, a daemon takes. */
	if (len && (bytes[0] >= KEY_BYTES || key_utf8_prefix(bytes, len) == len))
		assert(key_valid(key));
}

static void
expect_utf8_to_be_a_prefix(const uint8_t *bytes, size_t len)
{
	size_t valid = key_utf8_prefix(bytes, len);

	assert(valid <= len);
	assert(key_utf8_prefix(bytes, valid) == valid);
	/* Nothing but ASCII or a lead byte begins a character. */
	for (size_t at = 0; at < valid; at++)
		assert(bytes[at] < 0x80 || bytes[at] <= 0xf4);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	uint64_t number = 0;
	double real;
	uint8_t to[KEY_LENGTH_MAX];

	if (key_valid(slice(bytes, len)))
		assert(len >= 1 && len <= KEY_MAX &&
		       !(bytes[0] >= 0x80 && bytes[0] < 0xc2));
	expect_utf8_to_be_a_prefix(bytes, len);
	expect_same_in_pieces(bytes, len);
	memcpy(&number, bytes, len < sizeof(number) ? len : sizeof(number));
	memcpy(&real, &number, sizeof(real));
	assert(key_valid(slice(to, key_encode_int((int64_t)number, to))));
	assert(key_valid(slice(to, key_encode_float(real, to))));
	assert(key_encode_length(number, to) <= KEY_LENGTH_MAX);
	return 0;
}
