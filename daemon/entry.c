/* entry.c - one lease: its place in the table, and its states. Loop thread. Owns the entries. */
#include <stdlib.h>
#include <string.h>

#include "daemon/lease_core.h"
#include "daemon/log.h"
#include "daemon/share.h"

static struct lease **
lease_place(struct leases *leases, const uint8_t *row_key)
{
	struct lease **at;
	uint64_t hash;

	/* The end of a row key is a keyed hash; its beginning changes with a flush. */
	memcpy(&hash, row_key + ROW_KEY_SIZE - sizeof(hash), sizeof(hash));
	at = &leases->buckets[hash & (LEASE_BUCKETS - 1)];
	while (*at && memcmp((*at)->row_key, row_key, ROW_KEY_SIZE) != 0)
		at = &(*at)->next;
	return at;
}

struct lease *
lease_find(const struct leases *leases, const uint8_t *row_key)
{
	/* Looking changes nothing. */
	return leases->counts.entries ? *lease_place((struct leases *)leases, row_key)
				      : NULL;
}

void
lease_open_up(struct leases *leases, struct lease *lease)
{
	if (lease->peer) {
		if (lease->previous_of_peer)
			lease->previous_of_peer->next_of_peer = lease->next_of_peer;
		else
			lease->peer->held = lease->next_of_peer;
		if (lease->next_of_peer)
			lease->next_of_peer->previous_of_peer = lease->previous_of_peer;
		lease->peer = NULL;
	}
	if (lease->state == LAPSED) {
		struct share *share = lease->share;

		*(lease->older ? &lease->older->newer : &share->oldest_lapsed) =
			lease->newer;
		*(lease->newer ? &lease->newer->older : &share->newest_lapsed) =
			lease->older;
		share->lapsed--;
		leases->lapsed--;
	}
	deadlines_remove(&leases->lease_deadlines, &lease->deadline);
	lease->state = OPEN;
}

static void
charge(struct lease *lease, struct share *share)
{
	lease->share = share;
	share->entries++;
	share->references++;
}

static void
uncharge(struct leases *leases, struct lease *lease)
{
	lease->share->entries--;
	share_leave(leases, lease->share);
	lease->share = NULL;
}

void
lease_forget(struct leases *leases, struct lease *lease)
{
	struct lease **place = lease_place(leases, lease->row_key);

	CHECK(!lease->computing.first && !lease->watching.first);
	lease_open_up(leases, lease);
	*place = lease->next;
	leases->counts.entries--;
	uncharge(leases, lease);
	free(lease);
}

void
lease_end(struct leases *leases, struct lease *lease)
{
	lease_open_up(leases, lease);
	lease->failures = 0;
	if (!lease->watching.first && !lease->computing.first)
		lease_forget(leases, lease);
}

static bool
may_have_one(const struct leases *leases, const struct share *share)
{
	return share_allows(share->entries, leases->counts.entries, LEASES_MAX, 1);
}

bool
lease_place_left(struct leases *leases, struct share *share)
{
	if (!may_have_one(leases, share) && share->oldest_lapsed)
		lease_end(leases, share->oldest_lapsed);
	return may_have_one(leases, share);
}

struct lease *
lease_new(struct leases *leases, struct share *share, const uint8_t *row_key)
{
	struct lease *lease;
	struct lease **place;

	if (!lease_place_left(leases, share))
		return NULL;
	lease = calloc(1, sizeof(*lease));
	if (!lease)
		return NULL;
	memcpy(lease->row_key, row_key, ROW_KEY_SIZE);
	place = lease_place(leases, row_key);
	*place = lease;
	leases->counts.entries++;
	charge(lease, share);
	return lease;
}

void
lease_attach(struct lease *lease, struct peer *peer)
{
	if (lease->share != peer->share) {
		uncharge(peer->leases, lease);
		charge(lease, peer->share);
	}
	lease->peer = peer;
	lease->uid = peer->uid;
	lease->previous_of_peer = NULL;
	lease->next_of_peer = peer->held;
	if (peer->held)
		peer->held->previous_of_peer = lease;
	peer->held = lease;
}

bool
lease_grant(struct leases *leases, struct lease *lease,
	    const struct lease_request *request, uint64_t now_ns, struct token *ret_token)
{
	lease_open_up(leases, lease);
	if (request->time_ns && request->time_ns < UINT64_MAX - now_ns &&
	    deadlines_add(&leases->lease_deadlines, &lease->deadline,
			  now_ns + request->time_ns))
		return false;
	lease->state = HELD;
	lease->end_ns = lease->deadline.place ? lease->deadline.at_ns : 0;
	lease->token = (struct token){ leases->epoch, leases->number(leases->arg) };
	lease->holder = request->holder;
	lease_attach(lease, request->peer);
	leases->counts.granted++;
	*ret_token = lease->token;
	return true;
}

bool
lease_pass(struct leases *leases, struct lease *lease, uint64_t now_ns)
{
	struct waiter *first;

	lease_open_up(leases, lease);
	while ((first = lease->computing.first)) {
		if (!waiter_grant_closes_circle(leases, lease, &first->request, first) &&
		    lease_grant(leases, lease, &first->request, now_ns, &first->token)) {
			leases->counts.passed++;
			waiter_tell(leases, first, LEASE_GRANTED);
			return true;
		}
		leases->counts.alone++;
		waiter_tell(leases, first, LEASE_ALONE);
	}
	return false;
}

void
lease_quit(struct leases *leases, struct waiter *waiter, enum lease_verdict verdict)
{
	struct lease *lease = waiter->lease;

	waiter_tell(leases, waiter, verdict);
	if (lease->state == OPEN && !lease->watching.first && !lease->computing.first)
		lease_forget(leases, lease);
}

static bool
may_lapse(const struct leases *leases, const struct share *share)
{
	return share_allows(share->lapsed, leases->lapsed, LEASES_LAPSED_MAX, 1);
}

/* Nobody waits for it: its token goes on publishing. */
static void
lease_lapse(struct leases *leases, struct lease *lease)
{
	struct share *share = lease->share;

	lease_open_up(leases, lease);
	leases->counts.lapsed++;
	if (!may_lapse(leases, share) && share->oldest_lapsed)
		lease_end(leases, share->oldest_lapsed);
	if (!may_lapse(leases, share)) {
		lease_end(leases, lease);
		return;
	}
	lease->state = LAPSED;
	lease->newer = NULL;
	lease->older = share->newest_lapsed;
	*(lease->older ? &lease->older->newer : &share->oldest_lapsed) = lease;
	share->newest_lapsed = lease;
	share->lapsed++;
	leases->lapsed++;
}

void
lease_run_out(struct leases *leases, struct lease *lease, uint64_t now_ns)
{
	if (lease->computing.first) {
		if (!lease_pass(leases, lease, now_ns))
			lease_end(leases, lease);
	} else if (lease->state == RESERVED) {
		lease_end(leases,
			  lease); /* what an earlier start granted is old after this */
	} else {
		lease_lapse(leases, lease);
	}
}
