/* latency.h - how long things took: counts in buckets of time, and the text in which STATS tells them. Pure.
 *
 * Four buckets for each doubling, from 128 ns to about a minute: a time that is read from them is at most a quarter
 * too long. */
#ifndef PROTO_LATENCY_H
#define PROTO_LATENCY_H

#include <stddef.h>
#include <stdint.h>

#include "proto/slice.h"

#define LATENCY_FIRST_BIT 7
#define LATENCY_LAST_BIT 36
/* One below them all, one above. */
#define LATENCY_BUCKETS (4 * (LATENCY_LAST_BIT - LATENCY_FIRST_BIT) + 2)

/* All 0 is empty. */
struct latency {
	uint64_t counts[LATENCY_BUCKETS];
	uint64_t sum_ns;
};

/* So many things took so long. */
void latency_add(struct latency *latency, uint64_t ns, uint64_t times);

/* The longest time that the bucket counts; UINT64_MAX for the last. */
uint64_t latency_bound_ns(unsigned bucket);

uint64_t latency_count(const struct latency *latency);

/* The time within which so many of 1,000 were done, as the bound of its bucket; of the last, the bound of the one
 * below. 0 when there is nothing. */
uint64_t latency_within_ns(const struct latency *latency, unsigned per_mille);

/* "160:12 192:40": the bound of each bucket that is not empty, in ns, and its count. The last one's bound is a -.
 * Returns the length. */
#define LATENCY_TEXT_MAX (LATENCY_BUCKETS * 36)
size_t latency_write(const struct latency *latency, char to[static LATENCY_TEXT_MAX]);

/* Reads it, whatever bounds it was written with: each goes where a time of that length would. sum_ns is 0. Returns 0,
 * or -1 if it is not of that form. */
int latency_read(struct slice text, struct latency *ret_latency);

#endif
