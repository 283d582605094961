/* base64.c - bytes as letters and back. Pure. */
#include "client/cli/base64.h"

#include <stdint.h>
#include <string.h>

static const char letters[] =
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

size_t
base64_encode(const void *bytes, size_t len, char *to)
{
	const uint8_t *from = bytes;
	size_t at = 0;

	for (; len; from += 3) {
		size_t have = len < 3 ? len : 3;
		uint32_t three = (uint32_t)from[0] << 16;

		if (have > 1)
			three |= (uint32_t)from[1] << 8;
		if (have > 2)
			three |= from[2];
		to[at++] = letters[three >> 18];
		to[at++] = letters[three >> 12 & 63];
		to[at++] = have > 1 ? letters[three >> 6 & 63] : '=';
		to[at++] = have > 2 ? letters[three & 63] : '=';
		len -= have;
	}
	return at;
}

/* The value of four letters, of which the last `padding` are =, or -1. */
static int32_t
decode_four(const char *text, unsigned padding)
{
	int32_t value = 0;

	for (unsigned i = 0; i < 4; i++) {
		const char *letter = "";

		if (i < 4 - padding)
			letter = memchr(letters, text[i], sizeof(letters) - 1);
		if (!letter)
			return -1;
		value = value << 6 | (*letter ? (int32_t)(letter - letters) : 0);
	}
	return value;
}

int
base64_decode(const char *text, size_t len, void *to, size_t size, size_t *ret_len)
{
	uint8_t *bytes = to;
	size_t at = 0;

	if (len % 4)
		return -1;
	for (size_t i = 0; i < len; i += 4) {
		unsigned padding = 0;
		int32_t value;

		if (i + 4 == len)
			padding = text[i + 3] != '=' ? 0 : text[i + 2] != '=' ? 1 : 2;
		value = decode_four(text + i, padding);
		/* One encoding for one run of bytes: no bits are left over. */
		if (value < 0 || (padding && value & ((1 << 8 * padding) - 1)))
			return -1;
		if (size - at < 3 - padding)
			return -1;
		for (unsigned k = 0; k < 3 - padding; k++)
			bytes[at++] = (uint8_t)(value >> (16 - 8 * k));
	}
	*ret_len = at;
	return 0;
}
