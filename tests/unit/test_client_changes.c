/* test_client_changes.c - counters, takes, tags and published leases, seen from the client: what is sent, what may be sent
 * twice, and what becomes of it with an older daemon. The daemon is played. */
#include "tests/unit/unit.h"

#include <string.h>

#include "client/brine.h"
#include "proto/errors.h"
#include "proto/tag.h"
#include "tests/unit/fake.h"

static const unsigned char token[BRINE_TOKEN_SIZE] = "0123456789abcde";

static struct brine *
open_at(const char *path)
{
	struct brine_options options = { .socket = path };
	struct brine *brine;

	assert_int_equal(brine_open(&options, &brine), 0);
	return brine;
}

/* ---- tags */

static void
tags_are_added_until_there_are_sixteen(void **state)
{
	char tags[BRINE_TAGS_SIZE], longest[256];
	size_t len = 0, before;

	(void)state;
	memset(longest, 't', sizeof(longest));
	assert_int_equal(brine_tags_add(tags, &len, "", 0), -BRINE_ERROR_BAD_ARGUMENT);
	assert_int_equal(brine_tags_add(tags, &len, longest, 256),
			 -BRINE_ERROR_BAD_ARGUMENT);
	assert_int_equal(len, 0);
	for (int i = 0; i < TAGS_MAX; i++) {
		longest[0] = (char)('a' + i);
		assert_int_equal(brine_tags_add(tags, &len, longest, 255), BRINE_DONE);
	}
	assert_int_equal(len, BRINE_TAGS_SIZE);
	assert_int_equal(tags_count(slice(tags, len)), TAGS_MAX);
	before = len;
	assert_int_equal(brine_tags_add(tags, &len, "one more", 8),
			 -BRINE_ERROR_BAD_ARGUMENT);
	assert_int_equal(brine_tags_add(tags, &len, longest, 255), BRINE_DONE);
	assert_int_equal(len, before);
	len = 3; /* not what brine_tags_add() wrote */
	assert_int_equal(brine_tags_add(tags, &len, "tag", 3), -BRINE_ERROR_BAD_ARGUMENT);
}

/* ---- what is sent */

struct sent {
	struct message message;
	uint8_t tags[64];
	atomic_int kinds[BRINE_RESUME + 1];
};

static enum fake_does
keeps(struct fake *fake, const struct fake_request *request)
{
	struct sent *sent = fake->arg;
	struct message reply = { 0 };

	sent->message = request->message;
	if (request->message.tags.len <= sizeof(sent->tags) && request->message.tags.len)
		memcpy(sent->tags, request->message.tags.data, request->message.tags.len);
	atomic_fetch_add(&sent->kinds[request->frame.kind], 1);
	if (request->frame.kind == COMMAND_INCR) {
		MESSAGE_SET(&reply, COUNTER, counter, (uint64_t)-5);
		MESSAGE_SET(&reply, VERSION, version, 8);
		fake_reply(request, FRAME_REPLY, &reply, NULL, 0);
		return FAKE_DOES_NOT;
	}
	if (request->frame.kind == COMMAND_TAKE) {
		if (*(const char *)request->message.key.data == 'm') {
			MESSAGE_SET(&reply, STATUS, status, STATUS_MISS);
			fake_reply(request, FRAME_REPLY, &reply, NULL, 0);
		} else {
			MESSAGE_SET(&reply, LENGTH, length, 5);
			MESSAGE_SET(&reply, VERSION, version, 8);
			fake_reply(request, FRAME_REPLY, &reply, "taken", 5);
		}
		return FAKE_DOES_NOT;
	}
	return FAKE_ANSWERS;
}

static void
start(struct fake *fake, struct sent *sent, fake_hook *hook)
{
	memset(sent, 0, sizeof(*sent));
	fake_start(fake, NULL, hook);
	fake->arg = sent;
}

