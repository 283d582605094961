/* entries.c - the body of a BATCH and of its answer, and the exchange of both. Owns the body while it is sent. One thread
 * at a time. */
#include "client/entries.h"

#include <stdlib.h>
#include <string.h>

#include "client/calls.h"
#include "client/value.h"
#include "proto/batch.h"

/* More than all numbers of an entry's header take. */
#define NUMBERS_MAX 128
#define F(name) (1ull << FIELD_##name)
/* What belongs to the batch as a whole, or is said by the entry itself. */
#define NOT_OF_ENTRIES (F(NAMESPACE) | F(ACK) | F(LENGTH))

_Static_assert(BRINE_BATCH_SIZE == BATCH_SIZE_MAX, "batch.h");
_Static_assert(BRINE_BATCH_ENTRIES == BATCH_ENTRIES_MAX, "batch.h");

/* ---- out */

static size_t
value_len(const struct brine_request *request)
{
	return request->command == BRINE_PUT ? request->value_len : 0;
}

/* Returns 0, or an error and why. */
static int
check_entry(const struct brine_request *request, const char **ret_why)
{
	switch (request->command) {
	case BRINE_GET:
		if (!request->lease && !request->refresh_ms)
			return 0;
		*ret_why = "in a batch a get has neither a lease nor a new time to live";
		return -BRINE_ERROR_BAD_ARGUMENT;
	case BRINE_DELETE:
		return 0;
	case BRINE_PUT:
		*ret_why = "in a batch a put has no token, and no value for an answer";
		if (request->token || request->or_get)
			return -BRINE_ERROR_BAD_ARGUMENT;
		*ret_why = "a value in a batch is larger than 1 MiB";
		return request->value_len > FRAME_SEGMENT_MAX ? -BRINE_ERROR_TOO_LARGE
							      : 0;
	default:
		*ret_why = "a batch has gets, or puts and deletes";
		return -BRINE_ERROR_BAD_ARGUMENT;
	}
}

static int
add_entry(uint8_t *body, size_t size, size_t *len, const struct brine_request *request,
	  const char **ret_why)
{
	struct message message;
	size_t header, value = value_len(request);
	int error = check_entry(request, ret_why);

	if (!error)
		error = request_message(request, &message, ret_why);
	if (error)
		return error;
	message.present[0] &= ~NOT_OF_ENTRIES;
	*ret_why = "the batch is longer than 8 MiB";
	if (size - *len < BATCH_HEAD || value > size - *len - BATCH_HEAD)
		return -BRINE_ERROR_BUSY;
	header = message_encode(&message, body + *len + BATCH_HEAD,
				size - *len - BATCH_HEAD - value);
	if (header == 0)
		return -BRINE_ERROR_BUSY;
	batch_write_head(body + *len, (uint8_t)request->command, header, value);
	*len += BATCH_HEAD + header;
	if (value)
		memcpy(body + *len, request->value, value);
	*len += value;
	return BRINE_DONE;
}

int
brine_batch_add(void *body, size_t size, size_t *len, const struct brine_request *request)
{
	const char *why;

	return add_entry(body, size < BATCH_SIZE_MAX ? size : BATCH_SIZE_MAX, len,
			 request, &why);
}

/* ---- in */

static int
take_value(const struct message *message, struct slice bytes, struct brine_reply *reply)
{
	if (!message_has(message, FIELD_LENGTH))
		return bytes.len ? -BRINE_ERROR_BAD_PEER : 0;
	if (message->length != bytes.len)
		return -BRINE_ERROR_BAD_PEER;
	reply->value = value_new(bytes.len);
	if (!reply->value)
		return -BRINE_ERROR_LOCAL_MEMORY;
	if (bytes.len)
		memcpy(reply->value->data, bytes.data, bytes.len);
	reply->value->meta = reply->meta;
	return 0;
}

int
brine_batch_next(const struct brine_value *answer, size_t *position,
		 struct brine_reply *ret_reply)
{
	struct brine_reply reply = { .entry = BRINE_UNKNOWN };
	struct batch_entry entry;
	struct message message;
	unsigned unknown;
	size_t at = *position;
	int more = batch_next(slice(answer->data, answer->len), &at, &entry);

