/* slice.h - a run of bytes that somebody else owns. */
#ifndef PROTO_SLICE_H
#define PROTO_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Borrows data; how long is said where a slice is handed over. data may be NULL if len is 0. */
struct slice {
	const void *data;
	size_t len;
};

static inline struct slice
slice(const void *data, size_t len)
{
	return (struct slice){ data, len };
}

static inline struct slice
slice_text(const char *text)
{
	return slice(text, strlen(text));
}

static inline bool
slice_equal(struct slice a, struct slice b)
{
	return a.len == b.len && (a.len == 0 || memcmp(a.data, b.data, a.len) == 0);
}

#endif
