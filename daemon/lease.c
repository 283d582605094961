/* lease.c - what happens to a key that somebody computes or waits for: asked for, published, deleted, given up,
 * taken up again, run out. Loop thread. tests/spin/lease.pml is the model of these rules. */
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "daemon/lease_core.h"
#include "daemon/log.h"
#include "daemon/share.h"
#include "proto/bytes.h"

#define CONTAINER(pointer, type, member)                                                 \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* ---- asking */

static enum lease_verdict
alone(struct leases *leases)
{
	leases->counts.alone++;
	return LEASE_ALONE;
}

enum lease_verdict
lease_ask(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
	  const struct lease_request *request, uint64_t now_ns, struct token *ret_token)
{
	struct lease *lease = lease_find(leases, row_key);
	struct share *share = request->peer->share;

	if (leases->leaving)
		return LEASE_LEAVING;
	if (request->peer->dead)
		return request->only_wait ? LEASE_VAIN : alone(leases);
	if (lease && lease_taken(lease) && waiter_closes_circle(leases, lease, request))
		return request->only_wait ? LEASE_VAIN : alone(leases);
	if (request->only_wait || (lease && lease_taken(lease)))
		return LEASE_PARK;
	if (lease && waiter_grant_closes_circle(leases, lease, request, NULL))
		return alone(leases);
	if (lease && lease->share != share && !lease_place_left(leases, share))
		return alone(leases);
	if (!lease)
		lease = lease_new(leases, share, row_key);
	if (!lease)
		return alone(leases);
	if (lease_grant(leases, lease, request, now_ns, ret_token))
		return LEASE_GRANTED;
	lease_end(leases, lease);
	return alone(leases);
}

int
lease_wait(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
	   const struct lease_request *request, uint64_t deadline_ns,
	   struct waiter *waiter)
{
	struct share *share = request->peer->share;
	struct lease *lease;

	if (!share_allows(share->waiters, leases->counts.waiters, LEASE_WAITERS_MAX, 1))
		return -1;
	lease = lease_find(leases, row_key);
	if (!lease)
		lease = lease_new(leases, share, row_key);
	if (!lease)
		return -1;
	*waiter = (struct waiter){ .lease = lease, .request = *request };
	if (deadline_ns != UINT64_MAX &&
	    deadlines_add(&leases->waiter_deadlines, &waiter->deadline, deadline_ns)) {
		if (lease->state == OPEN && !lease->watching.first)
			lease_forget(leases, lease);
		return -1;
	}
	waiter_join(leases, waiter);
	return 0;
}

/* ---- what happens to a key */

static bool
same_token(const struct lease *lease, struct token token)
{
	return lease->state != OPEN && lease->token.epoch == token.epoch &&
	       lease->token.number == token.number;
}

bool
lease_valid(const struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
	    struct token token)
{
	const struct lease *lease = lease_find(leases, row_key);

	return lease && same_token(lease, token);
}

static size_t
tell_news(struct leases *leases, struct line *line, void *news)
{
	size_t count = 0;

	for (; line->first; count++) {
		line->first->news = news;
		waiter_tell(leases, line->first, LEASE_LOOK);
	}
	return count;
}

size_t
lease_published(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
		void *news)
{
	struct lease *lease = lease_find(leases, row_key);
	size_t count;

	if (!lease)
		return 0;
	count = tell_news(leases, &lease->computing, news);
	count += tell_news(leases, &lease->watching, news);
	lease_forget(leases, lease);
	return count;
}

static void
revoke(struct leases *leases, struct lease *lease, uint64_t now_ns)
{
	lease->failures = 0;
	if (leases->leaving || !lease_pass(leases, lease, now_ns))
		lease_end(leases, lease);
}

void
lease_revoked(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
	      uint64_t now_ns)
{
	struct lease *lease = lease_find(leases, row_key);

	if (lease)
		revoke(leases, lease, now_ns);
}

