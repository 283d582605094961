/* test_client_calls.c - the blocking calls of libbrine against a daemon that the test plays itself. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/brine.h"
#include "proto/errors.h"
#include "tests/unit/fake.h"

static struct brine *
open_at(const char *path, int64_t timeout_ms)
{
	struct brine_options options = { .socket = path, .timeout_ms = timeout_ms };
	struct brine *brine;

	assert_int_equal(brine_open(&options, &brine), 0);
	return brine;
}

static int
put(struct brine *brine, const char *key, const char *value)
{
	return brine_put(brine, key, strlen(key), value, strlen(value), NULL, NULL);
}

static void
expect(struct brine *brine, const char *key, const char *value)
{
	struct brine_value *got = NULL;
	int result = brine_get(brine, key, strlen(key), NULL, &got);

	if (result != BRINE_HIT)
		fail_msg("get %s: %d %s", key, result, brine_message(brine));
	assert_string_equal(brine_value_data(got), value);
	assert_int_equal(brine_value_len(got), strlen(value));
	brine_value_release(&got);
	assert_null(got);
}

static void
what_was_put_is_got_with_all_that_is_known_of_it(void **state)
{
	struct brine_put_options options = { .codec = 2, .ttl_ms = 5000 };
	struct brine_value *value;
	struct brine_meta meta;
	struct fake fake;
	struct brine *brine;
	uint64_t version = 0;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(fake.path, 0);
	assert_int_equal(brine_put(brine, "key", 3, "value", 5, &options, &version),
			 BRINE_DONE);
	assert_int_equal(version, 1);
	assert_int_equal(brine_get(brine, "key", 3, NULL, &value), BRINE_HIT);
	assert_memory_equal(brine_value_data(value), "value", 6);
	assert_int_equal(brine_value_meta(value)->codec, 2);
	assert_int_equal(brine_value_meta(value)->version, 1);
	assert_int_equal(brine_value_meta(value)->length, 5);
	assert_int_equal(brine_value_meta(value)->age_ms, 7);
	assert_int_equal(brine_value_meta(value)->writer_uid, geteuid());
	assert_true(brine_value_meta(value)->ttl_left_ms == BRINE_NEVER);
	brine_close(&brine);
	brine_value_release(&value); /* outlives its handle */
	brine = open_at(fake.path, 0);
	assert_int_equal(brine_meta(brine, "key", 3, NULL, &meta), BRINE_HIT);
	assert_int_equal(meta.length, 5);
	assert_int_equal(brine_touch(brine, "key", 3, NULL), BRINE_DONE);
	assert_int_equal(brine_delete(brine, "key", 3, NULL), BRINE_DONE);
	assert_int_equal(brine_delete(brine, "key", 3, NULL), BRINE_MISS);
	assert_int_equal(brine_touch(brine, "key", 3, NULL), BRINE_MISS);
	assert_int_equal(brine_meta(brine, "key", 3, NULL, &meta), BRINE_MISS);
	assert_int_equal(brine_get(brine, "key", 3, NULL, &value), BRINE_MISS);
	assert_int_equal(brine_flush(brine, "web"), BRINE_DONE);
	assert_int_equal(brine_sync(brine), BRINE_DONE);
	assert_int_equal(atomic_load(&fake.connections), 2);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
ping_tells_what_the_daemon_said_of_itself(void **state)
{
	struct brine_daemon daemon;
	struct fake fake;
	struct brine *brine;
	char where[256];

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(fake.path, 0);
	assert_int_equal(brine_where(brine, where, sizeof(where)), BRINE_MISS);
	assert_int_equal(brine_ping(brine, &daemon), BRINE_DONE);
	assert_int_equal(daemon.max_value, 1u << 30);
	assert_int_equal(daemon.epoch, 42);
	assert_int_equal(daemon.uid, geteuid());
	assert_int_equal(daemon.server_uid, geteuid());
	assert_int_equal(brine_where(brine, where, sizeof(where)), BRINE_HIT);
	assert_non_null(strstr(where, fake.path));
	brine_close(&brine);
	fake_stop(&fake);
}

