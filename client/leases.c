/* leases.c - one computes, the others wait. Owns nothing. One thread at a time. */
#include "client/calls.h"

int
brine_release(struct brine *brine, const void *key, size_t key_len,
	      const char *namespace_name, const unsigned char token[BRINE_TOKEN_SIZE],
	      enum brine_give_up why)
{
	struct brine_request request = {
		.command = BRINE_RELEASE,
		.namespace_name = namespace_name,
		.key = key,
		.key_len = key_len,
		.token = token,
		.give_up = (uint8_t)why,
	};
	struct brine_reply reply;

	return brine->env.disabled ? BRINE_DONE
				   : call_request(brine, &request, false, &reply);
}