void
lease_flushed(struct leases *leases, uint32_t from, uint32_t to, uint64_t now_ns)
{
	for (size_t i = 0; leases->counts.entries && i < LEASE_BUCKETS; i++) {
		struct lease *next;

		for (struct lease *lease = leases->buckets[i]; lease; lease = next) {
			next = lease->next;
			if (be32_load(lease->row_key) != from)
				continue;
			/* It stays in its bucket, which the incarnation has no part in. */
			be32_store(lease->row_key, to);
			revoke(leases, lease, now_ns);
		}
	}
}

bool
lease_release(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
	      struct token token, bool cannot_be_kept, uint64_t now_ns)
{
	struct lease *lease = lease_find(leases, row_key);

	if (!lease || !same_token(lease, token))
		return false;
	if (leases->leaving || cannot_be_kept ||
	    ++lease->failures >= LEASE_FAILURES_MAX) {
		while (lease->computing.first) {
			waiter_tell(leases, lease->computing.first, LEASE_ALONE);
			leases->counts.alone++;
		}
		lease_end(leases, lease);
	} else if (!lease_pass(leases, lease, now_ns)) {
		lease_end(leases, lease);
	}
	return true;
}

/* While it was nobody's, its holder may have begun to wait for it, or for who does. */
static bool
resume_closes_circle(struct leases *leases, const struct lease *lease, struct peer *peer)
{
	struct lease_request request = { .peer = peer, .holder = lease->holder };

	return !lease_taken(lease) &&
	       waiter_grant_closes_circle(leases, lease, &request, NULL);
}

bool
lease_resume(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
	     struct token token, struct peer *peer, uint64_t now_ns)
{
	struct lease *lease = lease_find(leases, row_key);

	if (leases->leaving || peer->dead || !lease || !same_token(lease, token) ||
	    lease->uid != peer->uid || (lease->end_ns && lease->end_ns <= now_ns) ||
	    resume_closes_circle(leases, lease, peer))
		return false;
	lease_open_up(leases, lease);
	if (lease->end_ns &&
	    deadlines_add(&leases->lease_deadlines, &lease->deadline, lease->end_ns)) {
		lease_end(leases, lease);
		return false;
	}
	lease->state = HELD;
	lease_attach(lease, peer);
	return true;
}

/* ---- rights that were taken away */

void
lease_bar_waits(struct leases *leases, struct peer *peer, uint32_t incarnation,
		bool watching)
{
	struct waiter *next;

	for (struct waiter *at = peer->waiters; at; at = next) {
		next = at->next_of_peer;
		if (be32_load(at->lease->row_key) == incarnation &&
		    (watching || !at->request.only_wait))
			lease_quit(leases, at, LEASE_BARRED);
	}
}

void
lease_bar_holds(struct leases *leases, struct peer *peer, uint32_t incarnation,
		uint64_t now_ns)
{
	struct lease *next;

	for (struct lease *at = peer->held; at; at = next) {
		next = at->next_of_peer;
		if (be32_load(at->row_key) == incarnation)
			revoke(leases, at, now_ns);
	}
}

/* ---- time, and who was told */

void
lease_tick(struct leases *leases, uint64_t now_ns)
{
	struct deadline *first;

	while ((first = deadlines_first(&leases->waiter_deadlines)) &&
	       first->at_ns <= now_ns)
		lease_quit(leases, CONTAINER(first, struct waiter, deadline), LEASE_VAIN);
	while ((first = deadlines_first(&leases->lease_deadlines)) &&
	       first->at_ns <= now_ns)
		lease_run_out(leases, CONTAINER(first, struct lease, deadline), now_ns);
}

uint64_t
lease_deadline_ns(const struct leases *leases)
{
	const struct deadline *lease = deadlines_first(&leases->lease_deadlines);
	const struct deadline *waiter = deadlines_first(&leases->waiter_deadlines);
	uint64_t at_ns = UINT64_MAX;

	if (lease)
		at_ns = lease->at_ns;
	if (waiter && waiter->at_ns < at_ns)
		at_ns = waiter->at_ns;
	return at_ns;
}

