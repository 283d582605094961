/* figures.c - a histogram of durations. Any thread; owns nothing. */
#include "tests/bench/common/figures.h"

#include <time.h>

#define STEPS (UINT64_C(1) << FIGURES_STEP_BITS)

uint64_t
figures_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

/* Below STEPS the bucket is the number; above, its highest seven bits and how far they were shifted. */
static unsigned
bucket_of(uint64_t ns)
{
	unsigned shift = 0, bucket;

	if (ns >= STEPS)
		shift = 63 - (unsigned)__builtin_clzll(ns) - FIGURES_STEP_BITS;
	bucket = (unsigned)((uint64_t)shift * STEPS + (ns >> shift));
	return bucket < FIGURES_BUCKETS ? bucket : FIGURES_BUCKETS - 1;
}

static uint64_t
bucket_ns(unsigned bucket)
{
	unsigned shift;

	if (bucket < 2 * STEPS)
		return bucket;
	shift = bucket / STEPS - 1;
	return (bucket - shift * STEPS) << shift;
}

void
figures_add(struct figures *figures, uint64_t ns)
{
	figures->count++;
	figures->sum_ns += ns;
	if (ns > figures->max_ns)
		figures->max_ns = ns;
	figures->buckets[bucket_of(ns)]++;
}

uint64_t
figures_at(const struct figures *figures, double share)
{
	uint64_t wanted = (uint64_t)(share * (double)figures->count), seen = 0;

	for (unsigned i = 0; i < FIGURES_BUCKETS; i++) {
		seen += figures->buckets[i];
		if (figures->buckets[i] && seen >= wanted)
			return bucket_ns(i);
	}
	return 0;
}