static void
an_increment_says_what_differs_from_one_and_gives_the_sum(void **state)
{
	struct brine_incr_options options = {
		.initial = -10, .ttl_ms = 9, .only_if_present = 1, .ack = BRINE_ACK_DISK
	};
	int64_t value = 0;
	struct sent sent;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &sent, keeps);
	brine = open_at(fake.path);
	assert_int_equal(brine_incr(brine, "k", 1, 1, NULL, &value), BRINE_DONE);
	assert_int_equal(value, -5);
	assert_false(message_has(&sent.message, FIELD_DELTA));
	assert_false(message_has(&sent.message, FIELD_INITIAL));
	assert_int_equal(brine_incr(brine, "k", 1, -3, &options, NULL), BRINE_DONE);
	assert_true((int64_t)sent.message.delta == -3);
	assert_true((int64_t)sent.message.initial == -10);
	assert_int_equal(sent.message.ttl_ms, 9);
	assert_int_equal(sent.message.condition, CONDITION_PRESENT);
	assert_int_equal(sent.message.ack, ACK_DISK);
	assert_int_equal(brine_incr(brine, "k", 1, 0, NULL, NULL), BRINE_DONE);
	assert_true(message_has(&sent.message, FIELD_DELTA));
	assert_int_equal(sent.message.delta, 0);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_put_carries_its_tags_and_its_stale_window(void **state)
{
	struct brine_put_options options = { .ttl_ms = 1000, .stale_ms = 500 };
	char tags[BRINE_TAGS_SIZE];
	struct brine_upload *upload;
	size_t len = 0;
	struct sent sent;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &sent, keeps);
	brine = open_at(fake.path);
	brine_tags_add(tags, &len, "user:1", 6);
	brine_tags_add(tags, &len, "page", 4);
	options.tags = tags;
	options.tags_len = len;
	for (int streamed = 0; streamed < 2; streamed++) {
		memset(&sent.message, 0, sizeof(sent.message));
		if (streamed) {
			assert_int_equal(
				brine_put_begin(brine, "k", 1, 1, &options, &upload), 0);
			assert_int_equal(brine_put_write(upload, "v", 1), 0);
			assert_int_equal(brine_put_finish(&upload, NULL), 0);
		} else {
			assert_int_equal(brine_put(brine, "k", 1, "v", 1, &options, NULL),
					 0);
		}
		assert_int_equal(sent.message.stale_for_ms, 500);
		assert_int_equal(sent.message.tags.len, 12);
		assert_memory_equal(sent.tags, "\6user:1\4page", 12);
	}
	options.tags_len--;
	assert_int_equal(brine_put(brine, "k", 1, "v", 1, &options, NULL),
			 -BRINE_ERROR_BAD_ARGUMENT);
	assert_int_equal(brine_invalidate(brine, tags, len, "web", BRINE_ACK_MEMORY),
			 BRINE_DONE);
	assert_int_equal(sent.message.tags.len, 12);
	assert_int_equal(sent.message.ack, ACK_MEMORY);
	assert_int_equal(brine_invalidate(brine, tags, 0, NULL, 0),
			 -BRINE_ERROR_BAD_ARGUMENT);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_take_gives_the_value_that_was_there(void **state)
{
	struct brine_delete_options options = { .version = 8 };
	struct brine_value *value;
	struct sent sent;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &sent, keeps);
	brine = open_at(fake.path);
	assert_int_equal(brine_take(brine, "k", 1, &options, &value), BRINE_HIT);
	assert_string_equal(brine_value_data(value), "taken");
	assert_int_equal(brine_value_meta(value)->version, 8);
	assert_int_equal(sent.message.version, 8);
	brine_value_release(&value);
	assert_int_equal(brine_take(brine, "missing", 7, NULL, &value), BRINE_MISS);
	brine_close(&brine);
	fake_stop(&fake);
}

/* Answers puts as PROTOCOL.md says of OR_GET. */
static enum fake_does
finds(struct fake *fake, const struct fake_request *request)
{
	struct sent *sent = fake->arg;
	struct message reply = { 0 };

	sent->message = request->message;
	atomic_fetch_add(&sent->kinds[request->frame.kind], 1);
	if (!request->message.or_get)
		return FAKE_ANSWERS;
	if (request->message.not_version == 8) {
		MESSAGE_SET(&reply, STATUS, status, STATUS_MISS);
		MESSAGE_SET(&reply, VERSION, version, 9);
		fake_reply(request, FRAME_REPLY, &reply, NULL, 0);
		return FAKE_DOES_NOT;
	}
	MESSAGE_SET(&reply, LENGTH, length, 5);
	MESSAGE_SET(&reply, VERSION, version, 8);
	fake_reply(request, FRAME_REPLY, &reply, "there", 5);
	return FAKE_DOES_NOT;
}

