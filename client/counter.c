/* counter.c - counting, in one request. Owns nothing. One thread at a time. */
#include "client/calls.h"

int
brine_incr(struct brine *brine, const void *key, size_t key_len, int64_t delta,
	   const struct brine_incr_options *options, int64_t *ret_value)
{
	static const struct brine_incr_options defaults;
	const struct brine_incr_options *o = options ? options : &defaults;
	struct brine_request request = {
		.command = BRINE_INCR,
		.namespace_name = o->namespace_name,
		.key = key,
		.key_len = key_len,
		.delta = delta,
		.initial = o->initial,
		.ttl_ms = o->ttl_ms,
		.condition = o->only_if_present ? BRINE_IF_PRESENT : BRINE_ALWAYS,
		.ack = o->ack,
	};
	struct brine_reply reply;
	int result;

	if (brine->env.disabled)
		return call_disabled(brine);
	result = call_request(brine, &request, false, &reply);
	if (result == BRINE_DONE && ret_value)
		*ret_value = reply.counter;
	return result;
}
