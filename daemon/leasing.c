/* leasing.c - requests that ask for a lease, wait for one, or end one. Loop thread; owns nothing.
 * The rules are lease.h's. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"
#include "daemon/log.h"
#include "proto/bytes.h"

#define NS_PER_MS UINT64_C(1000000)
/* Waiters that are answered before the others have their turn, and bytes of values that they get. */
#define TOLD_MAX 512
#define TOLD_BYTES_MAX (UINT64_C(2) << 20)

_Static_assert(LEASE_TOKEN_SIZE == CACHE_TOKEN_SIZE, "one token");

static struct token
read_token(const uint8_t from[static CACHE_TOKEN_SIZE])
{
	return (struct token){ le64_load(from), le64_load(from + 8) };
}

static void
write_token(struct token token, uint8_t to[static CACHE_TOKEN_SIZE])
{
	le64_store(to, token.epoch);
	le64_store(to + 8, token.number);
}

/* ---- peers */

struct peer *
cache_peer_new(struct cache *cache, uint32_t uid)
{
	return peer_new(cache->leases, uid);
}

void
cache_peer_free(struct cache *cache, struct peer **peer)
{
	peer_free(peer, cache->now_ns);
}

void
cache_peer_died(struct cache *cache, struct peer *peer)
{
	peer_died(peer, cache->now_ns);
}

bool
cache_peer_holds(const struct peer *peer)
{
	return peer_holds(peer);
}

size_t
cache_peer_waiting(const struct peer *peer)
{
	return peer_waiting(peer);
}

size_t
cache_waiting(const struct cache *cache)
{
	const struct lease_counts *counts = lease_counts(cache->leases);

	return counts->waiters + counts->told;
}

void
cache_bar(struct cache *cache, struct peer *peer, enum cache_bar what,
	  enum right (*may)(void *arg, struct slice namespace), void *arg)
{
	for (struct namespace *at = names_next(&cache->names, NULL); at;
	     at = names_next(&cache->names, at)) {
		enum right right;

		if (at->uid != NAMESPACE_SHARED)
			continue;
		right = may(arg, slice(at->name, at->name_len));
		if (right == RIGHT_WRITE)
			continue;
		if (what == BAR_LEASES)
			lease_bar_holds(cache->leases, peer, at->incarnation,
					cache->now_ns);
		else
			lease_bar_waits(cache->leases, peer, at->incarnation,
					right == RIGHT_NONE);
	}
}

void
cache_leave(struct cache *cache)
{
	lease_leave(cache->leases);
}

/* ---- asking */

static struct lease_request
request_of(const struct op *op)
{
	uint64_t ms = op->get.lease_ms;

	return (struct lease_request){
		.peer = op->get.peer,
		.holder = op->get.holder,
		.time_ns = ms < UINT64_MAX / NS_PER_MS ? ms * NS_PER_MS : 0,
		.only_wait = op->get.lease == LEASE_WISH_WAIT,
	};
}

/* The answer to one who does not wait any more. */
static struct answer
answer_told(enum lease_verdict verdict, struct token token)
{
	struct answer answer = { .kind = ANSWER_MISS };

	switch (verdict) {
	case LEASE_GRANTED:
		answer.lease = LEASE_REPLY_GRANTED;
		write_token(token, answer.token);
		return answer;
	case LEASE_ALONE:
		answer.lease = LEASE_REPLY_ALONE;
		return answer;
	case LEASE_VAIN:
		answer.lease = LEASE_REPLY_VAIN;
		return answer;
	case LEASE_BARRED:
		return answer_error(ERROR_FORBIDDEN, 0, NULL);
	default:
		return answer_error(ERROR_SHUTTING_DOWN, 0, NULL);
	}
}

/* Stands in line. False: there is no place. */
static bool
park(struct cache *cache, struct op *op)
{
	struct lease_request request = request_of(op);
	struct parked *parked = op_park(cache, op);

	if (!parked)
		return false;
	parked->op.measured = false;
	if (lease_wait(cache->leases, op->row_key, &request, op->wait_until_ns,
		       &parked->waiter)) {
		op_unpark(cache, parked);
		return false;
	}
	op_stand_in_line(cache, parked);
	if (op->waited && op->later.asker && op->later.asker->in_line)
		op->later.asker->in_line(op->later.arg);
	op->namespace->waits++;
	return true;
}

