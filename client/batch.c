/* batch.c - what is stored together or not at all, and many gets in one answer. Owns nothing. One thread at a time. */
#include <stdlib.h>

#include "client/calls.h"
#include "client/entries.h"
#include "client/many.h"

static bool
has_gets(const struct brine_request *requests, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (requests[i].command == BRINE_GET)
			return true;
	return false;
}

static int
check(struct brine *brine, const struct brine_request *requests, size_t count)
{
	if (count == 0 || count > BRINE_BATCH_ENTRIES)
		return handle_fail(brine, BRINE_ERROR_BAD_ARGUMENT,
				   "a batch has 1 to %d entries, this one %zu",
				   BRINE_BATCH_ENTRIES, count);
	for (size_t i = 1; i < count; i++)
		if ((requests[i].command == BRINE_GET) !=
		    (requests[0].command == BRINE_GET))
			return handle_fail(
				brine, BRINE_ERROR_BAD_ARGUMENT,
				"a batch has either gets or changes (entry %zu)", i);
	return 0;
}

/* Asks for the gets by themselves whose results are BRINE_ALONE. Returns as brine_many() does. */
static int
ask_alone(struct brine *brine, const struct brine_request *requests, size_t count,
	  const char *namespace_name, struct brine_reply *replies)
{
	struct brine_request *alone = calloc(count, sizeof(*alone));
	struct brine_reply *answers = calloc(count, sizeof(*answers));
	size_t left = 0;
	int result = -BRINE_ERROR_LOCAL_MEMORY;

	for (size_t i = 0; alone && answers && i < count; i++)
		if (replies[i].result == BRINE_ALONE) {
			alone[left] = requests[i];
			alone[left++].namespace_name = namespace_name;
		}
	if (alone && answers)
		result = many_each(brine, alone, left, answers);
	else
		handle_fail(brine, BRINE_ERROR_LOCAL_MEMORY, "no memory for a batch");
	for (size_t i = 0, next = 0; i < count; i++)
		if (replies[i].result == BRINE_ALONE) {
			replies[i] = answers && alone
					     ? answers[next++]
					     : (struct brine_reply){ .result = result };
			replies[i].token = i;
		}
	free(alone);
	free(answers);
	return result;
}

static bool
has_alone(const struct brine_reply *replies, size_t count)
{
	for (size_t i = 0; i < count; i++)
		if (replies[i].result == BRINE_ALONE)
			return true;
	return false;
}

static void
fill(struct brine_reply *replies, size_t count, int result)
{
	for (size_t i = 0; i < count; i++)
		replies[i] = (struct brine_reply){ .token = i,
						   .result = result,
						   .entry = BRINE_UNKNOWN };
}

int
brine_batch(struct brine *brine, const struct brine_request *requests, size_t count,
	    const char *namespace_name, uint8_t ack, struct brine_reply *ret_replies,
	    uint64_t *ret_entry)
{
	bool gets = has_gets(requests, count);
	uint64_t entry = BRINE_UNKNOWN;
	int result = check(brine, requests, count);

	if (!result && brine->env.disabled) {
		fill(ret_replies, count, gets ? BRINE_MISS : BRINE_DONE);
		return BRINE_DONE;
	}
	if (!result)
		result = entries_exchange(brine, requests, count, namespace_name, ack,
					  ret_replies, &entry);
	if (result)
		fill(ret_replies, count, result);
	/* Gets need not be together: an older daemon is asked for each. */
	if (gets && result == -BRINE_ERROR_UNSUPPORTED) {
		fill(ret_replies, count, BRINE_ALONE);
		result = BRINE_DONE;
	}
	if (gets && result == BRINE_DONE && has_alone(ret_replies, count))
		result = ask_alone(brine, requests, count, namespace_name, ret_replies);
	if (ret_entry)
		*ret_entry = entry;
	return result;
}
