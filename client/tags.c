/* tags.c - tags as a caller gathers them. Pure; owns nothing. */
#include <string.h>

#include "client/brine.h"
#include "proto/tag.h"

_Static_assert(BRINE_TAGS_SIZE == TAGS_SIZE_MAX, "tag.h");

static bool
held(struct slice tags, struct slice tag)
{
	struct slice other;
	size_t position = 0;

	while (tags_next(tags, &position, &other))
		if (slice_equal(other, tag))
			return true;
	return false;
}

int
brine_tags_add(void *tags, size_t *len, const char *tag, size_t tag_len)
{
	struct slice before = slice(tags, *len);
	size_t count = tags_count(before);
	unsigned char *end = (unsigned char *)tags + *len;

	if (tag_len == 0 || tag_len > TAG_MAX || (*len && count == 0))
		return -BRINE_ERROR_BAD_ARGUMENT;
	if (held(before, slice(tag, tag_len)))
		return BRINE_DONE;
	if (count == TAGS_MAX)
		return -BRINE_ERROR_BAD_ARGUMENT;
	end[0] = (unsigned char)tag_len;
	memcpy(end + 1, tag, tag_len);
	*len += 1 + tag_len;
	return BRINE_DONE;
}
