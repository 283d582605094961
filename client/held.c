/* held.c - the list of held leases. Belongs to a handle. One thread at a time.
 *
 * It is no truth but a memory: the daemon knows whose a lease is, and refuses what is not. A caller that forgets to
 * give leases back loses the oldest from here, and nothing else. */
#include "client/held.h"

#include <stdlib.h>
#include <string.h>

static void
clear(struct held_lease *lease)
{
	free(lease->bytes);
	*lease = (struct held_lease){ 0 };
}

static bool
same_object(const struct held_lease *lease, const struct brine_request *request)
{
	return lease->bytes && lease->key_len == request->key_len &&
	       memcmp(lease->bytes, request->key, request->key_len) == 0 &&
	       strcmp((char *)lease->bytes + lease->key_len, request->namespace_name) ==
		       0;
}

static struct held_lease *
find_place(struct held *held, const struct brine_request *request)
{
	struct held_lease *lease;

	for (unsigned i = 0; i < HELD_MAX; i++)
		if (same_object(&held->leases[i], request))
			return &held->leases[i];
	for (unsigned i = 0; i < HELD_MAX; i++)
		if (!held->leases[(held->next + i) % HELD_MAX].bytes) {
			held->next += i;
			break;
		}
	lease = &held->leases[held->next % HELD_MAX];
	held->next = (held->next + 1) % HELD_MAX;
	return lease;
}

static void
add(struct held *held, const struct brine_request *request,
    const unsigned char token[BRINE_TOKEN_SIZE])
{
	size_t name_size = strlen(request->namespace_name) + 1;
	struct held_lease *lease;
	unsigned char *bytes;

	if (!held->leases)
		held->leases = calloc(HELD_MAX, sizeof(*held->leases));
	bytes = held->leases ? malloc(request->key_len + name_size) : NULL;
	if (!bytes)
		return;
	memcpy(bytes, request->key, request->key_len);
	memcpy(bytes + request->key_len, request->namespace_name, name_size);
	lease = find_place(held, request);
	clear(lease);
	lease->bytes = bytes;
	lease->key_len = request->key_len;
	lease->holder = request->holder;
	memcpy(lease->token, token, sizeof(lease->token));
}

void
held_note(struct held *held, const struct brine_request *request,
	  const struct brine_reply *reply)
{
	if (reply->lease.state == BRINE_LEASE_GRANTED)
		add(held, request, reply->lease.token);
	/* A put that was refused for another reason leaves the lease where it is. */
	if (request->token &&
	    (reply->result >= 0 || reply->result == -BRINE_ERROR_OLD_TOKEN))
		held_forget(held, request->token);
}

void
held_forget(struct held *held, const unsigned char token[BRINE_TOKEN_SIZE])
{
	for (unsigned i = 0; held->leases && i < HELD_MAX; i++)
		if (memcmp(held->leases[i].token, token, BRINE_TOKEN_SIZE) == 0)
			clear(&held->leases[i]);
}

void
held_lost(struct held *held, uint64_t places)
{
	for (unsigned i = 0; held->leases && i < HELD_MAX; i++)
		if (places >> i & 1)
			clear(&held->leases[i]);
}

bool
held_request(const struct held *held, unsigned place, struct brine_request *ret_request)
{
	const struct held_lease *lease = held->leases ? &held->leases[place] : NULL;

	if (!lease || !lease->bytes)
		return false;
	*ret_request = (struct brine_request){
		.command = BRINE_RESUME,
		.namespace_name = (char *)lease->bytes + lease->key_len,
		.key = lease->bytes,
		.key_len = lease->key_len,
		.holder = lease->holder,
		.token = lease->token,
	};
	return true;
}

void
held_drop(struct held *held)
{
	held_lost(held, UINT64_MAX);
	free(held->leases);
	*held = (struct held){ 0 };
}
