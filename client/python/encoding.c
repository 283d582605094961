/* encoding.c - a growing run of bytes of which a key is made. */
#include "client/python/encoding.h"

#include <Python.h>
#include <stdlib.h>
#include <string.h>

int
encoding_reserve(struct encoding *encoding, size_t more)
{
	size_t room = encoding->room ? encoding->room : 256;
	unsigned char *bytes;

	if (more > ENCODING_MAX || encoding->len > ENCODING_MAX - more) {
		PyErr_SetString(
			PyExc_ValueError,
			"a key may be made of 256 MiB at most; of numbers pass numpy "
			"arrays, and else what tells your data apart");
		return -1;
	}
	while (room < encoding->len + more)
		room *= 2;
	if (room == encoding->room)
		return 0;
	bytes = realloc(encoding->bytes, room);
	if (!bytes) {
		PyErr_NoMemory();
		return -1;
	}
	encoding->bytes = bytes;
	encoding->room = room;
	return 0;
}

int
encoding_add(struct encoding *encoding, const void *bytes, size_t len)
{
	if (encoding_reserve(encoding, len) < 0)
		return -1;
	if (len)
		memcpy(encoding->bytes + encoding->len, bytes, len);
	encoding->len += len;
	return 0;
}