static void
values_of_several_segments_come_back_whole(void **state)
{
	size_t len = 3 * FRAME_SEGMENT_MAX + 12345;
	unsigned char *bytes = malloc(len);
	struct brine_value *value;
	struct fake fake;
	struct brine *brine;

	(void)state;
	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(i * 2654435761u >> 13);
	fake_start(&fake, NULL, NULL);
	brine = open_at(fake.path, 0);
	for (size_t cut = 0; cut < 3; cut++) {
		size_t some = len - cut * 12345 / 2 *
					    2; /* once exactly at the end of a segment */

		if (cut == 2)
			some = 2 * FRAME_SEGMENT_MAX;
		assert_int_equal(brine_put(brine, "large", 5, bytes, some, NULL, NULL),
				 0);
		assert_int_equal(brine_get(brine, "large", 5, NULL, &value), BRINE_HIT);
		assert_int_equal(brine_value_len(value), some);
		assert_memory_equal(brine_value_data(value), bytes, some);
		brine_value_release(&value);
	}
	assert_int_equal(brine_put(brine, "empty", 5, "", 0, NULL, NULL), 0);
	expect(brine, "empty", "");
	brine_close(&brine);
	fake_stop(&fake);
	free(bytes);
}

static void
conditions_are_answers_with_a_class(void **state)
{
	struct brine_put_options options = { .condition = BRINE_IF_ABSENT };
	struct fake fake;
	struct brine *brine;
	int result;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(fake.path, 0);
	assert_int_equal(brine_put(brine, "k", 1, "a", 1, &options, NULL), 0);
	result = brine_put(brine, "k", 1, "b", 1, &options, NULL);
	assert_int_equal(result, -BRINE_ERROR_EXISTS);
	assert_int_equal(brine_error_class(result), BRINE_CONDITION);
	assert_string_equal(brine_error_name(result), "EXISTS");
	assert_non_null(strstr(brine_message(brine), "exists already"));
	expect(brine, "k", "a");
	brine_close(&brine);
	fake_stop(&fake);
}

static void
bad_arguments_are_refused_here_and_the_connection_goes_on(void **state)
{
	struct brine_put_options counter = { .kind = BRINE_COUNTER };
	struct brine_value *value;
	struct fake fake;
	struct brine *brine;
	char name[300];

	(void)state;
	memset(name, 'n', sizeof(name) - 1);
	name[sizeof(name) - 1] = 0;
	fake_start(&fake, NULL, NULL);
	brine = open_at(fake.path, 0);
	assert_int_equal(brine_get(brine, "", 0, NULL, &value), -BRINE_ERROR_BAD_KEY);
	assert_int_equal(brine_get(brine, name, 1025, NULL, &value),
			 -BRINE_ERROR_BAD_KEY);
	assert_int_equal(brine_put(brine, "k", 1, "x", 1, &counter, NULL),
			 -BRINE_ERROR_BAD_ARGUMENT);
	assert_int_equal(brine_flush(brine, name), -BRINE_ERROR_BAD_NAMESPACE);
	assert_int_equal(atomic_load(&fake.requests), 0);
	assert_int_equal(put(brine, "k", "v"), 0);
	assert_int_equal(atomic_load(&fake.connections), 1);
	brine_close(&brine);
	fake_stop(&fake);
}

/* ---- silence */

static enum fake_does
silent(struct fake *fake, const struct fake_request *request)
{
	(void)fake;
	(void)request;
	return FAKE_DOES_NOT;
}

static void
a_silent_daemon_costs_one_timeout_and_then_nothing_for_a_while(void **state)
{
	struct brine_value *value;
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, silent);
	brine = open_at(fake.path, 5);
	assert_int_equal(brine_get(brine, "k", 1, NULL, &value), -BRINE_ERROR_TIMED_OUT);
	assert_non_null(strstr(brine_message(brine), fake.path));
	assert_int_equal(atomic_load(&fake.requests), 1);
	for (int i = 0; i < 1000; i++)
		assert_int_equal(brine_get(brine, "k", 1, NULL, &value),
				 -BRINE_ERROR_TIMED_OUT);
	assert_int_equal(atomic_load(&fake.connections), 1);
	assert_int_equal(atomic_load(&fake.requests), 1);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
