/* leases.c - one computes, the others wait. Owns nothing. One thread at a time.
 *
 * Waiting is a request without an answer yet: the wire knows that it may take any time. What is here is what happens
 * when its connection ends. */
#include "client/calls.h"

#include <poll.h>
#include <string.h>

#include "client/link.h"

/* How long the pauses between two tries to connect are: each twice as long as the one before. */
#define PAUSE_FIRST_MS 1
#define PAUSE_MAX_MS 100

struct waiting {
	struct brine *brine;
	struct brine_request request;
	uint64_t until_ms; /* the caller's wait is over; BRINE_NEVER */
	uint64_t
		give_up_ms; /* the connection is lost, and is sought until then; 0: it is not */
	int pause_ms;       /* before the next try; 0: none */
};

/* Puts what is left of the caller's wait into the request. */
static void
shorten(struct waiting *waiting)
{
	uint64_t now_ms = handle_now_ms();

	if (waiting->until_ms != BRINE_NEVER)
		waiting->request.wait_ms = now_ms < waiting->until_ms
						   ? waiting->until_ms - now_ms
						   : BRINE_NO_WAIT;
}

/* The connection ended under a question that was asked at asked_ms. A daemon that ends under each of them is not
 * sought for longer than one that is gone. */
static void
note_loss(struct waiting *waiting, uint64_t asked_ms)
{
	int64_t timeout_ms = waiting->brine->timeout_ms;
	uint64_t patience_ms = timeout_ms < 0 ? BRINE_TIMEOUT_MS : (uint64_t)timeout_ms;
	uint64_t now_ms = handle_now_ms();

	link_close(waiting->brine);
	if (waiting->give_up_ms && now_ms - asked_ms < patience_ms)
		return;
	waiting->give_up_ms = now_ms + patience_ms;
	waiting->pause_ms = 0;
}

/* Returns 0, or the error that ends the waiting. */
static int
pause_before_next(struct waiting *waiting)
{
	struct brine *brine = waiting->brine;

	if (waiting->pause_ms && poll(NULL, 0, waiting->pause_ms) < 0 &&
	    brine->interrupted && brine->interrupted(brine->interrupted_arg))
		return handle_fail(brine, BRINE_ERROR_INTERRUPTED,
				   "the wait for a computation was broken off");
	waiting->pause_ms *= 2;
	if (waiting->pause_ms < PAUSE_FIRST_MS)
		waiting->pause_ms = PAUSE_FIRST_MS;
	if (waiting->pause_ms > PAUSE_MAX_MS)
		waiting->pause_ms = PAUSE_MAX_MS;
	return 0;
}

/* Asks until there is an answer. Returns its result, or an error with *ret_reply untouched. */
static int
wait_for_answer(struct waiting *waiting, struct brine_reply *ret_reply)
{
	struct brine *brine = waiting->brine;
	struct brine_reply reply;
	uint64_t asked_ms;
	int error, result;

	for (;;) {
		asked_ms = handle_now_ms();
		error = call_attempt(brine, &waiting->request, false, &reply);
		result = error ? error : reply.result;
		if (!error && !link_may_repeat(&reply)) {
			*ret_reply = reply;
			return result;
		}
		if (!error)
			note_loss(waiting, asked_ms);
		else if (!waiting->give_up_ms || error != -BRINE_ERROR_UNREACHABLE)
			return error;
		if (handle_now_ms() >= waiting->give_up_ms)
			return result;
		error = pause_before_next(waiting);
		if (error)
			return error;
		brine->retry_at_ms = 0; /* this call may try more often than others */
		shorten(waiting);
	}
}

/* A lease came with a value that could not be received: nobody would compute. The message stays. */
static void
give_back(struct brine *brine, const struct brine_request *request,
	  const struct brine_lease *lease)
{
	char message[HANDLE_MESSAGE_MAX];

	memcpy(message, brine->message, sizeof(message));
	brine_release(brine, request->key, request->key_len, request->namespace_name,
		      lease->token, BRINE_FAILED);
	memcpy(brine->message, message, sizeof(message));
}

static struct brine_request
lease_request(const struct brine *brine, const void *key, size_t key_len,
	      const struct brine_lease_options *options)
{
	static const struct brine_lease_options defaults;
	const struct brine_lease_options *o = options ? options : &defaults;

	return (struct brine_request){
		.command = BRINE_GET,
		.namespace_name =
			o->namespace_name ? o->namespace_name : brine->namespace_name,
		.key = key,
		.key_len = key_len,
		.max_age_ms = o->max_age_ms,
		.not_version = o->not_version,
		.stale_ok = o->stale_ok,
		.lease = o->only_wait ? BRINE_ASK_WAIT : BRINE_ASK_LEASE,
		.holder = o->holder,
		.wait_ms = o->wait_ms,
		.lease_ms = o->lease_ms,
	};
}

int
brine_get_or_lease(struct brine *brine, const void *key, size_t key_len,
		   const struct brine_lease_options *options,
		   struct brine_value **ret_value, struct brine_lease *ret_lease)
{
	struct waiting waiting = { .brine = brine, .until_ms = BRINE_NEVER };
	struct brine_request *request = &waiting.request;
	struct brine_reply reply;
	int result;

	*ret_lease = (struct brine_lease){ .state = BRINE_LEASE_ALONE };
	if (brine->env.disabled)
		return BRINE_MISS;
	*request = lease_request(brine, key, key_len, options);
	if (request->wait_ms && request->wait_ms != BRINE_NO_WAIT)
		waiting.until_ms = handle_now_ms() + request->wait_ms;
	if (waiting.until_ms < request->wait_ms)
		waiting.until_ms = BRINE_NEVER;
	reply.lease.state = BRINE_LEASE_NONE;
	result = wait_for_answer(&waiting, &reply);
	if (result < 0) {
		if (reply.lease.state == BRINE_LEASE_GRANTED)
			give_back(brine, request, &reply.lease);
		return result;
	}
	*ret_lease = reply.lease;
	if (result == BRINE_HIT)
		*ret_value = reply.value;
	return result;
}

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
