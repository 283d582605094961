/* utf8.c - reads and writes characters in UTF-8. Pure. */
#include "client/cli/utf8.h"

/* The size that the first byte announces, and the bits of the character in it; 0 if it begins none. */
static size_t
first_byte(uint8_t byte, uint32_t *ret_bits)
{
	if (byte < 0x80) {
		*ret_bits = byte;
		return 1;
	}
	if (byte < 0xc2 || byte > 0xf4)
		return 0;
	if (byte < 0xe0) {
		*ret_bits = byte & 0x1f;
		return 2;
	}
	if (byte < 0xf0) {
		*ret_bits = byte & 0x0f;
		return 3;
	}
	*ret_bits = byte & 0x07;
	return 4;
}

size_t
utf8_read(const void *bytes, size_t len, uint32_t *ret_character)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	const uint8_t *at = bytes;
	uint32_t character;
	size_t size;

	if (!len)
		return 0;
	size = first_byte(at[0], &character);
	if (!size || size > len)
		return 0;
	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		character = character << 6 | (at[i] & 0x3f);
	}
	if (character < least[size] || character > 0x10ffff ||
	    (character >= 0xd800 && character <= 0xdfff))
		return 0;
	*ret_character = character;
	return size;
}

size_t
utf8_write(uint32_t character, char to[static 4])
{
	static const uint8_t marks[] = { 0, 0, 0xc0, 0xe0, 0xf0 };
	size_t size = character < 0x80      ? 1
		      : character < 0x800   ? 2
		      : character < 0x10000 ? 3
					    : 4;

	for (size_t i = size; i-- > 1; character >>= 6)
		to[i] = (char)(0x80 | (character & 0x3f));
	to[0] = (char)(marks[size] | character);
	return size;
}

bool
utf8_valid(const void *bytes, size_t len)
{
	const char *at = bytes;
	uint32_t character;

	while (len) {
		size_t size = utf8_read(at, len, &character);

		if (!size)
			return false;
		at += size;
		len -= size;
	}
	return true;
}

bool
utf8_shows(uint32_t character)
{
	if (character < 0x20 || (character >= 0x7f && character < 0xa0))
		return false;
	if (character == 0x200e || character == 0x200f || character == 0x061c)
		return false;
	if (character >= 0x2028 && character <= 0x202e)
		return false;
	return character < 0x2066 || character > 0x2069;
}
