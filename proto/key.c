/* key.c - encodes and checks keys. Pure; owns nothing; any thread. */
#include "proto/key.h"

#include "proto/bytes.h"

void
key_begin(struct key_builder *key)
{
	key->len = 0;
}

/* Hashing starts only when an encoding turns out to be too long: nearly none is. */
void
key_add(struct key_builder *key, const void *bytes, size_t len)
{
	size_t room = key->len < KEY_PLAIN_MAX ? KEY_PLAIN_MAX - key->len : 0;

	if (len <= room) {
		if (len)
			memcpy(key->bytes + key->len, bytes, len);
		key->len += len;
		return;
	}
	if (key->len <= KEY_PLAIN_MAX) {
		memcpy(key->bytes + key->len, bytes, room);
		blake2b_begin(&key->hash);
		blake2b_add(&key->hash, key->bytes, key->len);
	}
	blake2b_add(&key->hash, bytes, len);
	key->len += len;
}

struct slice
key_end(struct key_builder *key)
{
	if (key->len <= KEY_PLAIN_MAX)
		return slice(key->bytes, key->len);
	blake2b_end(&key->hash, key->bytes + KEY_HEAD);
	return slice(key->bytes, KEY_MAX);
}

size_t
key_encode_int(int64_t value, uint8_t to[static KEY_INT_MAX])
{
	uint8_t whole[8];
	unsigned skip = 0;

	to[0] = KEY_INT;
	if (value == 0)
		return 1;
	be64_store(whole, (uint64_t)value);
	/* A leading byte that only repeats the sign of the next one says nothing. */
	while (skip < 7 && ((whole[skip] == 0x00 && whole[skip + 1] < 0x80) ||
			    (whole[skip] == 0xff && whole[skip + 1] >= 0x80)))
		skip++;
	memcpy(to + 1, whole + skip, 8 - skip);
	return 9 - skip;
}

size_t
key_encode_float(double value, uint8_t to[static KEY_FLOAT_SIZE])
{
	uint64_t bits;

	memcpy(&bits, &value, sizeof(bits));
	if (value != value)
		bits = 0x7ff8000000000000;
	to[0] = KEY_FLOAT;
	be64_store(to + 1, bits);
	return KEY_FLOAT_SIZE;
}

size_t
key_encode_length(uint64_t len, uint8_t to[static KEY_LENGTH_MAX])
{
	size_t at = 0;

	while (len >= 0x80) {
		to[at++] = (uint8_t)(len | 0x80);
		len >>= 7;
	}
	to[at++] = (uint8_t)len;
	return at;
}

/* The size of the character that starts at `at`, as its first byte tells it; 0 if the len bytes there are
 * neither that character nor its start, cut (Unicode, table 3-7). */
static size_t
utf8_character(const uint8_t *at, size_t len)
{
	uint8_t first = at[0], low = 0x80, high = 0xbf;
	size_t size;

	if (first < 0x80)
		return 1;
	if (first < 0xc2 || first > 0xf4)
		return 0;
	size = first < 0xe0 ? 2 : first < 0xf0 ? 3 : 4;
	if (first == 0xe0)
		low = 0xa0;
	else if (first == 0xed)
		high = 0x9f;
	else if (first == 0xf0)
		low = 0x90;
	else if (first == 0xf4)
		high = 0x8f;
	if (len > 1 && (at[1] < low || at[1] > high))
		return 0;
	for (size_t i = 2; i < size && i < len; i++)
		if ((at[i] & 0xc0) != 0x80)
			return 0;
	return size;
}

size_t
key_utf8_prefix(const void *bytes, size_t len)
{
	const uint8_t *at = bytes;
	size_t done = 0, size;

	while (done < len) {
		while (len - done >= 8 && !(le64_load(at + done) & 0x8080808080808080))
			done += 8;
		if (done == len)
			break;
		size = utf8_character(at + done, len - done);
		if (size == 0 || size > len - done)
			break;
		done += size;
	}
	return done;
}

bool
key_valid(struct slice key)
{
	const uint8_t *bytes = key.data;
	size_t valid;

	if (key.len == 0 || key.len > KEY_MAX)
		return false;
	if (bytes[0] >= KEY_BYTES)
		return true;
	if (!key_shortened(key))
		return key_utf8_prefix(bytes, key.len) == key.len;
	valid = key_utf8_prefix(bytes, KEY_HEAD);
	return valid == KEY_HEAD || utf8_character(bytes + valid, KEY_HEAD - valid);
}
