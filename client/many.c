/* many.c - many requests in flight on one connection. Owns nothing. One thread at a time.
 *
 * Runs of small ones that are alike go as one frame; what is left of them, and all others, go by themselves, one
 * behind the other. While it works, ret_replies[i].result says where request i stands, `again` how often it was sent by
 * itself, and `detail` whether the connection broke under it. */
#include "client/many.h"

#include <limits.h>
#include <string.h>

#include "client/calls.h"
#include "client/entries.h"
#include "client/link.h"

#define WINDOW 256
#define WAITING INT_MIN
#define SENDS_MAX 2
/* A daemon that says GOAWAY to every connection must not hold us for ever. */
#define IDLE_ROUNDS_MAX 3
/* What makes a run: fewer requests gain nothing, and others shall not wait for a long one. */
#define RUN_MIN 16
#define RUN_MAX 256
#define RUN_VALUE_MAX 65536u
#define RUN_BYTES_MAX (1u << 20)

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

/* What the request comes to, all its sendings taken together. */
static int
final(const struct many *many, size_t index, int result)
{
	if (!many->replies[index].detail)
		return result;
	return call_after_cut(many->brine, &many->requests[index], result);
}

static void
settle(struct many *many, const struct brine_reply *reply)
{
	int result = final(many, reply->token, reply->result);

	many->replies[reply->token] = *reply;
	many->replies[reply->token].result = result;
	many->done++;
	if (!is_lost(result))
		return;
	many->lost = result;
	if (many->requests[reply->token].token)
		held_forget(&many->brine->held, many->requests[reply->token].token);
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
	if (link_may_repeat(reply) && *sends < SENDS_MAX) {
		many->replies[reply->token].detail |=
			reply->result == -BRINE_ERROR_CUT_OFF;
		return;
	}
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
						      .result = final(many, i, error),
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
		case BRINE_PUT:
			reply->result =
				many->requests[i].or_get ? BRINE_MISS : BRINE_DONE;
			break;
		case BRINE_META:
		case BRINE_SCAN:
		case BRINE_TAKE:
			reply->result = BRINE_MISS;
			break;
		case BRINE_PING:
		case BRINE_STATS:
		case BRINE_CONFIG:
		case BRINE_VERIFY:
		case BRINE_INCR:
			reply->result = -BRINE_ERROR_DISABLED;
			break;
		default:
			reply->result = BRINE_DONE;
		}
	}
}

/* ---- runs */

/* A batch is stored or refused as a whole: only what has no condition means the same in it. */
static bool
fits_run(const struct brine_request *request)
{
	switch (request->command) {
	case BRINE_GET:
		return !request->lease && !request->refresh_ms;
	case BRINE_PUT:
		return request->condition == BRINE_ALWAYS && !request->token &&
		       request->value_len <= RUN_VALUE_MAX;
	case BRINE_DELETE:
		return !request->version;
	default:
		return false;
	}
}

static bool
alike(const struct many *many, size_t one, size_t other)
{
	struct brine_request a = named(many, one), b = named(many, other);

	return a.command == b.command && a.ack == b.ack &&
	       (a.namespace_name == b.namespace_name ||
		strcmp(a.namespace_name, b.namespace_name) == 0);
}

/* Where the run that begins here ends; at least one further. */
static size_t
run_end(const struct many *many, size_t first)
{
	size_t end = first, bytes = 0;

	for (; end < many->count && end - first < RUN_MAX; end++) {
		const struct brine_request *request = &many->requests[end];

		if (!fits_run(request) || !alike(many, first, end))
			break;
		bytes += request->command == BRINE_PUT ? request->value_len : 0;
		if (bytes > RUN_BYTES_MAX)
			break;
	}
	return end > first ? end : first + 1;
}

/* The run was answered, but for what is to be asked alone. */
static void
settle_run(struct many *many, size_t first, size_t end)
{
	struct brine_reply reply;

	for (size_t i = first; i < end; i++) {
		reply = many->replies[i];
		reply.token = i;
		if (reply.result == BRINE_ALONE)
			many->replies[i] =
				(struct brine_reply){ .token = i, .result = WAITING };
		else
			settle(many, &reply);
	}
}

static void
fail_run(struct many *many, size_t first, size_t end, int error)
{
	for (size_t i = first; i < end; i++)
		settle(many, &(struct brine_reply){ .token = i,
						    .result = error,
						    .again = 1,
						    .entry = BRINE_UNKNOWN });
}

/* Asks for one run. Returns 0, or an error if going on is of no use; what was refused goes by itself later. */
static int
ask_run(struct many *many, size_t first, size_t end)
{
	struct brine_request like = named(many, first);
	uint64_t entry;
	int result = entries_exchange(many->brine, many->requests + first, end - first,
				      like.namespace_name, like.ack,
				      many->replies + first, &entry);

	if (result == BRINE_DONE)
		settle_run(many, first, end);
	else if (result == -BRINE_ERROR_CUT_OFF) /* twice */
		fail_run(many, first, end, result);
	else if (is_lost(result))
		return result;
	return 0;
}

static int
ask_runs(struct many *many)
{
	struct brine *brine = many->brine;
	size_t end;
	int error = 0;

	for (size_t first = 0; first < many->count && !error; first = end) {
		end = run_end(many, first);
		if (end - first < RUN_MIN)
			continue;
		if (brine->wire && lacks_command(&brine->wire->lacks, BRINE_BATCH))
			break;
		error = ask_run(many, first, end);
	}
	return error;
}

/* ---- all of them */

static int
run_many(struct many *many, bool runs)
{
	size_t before;
	int error, more, idle = 0;

	if (many->brine->env.disabled) {
		answer_disabled(many);
		return 0;
	}
	for (size_t i = 0; i < many->count; i++)
		many->replies[i] = (struct brine_reply){ .token = i, .result = WAITING };
	error = runs ? ask_runs(many) : 0;
	while (many->done < many->count && error >= 0 && idle < IDLE_ROUNDS_MAX) {
		before = many->done;
		error = run_round(many);
		more = error < 0 || many->done != before
			       ? 1
			       : link_await_successor(many->brine);
		if (more < 0)
			error = more;
		idle = more ? 0 : idle + 1;
	}
	if (many->done == many->count)
		return many->lost;
	if (error >= 0)
		error = -BRINE_ERROR_SHUTTING_DOWN;
	fail_rest(many, error);
	return error;
}

int
many_each(struct brine *brine, const struct brine_request *requests, size_t count,
	  struct brine_reply *ret_replies)
{
	struct many many = { brine, requests, ret_replies, count, 0, 0, 0 };

	return run_many(&many, false);
}

int
brine_many(struct brine *brine, const struct brine_request *requests, size_t count,
	   struct brine_reply *ret_replies)
{
	struct many many = { brine, requests, ret_replies, count, 0, 0, 0 };

	return run_many(&many, true);
}