static void
a_put_or_get_gives_what_is_there_or_says_that_it_stored(void **state)
{
	struct brine_put_options options = { .ttl_ms = 5, .condition = BRINE_IF_PRESENT };
	struct brine_value *value = NULL;
	struct sent sent;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &sent, finds);
	brine = open_at(fake.path);
	assert_int_equal(brine_put_or_get(brine, "k", 1, "mine", 4, &options, 0, &value),
			 BRINE_HIT);
	assert_string_equal(brine_value_data(value), "there");
	assert_int_equal(brine_value_meta(value)->version, 8);
	brine_value_release(&value);
	assert_int_equal(sent.message.condition, CONDITION_ABSENT);
	assert_int_equal(sent.message.ttl_ms, 5);
	assert_false(message_has(&sent.message, FIELD_NOT_VERSION));
	assert_int_equal(brine_put_or_get(brine, "k", 1, "mine", 4, NULL, 8, &value),
			 BRINE_MISS);
	assert_null(value);
	assert_int_equal(sent.message.not_version, 8);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
among_many_a_put_or_get_has_a_value_and_in_a_batch_it_has_no_place(void **state)
{
	struct brine_request requests[40];
	struct brine_reply replies[40];
	struct sent sent;
	struct fake fake;
	struct brine *brine;
	uint64_t entry;

	(void)state;
	for (size_t i = 0; i < 40; i++)
		requests[i] = (struct brine_request){ .command = BRINE_PUT,
						      .key = "k",
						      .key_len = 1,
						      .value = "mine",
						      .value_len = 4,
						      .condition = BRINE_IF_ABSENT,
						      .or_get = 1,
						      .not_version = i % 2 ? 8 : 0 };
	start(&fake, &sent, finds);
	brine = open_at(fake.path);
	assert_int_equal(brine_many(brine, requests, 40, replies), 0);
	for (size_t i = 0; i < 40; i++) {
		assert_int_equal(replies[i].result, i % 2 ? BRINE_MISS : BRINE_HIT);
		assert_int_equal(replies[i].meta.version, i % 2 ? 9 : 8);
		assert_true(i % 2 ? !replies[i].value : replies[i].value != NULL);
	}
	brine_replies_release(replies, 40);
	assert_int_equal(brine_batch(brine, requests, 40, NULL, 0, replies, &entry),
			 -BRINE_ERROR_BAD_ARGUMENT);
	assert_int_equal(entry, 0);
	requests[0].condition = BRINE_ALWAYS;
	brine_many(brine, requests, 1, replies);
	assert_int_equal(replies[0].result, -BRINE_ERROR_BAD_ARGUMENT);
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
finds_after_a_cut(struct fake *fake, const struct fake_request *request)
{
	return atomic_fetch_add(&fake->stage, 1) == 0 ? FAKE_CLOSES
						      : finds(fake, request);
}

static void
a_put_or_get_is_sent_twice_and_gets_what_it_may_have_stored_itself(void **state)
{
	struct brine_value *value = NULL;
	struct sent sent;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &sent, finds_after_a_cut);
	brine = open_at(fake.path);
	assert_int_equal(brine_put_or_get(brine, "k", 1, "mine", 4, NULL, 0, &value),
			 BRINE_HIT);
	brine_value_release(&value);
	assert_int_equal(atomic_load(&fake.connections), 2);
	brine_close(&brine);
	fake_stop(&fake);
}

/* The stored bytes of version 8 do not match their checksum. */
static enum fake_does
finds_damage(struct fake *fake, const struct fake_request *request)
{
	static const uint8_t frame[] = { 1, 128, 0, 0, 0, 0, 0, 0,
					 5, 0,   0, 0, 1, 0, 0, 0x40 };
	static const uint8_t rest[] = { 0x82, 0x08, 8, 0x0a, 5, 't', 5, 0, 0, 0xc0 };
	uint8_t bytes[sizeof(frame) + sizeof(rest)];

	if (request->frame.kind != COMMAND_PUT || request->message.not_version)
		return finds(fake, request);
	memcpy(bytes, frame, sizeof(frame));
	memcpy(bytes + sizeof(frame), rest, sizeof(rest));
	bytes[4] = (uint8_t)request->frame.id;
	fake_send(request, bytes, sizeof(bytes));
	return FAKE_DOES_NOT;
}

