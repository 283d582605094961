/* value.c - makes and frees values. Each belongs to whoever holds it; any thread. */
#include "client/value.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* No memory holds more: what a hostile daemon announces is not even asked of malloc(). */
#define LEN_MAX                                                                          \
	(PTRDIFF_MAX / 2 > 1ll << 39 ? (size_t)(1ll << 39) : (size_t)(PTRDIFF_MAX / 2))

/* The kernel clears each page of fresh memory at a fault of its own, which takes longer than the bytes of a large
 * value take from the socket. In large pages it is one fault for two megabytes, so from this size on a value has a
 * mapping that asks for them. What is left over past the last whole one is as small pages, or wastes half at most. */
#define MAPPED_MIN ((size_t)1 << 20)
#define LARGE_PAGE ((size_t)2 << 20)
#define SMALL_PAGE ((size_t)64 << 10) /* or a smaller one, by the machine */

static size_t
round_up(size_t size, size_t unit)
{
	return (size + unit - 1) & ~(unit - 1);
}

/* NULL when memory is short. */
static void *
map_large(size_t size)
{
	uint8_t *all, *start;
	size_t before;

	all = mmap(NULL, size + LARGE_PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (all == MAP_FAILED)
		return NULL;
	start = (uint8_t *)round_up((uintptr_t)all, LARGE_PAGE);
	before = (size_t)(start - all);
	if (before)
		munmap(all, before);
	munmap(start + size, LARGE_PAGE - before);
	madvise(start, size, MADV_HUGEPAGE); /* a kernel without them has small ones */
	return start;
}

/* For a value of len bytes, the NUL behind them and what is known about it. NULL when memory is short. */
static struct brine_value *
reserve(size_t len)
{
	size_t size = sizeof(struct brine_value) + len + 1, mapped = 0;
	struct brine_value *value;

	if (len > LEN_MAX)
		return NULL;
	if (len < MAPPED_MIN) {
		value = malloc(size);
	} else {
		mapped = round_up(size, size % LARGE_PAGE < LARGE_PAGE / 2 ? SMALL_PAGE
									   : LARGE_PAGE);
		value = map_large(mapped);
	}
	if (!value)
		return NULL;
	value->mapped = mapped;
	value->len = len;
	value->data[len] = 0;
	return value;
}

struct brine_value *
value_new(size_t len)
{
	struct brine_value *value = reserve(len);

	if (value)
		value->meta = (struct brine_meta){ .ttl_left_ms = BRINE_NEVER,
						   .writer_uid = BRINE_NOBODY };
	return value;
}

static void
unmap_beyond(struct brine_value *value, size_t kept)
{
	if (kept >= value->mapped)
		return;
	munmap((uint8_t *)value + kept, value->mapped - kept);
	value->mapped = kept;
}

int
value_resize(struct brine_value **value, size_t len)
{
	struct brine_value *old = *value, *moved;
	size_t size = sizeof(*old) + len + 1;

	if (old->mapped && len <= old->len) {
		moved = old;
		unmap_beyond(old, round_up(size, SMALL_PAGE));
	} else if (!old->mapped && len < MAPPED_MIN) {
		moved = realloc(old, size);
	} else {
		moved = reserve(len);
		if (moved) {
			moved->meta = old->meta;
			memcpy(moved->data, old->data, old->len < len ? old->len : len);
			brine_value_release(&old);
		}
	}
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
	if (!value || !*value)
		return;
	if ((*value)->mapped)
		munmap(*value, (*value)->mapped);
	else
		free(*value);
	*value = NULL;
}

void
brine_replies_release(struct brine_reply *replies, size_t count)
{
	for (size_t i = 0; i < count; i++)
		brine_value_release(&replies[i].value);
}
