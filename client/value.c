/* value.c - makes and frees values. Each belongs to whoever holds it; any thread. */
#include "client/value.h"

#include <stdlib.h>

/* No memory holds more: what a hostile daemon announces is not even asked of malloc(). */
#define LEN_MAX                                                                          \
	(PTRDIFF_MAX / 2 > 1ll << 39 ? (size_t)(1ll << 39) : (size_t)(PTRDIFF_MAX / 2))

struct brine_value *
value_new(size_t len)
{
	struct brine_value *value;

	if (len > LEN_MAX)
		return NULL;
	value = malloc(sizeof(*value) + len + 1);
	if (!value)
		return NULL;
	value->meta = (struct brine_meta){ .ttl_left_ms = BRINE_NEVER,
					   .writer_uid = BRINE_NOBODY };
	value->len = len;
	value->data[len] = 0;
	return value;
}

int
value_resize(struct brine_value **value, size_t len)
{
	struct brine_value *moved;

	if (len > LEN_MAX)
		return -1;
	moved = realloc(*value, sizeof(**value) + len + 1);
	if (!moved)
		return -1;
	moved->len = len;
	moved->data[len] = 0;
	*value = moved;
	return 0;
}

const void *
brine_value_data(const struct brine_value *value)
{
	return value->data;
}

size_t
brine_value_len(const struct brine_value *value)
{
	return value->len;
}

const struct brine_meta *
brine_value_meta(const struct brine_value *value)
{
	return &value->meta;
}

void
brine_value_release(struct brine_value **value)
{
	if (!value)
		return;
	free(*value);
	*value = NULL;
}

void
brine_replies_release(struct brine_reply *replies, size_t count)
{
	for (size_t i = 0; i < count; i++)
		brine_value_release(&replies[i].value);
}
