/* test_client_batch.c - many requests in one frame: brine_batch(), and what brine_many() makes of small ones. The daemon
 * is played. */
#include "tests/unit/unit.h"

#include <string.h>

#include "client/brine.h"
#include "proto/batch.h"
#include "proto/errors.h"
#include "tests/unit/fake.h"

#define MANY 40

static struct brine *
open_at(const char *path)
{
	struct brine_options options = { .socket = path };
	struct brine *brine;

	assert_int_equal(brine_open(&options, &brine), 0);
	return brine;
}

/* ---- a daemon that knows batches: a key that begins with m is missing, one with a is to be asked for alone, one with c
 * has another version; every other one is there, and its value is the key. */

struct seen {
	atomic_int batches, entries, singles;
	int refuse; /* this error for a whole batch that holds a key with c */
};

static void
add(uint8_t *body, size_t *len, const struct message *message, struct slice value)
{
	size_t header = message_encode(message, body + *len + BATCH_HEAD, 4096);

	batch_write_head(body + *len, FRAME_REPLY, header, value.len);
	*len += BATCH_HEAD + header;
	if (value.len)
		memcpy(body + *len, value.data, value.len);
	*len += value.len;
}

static void
answer_entry(unsigned kind, struct slice key, uint64_t version, uint8_t *body,
	     size_t *len)
{
	char first = *(const char *)key.data;
	struct message message = { 0 };
	struct slice value = { 0 };

	if (first == 'm' || first == 'a') {
		MESSAGE_SET(&message, STATUS, status, first == 'm' ? 1 : 2);
	} else if (kind == COMMAND_GET) {
		value = first == 'e' ? value : key; /* e: an empty value */
		MESSAGE_SET(&message, LENGTH, length, value.len);
		MESSAGE_SET(&message, VERSION, version, version);
	} else if (kind == COMMAND_PUT) {
		MESSAGE_SET(&message, VERSION, version, version);
	} else {
		MESSAGE_SET(&message, STATUS, status, STATUS_DONE);
	}
	add(body, len, &message, value);
}

static bool
refuses(struct fake *fake, const struct fake_request *request, struct slice key,
	uint64_t index)
{
	struct seen *seen = fake->arg;
	struct message message = { 0 };

	if (!seen->refuse || *(const char *)key.data != 'c')
		return false;
	MESSAGE_SET(&message, ERROR, error, (uint64_t)seen->refuse);
	MESSAGE_SET(&message, ENTRY, entry, index);
	fake_reply(request, FRAME_ERROR, &message, NULL, 0);
	return true;
}

static void
answer_batch(struct fake *fake, const struct fake_request *request)
{
	struct seen *seen = fake->arg;
	struct slice body = slice(request->body, request->body_len);
	uint8_t *answer = malloc(1 << 20);
	struct message message = { 0 }, entry_message;
	struct batch_entry entry;
	size_t position = 0, len = 0;
	uint64_t count = 0;
	unsigned unknown;

	atomic_fetch_add(&seen->batches, 1);
	while (batch_next(body, &position, &entry) == 1) {
		if (message_decode(entry.header, &entry_message, &unknown) !=
			    MESSAGE_OK ||
		    message_has(&entry_message, FIELD_NAMESPACE) ||
		    message_has(&entry_message, FIELD_ACK) ||
		    message_has(&entry_message, FIELD_LENGTH))
			abort();
		if (refuses(fake, request, entry_message.key, count)) {
			free(answer);
			return;
		}
		answer_entry(entry.kind, entry_message.key, 100 + count, answer, &len);
		atomic_fetch_add(&seen->entries, 1);
		count++;
	}
	MESSAGE_SET(&message, COUNT, count, count);
	fake_reply(request, FRAME_REPLY, &message, answer, len);
	free(answer);
}

static enum fake_does
knows_batches(struct fake *fake, const struct fake_request *request)
{
	struct seen *seen = fake->arg;

	if (request->frame.kind != COMMAND_BATCH) {
		atomic_fetch_add(&seen->singles, 1);
		return FAKE_ANSWERS;
	}
	answer_batch(fake, request);
	return FAKE_DOES_NOT;
}

