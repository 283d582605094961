/* test_client_memory.c - libbrine when memory is short: each allocation of a long conversation fails once. What it was for
 * ends with an outage, nothing is lost, and the handle goes on. */
#include "tests/unit/unit.h"

#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

#include "client/brine.h"
#include "proto/errors.h"
#include "tests/unit/fake.h"

#ifdef __has_feature
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define OWN_MALLOC 0
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define OWN_MALLOC 0
#endif
#ifndef OWN_MALLOC
#define OWN_MALLOC 1
#endif

/* Of the test's own thread: the daemon that it plays has all the memory it wants. */
static _Thread_local struct {
	bool counts;
	long until_failure; /* this many more succeed; negative: all do */
	long held;          /* allocated and not freed */
	bool failed;
} memory = { .until_failure = -1 };

#if OWN_MALLOC
void *__libc_malloc(size_t size);
void *__libc_calloc(size_t count, size_t size);
void *__libc_realloc(void *old, size_t size);
void __libc_free(void *block);

static bool
fails(void)
{
	if (!memory.counts || memory.until_failure < 0)
		return false;
	if (memory.until_failure-- > 0)
		return false;
	memory.failed = true; /* and the next ones succeed again */
	return true;
}

static void *
counted(void *block)
{
	if (memory.counts && block)
		memory.held++;
	return block;
}

void *
malloc(size_t size)
{
	return fails() ? NULL : counted(__libc_malloc(size));
}

void *
calloc(size_t count, size_t size)
{
	return fails() ? NULL : counted(__libc_calloc(count, size));
}

void *
realloc(void *old, size_t size)
{
	if (fails())
		return NULL;
	return old ? __libc_realloc(old, size) : counted(__libc_malloc(size));
}

void
free(void *block)
{
	if (memory.counts && block)
		memory.held--;
	__libc_free(block);
}
#endif

/* ---- the daemon: grants leases, and cuts the connection under the key "cut" once for each time that `stage` is set */

static enum fake_does
grants(struct fake *fake, const struct fake_request *request)
{
	const struct message *message = &request->message;
	struct message reply = { 0 };

	if (request->frame.kind == COMMAND_RESUME) {
		fake_reply(request, FRAME_REPLY, &reply, NULL, 0);
		return FAKE_DOES_NOT;
	}
	if (request->frame.kind == COMMAND_INCR) {
		MESSAGE_SET(&reply, COUNTER, counter, 3);
		fake_reply(request, FRAME_REPLY, &reply, NULL, 0);
		return FAKE_DOES_NOT;
	}
	if (request->frame.kind != COMMAND_GET || !message->lease)
		return FAKE_ANSWERS;
	if (*(const char *)message->key.data == 'c' && atomic_exchange(&fake->stage, 0))
		return FAKE_CLOSES;
	MESSAGE_SET(&reply, STATUS, status, STATUS_MISS);
	MESSAGE_SET(&reply, LEASE, lease, BRINE_LEASE_GRANTED);
	MESSAGE_SET(&reply, TOKEN, token, slice("0123456789abcdef", BRINE_TOKEN_SIZE));
	fake_reply(request, FRAME_REPLY, &reply, NULL, 0);
	return FAKE_DOES_NOT;
}

/* ---- the conversation */

/* Every answer is right or an outage. */
static void
check(const struct brine *brine, const char *what, int result)
{
	if (result >= 0)
		return;
	if (brine_error_class(result) != BRINE_OUTAGE || !*brine_message(brine)) {
		memory.counts = false;
		fail_msg("%s: %s %s", what, brine_error_name(result),
			 brine_message(brine));
	}
}

static void
take_value(const struct brine *brine, const char *what, int result,
	   struct brine_value **value)
{
	check(brine, what, result);
	if (result == BRINE_HIT && brine_value_len(*value) == 0)
		check(brine, what, -BRINE_ERROR_BAD_ARGUMENT);
	if (result == BRINE_HIT)
		brine_value_release(value);
}

static void
use_objects(struct brine *brine)
{
	static char large[100000];
	struct brine_value *value;
	int64_t count;

	check(brine, "put", brine_put(brine, "k", 1, "v", 1, NULL, NULL));
	check(brine, "large put",
	      brine_put(brine, "l", 1, large, sizeof(large), NULL, NULL));
	take_value(brine, "get", brine_get(brine, "k", 1, NULL, &value), &value);
	take_value(brine, "large get", brine_get(brine, "l", 1, NULL, &value), &value);
	check(brine, "incr", brine_incr(brine, "n", 1, 1, NULL, &count));
	take_value(brine, "stats", brine_stats(brine, &value), &value);
}

