/* peer.c - whose leases and waits they are: a connection's, and a uid's. Loop thread. Owns peers and shares. */
#include <stdlib.h>

#include "daemon/lease_core.h"

/* ---- what a uid has ---- */

static struct share **
share_place(struct leases *leases, uint32_t uid)
{
	struct share **at = &leases->shares[uid % SHARE_BUCKETS];

	while (*at && (*at)->uid != uid)
		at = &(*at)->next;
	return at;
}

struct share *
share_join(struct leases *leases, uint32_t uid)
{
	struct share **place = share_place(leases, uid);

	if (!*place) {
		*place = calloc(1, sizeof(**place));
		if (!*place)
			return NULL;
		(*place)->uid = uid;
	}
	(*place)->references++;
	return *place;
}

void
share_leave(struct leases *leases, struct share *share)
{
	struct share **place;

	if (--share->references)
		return;
	place = share_place(leases, share->uid);
	*place = share->next;
	free(share);
}

/* ---- peers ---- */

struct peer *
peer_new(struct leases *leases, uint32_t uid)
{
	struct peer *peer = calloc(1, sizeof(*peer));
	struct share *share = peer ? share_join(leases, uid) : NULL;

	if (!share) {
		free(peer);
		return NULL;
	}
	*peer = (struct peer){
		.leases = leases, .share = share, .uid = uid, .references = 1
	};
	return peer;
}

void
peer_died(struct peer *peer, uint64_t now_ns)
{
	struct leases *leases = peer->leases;

	peer->dead = true;
	while (peer->waiters)
		lease_quit(leases, peer->waiters, LEASE_GONE);
	while (peer->held) {
		struct lease *lease = peer->held;

		if (leases->leaving) {
			/* It stays held, to be saved. */
			peer->held = lease->next_of_peer;
			if (peer->held)
				peer->held->previous_of_peer = NULL;
			lease->peer = NULL;
		} else {
			lease_run_out(leases, lease, now_ns);
		}
	}
}

void
peer_free(struct peer **peer, uint64_t now_ns)
{
	if (!*peer)
		return;
	peer_died(*peer, now_ns);
	peer_release(peer);
}

struct peer *
peer_hold(struct peer *peer)
{
	peer->references++;
	return peer;
}

void
peer_release(struct peer **peer)
{
	if (*peer && --(*peer)->references == 0) {
		share_leave((*peer)->leases, (*peer)->share);
		free(*peer);
	}
	*peer = NULL;
}

bool
peer_holds(const struct peer *peer)
{
	return peer->held;
}

size_t
peer_waiting(const struct peer *peer)
{
	return peer->waiting;
}
