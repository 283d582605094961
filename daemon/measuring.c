/* measuring.c - how long requests took, from the turn that read them until their answers were ready. Loop thread;
 * owns nothing.
 *
 * Of a namespace's requests that are answered at once, one of SAMPLE_EACH is measured and counts as so many: that
 * leaves most of them without another look at the clock, which costs more than the request's own part of a turn. Which
 * one does not depend on the requests of others, so nobody can count those by it. */
#include "daemon/cache_core.h"
#include "daemon/clock.h"

/* No power of two: clients that send so many at a time would have the same one of them measured each time. */
#define SAMPLE_EACH 7
#define NS_PER_US UINT64_C(1000)

static enum latency_class
class_of(const struct op *op)
{
	switch (op->kind) {
	case OP_GET:
		return LATENCY_GET;
	case OP_SCAN:
	case OP_STATS:
		return LATENCY_SCAN;
	case OP_ANSWER:
		return LATENCY_DISK;
	default:
		return LATENCY_PUT;
	}
}

static void
count(struct cache *cache, const struct op *op, uint64_t ns, uint64_t times)
{
	latency_add(&cache->latencies[class_of(op)], ns, times);
	if (op->kind == OP_GET && op->namespace)
		latency_add(&op->namespace->gets, ns, times);
}

void
core_count_requests(struct namespace *namespace, size_t number)
{
	if (namespace)
	namespace->requests += number;
}

static uint32_t
clock_us(const struct cache *cache)
{
	return (uint32_t)(cache->now_ns / NS_PER_US);
}

void
op_measure_begin(const struct cache *cache, struct op *op)
{
	op->measured = true;
	op->began_us = clock_us(cache);
}

/* It began in this turn. */
void
op_measure_now(struct cache *cache, const struct op *op)
{
	unsigned *unmeasured =
		op->namespace ? &op->namespace->unmeasured : &cache->unmeasured;
	uint64_t now_ns;

	if ((*unmeasured)++ < SAMPLE_EACH - 1)
		return;
	*unmeasured = 0;
	now_ns = clock_mono_ns();
	count(cache, op, now_ns > cache->now_ns ? now_ns - cache->now_ns : 0,
	      SAMPLE_EACH);
}

void
op_measure_later(struct cache *cache, const struct op *op)
{
	uint32_t us = clock_us(cache) - op->began_us;

	if (op->measured)
		count(cache, op, us * NS_PER_US, 1);
}