static void
start(struct fake *fake, struct seen *seen, fake_hook *hook)
{
	memset(seen, 0, sizeof(*seen));
	fake_start(fake, NULL, hook);
	fake->arg = seen;
}

/* count requests; all have keys that begin with `first`. */
static void
make(struct brine_request *requests, char (*keys)[8], size_t count, char first,
     enum brine_command command)
{
	memset(requests, 0, count * sizeof(*requests));
	for (size_t i = 0; i < count; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%c%zu", first, i);
		requests[i].command = command;
		requests[i].key = keys[i];
		requests[i].key_len = strlen(keys[i]);
		requests[i].value = "value";
		requests[i].value_len = 5;
	}
}

/* ---- brine_batch() */

static void
a_batch_is_one_frame_whose_answers_stand_in_order(void **state)
{
	static const char *const keys[] = { "one", "missing", "empty", "four" };
	struct brine_request requests[4] = { 0 };
	struct brine_reply replies[4];
	struct seen seen;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &seen, knows_batches);
	brine = open_at(fake.path);
	for (size_t i = 0; i < 4; i++)
		requests[i] = (struct brine_request){ .command = BRINE_GET,
						      .namespace_name = "ignored",
						      .key = keys[i],
						      .key_len = strlen(keys[i]) };
	assert_int_equal(brine_batch(brine, requests, 4, "web", 0, replies, NULL), 0);
	assert_int_equal(replies[0].result, BRINE_HIT);
	assert_string_equal(brine_value_data(replies[0].value), "one");
	assert_int_equal(brine_value_meta(replies[0].value)->version, 100);
	assert_int_equal(replies[1].result, BRINE_MISS);
	assert_null(replies[1].value);
	assert_int_equal(replies[2].result, BRINE_HIT);
	assert_int_equal(brine_value_len(replies[2].value), 0);
	assert_string_equal(brine_value_data(replies[3].value), "four");
	assert_int_equal(replies[3].token, 3);
	brine_replies_release(replies, 4);
	for (size_t i = 0; i < 4; i++)
		requests[i].command = i % 2 ? BRINE_DELETE : BRINE_PUT;
	assert_int_equal(
		brine_batch(brine, requests, 4, NULL, BRINE_ACK_DISK, replies, NULL), 0);
	assert_int_equal(replies[0].result, BRINE_DONE);
	assert_int_equal(replies[0].meta.version, 100);
	assert_int_equal(replies[1].result, BRINE_MISS);
	assert_int_equal(replies[3].result, BRINE_DONE);
	assert_int_equal(seen.batches, 2);
	assert_int_equal(seen.singles, 0);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
