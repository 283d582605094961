/* tag.c - reads the field TAGS. Pure; owns nothing. */
#include "proto/tag.h"

#include <stdint.h>

size_t
tags_count(struct slice tags)
{
	const uint8_t *bytes = tags.data;
	size_t at = 0, count = 0;

	while (at < tags.len) {
		size_t len = bytes[at];

		if (len == 0 || len > tags.len - at - 1 || ++count > TAGS_MAX)
			return 0;
		at += 1 + len;
	}
	return count;
}

bool
tags_next(struct slice tags, size_t *position, struct slice *ret_tag)
{
	const uint8_t *bytes = tags.data;

	if (*position >= tags.len)
		return false;
	*ret_tag = slice(bytes + *position + 1, bytes[*position]);
	*position += 1 + (size_t)bytes[*position];
	return true;
}
