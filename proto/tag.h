/* tag.h - the value of the field TAGS: up to 16 tags, each behind its length in one byte. Pure. */
#ifndef PROTO_TAG_H
#define PROTO_TAG_H

#include <stdbool.h>
#include <stddef.h>

#include "proto/slice.h"

#define TAGS_MAX 16
#define TAG_MAX 255
/* The longest field. */
#define TAGS_SIZE_MAX (TAGS_MAX * (1 + TAG_MAX))

/* How many tags there are; 0 when it is not 1 to 16 of them, each of 1 to 255 bytes, and nothing else. */
size_t tags_count(struct slice tags);

/* The tag at *position (0 for the first), which then points behind it; false at the end. Of a field that
 * tags_count() has seen. Borrows it. */
bool tags_next(struct slice tags, size_t *position, struct slice *ret_tag);

#endif
