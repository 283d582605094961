/* fuzz_tag.c - any bytes as the field TAGS. What counts as tags is read as so many, which fill it. */
#include <assert.h>
#include <stdint.h>

#include "proto/tag.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	const struct slice tags = slice(bytes, len);
	size_t count = tags_count(tags), read = 0, position = 0, filled = 0;
	struct slice tag;

	assert(count <= TAGS_MAX);
	if (!count)
		return 0;
	assert(len <= TAGS_SIZE_MAX);
	while (tags_next(tags, &position, &tag)) {
		assert(tag.len >= 1 && tag.len <= TAG_MAX);
		assert((const uint8_t *)tag.data == bytes + filled + 1);
		filled += 1 + tag.len;
		read++;
	}
	assert(read == count && filled == len && position == len);
	return 0;
}
