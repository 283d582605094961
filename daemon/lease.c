/* lease.c - the table of leases, its lines of waiters, and the rules between them. Loop thread.
 * Owns entries and peers; borrows waiters. tests/spin/lease.pml is the model of these rules. */
#include "daemon/lease.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"
#include "proto/bytes.h"

#define BUCKETS 16384 /* a power of two */
#define HOLDER_BUCKETS 4096

enum state {
	OPEN,
	HELD,
	LAPSED,
	RESERVED,
};

struct line {
	struct waiter *first, *last;
};

struct lease {
	struct lease *next;                            /* in its bucket */
	struct lease *next_of_peer, *previous_of_peer; /* HELD */
	struct lease *older, *newer;                   /* LAPSED */
	uint8_t row_key[ROW_KEY_SIZE];
	enum state state;
	struct token token; /* unless OPEN */
	struct peer *peer;  /* HELD; NULL while the daemon leaves */
	uint64_t holder;
	uint32_t uid;
	unsigned failures;        /* of holders in a row */
	struct deadline deadline; /* of the lease */
	struct line computing, watching;
};

struct peer {
	struct leases *leases;
	struct lease *held;
	struct waiter *waiters;
	size_t waiting;
	size_t references;
	uint32_t uid;
	bool dead;
};

struct leases {
	struct lease *buckets[BUCKETS];
	struct waiter *holders[HOLDER_BUCKETS];
	struct line told;
	struct deadlines lease_deadlines, waiter_deadlines;
	struct lease *oldest_lapsed, *newest_lapsed;
	size_t lapsed;
	uint64_t epoch;
	uint64_t (*number)(void *arg);
	void *arg;
	bool leaving;
	struct lease_counts counts;
};

#define CONTAINER(pointer, type, member)                                                 \
	((type *)(void *)((char *)(pointer)-offsetof(type, member)))

/* ---- lists */

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

static struct waiter **
holder_bucket(struct leases *leases, uint64_t holder)
{
	return &leases->holders[holder * 0x9e3779b97f4a7c15 >> 52 & (HOLDER_BUCKETS - 1)];
}

static void
join(struct leases *leases, struct waiter *waiter)
{
	struct peer *peer = waiter->request.peer;
	struct waiter **bucket = holder_bucket(leases, waiter->request.holder);

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
		*holder_bucket(leases, waiter->request.holder) = waiter->next_of_holder;
	if (waiter->next_of_holder)
		waiter->next_of_holder->previous_of_holder = waiter->previous_of_holder;
	leases->counts.waiters--;
}

static struct line *
line_of(struct lease *lease, const struct waiter *waiter)
{
	return waiter->request.only_wait ? &lease->watching : &lease->computing;
}

/* The waiter leaves the line with this verdict. */
static void
tell(struct leases *leases, struct waiter *waiter, enum lease_verdict verdict)
{
	line_remove(line_of(waiter->lease, waiter), waiter);
	part(leases, waiter);
	deadlines_remove(&leases->waiter_deadlines, &waiter->deadline);
	waiter->lease = NULL;
	waiter->verdict = verdict;
	line_append(&leases->told, waiter);
}

static void
tell_line(struct leases *leases, struct line *line, enum lease_verdict verdict)
{
	while (line->first)
		tell(leases, line->first, verdict);
}

/* ---- entries */

static struct lease **
find_place(struct leases *leases, const uint8_t *row_key)
{
	struct lease **at;
	uint64_t hash;

	/* The end of a row key is a keyed hash; its beginning changes with a flush. */
	memcpy(&hash, row_key + ROW_KEY_SIZE - sizeof(hash), sizeof(hash));
	at = &leases->buckets[hash & (BUCKETS - 1)];
	while (*at && memcmp((*at)->row_key, row_key, ROW_KEY_SIZE) != 0)
		at = &(*at)->next;
	return at;
}

static struct lease *
find(const struct leases *leases, const uint8_t *row_key)
{
	/* Looking changes nothing. */
	return leases->counts.entries ? *find_place((struct leases *)leases, row_key)
				      : NULL;
}