	if (more == 0)
		return BRINE_MISS;
	if (more < 0 || entry.kind != FRAME_REPLY ||
	    message_decode(entry.header, &message, &unknown) == MESSAGE_MALFORMED ||
	    message.status > BRINE_ALONE)
		return -BRINE_ERROR_BAD_PEER;
	reply.result = (int)message.status;
	answer_meta(&message, &reply.meta);
	if (reply.result == BRINE_HIT)
		more = take_value(&message, entry.value, &reply);
	if (more < 0)
		return more;
	*position = at;
	*ret_reply = reply;
	return BRINE_HIT;
}

/* ---- there and back */

static size_t
size_needed(const struct brine_request *requests, size_t count)
{
	size_t size = 0;

	for (size_t i = 0; i < count && size <= BATCH_SIZE_MAX; i++)
		size += BATCH_HEAD + NUMBERS_MAX + requests[i].key_len +
			(requests[i].command == BRINE_PUT ? requests[i].tags_len : 0) +
			value_len(&requests[i]);
	return size < BATCH_SIZE_MAX ? size : BATCH_SIZE_MAX;
}

static int
write_body(struct brine *brine, const struct brine_request *requests, size_t count,
	   uint8_t *body, size_t size, struct brine_request *batch, uint64_t *ret_entry)
{
	const char *why = "";
	int error;

	for (size_t i = 0; i < count; i++) {
		error = add_entry(body, size, &batch->value_len, &requests[i], &why);
		if (error) {
			*ret_entry = i;
			return handle_fail(brine,
					   error == -BRINE_ERROR_BUSY
						   ? BRINE_ERROR_TOO_LARGE
						   : -error,
					   "%s (entry %zu)", why, i);
		}
		if (requests[i].command == BRINE_PUT && requests[i].condition)
			batch->condition = requests[i].condition;
		if (requests[i].command == BRINE_DELETE && requests[i].version)
			batch->condition = BRINE_IF_VERSION;
	}
	return 0;
}

/* Returns BRINE_DONE or an error; the replies that were filled then are released. */
static int
read_body(const struct brine_request *requests, size_t count,
	  const struct brine_value *answer, struct brine_reply *replies)
{
	size_t position = 0, filled = 0;
	int result = BRINE_HIT;

	for (; result == BRINE_HIT && filled < count; filled += result == BRINE_HIT) {
		struct brine_reply *reply = &replies[filled];

		result = brine_batch_next(answer, &position, reply);
		if (result != BRINE_HIT)
			break;
		reply->token = filled;
		if ((requests[filled].command == BRINE_GET &&
		     reply->result == BRINE_HIT) != (reply->value != NULL)) {
			filled++;
			result = -BRINE_ERROR_BAD_PEER;
			break;
		}
	}
	if (result == BRINE_HIT && position == answer->len)
		return BRINE_DONE;
	brine_replies_release(replies, filled);
	return result < 0 ? result : -BRINE_ERROR_BAD_PEER;
}

static int
take_answer(struct brine *brine, const struct brine_request *requests, size_t count,
	    struct brine_reply *answer, struct brine_reply *ret_replies)
{
	int result = answer->value
			     ? read_body(requests, count, answer->value, ret_replies)
			     : -BRINE_ERROR_BAD_PEER;

	brine_value_release(&answer->value);
	if (result == -BRINE_ERROR_BAD_PEER)
		return handle_fail(brine, BRINE_ERROR_BAD_PEER,
				   "the daemon's answer to a batch is malformed (%s)",
				   brine->place.path);
	if (result)
		return handle_fail(brine, -result, "no memory for the values of a batch");
	return BRINE_DONE;
}

int
entries_exchange(struct brine *brine, const struct brine_request *requests, size_t count,
		 const char *namespace_name, uint8_t ack, struct brine_reply *ret_replies,
		 uint64_t *ret_entry)
{
	size_t size = size_needed(requests, count);
	struct brine_request batch = { .command = BRINE_BATCH,
				       .namespace_name = namespace_name,
				       .ack = ack };
	struct brine_reply answer;
	uint8_t *body = malloc(size);
	int result;

	*ret_entry = BRINE_UNKNOWN;
	if (!body)
		return handle_fail(brine, BRINE_ERROR_LOCAL_MEMORY,
				   "no memory for a batch of %zu bytes", size);
	batch.value = body;
	result = write_body(brine, requests, count, body, size, &batch, ret_entry);
	if (!result) {
		answer.entry = BRINE_UNKNOWN;
		result = call_request(brine, &batch, false, &answer);
		if (result >= 0)
			result =
				take_answer(brine, requests, count, &answer, ret_replies);
		else
			*ret_entry = answer.entry;
	}
	free(body);
	return result;
}
