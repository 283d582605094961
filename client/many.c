/* many.c - many requests in flight on one connection. Owns nothing. One thread at a time.
 *
 * While it works, ret_replies[i].result says where request i stands, and `again` how often it was sent. */
#include <limits.h>

#include "client/calls.h"
#include "client/link.h"

#define WINDOW 256
#define WAITING INT_MIN
#define SENDS_MAX 2
/* A daemon that says GOAWAY to every connection must not hold us for ever. */
#define IDLE_ROUNDS_MAX 3

struct many {
	struct brine *brine;
	const struct brine_request *requests;
	struct brine_reply *replies;
	size_t count;
	size_t next; /* none before it waits to be queued in this round */
	size_t done;
	int lost; /* the last error of a connection that became a request's result */
};

static bool
is_lost(int result)
{
	switch (-result) {
	case BRINE_ERROR_SHUTTING_DOWN:
	case BRINE_ERROR_UNREACHABLE:
	case BRINE_ERROR_TIMED_OUT:
	case BRINE_ERROR_CUT_OFF:
	case BRINE_ERROR_BAD_PEER:
	case BRINE_ERROR_INTERRUPTED:
		return true;
	default:
		return false;
	}
}

static struct brine_request
named(const struct many *many, size_t index)
{
	struct brine_request request = many->requests[index];

	if (!request.namespace_name)
		request.namespace_name = many->brine->namespace_name;
	return request;
}

static int
queue(struct many *many, size_t index)
{
	struct brine_request request = named(many, index);
	struct brine *brine = many->brine;

	return call_result(
		brine, brine_wire_request(brine->wire, &request, index, handle_now_ms()));
}

static void
settle(struct many *many, const struct brine_reply *reply)
{
	many->replies[reply->token] = *reply;
	many->done++;
	if (is_lost(reply->result))
		many->lost = reply->result;
}

/* Queues what the window has room for. Returns 0 or an error of the connection. */
static int
fill(struct many *many)
{
	struct brine_wire *wire = many->brine->wire;
	struct brine_reply refused = { 0 };
	int error;

	for (; many->next < many->count; many->next++) {
		if (many->replies[many->next].result != WAITING)
			continue;
		if (wire->leaving || brine_wire_outstanding(wire) >= WINDOW)
			return 0;
		error = queue(many, many->next);
		if (error == -BRINE_ERROR_BUSY)
			return 0;
		if (wire->error || wire->cut)
			return error;
		if (error) {
			refused.token = many->next;
			refused.result = error;
			settle(many, &refused);
		} else {
			many->replies[many->next].again++;
		}
	}
	return 0;
}

static void
take(struct many *many, struct brine_reply *reply)
{
	struct brine_request request = named(many, reply->token);
	int *sends = &many->replies[reply->token].again;

	call_result(many->brine, reply->result);
	call_note(many->brine, &request, reply);
	if (reply->result == -BRINE_ERROR_SHUTTING_DOWN && reply->again) {
		--*sends; /* nothing was done */
		return;
	}
	/* Still waiting: the next round sends it again, perhaps without what the daemon does not know. */
	if (link_may_repeat(reply) && *sends < SENDS_MAX)
		return;
	if (reply->result == -BRINE_ERROR_UNSUPPORTED && reply->again &&
	    *sends < LACKS_MAX)
		return;
	link_answered(many->brine);
	settle(many, reply);
}

/* One connection's worth. Returns 0 when all is answered, or else an error if going on is of no use,
 * BRINE_MISS if a new connection may help. */
static int
run_round(struct many *many)
{
	struct brine *brine = many->brine;
	struct brine_reply reply;
	int error = link_ready(brine);

	if (error)
		return error;
	many->next = 0;
	for (;;) {
		error = fill(many);
		if (error || link_next(brine, &reply) != 1)
			break;
		take(many, &reply);
	}
	error = brine->wire->error;
	link_settle(brine);
	if (many->done == many->count)
		return 0;
	return error && error != -BRINE_ERROR_SHUTTING_DOWN ? error : BRINE_MISS;
}

static void
fail_rest(struct many *many, int error)
{
	for (size_t i = 0; i < many->count; i++)
		if (many->replies[i].result == WAITING)
			many->replies[i] =
				(struct brine_reply){ .token = i,
						      .result = error,
						      .again = many->replies[i].again ==
							       0 };
}

static void
answer_disabled(struct many *many)
{
	for (size_t i = 0; i < many->count; i++) {
		struct brine_reply *reply = &many->replies[i];

		*reply = (struct brine_reply){ .token = i };
		switch (many->requests[i].command) {
		case BRINE_GET:
			if (many->requests[i].lease)
				reply->lease.state = BRINE_LEASE_ALONE;
			reply->result = BRINE_MISS;
			break;
		case BRINE_META:
		case BRINE_SCAN:
		case BRINE_TAKE:
			reply->result = BRINE_MISS;
			break;
		case BRINE_PING:
		case BRINE_STATS:
		case BRINE_INCR:
			reply->result = -BRINE_ERROR_DISABLED;
			break;
		default:
			reply->result = BRINE_DONE;
		}
	}
}

int
brine_many(struct brine *brine, const struct brine_request *requests, size_t count,
	   struct brine_reply *ret_replies)
{
	struct many many = { brine, requests, ret_replies, count, 0, 0, 0 };
	size_t before;
	int error = 0, idle = 0;

	if (brine->env.disabled) {
		answer_disabled(&many);
		return 0;
	}
	for (size_t i = 0; i < count; i++)
		ret_replies[i] = (struct brine_reply){ .token = i, .result = WAITING };
	while (many.done < count && error >= 0 && idle < IDLE_ROUNDS_MAX) {
		before = many.done;
		error = run_round(&many);
		if (many.done != before || link_await_successor(brine))
			idle = 0;
		else
			idle++;
	}
	if (many.done == count)
		return many.lost;
	if (error >= 0)
		error = -BRINE_ERROR_SHUTTING_DOWN;
	fail_rest(&many, error);
	return error;
}