static bool
is_taken(const struct lease *lease)
{
	return lease->state == HELD || lease->state == RESERVED;
}

/* Whatever it was, nobody holds it now. */
static void
set_open(struct leases *leases, struct lease *lease)
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
		*(lease->older ? &lease->older->newer : &leases->oldest_lapsed) =
			lease->newer;
		*(lease->newer ? &lease->newer->older : &leases->newest_lapsed) =
			lease->older;
		leases->lapsed--;
	}
	deadlines_remove(&leases->lease_deadlines, &lease->deadline);
	lease->state = OPEN;
}

static void
forget(struct leases *leases, struct lease *lease)
{
	struct lease **place = find_place(leases, lease->row_key);

	CHECK(!lease->computing.first && !lease->watching.first);
	set_open(leases, lease);
	*place = lease->next;
	leases->counts.entries--;
	free(lease);
}

/* Its token is old; who only waits goes on waiting. */
static void
end(struct leases *leases, struct lease *lease)
{
	set_open(leases, lease);
	lease->failures = 0;
	if (!lease->watching.first && !lease->computing.first)
		forget(leases, lease);
}

static struct lease *
new_entry(struct leases *leases, const uint8_t *row_key)
{
	struct lease *lease;
	struct lease **place;

	if (leases->counts.entries == LEASES_MAX && leases->oldest_lapsed)
		end(leases, leases->oldest_lapsed);
	if (leases->counts.entries == LEASES_MAX)
		return NULL;
	lease = calloc(1, sizeof(*lease));
	if (!lease)
		return NULL;
	memcpy(lease->row_key, row_key, ROW_KEY_SIZE);
	place = find_place(leases, row_key);
	*place = lease;
	leases->counts.entries++;
	return lease;
}

static void
attach(struct lease *lease, struct peer *peer)
{
	lease->peer = peer;
	lease->uid = peer->uid;
	lease->previous_of_peer = NULL;
	lease->next_of_peer = peer->held;
	if (peer->held)
		peer->held->previous_of_peer = lease;
	peer->held = lease;
}

/* False: no memory for its end; nobody holds it then. */
static bool
grant(struct leases *leases, struct lease *lease, const struct lease_request *request,
      uint64_t now_ns, struct token *ret_token)
{
	set_open(leases, lease);
	if (request->time_ns && request->time_ns < UINT64_MAX - now_ns &&
	    deadlines_add(&leases->lease_deadlines, &lease->deadline,
			  now_ns + request->time_ns))
		return false;
	lease->state = HELD;
	lease->token = (struct token){ leases->epoch, leases->number(leases->arg) };
	lease->holder = request->holder;
	attach(lease, request->peer);
	leases->counts.granted++;
	*ret_token = lease->token;
	return true;
}

/* The first in line who can hold it does. False: nobody can, and nobody holds it. */
static bool
pass(struct leases *leases, struct lease *lease, uint64_t now_ns)
{
	struct waiter *first = lease->computing.first;

	set_open(leases, lease);
	if (!first)
		return false;
	if (!grant(leases, lease, &first->request, now_ns, &first->token)) {
		leases->counts.alone += leases->counts.waiters;
		tell_line(leases, &lease->computing, LEASE_ALONE);
		return false;
	}
	leases->counts.passed++;
	tell(leases, first, LEASE_GRANTED);
	return true;
}

/* Nobody waits for it: its token goes on publishing. */
static void
lapse(struct leases *leases, struct lease *lease)
{
	set_open(leases, lease);
	if (leases->lapsed == LEASES_LAPSED_MAX)
		end(leases, leases->oldest_lapsed);
	lease->state = LAPSED;
	lease->newer = NULL;
	lease->older = leases->newest_lapsed;
	*(lease->older ? &lease->older->newer : &leases->oldest_lapsed) = lease;
	leases->newest_lapsed = lease;
	leases->lapsed++;
	leases->counts.lapsed++;
}

/* Its holder is gone, or its time has passed. */
static void
run_out(struct leases *leases, struct lease *lease, uint64_t now_ns)
{
	if (lease->computing.first) {
		if (!pass(leases, lease, now_ns))
			end(leases, lease);
	} else if (lease->state == RESERVED) {
		end(leases, lease); /* what an earlier start granted is old after this */
	} else {
		lapse(leases, lease);
	}
}

