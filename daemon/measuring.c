/* measuring.c - how long requests took, from the turn that read them until their answers were ready. Loop thread;
 * owns nothing.
 *
 * Of a namespace's requests that are answered at once, one of SAMPLE_EACH is measured and counts as so many: that
 * leaves most of them without another look at the clock, which costs more than the request's own part of a turn. Which
 * one does not depend on the requests of others, so nobody can count those by it. */
#include <inttypes.h>
#include <stdio.h>

#include "daemon/cache_core.h"
#include "daemon/clock.h"
#include "daemon/log.h"

/* No power of two: clients that send so many at a time would have the same one of them measured each time. */
#define SAMPLE_EACH 7
#define NS_PER_US UINT64_C(1000)
#define NS_PER_MS UINT64_C(1000000)
/* Lines about slow requests in a minute. */
#define SAID_MAX 20

static enum latency_class
class_of(const struct op *op)
{
	switch (op->kind) {
	case OP_GET:
		return LATENCY_GET;
	case OP_SCAN:
	case OP_STATS:
	case OP_VERIFY:
		return LATENCY_SCAN;
	case OP_ANSWER:
		return LATENCY_DISK;
	default:
		return LATENCY_PUT;
	}
}

static const char *
name_of(const struct op *op)
{
	static const char *const names[] = {
		[OP_GET] = "a get",
		[OP_PUT] = "a put",
		[OP_PUBLISH] = "a put of a long value",
		[OP_DELETE] = "a delete",
		[OP_TOUCH] = "a touch",
		[OP_TAKE] = "a take",
		[OP_INCR] = "an incr",
		[OP_BUNDLE] = "a batch",
		[OP_SCAN] = "a scan",
		[OP_STATS] = "a request for figures",
		[OP_VERIFY] = "a page of a verification",
		[OP_ANSWER] = "a change, or a sync, that waited for the disk",
	};

	return names[op->kind];
}

static void
say_slow(struct cache *cache, const struct op *op, uint64_t ns)
{
	const struct later *later = &op->later;
	bool known = later->asker && later->asker->uid;
	const struct namespace *namespace = op->namespace;
	char name[NAMESPACE_NAME_MAX + 1] = "", whose[32] = "";
	struct log_field fields[] = { { "BRINE_MS", NULL, ns / NS_PER_MS },
				      { "BRINE_NAMESPACE", name, 0 },
				      { "BRINE_UID", whose, 0 },
				      { NULL, NULL, 0 } };
	unsigned withheld;
	bool may = ration_take(&cache->slow, cache->now_ns, SAID_MAX, &withheld);

	if (withheld)
		log_info("%u more requests were slow", withheld);
	if (!may)
		return;
	if (namespace)
		snprintf(name, sizeof(name), "%.*s", (int)namespace->name_len,
			 namespace->name);
	if (known)
		snprintf(whose, sizeof(whose), "%" PRIu32, later->asker->uid(later->arg));
	else if (op->kind == OP_GET)
		snprintf(whose, sizeof(whose), "%" PRIu32, op->get.target.uid);
	log_with(LOG_INFO, fields, "slow: %s%s%s%s%s took %" PRIu64 " ms", name_of(op),
		 *whose ? " of uid " : "", whose, *name ? " in " : "", name,
		 ns / NS_PER_MS);
}

static void
count(struct cache *cache, const struct op *op, uint64_t ns, uint64_t times)
{
	if (cache->config.slow_request_ns && ns > cache->config.slow_request_ns)
		say_slow(cache, op, ns);
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
