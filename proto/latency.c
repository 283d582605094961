/* latency.c - counts in buckets of time. Owns nothing. */
#include "proto/latency.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define LAST (LATENCY_BUCKETS - 1)

/* The upper bound belongs to its bucket, so that bounds are round. */
static unsigned
bucket_of(uint64_t ns)
{
	unsigned bit;

	if (ns <= UINT64_C(1) << LATENCY_FIRST_BIT)
		return 0;
	if (ns > UINT64_C(1) << LATENCY_LAST_BIT)
		return LAST;
	ns--;
	bit = 63 - (unsigned)__builtin_clzll(ns);
	return 1 + 4 * (bit - LATENCY_FIRST_BIT) + (unsigned)(ns >> (bit - 2) & 3);
}

void
latency_add(struct latency *latency, uint64_t ns, uint64_t times)
{
	latency->counts[bucket_of(ns)] += times;
	latency->sum_ns += ns * times;
}

uint64_t
latency_bound_ns(unsigned bucket)
{
	unsigned bit = LATENCY_FIRST_BIT + (bucket - 1) / 4;

	if (bucket == 0)
		return UINT64_C(1) << LATENCY_FIRST_BIT;
	if (bucket >= LAST)
		return UINT64_MAX;
	return (uint64_t)(5 + (bucket - 1) % 4) << (bit - 2);
}

uint64_t
latency_count(const struct latency *latency)
{
	uint64_t count = 0;

	for (unsigned i = 0; i < LATENCY_BUCKETS; i++)
		count += latency->counts[i];
	return count;
}

uint64_t
latency_within_ns(const struct latency *latency, unsigned per_mille)
{
	uint64_t count = latency_count(latency), below = 0;
	/* Rounded up, and no product that could overflow. */
	uint64_t wanted =
		count / 1000 * per_mille + (count % 1000 * per_mille + 999) / 1000;

	if (!count)
		return 0;
	for (unsigned i = 0; i < LAST; i++) {
		below += latency->counts[i];
		if (below && below >= wanted)
			return latency_bound_ns(i);
	}
	return latency_bound_ns(LAST - 1);
}

size_t
latency_write(const struct latency *latency, char to[static LATENCY_TEXT_MAX])
{
	size_t len = 0;

	to[0] = 0;
	for (unsigned i = 0; i < LATENCY_BUCKETS; i++) {
		char bound[24] = "-";

		if (!latency->counts[i])
			continue;
		if (i < LAST)
			snprintf(bound, sizeof(bound), "%" PRIu64, latency_bound_ns(i));
		len += (size_t)snprintf(to + len, LATENCY_TEXT_MAX - len, "%s%s:%" PRIu64,
					len ? " " : "", bound, latency->counts[i]);
	}
	return len;
}

/* Digits up to the end that stands behind them, which is passed over. Returns 0 or -1. */
static int
take_number(const char **at, const char *end, char until, uint64_t *ret_number)
{
	uint64_t number = 0;
	const char *start = *at;

	for (; *at < end && **at >= '0' && **at <= '9'; (*at)++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (uint64_t)(**at - '0'), &number))
			return -1;
	if (*at == start)
		return -1;
	*ret_number = number;
	if (*at == end)
		return until == ' ' ? 0 : -1; /* nothing stands behind the last count */
	return *(*at)++ == until ? 0 : -1;
}

int
latency_read(struct slice text, struct latency *ret_latency)
{
	const char *at = text.data, *end = at + text.len;
	struct latency latency = { 0 };

	while (at < end) {
		uint64_t bound = UINT64_MAX, count;

		if (end - at >= 2 && at[0] == '-' && at[1] == ':')
			at += 2;
		else if (take_number(&at, end, ':', &bound))
			return -1;
		if (take_number(&at, end, ' ', &count))
			return -1;
		latency.counts[bucket_of(bound)] += count;
	}
	*ret_latency = latency;
	return 0;
}
