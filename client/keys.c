/* keys.c - proto/key.h for callers of the library. Pure; owns nothing; any thread. */
#include "client/brine.h"
#include "proto/key.h"

_Static_assert(sizeof(struct key_builder) <= sizeof(struct brine_key), "room of a key");
_Static_assert(KEY_INT_MAX <= BRINE_KEY_PIECE_MAX &&
		       KEY_FLOAT_SIZE <= BRINE_KEY_PIECE_MAX &&
		       KEY_LENGTH_MAX <= BRINE_KEY_PIECE_MAX,
	       "room of a piece");

static struct key_builder *
builder(struct brine_key *key)
{
	return (struct key_builder *)(void *)key->opaque.bytes;
}

void
brine_key_begin(struct brine_key *key)
{
	key_begin(builder(key));
}

void
brine_key_add(struct brine_key *key, const void *bytes, size_t len)
{
	key_add(builder(key), bytes, len);
}

size_t
brine_key_end(struct brine_key *key, const void **ret_key)
{
	struct slice done = key_end(builder(key));

	*ret_key = done.data;
	return done.len;
}

static size_t
tagged(struct brine_key *key, uint8_t tag, const void *bytes, size_t len,
       const void **ret_key)
{
	brine_key_begin(key);
	brine_key_add(key, &tag, 1);
	brine_key_add(key, bytes, len);
	return brine_key_end(key, ret_key);
}

size_t
brine_key_text(struct brine_key *key, const char *text, size_t len, const void **ret_key)
{
	brine_key_begin(key);
	brine_key_add(key, text, len);
	return brine_key_end(key, ret_key);
}

size_t
brine_key_bytes(struct brine_key *key, const void *bytes, size_t len,
		const void **ret_key)
{
	return tagged(key, KEY_BYTES, bytes, len, ret_key);
}

size_t
brine_key_int(struct brine_key *key, int64_t value, const void **ret_key)
{
	uint8_t piece[KEY_INT_MAX];
	size_t len = key_encode_int(value, piece);

	brine_key_begin(key);
	brine_key_add(key, piece, len);
	return brine_key_end(key, ret_key);
}

size_t
brine_key_float(struct brine_key *key, double value, const void **ret_key)
{
	uint8_t piece[KEY_FLOAT_SIZE];
	size_t len = key_encode_float(value, piece);

	brine_key_begin(key);
	brine_key_add(key, piece, len);
	return brine_key_end(key, ret_key);
}

size_t
brine_key_bool(struct brine_key *key, int value, const void **ret_key)
{
	uint8_t byte = value != 0;

	return tagged(key, KEY_BOOL, &byte, 1, ret_key);
}

size_t
brine_key_none(struct brine_key *key, const void **ret_key)
{
	return tagged(key, KEY_NONE, NULL, 0, ret_key);
}

size_t
brine_key_put_int(int64_t value, unsigned char to[BRINE_KEY_PIECE_MAX])
{
	return key_encode_int(value, to);
}

size_t
brine_key_put_float(double value, unsigned char to[BRINE_KEY_PIECE_MAX])
{
	return key_encode_float(value, to);
}

size_t
brine_key_put_length(uint64_t len, unsigned char to[BRINE_KEY_PIECE_MAX])
{
	return key_encode_length(len, to);
}

int
brine_key_valid(const void *key, size_t len)
{
	return key_valid(slice(key, len));
}