static void
a_put_or_get_takes_the_place_of_what_is_damaged(void **state)
{
	struct brine_value *value = NULL;
	struct sent sent;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &sent, finds_damage);
	brine = open_at(fake.path);
	assert_int_equal(brine_put_or_get(brine, "k", 1, "mine", 4, NULL, 0, &value),
			 BRINE_MISS);
	assert_int_equal(sent.message.not_version, 8);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_get_that_takes_stale_values_says_so(void **state)
{
	struct brine_get_options options = { .stale_ok = 1 };
	struct brine_download *download;
	struct brine_value *value;
	struct sent sent;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &sent, keeps);
	brine = open_at(fake.path);
	assert_int_equal(brine_get(brine, "k", 1, &options, &value), BRINE_MISS);
	assert_int_equal(sent.message.stale_ok, 1);
	assert_int_equal(brine_get_begin(brine, "k", 1, &options, &download), BRINE_MISS);
	assert_int_equal(sent.message.stale_ok, 1);
	assert_int_equal(brine_get(brine, "k", 1, NULL, &value), BRINE_MISS);
	assert_false(message_has(&sent.message, FIELD_STALE_OK));
	brine_close(&brine);
	fake_stop(&fake);
}

/* ---- what may be sent twice */

/* Cuts the first connection under whatever is asked. */
static enum fake_does
cuts_first(struct fake *fake, const struct fake_request *request)
{
	struct sent *sent = fake->arg;

	if (atomic_fetch_add(&fake->stage, 1) == 0) {
		atomic_fetch_add(&sent->kinds[request->frame.kind], 1);
		return FAKE_CLOSES;
	}
	return keeps(fake, request);
}

static int
call(struct brine *brine, enum brine_command command, bool conditional)
{
	struct brine_delete_options removal = { .version = conditional ? 3 : 0 };
	struct brine_put_options options = { .token = token };
	struct brine_lease lease;
	struct brine_value *value = NULL;
	int result;

	switch (command) {
	case BRINE_INCR:
		return brine_incr(brine, "k", 1, 1, NULL, NULL);
	case BRINE_TAKE:
		result = brine_take(brine, "k", 1, &removal, &value);
		brine_value_release(&value);
		return result;
	case BRINE_DELETE:
		return brine_delete(brine, "k", 1, &removal);
	case BRINE_INVALIDATE:
		return brine_invalidate(brine, "\3tag", 4, NULL, 0);
	case BRINE_RELEASE:
		return brine_release(brine, "k", 1, NULL, token, BRINE_FAILED);
	case BRINE_PUT:
		options.condition = conditional ? BRINE_IF_ABSENT : BRINE_ALWAYS;
		return brine_put(brine, "k", 1, "v", 1, &options, NULL);
	default:
		result = brine_get_or_lease(brine, "k", 1, NULL, &value, &lease);
		brine_value_release(&value);
		return result;
	}
}

