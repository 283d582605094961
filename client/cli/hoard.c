/* hoard.c - keeps bytes, first in memory and then in a spool. Owns both. */
#include "client/cli/hoard.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

int
hoard_open(struct hoard *hoard, uint64_t max)
{
	*hoard = (struct hoard){ .max = max, .spool.fd = -1 };
	blake2b_begin(&hoard->hash);
	hoard->memory = malloc(HOARD_MEMORY);
	return hoard->memory ? 0 : -ENOMEM;
}

static int
move_to_spool(struct hoard *hoard)
{
	int result = spool_open(&hoard->spool);

	if (result)
		return result;
	result = spool_add(&hoard->spool, hoard->memory, (size_t)hoard->len);
	if (result) {
		spool_close(&hoard->spool);
		return result;
	}
	free(hoard->memory);
	hoard->memory = NULL;
	return 0;
}

int
hoard_add(struct hoard *hoard, const void *bytes, size_t len)
{
	int result = 0;

	if (len > hoard->max - hoard->len)
		return -EFBIG;
	if (hoard->memory && len > HOARD_MEMORY - hoard->len)
		result = move_to_spool(hoard);
	if (result)
		return result;
	if (hoard->memory)
		memcpy(hoard->memory + hoard->len, bytes, len);
	else
		result = spool_add(&hoard->spool, bytes, len);
	if (result)
		return result;
	hoard->len += len;
	blake2b_add(&hoard->hash, bytes, len);
	return 0;
}

int64_t
hoard_read(const struct hoard *hoard, uint64_t position, void *to, size_t size)
{
	if (!hoard->memory)
		return spool_read(&hoard->spool, position, to, size);
	if (size > hoard->len - position)
		size = (size_t)(hoard->len - position);
	memcpy(to, hoard->memory + position, size);
	return (int64_t)size;
}

void
hoard_digest(const struct hoard *hoard, uint8_t ret_digest[static BLAKE2B_DIGEST])
{
	struct blake2b hash = hoard->hash;

	blake2b_end(&hash, ret_digest);
}

void
hoard_close(struct hoard *hoard)
{
	free(hoard->memory);
	hoard->memory = NULL;
	if (hoard->spool.fd > 0)
		spool_close(&hoard->spool);
	hoard->spool.fd = -1;
}
