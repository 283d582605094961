/* waiter.c - who waits: in line for a lease, among those who were told, and for whom. Loop thread.
 * Borrows all of it. */
#include "daemon/lease_core.h"

static void
line_append(struct line *line, struct waiter *waiter)
{
	waiter->next = NULL;
	waiter->previous = line->last;
	if (line->last)
		line->last->next = waiter;
	else
		line->first = waiter;
	line->last = waiter;
}

static void
line_remove(struct line *line, struct waiter *waiter)
{
	if (waiter->previous)
		waiter->previous->next = waiter->next;
	else
		line->first = waiter->next;
	if (waiter->next)
		waiter->next->previous = waiter->previous;
	else
		line->last = waiter->previous;
}

/* Multiply-shift with odd numbers that nobody knows (Dietzfelbinger and others, 1997). */
static struct waiter **
holder_bucket(struct leases *leases, uint32_t uid, uint64_t holder)
{
	uint64_t hash = holder * leases->secret[0] + uid * leases->secret[1];

	return &leases->holders[hash >> (64 - HOLDER_BUCKET_BITS)];
}

static void
enlist(struct leases *leases, struct waiter *waiter)
{
	struct peer *peer = waiter->request.peer;
	struct waiter **bucket = holder_bucket(leases, peer->uid, waiter->request.holder);

	waiter->previous_of_peer = NULL;
	waiter->next_of_peer = peer->waiters;
	if (peer->waiters)
		peer->waiters->previous_of_peer = waiter;
	peer->waiters = waiter;
	peer->waiting++;
	waiter->previous_of_holder = NULL;
	waiter->next_of_holder = *bucket;
	if (*bucket)
		(*bucket)->previous_of_holder = waiter;
	*bucket = waiter;
	peer->share->waiters++;
	leases->counts.waiters++;
}

static void
part(struct leases *leases, struct waiter *waiter)
{
	struct peer *peer = waiter->request.peer;

	if (waiter->previous_of_peer)
		waiter->previous_of_peer->next_of_peer = waiter->next_of_peer;
	else
		peer->waiters = waiter->next_of_peer;
	if (waiter->next_of_peer)
		waiter->next_of_peer->previous_of_peer = waiter->previous_of_peer;
	peer->waiting--;
	if (waiter->previous_of_holder)
		waiter->previous_of_holder->next_of_holder = waiter->next_of_holder;
	else
		*holder_bucket(leases, peer->uid, waiter->request.holder) =
			waiter->next_of_holder;
	if (waiter->next_of_holder)
		waiter->next_of_holder->previous_of_holder = waiter->previous_of_holder;
	peer->share->waiters--;
	leases->counts.waiters--;
}

static struct line *
line_of(struct lease *lease, const struct waiter *waiter)
{
	return waiter->request.only_wait ? &lease->watching : &lease->computing;
}

void
waiter_join(struct leases *leases, struct waiter *waiter)
{
	line_append(line_of(waiter->lease, waiter), waiter);
	enlist(leases, waiter);
}

void
waiter_tell(struct leases *leases, struct waiter *waiter, enum lease_verdict verdict)
{
	line_remove(line_of(waiter->lease, waiter), waiter);
	part(leases, waiter);
	deadlines_remove(&leases->waiter_deadlines, &waiter->deadline);
	waiter->lease = NULL;
	waiter->verdict = verdict;
	line_append(&leases->told, waiter);
	leases->counts.told++;
}

void
waiter_tell_all(struct leases *leases, struct line *line, enum lease_verdict verdict)
{
	while (line->first)
		waiter_tell(leases, line->first, verdict);
}

/* ---- circles ---- */

static bool
same_holder(uint32_t uid, uint64_t holder, uint32_t other_uid, uint64_t other)
{
	return holder && holder == other && uid == other_uid;
}

struct walk {
	unsigned steps;
	unsigned count;
	const struct lease *to_do[LEASE_WALK_MAX + 1]; /* each step adds one at most */
};

/* What this holder waits for itself, beside what `except` does. False: the walk is too long. */
static bool
follow(struct leases *leases, struct walk *walk, uint32_t uid, uint64_t holder,
       const struct waiter *except)
{
	struct waiter *at = holder ? *holder_bucket(leases, uid, holder) : NULL;

	for (; at; at = at->next_of_holder) {
		if (++walk->steps > LEASE_WALK_MAX)
			return false;
		if (at != except &&
		    same_holder(uid, holder, at->request.peer->uid, at->request.holder))
			walk->to_do[walk->count++] = at->lease;
	}
	return true;
}

bool
waiter_closes_circle(struct leases *leases, const struct lease *lease,
		     const struct lease_request *request)
{
	struct walk walk = { .count = 1, .to_do = { lease } };

	if (!request->holder)
		return false;
	while (walk.count) {
		const struct lease *at = walk.to_do[--walk.count];

		if (!lease_taken(at))
			continue;
		if (same_holder(request->peer->uid, request->holder, at->uid, at->holder))
			return true;
		if (!follow(leases, &walk, at->uid, at->holder, NULL))
			return true;
	}
	return false;
}

bool
waiter_grant_closes_circle(struct leases *leases, const struct lease *lease,
			   const struct lease_request *request,
			   const struct waiter *grantee)
{
	struct walk walk = { .count = 0 };

	if (!follow(leases, &walk, request->peer->uid, request->holder, grantee))
		return true;
	while (walk.count) {
		const struct lease *at = walk.to_do[--walk.count];

		if (at == lease)
			return true;
		if (lease_taken(at) &&
		    !follow(leases, &walk, at->uid, at->holder, grantee))
			return true;
	}
	return false;
}

/* ---- who was told ---- */

struct waiter *
lease_told(struct leases *leases)
{
	struct waiter *waiter = leases->told.first;

	if (waiter) {
		line_remove(&leases->told, waiter);
		leases->counts.told--;
	}
	return waiter;
}

bool
lease_anybody_told(const struct leases *leases)
{
	return leases->told.first;
}