static void
only_what_does_no_harm_is_sent_twice(void **state)
{
	static const struct {
		enum brine_command command;
		bool conditional, twice;
	} rules[] = {
		{ BRINE_INCR, false, false },   { BRINE_TAKE, false, false },
		{ BRINE_TAKE, true, false },    { BRINE_DELETE, true, false },
		{ BRINE_DELETE, false, true },  { BRINE_INVALIDATE, false, true },
		{ BRINE_RELEASE, false, true }, { BRINE_PUT, false, true },
		{ BRINE_PUT, true, false },     { BRINE_GET, false, true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(rules) / sizeof(*rules); i++) {
		struct sent sent;
		struct fake fake;
		struct brine *brine;
		int result;

		start(&fake, &sent, cuts_first);
		brine = open_at(fake.path);
		result = call(brine, rules[i].command, rules[i].conditional);
		if (rules[i].twice)
			assert_true(result >= 0);
		else
			assert_int_equal(result, -BRINE_ERROR_CUT_OFF);
		assert_int_equal(atomic_load(&sent.kinds[rules[i].command]),
				 rules[i].twice ? 2 : 1);
		brine_close(&brine);
		fake_stop(&fake);
	}
}

static enum fake_does
cuts_then_finds_the_token_old(struct fake *fake, const struct fake_request *request)
{
	struct sent *sent = fake->arg;

	atomic_fetch_add(&sent->kinds[request->frame.kind], 1);
	if (atomic_fetch_add(&fake->stage, 1) == 0)
		return FAKE_CLOSES;
	fake_error(request, ERROR_OLD_TOKEN);
	return FAKE_DOES_NOT;
}

static void
a_publication_that_was_sent_twice_and_found_its_token_old_may_have_been_stored(
	void **state)
{
	struct brine_put_options options = { .token = token };
	struct sent sent;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &sent, cuts_then_finds_the_token_old);
	brine = open_at(fake.path);
	assert_int_equal(brine_put(brine, "k", 1, "v", 1, &options, NULL),
			 -BRINE_ERROR_CUT_OFF);
	assert_non_null(strstr(brine_message(brine), "it was stored, or"));
	/* Sent once, an old token is what it is. */
	assert_int_equal(brine_put(brine, "k", 1, "v", 1, &options, NULL),
			 -BRINE_ERROR_OLD_TOKEN);
	assert_int_equal(brine_error_class(-BRINE_ERROR_OLD_TOKEN), BRINE_CONDITION);
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
cuts_then_is_busy(struct fake *fake, const struct fake_request *request)
{
	if (request->frame.kind == COMMAND_HELLO)
		return FAKE_ANSWERS;
	if (atomic_fetch_add(&fake->stage, 1) == 0)
		return FAKE_CLOSES;
	fake_error(request, ERROR_BUSY);
	return FAKE_DOES_NOT;
}

static enum fake_does
cuts_then_hears_nothing(struct fake *fake, const struct fake_request *request)
{
	(void)request;
	return atomic_fetch_add(&fake->stage, 1) == 0 ? FAKE_ANSWERS : FAKE_CLOSES;
}

/* The first sending may have been carried out. */
static void
a_change_that_was_not_done_when_it_was_sent_again_may_have_been_done_before(void **state)
{
	static fake_hook *const hooks[] = { cuts_then_is_busy, cuts_then_hears_nothing };
	static char value[3 << 20]; /* it is not sent whole before the daemon closes */

	(void)state;
	for (size_t i = 0; i < sizeof(hooks) / sizeof(*hooks); i++) {
		struct brine_request request = { .command = BRINE_PUT,
						 .key = "k",
						 .key_len = 1,
						 .value = value,
						 .value_len = sizeof(value) };
		struct brine_reply reply;
		struct sent sent;
		struct fake fake;
		struct brine *brine;

		start(&fake, &sent, hooks[i]);
		fake.hook_hello = true;
		brine = open_at(fake.path);
		assert_int_equal(
			brine_put(brine, "k", 1, value, sizeof(value), NULL, NULL),
			-BRINE_ERROR_CUT_OFF);
		brine_close(&brine);
		atomic_store(&fake.stage, 0);
		brine = open_at(fake.path);
		brine_many(brine, &request, 1, &reply);
		assert_int_equal(reply.result, -BRINE_ERROR_CUT_OFF);
		brine_close(&brine);
		fake_stop(&fake);
	}
}

/* ---- an older daemon */

/* Knows what the first release knew, names the field that it does not know, and counts how often it had to. */
static enum fake_does
older(struct fake *fake, const struct fake_request *request)
{
	static const enum field later[] = {
		FIELD_STALE_FOR, FIELD_STALE_OK, FIELD_TAGS,
		FIELD_LEASE,     FIELD_TOKEN,    FIELD_OR_GET
	};

	if (request->frame.kind > COMMAND_SYNC) {
		atomic_fetch_add(&fake->stage, 1);
		fake_unsupported(request, 0);
		return FAKE_DOES_NOT;
	}
	for (size_t i = 0; i < sizeof(later) / sizeof(*later); i++) {
		if (message_has(&request->message, later[i])) {
			atomic_fetch_add(&fake->stage, 1);
			fake_unsupported(request, later[i]);
			return FAKE_DOES_NOT;
		}
	}
	return FAKE_ANSWERS;
}

static void
an_older_daemon_stores_without_tags_and_without_a_stale_window(void **state)
{
	struct brine_put_options options = { .stale_ms = 5,
					     .tags = "\3tag",
					     .tags_len = 4 };
	struct brine_get_options stale = { .stale_ok = 1 };
	struct brine_value *value;
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, older);
	brine = open_at(fake.path);
	for (int round = 0; round < 3; round++) {
		assert_int_equal(brine_put(brine, "k", 1, "v", 1, &options, NULL), 0);
		assert_int_equal(brine_get(brine, "k", 1, &stale, &value), BRINE_HIT);
		brine_value_release(&value);
	}
	assert_int_equal(atomic_load(&fake.stage), 3); /* one for each field */
	assert_int_equal(atomic_load(&fake.requests), 3 + 6);
	brine_close(&brine);
	brine = open_at(fake.path); /* another connection asks again */
	assert_int_equal(brine_put(brine, "k", 1, "v", 1, &options, NULL), 0);
	assert_int_equal(atomic_load(&fake.stage), 5);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
an_older_daemon_makes_everybody_compute_alone(void **state)
{
	struct brine_lease_options options = { .stale_ok = 1, .holder = 5, .wait_ms = 9 };
	struct brine_put_options publish = { .token = token };
	struct brine_lease lease;
	struct brine_value *value;
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, older);
	brine = open_at(fake.path);
	assert_int_equal(brine_get_or_lease(brine, "k", 1, &options, &value, &lease),
			 BRINE_MISS);
	assert_int_equal(lease.state, BRINE_LEASE_ALONE);
	assert_int_equal(brine_put(brine, "k", 1, "v", 1, NULL, NULL), 0);
	assert_int_equal(brine_get_or_lease(brine, "k", 1, &options, &value, &lease),
			 BRINE_HIT);
	assert_int_equal(lease.state, BRINE_LEASE_NONE);
	brine_value_release(&value);
	assert_int_equal(atomic_load(&fake.stage), 2); /* STALE_OK and LEASE */
	/* A token comes from a newer daemon that ran before: whatever it was worth, it is old. */
	assert_int_equal(brine_put(brine, "k", 1, "v", 1, &publish, NULL),
			 -BRINE_ERROR_OLD_TOKEN);
	assert_int_equal(brine_release(brine, "k", 1, NULL, token, BRINE_FAILED),
			 BRINE_MISS);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
an_older_daemon_does_a_put_or_get_in_several_steps(void **state)
{
	struct brine_value *value = NULL;
	struct fake fake;
	struct brine *brine;
	uint64_t version;

	(void)state;
	fake_start(&fake, NULL, older);
	brine = open_at(fake.path);
	assert_int_equal(brine_put_or_get(brine, "k", 1, "one", 3, NULL, 0, &value),
			 BRINE_MISS);
	assert_int_equal(atomic_load(&fake.requests), 3); /* and a get, and a put */
	assert_int_equal(brine_put_or_get(brine, "k", 1, "two", 3, NULL, 0, &value),
			 BRINE_HIT);
	assert_string_equal(brine_value_data(value), "one");
	version = brine_value_meta(value)->version;
	brine_value_release(&value);
	assert_int_equal(brine_put_or_get(brine, "k", 1, "two", 3, NULL, version, &value),
			 BRINE_MISS);
	assert_int_equal(
		brine_put_or_get(brine, "k", 1, "three", 5, NULL, version, &value),
		BRINE_HIT);
	assert_string_equal(brine_value_data(value), "two");
	brine_value_release(&value);
	/* It went between two steps: whatever version was meant, nothing is there. */
	assert_int_equal(brine_delete(brine, "k", 1, NULL), BRINE_DONE);
	assert_int_equal(
		brine_put_or_get(brine, "k", 1, "four", 4, NULL, version, &value),
		BRINE_MISS);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
what_an_older_daemon_cannot_do_at_all_is_refused_in_words(void **state)
{
	struct brine_value *value;
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, older);
	brine = open_at(fake.path);
	assert_int_equal(brine_incr(brine, "k", 1, 1, NULL, NULL),
			 -BRINE_ERROR_UNSUPPORTED);
	assert_non_null(strstr(brine_message(brine), "INCR"));
	assert_int_equal(brine_take(brine, "k", 1, NULL, &value),
			 -BRINE_ERROR_UNSUPPORTED);
	assert_int_equal(brine_invalidate(brine, "\3tag", 4, NULL, 0),
			 -BRINE_ERROR_UNSUPPORTED);
	assert_int_equal(atomic_load(&fake.connections), 1);
	brine_close(&brine);
	fake_stop(&fake);
}

/* Says of a field that was not even sent that it does not know it. */
static enum fake_does
stubborn(struct fake *fake, const struct fake_request *request)
{
	(void)fake;
	fake_unsupported(request, FIELD_TAGS);
	return FAKE_DOES_NOT;
}

static void
a_daemon_that_understands_nothing_is_not_asked_for_ever(void **state)
{
	struct brine_put_options options = { .tags = "\3tag", .tags_len = 4 };
	struct brine_request requests[2] = {
		{ .command = BRINE_PUT,
		  .key = "k",
		  .key_len = 1,
		  .tags = "\3tag",
		  .tags_len = 4 },
		{ .command = BRINE_GET, .key = "k", .key_len = 1 },
	};
	struct brine_reply replies[2];
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, stubborn);
	brine = open_at(fake.path);
	assert_int_equal(brine_put(brine, "k", 1, "v", 1, &options, NULL),
			 -BRINE_ERROR_UNSUPPORTED);
	assert_in_range(atomic_load(&fake.requests), 2, 8);
	brine_many(brine, requests, 2, replies);
	assert_true(replies[0].result < 0);
	assert_int_equal(replies[1].result, -BRINE_ERROR_UNSUPPORTED);
	assert_in_range(atomic_load(&fake.requests), 2, 20);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
many_puts_to_an_older_daemon_are_stored_without_tags(void **state)
{
	struct brine_request requests[40] = { 0 };
	struct brine_reply replies[40];
	char keys[40][8];
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, older);
	brine = open_at(fake.path);
	for (size_t i = 0; i < 40; i++) {
		snprintf(keys[i], sizeof(keys[i]), "k%zu", i);
		requests[i] = (struct brine_request){ .command = BRINE_PUT,
						      .key = keys[i],
						      .key_len = strlen(keys[i]),
						      .value = "v",
						      .value_len = 1,
						      .tags = "\3tag",
						      .tags_len = 4,
						      .stale_ms = 5 };
	}
	assert_int_equal(brine_many(brine, requests, 40, replies), 0);
	for (size_t i = 0; i < 40; i++)
		assert_int_equal(replies[i].result, BRINE_DONE);
	brine_close(&brine);
	fake_stop(&fake);
}