handles_that_share_their_silence_wait_for_one_timeout_together(void **state)
{
	struct brine_silence silence = { 0 };
	struct brine_options options = { .timeout_ms = 5,
					 .retry_ms = 60000,
					 .silence = &silence };
	struct brine *brines[3];
	struct brine_value *value;
	struct fake fake;

	(void)state;
	fake_start(&fake, NULL, silent);
	options.socket = fake.path;
	for (int i = 0; i < 3; i++)
		assert_int_equal(brine_open(&options, &brines[i]), 0);
	for (int i = 0; i < 3; i++)
		assert_int_equal(brine_get(brines[i], "k", 1, NULL, &value),
				 -BRINE_ERROR_TIMED_OUT);
	assert_non_null(strstr(brine_message(brines[0]), fake.path));
	assert_non_null(strstr(brine_message(brines[2]), "asked again"));
	assert_int_equal(atomic_load(&fake.requests), 1);
	for (int i = 0; i < 3; i++)
		brine_close(&brines[i]);
	fake_stop(&fake);
}

static void
an_absent_daemon_is_looked_for_again_only_after_the_pause(void **state)
{
	struct brine_options options = { .retry_ms = 1 };
	struct brine_value *value;
	struct fake fake;
	struct brine *brine, *patient;
	struct stat st;

	(void)state;
	fake_start(&fake, NULL, NULL);
	options.socket = fake.path;
	fake_stop(&fake);
	assert_int_not_equal(stat(fake.path, &st), 0);
	assert_int_equal(brine_open(&options, &brine), 0);
	patient = open_at(fake.path, 0);
	assert_int_equal(brine_get(brine, "k", 1, NULL, &value),
			 -BRINE_ERROR_UNREACHABLE);
	assert_int_equal(brine_get(patient, "k", 1, NULL, &value),
			 -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), fake.path));
	assert_int_equal(mkdir(fake.folder, 0700), 0);
	{
		char folder[64];

		strcpy(folder, fake.folder);
		fake_start(&fake, folder, NULL);
		while (brine_ping(brine, NULL) != BRINE_DONE)
			;
		assert_int_equal(brine_get(patient, "k", 1, NULL, &value),
				 -BRINE_ERROR_UNREACHABLE);
		brine_close(&brine);
		brine_close(&patient);
		fake_stop(&fake);
		rmdir(folder);
	}
}

/* ---- connections that end */

static enum fake_does
close_first(struct fake *fake, const struct fake_request *request)
{
	(void)request;
	return atomic_fetch_add(&fake->stage, 1) == 0 ? FAKE_CLOSES : FAKE_ANSWERS;
}

static void
what_can_be_repeated_is_sent_once_more_after_the_connection_broke(void **state)
{
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, close_first);
	brine = open_at(fake.path, 0);
	assert_int_equal(put(brine, "k", "v"), BRINE_DONE);
	assert_int_equal(atomic_load(&fake.requests), 2);
	assert_int_equal(atomic_load(&fake.connections), 2);
	expect(brine, "k", "v");
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
close_always(struct fake *fake, const struct fake_request *request)
{
	(void)fake;
	(void)request;
	return FAKE_CLOSES;
}

