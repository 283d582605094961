/* found.c - a put that is answered with what it found: in one request, or, by an older daemon, in several. Owns nothing.
 * One thread at a time. */
#include "client/calls.h"
#include "proto/message.h"

/* With an older daemon: each round that fails was overtaken by somebody else's change. */
#define ROUNDS_MAX 100

/* Does the daemon know no such put? What else it may not know, a plain put would not know either. */
static bool
is_lacking(const struct brine_reply *reply, int result)
{
	return result == -BRINE_ERROR_UNSUPPORTED &&
	       (reply->detail == FIELD_OR_GET || reply->detail == FIELD_NOT_VERSION);
}

/* Looks, and stores on what it saw. BRINE_HIT, BRINE_MISS, or what kept it from storing. */
static int
look_and_store(struct brine *brine, struct brine_request *put,
	       struct brine_value **ret_value)
{
	struct brine_get_options options = { .namespace_name = put->namespace_name,
					     .not_version = put->not_version };
	struct brine_reply reply;
	int result = brine_get(brine, put->key, put->key_len, &options, ret_value);

	if (result != BRINE_MISS)
		return result;
	put->condition = put->not_version ? BRINE_IF_VERSION : BRINE_IF_ABSENT;
	put->version = put->not_version;
	result = call_request(brine, put, false, &reply);
	if (result == -BRINE_ERROR_ABSENT)
		put->not_version = 0;
	return result == BRINE_DONE ? BRINE_MISS : result;
}

static int
step_by_step(struct brine *brine, const struct brine_request *request,
	     struct brine_value **ret_value)
{
	struct brine_request put = *request;
	int result = BRINE_MISS;

	put.or_get = 0;
	for (int left = ROUNDS_MAX; left; left--) {
		result = look_and_store(brine, &put, ret_value);
		if (result >= 0 || brine_error_class(result) != BRINE_CONDITION)
			return result;
	}
	return handle_fail(brine, -result, "others change this key all the time");
}

int
brine_put_or_get(struct brine *brine, const void *key, size_t key_len, const void *value,
		 size_t value_len, const struct brine_put_options *options,
		 uint64_t not_version, struct brine_value **ret_value)
{
	struct brine_request request = request_of_put(key, key_len, options);
	struct brine_reply reply = { 0 };
	int result;

	if (brine->env.disabled)
		return BRINE_MISS;
	request.value = value;
	request.value_len = value_len;
	request.condition = BRINE_IF_ABSENT;
	request.or_get = 1;
	request.not_version = not_version;
	result = call_request(brine, &request, false, &reply);
	if (result == -BRINE_ERROR_DAMAGED && reply.meta.version) {
		/* It is nobody's value any more. */
		request.not_version = reply.meta.version;
		result = call_request(brine, &request, false, &reply);
	}
	if (is_lacking(&reply, result))
		return call_size(brine, step_by_step(brine, &request, ret_value),
				 value_len);
	if (result == BRINE_HIT)
		*ret_value = reply.value;
	return call_size(brine, result, value_len);
}