/* ---- switched off */

static void
switched_off_nothing_is_counted_and_all_else_is_done(void **state)
{
	struct brine_value *value;
	struct brine *brine;

	(void)state;
	setenv("BRINE_DISABLE", "1", 1);
	brine = open_at("/nonexistent/brine.sock");
	unsetenv("BRINE_DISABLE");
	assert_int_equal(brine_incr(brine, "k", 1, 1, NULL, NULL), -BRINE_ERROR_DISABLED);
	assert_int_equal(brine_take(brine, "k", 1, NULL, &value), BRINE_MISS);
	assert_int_equal(brine_put_or_get(brine, "k", 1, "v", 1, NULL, 0, &value),
			 BRINE_MISS);
	assert_int_equal(brine_invalidate(brine, "\3tag", 4, NULL, 0), BRINE_DONE);
	brine_close(&brine);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(tags_are_added_until_there_are_sixteen),
		cmocka_unit_test(
			an_increment_says_what_differs_from_one_and_gives_the_sum),
		cmocka_unit_test(a_put_carries_its_tags_and_its_stale_window),
		cmocka_unit_test(a_take_gives_the_value_that_was_there),
		cmocka_unit_test(a_put_or_get_gives_what_is_there_or_says_that_it_stored),
		cmocka_unit_test(
			among_many_a_put_or_get_has_a_value_and_in_a_batch_it_has_no_place),
		cmocka_unit_test(
			a_put_or_get_is_sent_twice_and_gets_what_it_may_have_stored_itself),
		cmocka_unit_test(a_put_or_get_takes_the_place_of_what_is_damaged),
		cmocka_unit_test(a_get_that_takes_stale_values_says_so),
		cmocka_unit_test(
			a_change_that_was_not_done_when_it_was_sent_again_may_have_been_done_before),
		cmocka_unit_test(only_what_does_no_harm_is_sent_twice),
		cmocka_unit_test(
			a_publication_that_was_sent_twice_and_found_its_token_old_may_have_been_stored),
		cmocka_unit_test(
			an_older_daemon_stores_without_tags_and_without_a_stale_window),
		cmocka_unit_test(an_older_daemon_makes_everybody_compute_alone),
		cmocka_unit_test(an_older_daemon_does_a_put_or_get_in_several_steps),
		cmocka_unit_test(
			what_an_older_daemon_cannot_do_at_all_is_refused_in_words),
		cmocka_unit_test(a_daemon_that_understands_nothing_is_not_asked_for_ever),
		cmocka_unit_test(many_puts_to_an_older_daemon_are_stored_without_tags),
		cmocka_unit_test(switched_off_nothing_is_counted_and_all_else_is_done),
	};

	return unit_run(tests);
}
