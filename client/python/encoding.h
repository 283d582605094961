/* encoding.h - a growing run of bytes of which a key is made. Not for two threads at once. */
#ifndef PYTHON_ENCODING_H
#define PYTHON_ENCODING_H

#include <stddef.h>

#define ENCODING_MAX ((size_t)256 << 20)

/* Zeroes are an empty one; bytes is free()d by whoever has it. */
struct encoding {
	unsigned char *bytes;
	size_t len, room;
	unsigned depth; /* of what is being encoded, counted by who encodes it */
};

/* Makes room for so many more bytes. 0, or -1 and an exception: too long, no memory. */
int encoding_reserve(struct encoding *encoding, size_t more);

/* Copies bytes to the end. 0 or -1, as above. */
int encoding_add(struct encoding *encoding, const void *bytes, size_t len);

#endif
