/* hoard.h - bytes that are added at the end and read from anywhere: a few in memory, many in a file without a name. */
#ifndef CLI_HOARD_H
#define CLI_HOARD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/cli/spool.h"
#include "proto/blake2b.h"

/* More than this goes into a spool. */
#define HOARD_MEMORY (256u << 10)

struct hoard {
	char *memory; /* HOARD_MEMORY, or NULL once it is spooled */
	struct spool spool;
	uint64_t len;
	uint64_t max; /* more is refused */
	struct blake2b hash;
};

/* Returns 0 or -errno; then there is nothing to close. */
int hoard_open(struct hoard *hoard, uint64_t max);

/* Adds all of it, or nothing. Returns 0 or -errno; -EFBIG past the maximum. */
int hoard_add(struct hoard *hoard, const void *bytes, size_t len);

/* Reads from the position on; 0 at the end. Returns the count or -errno. */
int64_t hoard_read(const struct hoard *hoard, uint64_t position, void *to, size_t size);

/* The BLAKE2b-256 of all that was added. */
void hoard_digest(const struct hoard *hoard, uint8_t ret_digest[static BLAKE2B_DIGEST]);

/* May be called twice, and of one that is all zero. */
void hoard_close(struct hoard *hoard);

#endif