static void
nothing_is_sent_a_third_time(void **state)
{
	struct brine_value *value;
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, close_always);
	brine = open_at(fake.path, 0);
	assert_int_equal(brine_get(brine, "k", 1, NULL, &value), -BRINE_ERROR_CUT_OFF);
	assert_int_equal(atomic_load(&fake.requests), 2);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_conditional_put_is_not_sent_twice(void **state)
{
	struct brine_put_options options = { .condition = BRINE_IF_ABSENT };
	struct fake fake;
	struct brine *brine;
	int result;

	(void)state;
	fake_start(&fake, NULL, close_first);
	brine = open_at(fake.path, 0);
	result = brine_put(brine, "k", 1, "v", 1, &options, NULL);
	assert_int_equal(result, -BRINE_ERROR_CUT_OFF);
	assert_int_equal(brine_error_class(result), BRINE_OUTAGE);
	assert_int_equal(atomic_load(&fake.requests), 1);
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
goaway_first(struct fake *fake, const struct fake_request *request)
{
	if (atomic_fetch_add(&fake->stage, 1))
		return FAKE_ANSWERS;
	fake_goaway(request, request->frame.id - 1);
	return FAKE_CLOSES;
}

static void
a_conditional_put_after_goaway_is_sent_to_the_next_daemon(void **state)
{
	struct brine_put_options options = { .condition = BRINE_IF_ABSENT };
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, goaway_first);
	brine = open_at(fake.path, 0);
	assert_int_equal(brine_put(brine, "k", 1, "v", 1, &options, NULL), BRINE_DONE);
	assert_int_equal(atomic_load(&fake.requests), 2);
	expect(brine, "k", "v");
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
goaway_and_answer(struct fake *fake, const struct fake_request *request)
{
	if (atomic_fetch_add(&fake->stage, 1) == 0)
		fake_goaway(request, request->frame.id);
	return FAKE_ANSWERS;
}

static void
a_request_that_goaway_still_covers_is_answered_on_the_old_connection(void **state)
{
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, goaway_and_answer);
	brine = open_at(fake.path, 0);
	assert_int_equal(put(brine, "k", "v"), BRINE_DONE);
	assert_int_equal(atomic_load(&fake.connections), 1);
	expect(brine, "k", "v");
	assert_int_equal(atomic_load(&fake.connections), 2);
	assert_int_equal(atomic_load(&fake.requests), 2);
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
shutting_down_first(struct fake *fake, const struct fake_request *request)
{
	if (atomic_fetch_add(&fake->stage, 1))
		return FAKE_ANSWERS;
	fake_error(request, ERROR_SHUTTING_DOWN);
	return FAKE_CLOSES;
}

static void
a_daemon_that_is_shutting_down_is_asked_again_on_a_new_connection(void **state)
{
	struct brine_put_options options = { .condition = BRINE_IF_ABSENT };
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, shutting_down_first);
	brine = open_at(fake.path, 0);
	assert_int_equal(brine_put(brine, "k", 1, "v", 1, &options, NULL), 0);
	assert_int_equal(atomic_load(&fake.connections), 2);
	brine_close(&brine);
	fake_stop(&fake);
}

#define REFUSALS 5

static enum fake_does
refusing_hello_at_first(struct fake *fake, const struct fake_request *request)
{
	if (request->frame.kind != COMMAND_HELLO || atomic_load(&fake->stage) == REFUSALS)
		return FAKE_ANSWERS;
	atomic_fetch_add(&fake->stage, 1);
	fake_error(request, ERROR_SHUTTING_DOWN);
	return FAKE_CLOSES;
}

static void
a_daemon_that_leaves_is_asked_until_its_successor_answers(void **state)
{
	struct brine_put_options if_absent = { .condition = BRINE_IF_ABSENT };
	struct brine_request many[] = {
		{ .command = BRINE_GET, .key = "k", .key_len = 1 },
		{ .command = BRINE_PING }
	};
	struct brine_reply replies[2];
	struct brine_upload *upload;
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, refusing_hello_at_first);
	fake.hook_hello = true;
	brine = open_at(fake.path, 60000);
	assert_int_equal(brine_put(brine, "k", 1, "v", 1, &if_absent, NULL), 0);
	assert_int_equal(atomic_load(&fake.connections), REFUSALS + 1);
	brine_close(&brine);
	atomic_store(&fake.stage, 0);
	brine = open_at(fake.path, 60000);
	assert_int_equal(brine_many(brine, many, 2, replies), 0);
	assert_int_equal(replies[0].result, BRINE_HIT);
	assert_int_equal(replies[1].result, BRINE_DONE);
	brine_replies_release(replies, 2);
	brine_close(&brine);
	atomic_store(&fake.stage, 0);
	brine = open_at(fake.path, 60000);
	assert_int_equal(brine_put_begin(brine, "s", 1, 3, NULL, &upload), 0);
	assert_int_equal(brine_put_write(upload, "abc", 3), 0);
	assert_int_equal(brine_put_finish(&upload, NULL), 0);
	expect(brine, "s", "abc");
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
always_leaving(struct fake *fake, const struct fake_request *request)
{
	(void)fake;
	if (request->frame.kind == COMMAND_HELLO)
		fake_error(request, ERROR_SHUTTING_DOWN);
	return FAKE_CLOSES;
}