/* ---- leaving and coming back */

void
lease_leave(struct leases *leases)
{
	leases->leaving = true;
	for (size_t i = 0; i < HOLDER_BUCKETS; i++)
		while (leases->holders[i])
			waiter_tell(leases, leases->holders[i], LEASE_LEAVING);
}

/* Until it ends by the clock; 0: it does not. */
static uint64_t
left_ns(const struct lease *lease, uint64_t now_ns)
{
	if (!lease->end_ns)
		return 0;
	return lease->end_ns > now_ns ? lease->end_ns - now_ns : 1;
}

size_t
lease_saved(const struct leases *leases, uint64_t now_ns, struct saved_lease *to,
	    size_t most)
{
	size_t count = 0;

	for (size_t i = 0; i < LEASE_BUCKETS; i++) {
		for (struct lease *at = leases->buckets[i]; at; at = at->next) {
			if (!lease_taken(at) || count == most)
				continue;
			to[count] = (struct saved_lease){ .token = at->token,
							  .holder = at->holder,
							  .left_ns = left_ns(at, now_ns),
							  .uid = at->uid };
			memcpy(to[count++].row_key, at->row_key, ROW_KEY_SIZE);
		}
	}
	return count;
}

void
lease_each(const struct leases *leases,
	   void (*visit)(void *arg, uint32_t incarnation, uint64_t number), void *arg)
{
	if (!leases->counts.entries)
		return;
	for (size_t i = 0; i < LEASE_BUCKETS; i++)
		for (const struct lease *at = leases->buckets[i]; at; at = at->next)
			if (lease_taken(at))
				visit(arg, be32_load(at->row_key), at->token.number);
}

void
lease_reserve(struct leases *leases, const struct saved_lease *saved, uint64_t now_ns)
{
	struct share *share;
	struct lease *lease;

	if (lease_find(leases, saved->row_key))
		return;
	share = share_join(leases, saved->uid);
	lease = share ? lease_new(leases, share, saved->row_key) : NULL;
	if (share)
		share_leave(leases, share); /* the entry has it */
	if (!lease)
		return;
	if (deadlines_add(&leases->lease_deadlines, &lease->deadline,
			  now_ns + LEASE_RESERVED_NS)) {
		lease_forget(leases, lease);
		return;
	}
	lease->state = RESERVED;
	lease->token = saved->token;
	if (saved->left_ns && saved->left_ns < UINT64_MAX - now_ns)
		lease->end_ns = now_ns + saved->left_ns;
	lease->holder = saved->holder;
	lease->uid = saved->uid;
}

/* ---- all of it */

struct leases *
leases_new(uint64_t epoch, uint64_t (*number)(void *arg), void *arg)
{
	struct leases *leases = calloc(1, sizeof(*leases));

	if (!leases)
		return NULL;
	if (getrandom(leases->secret, sizeof(leases->secret), GRND_NONBLOCK) !=
	    sizeof(leases->secret))
		leases->secret[0] = leases->secret[1] = epoch;
	leases->secret[0] |= 1;
	leases->secret[1] |= 1;
	leases->epoch = epoch;
	leases->number = number;
	leases->arg = arg;
	deadlines_init(&leases->lease_deadlines, LEASES_MAX);
	deadlines_init(&leases->waiter_deadlines, LEASE_WAITERS_MAX);
	return leases;
}

void
leases_free(struct leases **leases)
{
	if (!*leases)
		return;
	CHECK(!(*leases)->counts.waiters && !(*leases)->told.first);
	for (size_t i = 0; i < LEASE_BUCKETS; i++)
		while ((*leases)->buckets[i])
			lease_forget(*leases, (*leases)->buckets[i]);
	deadlines_done(&(*leases)->lease_deadlines);
	deadlines_done(&(*leases)->waiter_deadlines);
	free(*leases);
	*leases = NULL;
}

const struct lease_counts *
lease_counts(const struct leases *leases)
{
	return &leases->counts;
}