static void
use_leases(struct fake *fake, struct brine *brine)
{
	struct brine_put_options publish = { 0 };
	struct brine_value *value;
	struct brine_lease lease;

	check(brine, "lease", brine_get_or_lease(brine, "a", 1, NULL, &value, &lease));
	atomic_store(&fake->stage, 1);
	check(brine, "lease", brine_get_or_lease(brine, "cut", 3, NULL, &value, &lease));
	atomic_store(&fake->stage, 0);
	if (lease.state == BRINE_LEASE_GRANTED) {
		publish.token = lease.token;
		check(brine, "publish",
		      brine_put(brine, "cut", 3, "v", 1, &publish, NULL));
	}
}

static void
use_many(struct brine *brine)
{
	struct brine_request requests[40] = { 0 };
	struct brine_reply replies[40];
	char keys[40][4];

	for (int i = 0; i < 40; i++) {
		snprintf(keys[i], sizeof(keys[i]), "%d", i);
		requests[i] = (struct brine_request){ .command = BRINE_PUT,
						      .key = keys[i],
						      .key_len = strlen(keys[i]),
						      .value = "v",
						      .value_len = 1 };
	}
	check(brine, "many", brine_many(brine, requests, 40, replies));
	for (int i = 0; i < 40; i++) {
		check(brine, "one of many", replies[i].result);
		requests[i].command = BRINE_GET;
	}
	check(brine, "batch", brine_batch(brine, requests, 40, NULL, 0, replies, NULL));
	for (int i = 0; i < 40; i++)
		check(brine, "one of a batch", replies[i].result);
	brine_replies_release(replies, 40);
}

static void
use_streams(struct brine *brine)
{
	struct brine_download *download;
	struct brine_upload *upload;
	struct brine_entry entry;
	struct brine_scan *scan;
	char bytes[16];
	int result = brine_put_begin(brine, "s", 1, 1, NULL, &upload);

	check(brine, "upload", result);
	if (result == 0) {
		result = brine_put_write(upload, "v", 1);
		check(brine, "write", result);
		if (result)
			brine_put_abort(&upload);
		else
			check(brine, "finish", brine_put_finish(&upload, NULL));
	}
	result = brine_get_begin(brine, "s", 1, NULL, &download);
	check(brine, "download", result);
	if (result == BRINE_HIT) {
		while ((result = (int)brine_get_read(download, bytes, sizeof(bytes))) > 0)
			;
		check(brine, "read", result);
		brine_get_end(&download);
	}
	result = brine_scan_begin(brine, NULL, &scan);
	check(brine, "scan", result);
	if (result == 0) {
		while ((result = brine_scan_next(scan, &entry)) == BRINE_HIT)
			;
		check(brine, "scan", result);
		brine_scan_end(&scan);
	}
}

/* After what was short is there again, the handle does all it ever did. */
static void
use_again(struct brine *brine)
{
	struct brine_value *value;
	int result;

	/* For a millisecond it remembers that no connection could be made. */
	do {
		result = brine_put(brine, "k", 1, "v", 1, NULL, NULL);
	} while (result == -BRINE_ERROR_LOCAL_MEMORY);
	assert_int_equal(result, 0);
	assert_int_equal(brine_get(brine, "k", 1, NULL, &value), BRINE_HIT);
	brine_value_release(&value);
}

/* Returns whether an allocation failed; leaves nothing behind. */
static bool
converse(struct fake *fake, long until_failure)
{
	struct brine_options options = { .socket = fake->path, .retry_ms = 1 };
	struct brine *brine = NULL;
	int result;

	memory.counts = true;
	memory.held = 0;
	memory.failed = false;
	memory.until_failure = until_failure;
	result = brine_open(&options, &brine);
	if (result == 0) {
		use_objects(brine);
		use_leases(fake, brine);
		use_many(brine);
		use_streams(brine);
		memory.until_failure = -1;
		use_again(brine);
	}
	brine_close(&brine);
	memory.counts = false;
	assert_true(result == 0 || result == -BRINE_ERROR_LOCAL_MEMORY);
	assert_int_equal(memory.held, 0);
	return memory.failed;
}

static void
every_allocation_may_fail_once_and_nothing_is_lost(void **state)
{
	struct fake fake;
	long failures = 0;

	(void)state;
	if (!OWN_MALLOC)
		skip();
	fake_start(&fake, NULL, grants);
	assert_false(converse(&fake, -1));
	while (converse(&fake, failures))
		failures++;
	assert_in_range(failures, 20, 1000);
	fake_stop(&fake);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_allocation_may_fail_once_and_nothing_is_lost),
	};

	return unit_run(tests);
}