int
op_ask_lease(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	struct lease_request request = request_of(op);
	struct token token = { 0, 0 };
	enum lease_verdict verdict =
		lease_ask(cache->leases, op->row_key, &request, cache->now_ns, &token);

	if (verdict == LEASE_PARK && op->wait_until_ns <= cache->now_ns)
		verdict = LEASE_VAIN;
	if (verdict == LEASE_PARK) {
		if (park(cache, op))
			return CACHE_LATER;
		verdict = request.only_wait ? LEASE_VAIN : LEASE_ALONE;
	}
	if (verdict == LEASE_GRANTED)
		core_keep_stamps(cache, op->namespace, token.number);
	return answer_now(ret_answer, answer_told(verdict, token));
}

void
op_offer_refresh(struct cache *cache, struct op *op, struct answer *answer)
{
	struct lease_request request = request_of(op);
	struct token token;

	if (request.only_wait || lease_ask(cache->leases, op->row_key, &request,
					   cache->now_ns, &token) != LEASE_GRANTED)
		return;
	core_keep_stamps(cache, op->namespace, token.number);
	answer->lease = LEASE_REPLY_GRANTED;
	write_token(token, answer->token);
}

bool
op_token_old(struct cache *cache, const struct op *op)
{
	struct token token;

	if (!op->put.tokened)
		return false;
	token = read_token(op->put.token);
	if (!lease_valid(cache->leases, op->row_key, token))
		return true;
	if (!core_stamped_since(cache, op->namespace, op->put.tags, token.number))
		return false;
	/* What it computed from may be what was invalidated: as with a delete, the next one computes. */
	lease_revoked(cache->leases, op->row_key, cache->now_ns);
	return true;
}

/* ---- who was told something */

static void
answer_waiter(struct cache *cache, struct parked *parked)
{
	const struct waiter *waiter = &parked->waiter;
	struct answer answer = answer_told(waiter->verdict, waiter->token);

	if (waiter->verdict == LEASE_LOOK) {
		struct change *news = waiter->news;

		parked->op.news = news;
		op_resume(cache, parked);
		if (news)
			change_let_go(news);
		return;
	}
	if (answer.kind == ANSWER_MISS)
		core_count_waited_miss(cache, &parked->op);
	answer_give(&parked->op.later, &answer);
	op_unpark(cache, parked);
}

void
core_answer_told(struct cache *cache)
{
	uint64_t given = cache->given_bytes;
	struct waiter *waiter;

	for (unsigned i = 0; i < TOLD_MAX && cache->given_bytes - given < TOLD_BYTES_MAX;
	     i++) {
		waiter = lease_told(cache->leases);
		if (!waiter)
			return;
		answer_waiter(cache,
			      (struct parked *)(void *)((char *)waiter -
							offsetof(struct parked, waiter)));
	}
}

/* ---- ending one, taking one up again */

/* Where the key's lease is, if there is one. NULL: there can not be. */
static struct namespace *
find_lease_key(struct cache *cache, const struct target *target,
	       uint8_t ret_row_key[static ROW_KEY_SIZE])
{
	struct namespace *namespace =
		names_find(&cache->names, target->uid, target->namespace);

	if (namespace)
		store_row_key(cache->store, namespace->incarnation, target->key,
			      ret_row_key);
	return namespace;
}

int
cache_release(struct cache *cache, const struct target *target,
	      const uint8_t token[static CACHE_TOKEN_SIZE], enum give_up why,
	      struct answer *ret_answer)
{
	uint8_t row_key[ROW_KEY_SIZE];
	struct namespace *namespace = find_lease_key(cache, target, row_key);
	bool live =
		namespace && lease_release(cache->leases, row_key, read_token(token),
					   why == GIVE_UP_CANNOT_BE_KEPT, cache->now_ns);

	core_count_requests(namespace, 1);
	return answer_now(ret_answer,
			  (struct answer){ .kind = live ? ANSWER_DONE : ANSWER_MISS });
}

int
cache_resume(struct cache *cache, const struct target *target, struct peer *peer,
	     const uint8_t token[static CACHE_TOKEN_SIZE], struct answer *ret_answer)
{
	uint8_t row_key[ROW_KEY_SIZE];
	struct token taken_up = read_token(token);
	struct namespace *namespace = find_lease_key(cache, target, row_key);
	bool live = namespace &&
		    lease_resume(cache->leases, row_key, taken_up, peer, cache->now_ns);

	core_count_requests(namespace, 1);
	if (live)
		core_keep_stamps(cache, namespace, taken_up.number);
	return answer_now(ret_answer,
			  (struct answer){ .kind = live ? ANSWER_DONE : ANSWER_MISS });
}