static void
a_daemon_that_leaves_and_leaves_costs_one_timeout_and_then_nothing_for_a_while(
	void **state)
{
	struct brine_request many[] = { { .command = BRINE_PING } };
	struct brine_reply replies[1];
	struct fake fake;
	struct brine *brine;
	int connections;

	(void)state;
	fake_start(&fake, NULL, always_leaving);
	fake.hook_hello = true;
	brine = open_at(fake.path, 100);
	assert_int_equal(put(brine, "k", "v"), -BRINE_ERROR_SHUTTING_DOWN);
	connections = atomic_load(&fake.connections);
	assert_in_range(connections, 2, 30); /* in steps */
	assert_int_equal(put(brine, "k", "v"), -BRINE_ERROR_SHUTTING_DOWN);
	assert_int_equal(atomic_load(&fake.connections), connections);
	brine_close(&brine);
	brine = open_at(fake.path, 100);
	assert_int_equal(brine_many(brine, many, 1, replies), -BRINE_ERROR_SHUTTING_DOWN);
	assert_int_equal(replies[0].again, 1);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_restarted_daemon_is_found_again_without_an_error(void **state)
{
	struct fake fake;
	struct brine *brine;
	char folder[] = "/tmp/brine-fake-XXXXXX";

	(void)state;
	assert_non_null(mkdtemp(folder));
	fake_start(&fake, folder, NULL);
	brine = open_at(fake.path, 0);
	assert_int_equal(put(brine, "k", "v"), 0);
	fake_stop(&fake);
	fake_start(&fake, folder, NULL);
	assert_int_equal(put(brine, "k", "w"), 0);
	expect(brine, "k", "w");
	brine_close(&brine);
	fake_stop(&fake);
	rmdir(folder);
}

/* ---- fork, uid, signals */

static void
a_forked_child_leaves_the_connection_to_its_parent(void **state)
{
	struct fake fake;
	struct brine *brine;
	struct brine_value *value;
	int status;
	pid_t pid;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(fake.path, 0);
	assert_int_equal(put(brine, "k", "v"), 0);
	pid = fork();
	if (pid == 0) {
		int good = brine_get(brine, "k", 1, NULL, &value) == BRINE_HIT;

		good = good && brine_put(brine, "child", 5, "c", 1, NULL, NULL) == 0;
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(atomic_load(&fake.connections), 2);
	expect(brine, "child", "c");
	assert_int_equal(atomic_load(&fake.connections), 2);
	brine_close(&brine);
	fake_stop(&fake);
}

/* Keeps a hand on the connection of what it does not answer. */
static enum fake_does
silent_but_to_ping(struct fake *fake, const struct fake_request *request)
{
	if (request->frame.kind == COMMAND_PING)
		return FAKE_ANSWERS;
	atomic_store(&fake->stage, dup(request->conn->fd));
	return FAKE_DOES_NOT;
}

static void
a_call_that_is_given_up_is_so_too_where_a_child_still_has_the_socket(void **state)
{
	struct brine_value *value;
	struct pollfd connection = { .fd = -1 };
	struct fake fake;
	struct brine *brine;
	pid_t pid;

	(void)state;
	fake_start(&fake, NULL, silent_but_to_ping);
	brine = open_at(fake.path, 100);
	assert_int_equal(brine_ping(brine, NULL), 0);
	pid = fork();
	if (pid == 0) {
		pause();
		_exit(0);
	}
	assert_int_equal(brine_get(brine, "k", 1, NULL, &value), -BRINE_ERROR_TIMED_OUT);
	connection.fd = atomic_load(&fake.stage);
	poll(&connection, 1, 10000);
	kill(pid, SIGKILL);
	assert_true(connection.revents & POLLHUP);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	close(connection.fd);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_changed_effective_uid_gets_a_connection_of_its_own(void **state)
{
	struct fake fake;
	struct brine *brine;
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	fake_start(&fake, NULL, NULL);
	assert_int_equal(chmod(fake.folder, 0755), 0);
	assert_int_equal(chmod(fake.path, 0666), 0);
	pid = fork();
	if (pid == 0) {
		int good;

		brine = open_at(fake.path, 0);
		good = brine_ping(brine, NULL) == 0 && brine_ping(brine, NULL) == 0;
		good = good && seteuid(12345) == 0 && brine_ping(brine, NULL) == 0;
		good = good && brine_ping(brine, NULL) == 0;
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(atomic_load(&fake.connections), 2);
	fake_stop(&fake);
}

static void
a_strangers_daemon_is_not_trusted_unless_the_option_says_so(void **state)
{
	struct fake fake;
	int status;
	pid_t pid;

	(void)state;
	if (geteuid() != 0)
		skip();
	/* The daemon is the child's: it listens under another uid. */
	pid = fork();
	if (pid == 0) {
		struct brine_options options = { .trust_server_uid = 1,
						 .server_uid = 23456 };
		struct brine *brine;
		int good = setresuid(23456, 23456, 0) == 0;

		fake_start(&fake, NULL, NULL);
		good = good && seteuid(0) == 0 && setresuid(12345, 12345, 0) == 0;
		good = good && seteuid(0) == 0 && chmod(fake.folder, 0777) == 0 &&
		       chmod(fake.path, 0666) == 0 && seteuid(12345) == 0;
		brine = open_at(fake.path, 0);
		good = good && brine_ping(brine, NULL) == -BRINE_ERROR_NOT_TRUSTED;
		good = good && strstr(brine_message(brine), "23456") &&
		       strstr(brine_message(brine), "12345");
		options.socket = fake.path;
		brine_close(&brine);
		good = good && brine_open(&options, &brine) == 0 &&
		       brine_ping(brine, NULL) == 0;
		brine_close(&brine);
		good = good && seteuid(0) == 0;
		fake_stop(&fake);
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
on_alarm(int number)
{
	(void)number;
}

static int
count_down(void *arg)
{
	int *left = arg;

	return --*left == 0;
}

static void
a_signal_asks_the_hook_whether_to_go_on(void **state)
{
	struct sigaction action = { .sa_handler = on_alarm, .sa_flags = SA_RESTART };
	struct itimerval soon = { .it_interval = { 0, 2000 }, .it_value = { 0, 2000 } };
	struct itimerval never = { 0 };
	struct sigaction before;
	int left = 3;
	struct brine_options options = { .timeout_ms = -1,
					 .interrupted = count_down,
					 .interrupted_arg = &left };
	struct brine_value *value;
	struct fake fake;
	struct brine *brine;
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* not in the daemon's thread */
	fake_start(&fake, NULL, silent);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	options.socket = fake.path;
	assert_int_equal(brine_open(&options, &brine), 0);
	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &soon, NULL);
	assert_int_equal(brine_get(brine, "k", 1, NULL, &value),
			 -BRINE_ERROR_INTERRUPTED);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
	assert_int_equal(left, 0);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
switched_off_touches_no_socket(void **state)
{
	struct brine_place place = { .cursor_len = 0 };
	struct brine_value *value;
	struct brine_scan *scan;
	struct brine_upload *upload;
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, NULL);
	setenv("BRINE_DISABLE", "1", 1);
	brine = open_at(fake.path, 0);
	unsetenv("BRINE_DISABLE");
	assert_int_equal(put(brine, "k", "v"), BRINE_DONE);
	assert_int_equal(brine_get(brine, "k", 1, NULL, &value), BRINE_MISS);
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_DISABLED);
	assert_int_equal(brine_verify(brine, &place, &value), -BRINE_ERROR_DISABLED);
	assert_int_equal(brine_scan_begin(brine, NULL, &scan), 0);
	assert_int_equal(brine_scan_next(scan, NULL), BRINE_MISS);
	brine_scan_end(&scan);
	assert_int_equal(brine_put_begin(brine, "k", 1, 5, NULL, &upload), 0);
	assert_int_equal(brine_put_write(upload, "abc", 3), 0);
	assert_int_equal(brine_put_finish(&upload, NULL), 0);
	assert_int_equal(atomic_load(&fake.connections), 0);
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
wrong_id(struct fake *fake, const struct fake_request *request)
{
	struct fake_request other = *request;

	other.frame.id += 1;
	fake_answer(fake, &other);
	return FAKE_DOES_NOT;
}

static void
an_answer_to_something_else_ends_the_connection(void **state)
{
	struct brine_value *value;
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, wrong_id);
	brine = open_at(fake.path, 0);
	assert_int_equal(brine_get(brine, "k", 1, NULL, &value), -BRINE_ERROR_BAD_PEER);
	assert_int_equal(atomic_load(&fake.requests), 1);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_scan_brings_every_key_page_by_page(void **state)
{
	struct brine_entry entry;
	struct brine_scan *scan;
	struct fake fake;
	struct brine *brine;
	unsigned seen = 0;
	char key[2] = "a";

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(fake.path, 0);
	for (int i = 0; i < 7; i++, key[0]++)
		assert_int_equal(put(brine, key, "value"), 0);
	assert_int_equal(brine_scan_begin(brine, NULL, &scan), 0);
	while (brine_scan_next(scan, &entry) == BRINE_HIT) {
		assert_int_equal(entry.key_len, 1);
		assert_int_equal(entry.meta.length, 5);
		assert_true(entry.meta.ttl_left_ms == BRINE_NEVER);
		assert_true(brine_scan_held(scan) <= 1);
		seen |= 1u << (*(const char *)entry.key - 'a');
		expect(brine, "a", "value"); /* other calls may come between */
	}
	assert_int_equal(seen, 0x7f);
	assert_int_equal(brine_scan_next(scan, &entry), BRINE_MISS);
	brine_scan_end(&scan);
	assert_null(scan);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
statistics_are_lines_of_three_words(void **state)
{
	struct brine_value *text;
	struct brine_stat stat;
	struct fake fake;
	struct brine *brine;
	size_t position = 0;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(fake.path, 0);
	assert_int_equal(brine_stats(brine, &text), BRINE_DONE);
	assert_int_equal(brine_stats_next(text, &position, &stat), BRINE_HIT);
	assert_int_equal(stat.scope_len, 0);
	assert_int_equal(stat.name_len, 11);
	assert_memory_equal(stat.value, "3", 1);
	assert_int_equal(brine_stats_next(text, &position, &stat), BRINE_HIT);
	assert_memory_equal(stat.scope, "web", 3);
	assert_memory_equal(stat.value, "12", stat.value_len);
	assert_int_equal(brine_stats_next(text, &position, &stat), BRINE_MISS);
	brine_value_release(&text);
	brine_close(&brine);
	fake_stop(&fake);
}

/* Two pages, each for who asks for it; then FORBIDDEN. */
static enum fake_does
give_pages(struct fake *fake, const struct fake_request *request)
{
	const struct message last = { 0 };
	struct message more = { 0 };

	if (request->frame.kind != COMMAND_VERIFY)
		return FAKE_ANSWERS;
	MESSAGE_SET(&more, CURSOR, cursor, slice_text("here"));
	switch (atomic_fetch_add(&fake->stage, 1)) {
	case 0:
		if (!request->message.cursor.len)
			fake_reply(request, FRAME_REPLY, &more, "\trows\t2\n", 8);
		break;
	case 1:
		if (slice_equal(request->message.cursor, slice_text("here")))
			fake_reply(request, FRAME_REPLY, &last, "\trows\t0\n", 8);
		break;
	default:
		fake_error(request, ERROR_FORBIDDEN);
	}
	return FAKE_DOES_NOT;
}

static void
a_verification_goes_on_where_the_page_before_ended(void **state)
{
	struct brine_place place = { .cursor_len = 0 };
	struct brine_value *page;
	struct brine_stat stat;
	struct fake fake;
	struct brine *brine;
	size_t position = 0;

	(void)state;
	fake_start(&fake, NULL, give_pages);
	brine = open_at(fake.path, 0);
	assert_int_equal(brine_verify(brine, &place, &page), BRINE_HIT);
	assert_int_equal(brine_stats_next(page, &position, &stat), BRINE_HIT);
	assert_memory_equal(stat.name, "rows", stat.name_len);
	assert_memory_equal(stat.value, "2", stat.value_len);
	brine_value_release(&page);
	assert_int_equal(brine_verify(brine, &place, &page), BRINE_MISS);
	assert_int_equal(place.cursor_len, 0);
	brine_value_release(&page);
	assert_int_equal(brine_verify(brine, &place, &page), -BRINE_ERROR_FORBIDDEN);
	brine_close(&brine);
	fake_stop(&fake);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_put_is_got_with_all_that_is_known_of_it),
		cmocka_unit_test(ping_tells_what_the_daemon_said_of_itself),
		cmocka_unit_test(values_of_several_segments_come_back_whole),
		cmocka_unit_test(conditions_are_answers_with_a_class),
		cmocka_unit_test(
			bad_arguments_are_refused_here_and_the_connection_goes_on),
		cmocka_unit_test(
			a_silent_daemon_costs_one_timeout_and_then_nothing_for_a_while),
		cmocka_unit_test(
			handles_that_share_their_silence_wait_for_one_timeout_together),
		cmocka_unit_test(
			an_absent_daemon_is_looked_for_again_only_after_the_pause),
		cmocka_unit_test(
			what_can_be_repeated_is_sent_once_more_after_the_connection_broke),
		cmocka_unit_test(nothing_is_sent_a_third_time),
		cmocka_unit_test(a_conditional_put_is_not_sent_twice),
		cmocka_unit_test(
			a_conditional_put_after_goaway_is_sent_to_the_next_daemon),
		cmocka_unit_test(
			a_request_that_goaway_still_covers_is_answered_on_the_old_connection),
		cmocka_unit_test(
			a_daemon_that_is_shutting_down_is_asked_again_on_a_new_connection),
		cmocka_unit_test(
			a_daemon_that_leaves_is_asked_until_its_successor_answers),
		cmocka_unit_test(
			a_daemon_that_leaves_and_leaves_costs_one_timeout_and_then_nothing_for_a_while),
		cmocka_unit_test(a_restarted_daemon_is_found_again_without_an_error),
		cmocka_unit_test(a_forked_child_leaves_the_connection_to_its_parent),
		cmocka_unit_test(
			a_call_that_is_given_up_is_so_too_where_a_child_still_has_the_socket),
		cmocka_unit_test(a_changed_effective_uid_gets_a_connection_of_its_own),
		cmocka_unit_test(
			a_strangers_daemon_is_not_trusted_unless_the_option_says_so),
		cmocka_unit_test(a_signal_asks_the_hook_whether_to_go_on),
		cmocka_unit_test(switched_off_touches_no_socket),
		cmocka_unit_test(an_answer_to_something_else_ends_the_connection),
		cmocka_unit_test(a_scan_brings_every_key_page_by_page),
		cmocka_unit_test(statistics_are_lines_of_three_words),
		cmocka_unit_test(a_verification_goes_on_where_the_page_before_ended),
	};

	return unit_run(tests);
}