/* ---- peers */

struct peer *
peer_new(struct leases *leases, uint32_t uid)
{
	struct peer *peer = calloc(1, sizeof(*peer));

	if (peer)
		*peer = (struct peer){ .leases = leases, .uid = uid, .references = 1 };
	return peer;
}

void
peer_died(struct peer *peer, uint64_t now_ns)
{
	struct leases *leases = peer->leases;

	peer->dead = true;
	while (peer->waiters)
		tell(leases, peer->waiters, LEASE_GONE);
	while (peer->held) {
		struct lease *lease = peer->held;

		if (leases->leaving) {
			/* It stays held, to be saved. */
			peer->held = lease->next_of_peer;
			if (peer->held)
				peer->held->previous_of_peer = NULL;
			lease->peer = NULL;
		} else {
			run_out(leases, lease, now_ns);
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
	if (*peer && --(*peer)->references == 0)
		free(*peer);
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

/* ---- asking */

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

/* What the holder of this lease waits for itself. False: the walk is too long. */
static bool
follow(struct leases *leases, struct walk *walk, const struct lease *lease)
{
	struct waiter *at = lease->holder ? *holder_bucket(leases, lease->holder) : NULL;

	for (; at; at = at->next_of_holder) {
		if (++walk->steps > LEASE_WALK_MAX)
			return false;
		if (is_taken(at->lease) &&
		    same_holder(lease->uid, lease->holder, at->request.peer->uid,
				at->request.holder))
			walk->to_do[walk->count++] = at->lease;
	}
	return true;
}

/* Would the asker wait for itself? */
static bool
closes_circle(struct leases *leases, const struct lease *lease,
	      const struct lease_request *request)
{
	struct walk walk = { .count = 1, .to_do = { lease } };

	if (!request->holder)
		return false;
	while (walk.count) {
		const struct lease *at = walk.to_do[--walk.count];

		if (same_holder(request->peer->uid, request->holder, at->uid, at->holder))
			return true;
		if (!follow(leases, &walk, at))
			return true;
	}
	return false;
}

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
	struct lease *lease = find(leases, row_key);

	if (leases->leaving)
		return LEASE_LEAVING;
	if (request->peer->dead)
		return request->only_wait ? LEASE_VAIN : alone(leases);
	if (lease && is_taken(lease) && closes_circle(leases, lease, request))
		return request->only_wait ? LEASE_VAIN : alone(leases);
	if (request->only_wait || (lease && is_taken(lease)))
		return LEASE_PARK;
	if (!lease)
		lease = new_entry(leases, row_key);
	if (!lease)
		return alone(leases);
	if (grant(leases, lease, request, now_ns, ret_token))
		return LEASE_GRANTED;
	end(leases, lease);
	return alone(leases);
}

int
lease_wait(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
	   const struct lease_request *request, uint64_t deadline_ns,
	   struct waiter *waiter)
{
	struct lease *lease = find(leases, row_key);

	if (!lease)
		lease = new_entry(leases, row_key);
	if (!lease)
		return -1;
	*waiter = (struct waiter){ .lease = lease, .request = *request };
	if (deadline_ns != UINT64_MAX &&
	    deadlines_add(&leases->waiter_deadlines, &waiter->deadline, deadline_ns)) {
		if (lease->state == OPEN && !lease->watching.first)
			forget(leases, lease);
		return -1;
	}
	line_append(line_of(lease, waiter), waiter);
	join(leases, waiter);
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
	const struct lease *lease = find(leases, row_key);

	return lease && same_token(lease, token);
}

void
lease_published(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE])
{
	struct lease *lease = find(leases, row_key);

	if (!lease)
		return;
	tell_line(leases, &lease->computing, LEASE_LOOK);
	tell_line(leases, &lease->watching, LEASE_LOOK);
	forget(leases, lease);
}

static void
revoke(struct leases *leases, struct lease *lease, uint64_t now_ns)
{
	lease->failures = 0;
	if (leases->leaving || !pass(leases, lease, now_ns))
		end(leases, lease);
}

void
lease_revoked(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
	      uint64_t now_ns)
{
	struct lease *lease = find(leases, row_key);

	if (lease)
		revoke(leases, lease, now_ns);
}

void
lease_flushed(struct leases *leases, uint32_t from, uint32_t to, uint64_t now_ns)
{
	for (size_t i = 0; leases->counts.entries && i < BUCKETS; i++) {
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
	struct lease *lease = find(leases, row_key);

	if (!lease || !same_token(lease, token))
		return false;
	if (leases->leaving || cannot_be_kept ||
	    ++lease->failures >= LEASE_FAILURES_MAX) {
		while (lease->computing.first) {
			tell(leases, lease->computing.first, LEASE_ALONE);
			leases->counts.alone++;
		}
		end(leases, lease);
	} else if (!pass(leases, lease, now_ns)) {
		end(leases, lease);
	}
	return true;
}

bool
lease_resume(struct leases *leases, const uint8_t row_key[static ROW_KEY_SIZE],
	     struct token token, struct peer *peer, uint64_t holder)
{
	struct lease *lease = find(leases, row_key);
	uint64_t end_ns;

	if (leases->leaving || peer->dead || !lease || !same_token(lease, token) ||
	    lease->uid != peer->uid)
		return false;
	/* A lease that was granted for a time keeps its end. */
	end_ns =
		lease->state == HELD && lease->deadline.place ? lease->deadline.at_ns : 0;
	set_open(leases, lease);
	if (end_ns)
		deadlines_add(&leases->lease_deadlines, &lease->deadline, end_ns);
	lease->state = HELD;
	lease->holder = holder;
	attach(lease, peer);
	return true;
}

/* ---- time, and who was told */

void
lease_tick(struct leases *leases, uint64_t now_ns)
{
	struct deadline *first;

	while ((first = deadlines_first(&leases->waiter_deadlines)) &&
	       first->at_ns <= now_ns)
		tell(leases, CONTAINER(first, struct waiter, deadline), LEASE_VAIN);
	while ((first = deadlines_first(&leases->lease_deadlines)) &&
	       first->at_ns <= now_ns)
		run_out(leases, CONTAINER(first, struct lease, deadline), now_ns);
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

struct waiter *
lease_told(struct leases *leases)
{
	struct waiter *waiter = leases->told.first;

	if (waiter)
		line_remove(&leases->told, waiter);
	return waiter;
}

bool
lease_anybody_told(const struct leases *leases)
{
	return leases->told.first;
}

/* ---- leaving and coming back */

void
lease_leave(struct leases *leases)
{
	leases->leaving = true;
	for (size_t i = 0; i < HOLDER_BUCKETS; i++)
		while (leases->holders[i])
			tell(leases, leases->holders[i], LEASE_LEAVING);
}

size_t
lease_saved(const struct leases *leases, struct saved_lease *to, size_t most)
{
	size_t count = 0;

	for (size_t i = 0; i < BUCKETS; i++) {
		for (struct lease *at = leases->buckets[i]; at; at = at->next) {
			if (!is_taken(at) || count == most)
				continue;
			to[count] = (struct saved_lease){ .token = at->token,
							  .holder = at->holder,
							  .uid = at->uid };
			memcpy(to[count++].row_key, at->row_key, ROW_KEY_SIZE);
		}
	}
	return count;
}

void
lease_reserve(struct leases *leases, const struct saved_lease *saved, uint64_t now_ns)
{
	struct lease *lease;

	if (find(leases, saved->row_key))
		return;
	lease = new_entry(leases, saved->row_key);
	if (!lease)
		return;
	if (deadlines_add(&leases->lease_deadlines, &lease->deadline,
			  now_ns + LEASE_RESERVED_NS)) {
		forget(leases, lease);
		return;
	}
	lease->state = RESERVED;
	lease->token = saved->token;
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
	for (size_t i = 0; i < BUCKETS; i++)
		while ((*leases)->buckets[i])
			forget(*leases, (*leases)->buckets[i]);
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
