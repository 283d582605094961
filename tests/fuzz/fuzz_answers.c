/* fuzz_answers.c - any bytes as what a daemon sends to a client that has asked for one thing of each kind, then for
 * a get with a lease, and for a put that may be answered with a value. The first byte says in which runs they arrive, the second how large a value may be; time
 * passes with them. Every request gets one answer at most, and one in all when the connection is cut. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "client/brine.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define COMMANDS (BRINE_RESUME - BRINE_PING + 1)
#define LEASE COMMANDS
#define ASKED (LEASE + 2)

static int answers[ASKED];

static void
read_value(const struct brine_reply *reply)
{
	struct brine_entry entry;
	struct brine_stat stat;
	struct brine_reply inner;
	size_t position = 0;

	assert(reply->result == BRINE_HIT);
	assert(((const char *)brine_value_data(
		       reply->value))[brine_value_len(reply->value)] == 0);
	while (brine_page_next(reply->value, &position, &entry) == BRINE_HIT)
		assert(position <= brine_value_len(reply->value) && entry.key_len > 0);
	position = 0;
	while (brine_stats_next(reply->value, &position, &stat) == BRINE_HIT)
		assert(position <= brine_value_len(reply->value));
	position = 0;
	while (brine_batch_next(reply->value, &position, &inner) == BRINE_HIT) {
		assert(position <= brine_value_len(reply->value));
		assert(inner.value == NULL || inner.result == BRINE_HIT);
		brine_value_release(&inner.value);
	}
}

static int
take_replies(struct brine_wire *wire)
{
	struct brine_reply reply;
	int result;

	while ((result = brine_wire_next(wire, &reply)) == 1) {
		assert(reply.token < ASKED && answers[reply.token]++ == 0);
		assert(reply.cursor_len <= sizeof(reply.cursor));
		assert(reply.lease.state == BRINE_LEASE_NONE || reply.token == LEASE);
		if (reply.value)
			read_value(&reply);
		brine_value_release(&reply.value);
	}
	return result;
}

static void
drain(struct brine_wire *wire)
{
	struct iovec pieces[8];
	size_t bytes;
	int count;

	while ((count = brine_wire_output(wire, pieces, 8)) > 0) {
		bytes = 0;
		for (int i = 0; i < count; i++)
			bytes += pieces[i].iov_len;
		brine_wire_sent(wire, bytes, 0);
	}
}

static void
ask(struct brine_wire *wire)
{
	struct brine_request request = {
		.key = "k",
		.key_len = 1,
		.value = "v",
		.value_len = 1,
		.tags = "\3tag",
		.tags_len = 4,
		.give_up = 1,
		.token = (const unsigned char *)"0123456789abcdef",
		.stale_ms = 1,
		.stale_ok = 1
	};

	for (uint64_t token = 0; token < ASKED; token++) {
		request.command = (enum brine_command)(BRINE_PING + token % COMMANDS);
		if (token == LEASE) {
			request.command = BRINE_GET;
			request.lease = BRINE_ASK_LEASE;
		} else if (token > LEASE) {
			request.command = BRINE_PUT;
			request.condition = BRINE_IF_ABSENT;
			request.or_get = 1;
		}
		assert(brine_wire_request(wire, &request, token, 0) == 0);
	}
	drain(wire);
}

static size_t
receive(struct brine_wire *wire, const uint8_t *bytes, size_t len, uint64_t now_ms)
{
	struct iovec space[2];
	int count = brine_wire_space(wire, space);
	size_t given = 0;

	for (int i = 0; i < count; i++) {
		size_t some =
			len - given < space[i].iov_len ? len - given : space[i].iov_len;

		memcpy(space[i].iov_base, bytes + given, some);
		given += some;
	}
	brine_wire_received(wire, given, now_ms);
	return given;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct brine_wire_options options = { 0 };
	struct brine_wire *wire;
	size_t run, at = 2;

	if (len < 2)
		return 0;
	run = bytes[0] ? bytes[0] : len;
	options.max_value = 1 + (uint64_t)bytes[1] * 256;
	memset(answers, 0, sizeof(answers));
	if (brine_wire_new(&options, &wire))
		return 0;
	ask(wire);
	while (take_replies(wire) == 0 && at < len) {
		/* Where the lease alone is awaited, silence brings a PING. */
		if (brine_wire_outstanding(wire) == 1 && !answers[LEASE]) {
			brine_wire_tick(wire, brine_wire_deadline(wire));
			drain(wire);
		}
		at += receive(wire, bytes + at, len - at < run ? len - at : run, at);
	}
	brine_wire_cut(wire);
	take_replies(wire);
	for (size_t i = 0; i < ASKED; i++)
		assert(answers[i] == 1);
	assert(brine_wire_outstanding(wire) == 0);
	brine_wire_free(&wire);
	return 0;
}