what_a_batch_leaves_out_is_asked_for_alone(void **state)
{
	static const char *const keys[] = { "one", "alone", "ahead" };
	struct brine_request requests[3] = { 0 };
	struct brine_reply replies[3];
	struct seen seen;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &seen, knows_batches);
	brine = open_at(fake.path);
	assert_int_equal(brine_put(brine, "alone", 5, "long", 4, NULL, NULL), 0);
	for (size_t i = 0; i < 3; i++)
		requests[i] = (struct brine_request){ .command = BRINE_GET,
						      .key = keys[i],
						      .key_len = strlen(keys[i]) };
	assert_int_equal(brine_batch(brine, requests, 3, NULL, 0, replies, NULL), 0);
	assert_string_equal(brine_value_data(replies[0].value), "one");
	assert_string_equal(brine_value_data(replies[1].value), "long");
	assert_int_equal(replies[1].token, 1);
	assert_int_equal(replies[2].result, BRINE_MISS);
	assert_int_equal(seen.singles, 3);
	brine_replies_release(replies, 3);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_refused_batch_names_the_entry_and_nothing_is_stored(void **state)
{
	struct brine_request requests[3];
	struct brine_reply replies[3];
	struct seen seen;
	struct fake fake;
	struct brine *brine;
	uint64_t entry = 7;
	char keys[3][8];

	(void)state;
	start(&fake, &seen, knows_batches);
	seen.refuse = ERROR_CHANGED;
	brine = open_at(fake.path);
	make(requests, keys, 3, 'k', BRINE_PUT);
	requests[2].key = "changed";
	requests[2].key_len = 7;
	requests[2].condition = BRINE_IF_VERSION;
	assert_int_equal(brine_batch(brine, requests, 3, NULL, 0, replies, &entry),
			 -BRINE_ERROR_CHANGED);
	assert_int_equal(entry, 2);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(replies[i].result, -BRINE_ERROR_CHANGED);
	assert_non_null(strstr(brine_message(brine), "(entry 2)"));
	assert_int_equal(seen.singles, 0);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
what_no_batch_can_hold_is_refused_before_it_is_sent(void **state)
{
	static struct brine_request requests[BRINE_BATCH_ENTRIES + 1];
	static struct brine_reply replies[BRINE_BATCH_ENTRIES + 1];
	static char keys[BRINE_BATCH_ENTRIES + 1][8];
	static char large[FRAME_SEGMENT_MAX + 1];
	struct seen seen;
	struct fake fake;
	struct brine *brine;
	uint64_t entry = 7;

	(void)state;
	start(&fake, &seen, knows_batches);
	brine = open_at(fake.path);
	make(requests, keys, BRINE_BATCH_ENTRIES + 1, 'k', BRINE_PUT);
	assert_int_equal(brine_batch(brine, requests, 0, NULL, 0, replies, &entry),
			 -BRINE_ERROR_BAD_ARGUMENT);
	assert_true(entry == BRINE_UNKNOWN);
	assert_int_equal(brine_batch(brine, requests, BRINE_BATCH_ENTRIES + 1, NULL, 0,
				     replies, NULL),
			 -BRINE_ERROR_BAD_ARGUMENT);
	requests[1].command = BRINE_GET;
	assert_int_equal(brine_batch(brine, requests, 2, NULL, 0, replies, NULL),
			 -BRINE_ERROR_BAD_ARGUMENT);
	requests[0].command = BRINE_GET;
	requests[0].lease = BRINE_ASK_LEASE;
	assert_int_equal(brine_batch(brine, requests, 2, NULL, 0, replies, NULL),
			 -BRINE_ERROR_BAD_ARGUMENT);
	requests[0].command = BRINE_TOUCH;
	requests[1].command = BRINE_PUT;
	assert_int_equal(brine_batch(brine, requests, 2, NULL, 0, replies, NULL),
			 -BRINE_ERROR_BAD_ARGUMENT);
	requests[0].command = BRINE_PUT;
	requests[1].value = large;
	requests[1].value_len = sizeof(large);
	assert_int_equal(brine_batch(brine, requests, 2, NULL, 0, replies, &entry),
			 -BRINE_ERROR_TOO_LARGE);
	assert_int_equal(entry, 1);
	for (size_t i = 0; i < 9; i++) {
		requests[i].value = large;
		requests[i].value_len = FRAME_SEGMENT_MAX;
	}
	assert_int_equal(brine_batch(brine, requests, 9, NULL, 0, replies, &entry),
			 -BRINE_ERROR_TOO_LARGE);
	assert_int_equal(entry, 7);
	assert_int_equal(replies[8].result, -BRINE_ERROR_TOO_LARGE);
	requests[0].key_len = 0;
	assert_int_equal(brine_batch(brine, requests, 1, NULL, 0, replies, &entry),
			 -BRINE_ERROR_BAD_KEY);
	assert_int_equal(entry, 0);
	assert_int_equal(atomic_load(&fake.requests), 0);
	/* And just what one can hold is sent, in several segments. */
	make(requests, keys, 7, 'k', BRINE_PUT);
	for (size_t i = 0; i < 7; i++) {
		requests[i].value = large;
		requests[i].value_len = FRAME_SEGMENT_MAX;
	}
	assert_int_equal(brine_batch(brine, requests, 7, NULL, 0, replies, NULL), 0);
	make(requests, keys, BRINE_BATCH_ENTRIES, 'k', BRINE_GET);
	assert_int_equal(
		brine_batch(brine, requests, BRINE_BATCH_ENTRIES, NULL, 0, replies, NULL),
		0);
	assert_string_equal(brine_value_data(replies[1023].value), "k1023");
	brine_replies_release(replies, BRINE_BATCH_ENTRIES);
	brine_close(&brine);
	fake_stop(&fake);
}

/* Cuts the first connection under a batch. */
static enum fake_does
cuts_first(struct fake *fake, const struct fake_request *request)
{
	if (request->frame.kind == COMMAND_BATCH &&
	    atomic_fetch_add(&fake->stage, 1) == 0)
		return FAKE_CLOSES;
	return knows_batches(fake, request);
}

static void
a_batch_with_a_condition_is_never_sent_twice(void **state)
{
	struct brine_request requests[2];
	struct brine_reply replies[2];
	struct seen seen;
	struct fake fake;
	struct brine *brine;
	char keys[2][8];

	(void)state;
	for (int condition = 0; condition < 3; condition++) {
		start(&fake, &seen, cuts_first);
		brine = open_at(fake.path);
		make(requests, keys, 2, 'k', BRINE_PUT);
		if (condition == 1)
			requests[1].condition = BRINE_IF_ABSENT;
		if (condition == 2) {
			requests[1].command = BRINE_DELETE;
			requests[1].version = 9;
		}
		assert_int_equal(brine_batch(brine, requests, 2, NULL, 0, replies, NULL),
				 condition ? -BRINE_ERROR_CUT_OFF : 0);
		assert_int_equal(replies[0].result, condition ? -BRINE_ERROR_CUT_OFF : 0);
		assert_int_equal(seen.batches, condition ? 0 : 1);
		brine_close(&brine);
		fake_stop(&fake);
	}
}

static void
an_older_daemon_is_asked_for_each_get_and_refuses_changes(void **state)
{
	struct brine_request requests[3];
	struct brine_reply replies[3];
	struct fake fake;
	struct brine *brine;
	char keys[3][8];

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(fake.path);
	make(requests, keys, 3, 'k', BRINE_GET);
	assert_int_equal(brine_put(brine, "k1", 2, "there", 5, NULL, NULL), 0);
	assert_int_equal(brine_batch(brine, requests, 3, NULL, 0, replies, NULL), 0);
	assert_int_equal(replies[0].result, BRINE_MISS);
	assert_string_equal(brine_value_data(replies[1].value), "there");
	brine_replies_release(replies, 3);
	make(requests, keys, 3, 'k', BRINE_PUT);
	assert_int_equal(brine_batch(brine, requests, 3, NULL, 0, replies, NULL),
			 -BRINE_ERROR_UNSUPPORTED);
	brine_close(&brine);
	fake_stop(&fake);
}

/* What a daemon must not answer; `stage` says which. */
static enum fake_does
lies(struct fake *fake, const struct fake_request *request)
{
	struct message message = { 0 }, hit = { 0 };
	uint8_t body[256];
	size_t len = 0;

	if (request->frame.kind != COMMAND_BATCH)
		return FAKE_ANSWERS;
	MESSAGE_SET(&hit, LENGTH, length, 3);
	add(body, &len, &hit, slice("one", 3));
	switch (atomic_load(&fake->stage)) {
	case 0: /* one entry too few */
		break;
	case 1: /* one too many */
		add(body, &len, &hit, slice("two", 3));
		add(body, &len, &hit, slice("two", 3));
		break;
	case 2: /* another length than it says */
		add(body, &len, &hit, slice("four", 4));
		break;
	case 3: /* half an entry */
		add(body, &len, &hit, slice("two", 3));
		len--;
		break;
	case 4: /* a hit without a value */
		add(body, &len, &(struct message){ 0 }, slice(NULL, 0));
		break;
	case 5: /* a status that there is not */
		MESSAGE_SET(&hit, STATUS, status, 3);
		add(body, &len, &hit, slice(NULL, 0));
		break;
	case 6: /* no entry at all */
		len = 0;
		break;
	case 7: /* no body at all */
		fake_reply(request, FRAME_REPLY, &message, NULL, 0);
		return FAKE_DOES_NOT;
	case 8: /* a header that is none */
		memset(body, 0xc1, sizeof(body));
		batch_write_head(body, FRAME_REPLY, 8, 0);
		len = BATCH_HEAD + 8;
		break;
	case 9: /* a request */
		body[0] = COMMAND_GET;
		add(body, &len, &hit, slice("two", 3));
		break;
	}
	fake_reply(request, FRAME_REPLY, &message, body, len);
	return FAKE_DOES_NOT;
}

static void
a_malformed_answer_is_an_outage_and_leaves_no_value(void **state)
{
	struct brine_request requests[2];
	struct brine_reply replies[2];
	struct fake fake;
	struct brine *brine;
	char keys[2][8];

	(void)state;
	fake_start(&fake, NULL, lies);
	brine = open_at(fake.path);
	make(requests, keys, 2, 'k', BRINE_GET);
	for (int stage = 0; stage < 10; stage++) {
		atomic_store(&fake.stage, stage);
		assert_int_equal(brine_batch(brine, requests, 2, NULL, 0, replies, NULL),
				 -BRINE_ERROR_BAD_PEER);
		assert_int_equal(replies[0].result, -BRINE_ERROR_BAD_PEER);
		assert_null(replies[0].value);
		assert_non_null(strstr(brine_message(brine), "malformed"));
	}
	brine_close(&brine);
	fake_stop(&fake);
}

/* ---- brine_many() */

static void
many_small_requests_that_are_alike_share_a_frame(void **state)
{
	struct brine_request requests[3 * MANY];
	struct brine_reply replies[3 * MANY];
	char keys[3 * MANY][8];
	struct seen seen;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &seen, knows_batches);
	brine = open_at(fake.path);
	make(requests, keys, MANY, 'k', BRINE_PUT);
	make(requests + MANY, keys + MANY, MANY, 'k', BRINE_GET);
	make(requests + 2 * MANY, keys + 2 * MANY, MANY, 'm', BRINE_DELETE);
	for (size_t i = 0; i < MANY; i++)
		requests[i].namespace_name = i % 2 ? "default" : NULL; /* the same one */
	assert_int_equal(brine_many(brine, requests, 3 * MANY, replies), 0);
	assert_int_equal(seen.batches, 3);
	assert_int_equal(seen.entries, 3 * MANY);
	assert_int_equal(seen.singles, 0);
	for (size_t i = 0; i < MANY; i++) {
		assert_int_equal(replies[i].meta.version, 100 + i);
		assert_int_equal(replies[i].token, i);
		assert_string_equal(brine_value_data(replies[MANY + i].value),
				    keys[MANY + i]);
		assert_int_equal(replies[2 * MANY + i].result, BRINE_MISS);
		assert_int_equal(replies[2 * MANY + i].token, 2 * MANY + i);
	}
	brine_replies_release(replies, 3 * MANY);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
what_a_shared_frame_leaves_out_is_asked_for_alone(void **state)
{
	struct brine_request requests[MANY];
	struct brine_reply replies[MANY];
	char keys[MANY][8];
	struct seen seen;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &seen, knows_batches);
	brine = open_at(fake.path);
	brine_put(brine, "alone", 5, "long", 4, NULL, NULL);
	make(requests, keys, MANY, 'k', BRINE_GET);
	requests[7].key = "alone";
	requests[7].key_len = 5;
	assert_int_equal(brine_many(brine, requests, MANY, replies), 0);
	assert_string_equal(brine_value_data(replies[7].value), "long");
	assert_string_equal(brine_value_data(replies[8].value), "k8");
	assert_int_equal(seen.batches, 1);
	assert_int_equal(seen.singles, 2);
	brine_replies_release(replies, MANY);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_shared_frame_that_was_refused_is_asked_one_by_one(void **state)
{
	struct brine_request requests[MANY];
	struct brine_reply replies[MANY];
	char keys[MANY][8];
	struct seen seen;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &seen, knows_batches);
	seen.refuse = ERROR_TOO_LARGE;
	brine = open_at(fake.path);
	make(requests, keys, MANY, 'k', BRINE_PUT);
	requests[7].key = "c";
	requests[7].key_len = 1;
	assert_int_equal(brine_many(brine, requests, MANY, replies), 0);
	assert_int_equal(seen.batches, 1);
	assert_int_equal(seen.singles, MANY);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(replies[i].result, BRINE_DONE);
	/* A mistake of the caller's is found before anything is sent, and is that request's alone. */
	requests[3].key_len = 0;
	assert_int_equal(brine_many(brine, requests, MANY, replies), 0);
	assert_int_equal(seen.batches, 1);
	assert_int_equal(replies[3].result, -BRINE_ERROR_BAD_KEY);
	assert_int_equal(replies[4].result, BRINE_DONE);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
what_differs_or_has_a_condition_goes_alone(void **state)
{
	struct brine_request requests[MANY];
	struct brine_reply replies[MANY];
	unsigned char token[BRINE_TOKEN_SIZE] = { 0 };
	static char large[65537];
	char keys[MANY][8];
	struct seen seen;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &seen, knows_batches);
	brine = open_at(fake.path);
	for (int way = 0; way < 6; way++) {
		make(requests, keys, MANY, 'k',
		     way == 4   ? BRINE_DELETE
		     : way == 5 ? BRINE_GET
				: BRINE_PUT);
		for (size_t i = 0; i < MANY; i++) {
			if (way == 0)
				requests[i].condition = BRINE_IF_PRESENT;
			if (way == 1)
				requests[i].token = token;
			if (way == 2) {
				requests[i].value = large;
				requests[i].value_len = sizeof(large);
			}
			if (way == 3)
				requests[i].namespace_name = i % 2 ? "one" : "other";
			if (way == 4)
				requests[i].version = 1;
			if (way == 5)
				requests[i].refresh_ms = 1000;
		}
		atomic_store(&seen.singles, 0);
		assert_int_equal(brine_many(brine, requests, MANY, replies), 0);
		brine_replies_release(replies, MANY);
		assert_int_equal(seen.singles, MANY);
	}
	assert_int_equal(seen.batches, 0);
	make(requests, keys, 10, 'k', BRINE_GET); /* and what is few */
	assert_int_equal(brine_many(brine, requests, 10, replies), 0);
	brine_replies_release(replies, 10);
	assert_int_equal(seen.batches, 0);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
an_older_daemon_is_asked_for_a_batch_once_per_connection(void **state)
{
	struct brine_request requests[MANY];
	struct brine_reply replies[MANY];
	char keys[MANY][8];
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(fake.path);
	make(requests, keys, MANY, 'k', BRINE_PUT);
	for (int round = 1; round <= 2; round++) {
		assert_int_equal(brine_many(brine, requests, MANY, replies), 0);
		assert_int_equal(replies[MANY - 1].result, BRINE_DONE);
		assert_int_equal(atomic_load(&fake.requests), round * MANY + 1);
	}
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_shared_frame_is_sent_once_more_after_the_connection_broke(void **state)
{
	struct brine_request requests[MANY];
	struct brine_reply replies[MANY];
	char keys[MANY][8];
	struct seen seen;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &seen, cuts_first);
	brine = open_at(fake.path);
	make(requests, keys, MANY, 'k', BRINE_PUT);
	assert_int_equal(brine_many(brine, requests, MANY, replies), 0);
	assert_int_equal(replies[0].result, BRINE_DONE);
	assert_int_equal(seen.batches, 1);
	assert_int_equal(seen.singles, 0);
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
always_cuts(struct fake *fake, const struct fake_request *request)
{
	(void)fake;
	return request->frame.kind == COMMAND_BATCH ? FAKE_CLOSES : FAKE_ANSWERS;
}

static void
a_shared_frame_that_was_cut_off_twice_is_not_tried_in_pieces(void **state)
{
	struct brine_request requests[MANY + 1];
	struct brine_reply replies[MANY + 1];
	char keys[MANY + 1][8];
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, always_cuts);
	brine = open_at(fake.path);
	make(requests, keys, MANY + 1, 'k', BRINE_PUT);
	requests[MANY].command = BRINE_PING;
	assert_int_equal(brine_many(brine, requests, MANY + 1, replies),
			 -BRINE_ERROR_CUT_OFF);
	assert_int_equal(replies[0].result, -BRINE_ERROR_CUT_OFF);
	assert_int_equal(replies[MANY].result, BRINE_DONE);
	assert_int_equal(atomic_load(&fake.requests), 3);
	brine_close(&brine);
	fake_stop(&fake);
}

/* ---- the pieces for event loops */

static void
entries_are_added_until_the_body_is_full(void **state)
{
	struct brine_request put = { .command = BRINE_PUT,
				     .key = "key",
				     .key_len = 3,
				     .value = "value",
				     .value_len = 5 };
	struct batch_entry entry;
	size_t len = 0, position = 0, count = 0;
	char body[100];

	(void)state;
	while (brine_batch_add(body, sizeof(body), &len, &put) == BRINE_DONE)
		count++;
	assert_int_equal(brine_batch_add(body, sizeof(body), &len, &put),
			 -BRINE_ERROR_BUSY);
	for (size_t i = 0; i < count; i++) {
		assert_int_equal(batch_next(slice(body, len), &position, &entry), 1);
		assert_memory_equal(entry.value.data, "value", 5);
	}
	assert_int_equal(position, len);
	assert_int_equal(count, 5);
	put.command = BRINE_SYNC;
	assert_int_equal(brine_batch_add(body, sizeof(body), &len, &put),
			 -BRINE_ERROR_BAD_ARGUMENT);
}

static void
switched_off_a_batch_is_done_or_missed(void **state)
{
	struct brine_request requests[2];
	struct brine_reply replies[2];
	struct brine *brine;
	char keys[2][8];

	(void)state;
	setenv("BRINE_DISABLE", "1", 1);
	brine = open_at("/nonexistent/brine.sock");
	unsetenv("BRINE_DISABLE");
	make(requests, keys, 2, 'k', BRINE_GET);
	assert_int_equal(brine_batch(brine, requests, 2, NULL, 0, replies, NULL), 0);
	assert_int_equal(replies[1].result, BRINE_MISS);
	make(requests, keys, 2, 'k', BRINE_PUT);
	assert_int_equal(brine_batch(brine, requests, 2, NULL, 0, replies, NULL), 0);
	assert_int_equal(replies[1].result, BRINE_DONE);
	brine_close(&brine);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_batch_is_one_frame_whose_answers_stand_in_order),
		cmocka_unit_test(what_a_batch_leaves_out_is_asked_for_alone),
		cmocka_unit_test(a_refused_batch_names_the_entry_and_nothing_is_stored),
		cmocka_unit_test(what_no_batch_can_hold_is_refused_before_it_is_sent),
		cmocka_unit_test(a_batch_with_a_condition_is_never_sent_twice),
		cmocka_unit_test(
			an_older_daemon_is_asked_for_each_get_and_refuses_changes),
		cmocka_unit_test(a_malformed_answer_is_an_outage_and_leaves_no_value),
		cmocka_unit_test(many_small_requests_that_are_alike_share_a_frame),
		cmocka_unit_test(what_a_shared_frame_leaves_out_is_asked_for_alone),
		cmocka_unit_test(a_shared_frame_that_was_refused_is_asked_one_by_one),
		cmocka_unit_test(what_differs_or_has_a_condition_goes_alone),
		cmocka_unit_test(
			an_older_daemon_is_asked_for_a_batch_once_per_connection),
		cmocka_unit_test(
			a_shared_frame_is_sent_once_more_after_the_connection_broke),
		cmocka_unit_test(
			a_shared_frame_that_was_cut_off_twice_is_not_tried_in_pieces),
		cmocka_unit_test(entries_are_added_until_the_body_is_full),
		cmocka_unit_test(switched_off_a_batch_is_done_or_missed),
	};

	return unit_run(tests);
}
