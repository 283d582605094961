/* test_client_leases.c - one computes and the others wait, seen from the client: what it sends, and how it comes through
 * silence, cut connections, restarts and forks. The daemon is played. */
#include "tests/unit/unit.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/brine.h"
#include "client/held.h"
#include "proto/errors.h"
#include "tests/unit/fake.h"

#define TOKEN "0123456789abcdef"
#define NOTES_MAX 256

/* What the daemon was asked, in order; written by its thread, read when it has answered. */
struct notes {
	atomic_size_t count;
	struct note {
		uint8_t kind;
		uint8_t first_of_key;
		uint64_t lease, wait_ms, holder, lease_ms, give_up;
		uint64_t present;
		unsigned char token[BRINE_TOKEN_SIZE];
	} at[NOTES_MAX];
};

static void
note(struct fake *fake, const struct fake_request *request)
{
	const struct message *message = &request->message;
	struct notes *notes = fake->arg;
	struct note *to = &notes->at[notes->count];

	if (notes->count == NOTES_MAX)
		abort();
	*to = (struct note){ .kind = request->frame.kind,
			     .lease = message->lease,
			     .wait_ms = message->wait_ms,
			     .holder = message->holder,
			     .lease_ms = message->lease_ms,
			     .give_up = message->give_up,
			     .present = message->present[0] };
	if (message->key.len)
		to->first_of_key = *(const uint8_t *)message->key.data;
	if (message->token.len == BRINE_TOKEN_SIZE)
		memcpy(to->token, message->token.data, BRINE_TOKEN_SIZE);
	notes->count++;
}

static bool
has(const struct note *note, enum field field)
{
	return note->present >> field & 1;
}

static void
reply_status(const struct fake_request *request, uint64_t status)
{
	struct message message = { 0 };

	MESSAGE_SET(&message, STATUS, status, status);
	fake_reply(request, FRAME_REPLY, &message, NULL, 0);
}

static void
reply_lease(const struct fake_request *request, uint64_t lease, const char *token)
{
	struct message message = { 0 };

	MESSAGE_SET(&message, STATUS, status, STATUS_MISS);
	MESSAGE_SET(&message, LEASE, lease, lease);
	if (token)
		MESSAGE_SET(&message, TOKEN, token, slice(token, strlen(token)));
	fake_reply(request, FRAME_REPLY, &message, NULL, 0);
}

/* The token of a lease on a key ends in the key's first byte. */
static void
grant(const struct fake_request *request)
{
	char token[] = TOKEN;

	token[BRINE_TOKEN_SIZE - 1] = *(const char *)request->message.key.data;
	reply_lease(request, BRINE_LEASE_GRANTED, token);
}

static void
reply_value(const struct fake_request *request, const char *value)
{
	struct message message = { 0 };

	MESSAGE_SET(&message, VERSION, version, 5);
	MESSAGE_SET(&message, LENGTH, length, strlen(value));
	fake_reply(request, FRAME_REPLY, &message, value, strlen(value));
}

static void
reply_stale(const struct fake_request *request, uint64_t lease)
{
	struct message message = { 0 };

	MESSAGE_SET(&message, LENGTH, length, 3);
	MESSAGE_SET(&message, STALE, stale_ms, 250);
	if (lease) {
		MESSAGE_SET(&message, LEASE, lease, lease);
		MESSAGE_SET(&message, TOKEN, token, slice_text(TOKEN));
	}
	fake_reply(request, FRAME_REPLY, &message, "old", 3);
}

static struct brine *
open_at(const char *path, int64_t timeout_ms)
{
	struct brine_options options = { .socket = path, .timeout_ms = timeout_ms };
	struct brine *brine;

	assert_int_equal(brine_open(&options, &brine), 0);
	return brine;
}

static void
start(struct fake *fake, struct notes *notes, fake_hook *hook)
{
	memset(notes, 0, sizeof(*notes));
	fake_start(fake, NULL, hook);
	fake->arg = notes;
}

static int
ask(struct brine *brine, const char *key, const struct brine_lease_options *options,
    struct brine_lease *ret_lease)
{
	struct brine_value *value = NULL;
	int result =
		brine_get_or_lease(brine, key, strlen(key), options, &value, ret_lease);

	assert_int_equal(value != NULL, result == BRINE_HIT);
	brine_value_release(&value);
	return result;
}

/* ---- the answers */

static enum fake_does
by_key(struct fake *fake, const struct fake_request *request)
{
	note(fake, request);
	if (request->frame.kind != COMMAND_GET)
		return FAKE_ANSWERS;
	switch (*(const char *)request->message.key.data) {
	case 'g':
		grant(request);
		break;
	case 'a':
		reply_lease(request, BRINE_LEASE_ALONE, NULL);
		break;
	case 'w':
		reply_lease(request, BRINE_LEASE_WAITED, NULL);
		break;
	case 'l': /* of a later release */
		reply_lease(request, 9, NULL);
		break;
	case 'h':
		reply_value(request, "value");
		break;
	case 's':
		reply_stale(request, 0);
		break;
	case 'r':
		reply_stale(request, BRINE_LEASE_GRANTED);
		break;
	case 'b':
		reply_lease(request, BRINE_LEASE_GRANTED, "short");
		break;
	}
	return FAKE_DOES_NOT;
}

static void
every_answer_has_its_state(void **state)
{
	struct brine_lease lease;
	struct brine_value *value;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, by_key);
	brine = open_at(fake.path, 0);
	assert_int_equal(ask(brine, "g", NULL, &lease), BRINE_MISS);
	assert_int_equal(lease.state, BRINE_LEASE_GRANTED);
	assert_memory_equal(lease.token, "0123456789abcdeg", BRINE_TOKEN_SIZE);
	assert_int_equal(ask(brine, "a", NULL, &lease), BRINE_MISS);
	assert_int_equal(lease.state, BRINE_LEASE_ALONE);
	assert_int_equal(ask(brine, "w", NULL, &lease), BRINE_MISS);
	assert_int_equal(lease.state, BRINE_LEASE_WAITED);
	assert_int_equal(ask(brine, "later", NULL, &lease), BRINE_MISS);
	assert_int_equal(lease.state, BRINE_LEASE_ALONE);
	assert_int_equal(ask(brine, "h", NULL, &lease), BRINE_HIT);
	assert_int_equal(lease.state, BRINE_LEASE_NONE);
	assert_int_equal(brine_get_or_lease(brine, "s", 1, NULL, &value, &lease),
			 BRINE_HIT);
	assert_int_equal(lease.state, BRINE_LEASE_NONE);
	assert_int_equal(brine_value_meta(value)->stale_ms, 250);
	brine_value_release(&value);
	assert_int_equal(ask(brine, "r", NULL, &lease), BRINE_HIT);
	assert_int_equal(lease.state, BRINE_LEASE_GRANTED);
	assert_memory_equal(lease.token, TOKEN, BRINE_TOKEN_SIZE);
	assert_int_equal(ask(brine, "b", NULL, &lease), -BRINE_ERROR_BAD_PEER);
	assert_int_equal(lease.state, BRINE_LEASE_ALONE);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
the_question_says_who_asks_and_how_long_it_waits(void **state)
{
	struct brine_lease_options options = { .namespace_name = "web",
					       .max_age_ms = 5,
					       .not_version = 6,
					       .stale_ok = 1,
					       .holder = 77,
					       .wait_ms = 1500,
					       .lease_ms = 9000 };
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, by_key);
	brine = open_at(fake.path, 0);
	ask(brine, "g", &options, &lease);
	assert_int_equal(notes.at[0].lease, BRINE_ASK_LEASE);
	assert_int_equal(notes.at[0].holder, 77);
	assert_int_equal(notes.at[0].wait_ms, 1500);
	assert_int_equal(notes.at[0].lease_ms, 9000);
	assert_true(has(&notes.at[0], FIELD_STALE_OK));
	assert_true(has(&notes.at[0], FIELD_MAX_AGE));
	assert_true(has(&notes.at[0], FIELD_NOT_VERSION));
	options.wait_ms = BRINE_NO_WAIT;
	options.only_wait = 1;
	ask(brine, "g", &options, &lease);
	assert_int_equal(notes.at[1].lease, BRINE_ASK_WAIT);
	assert_true(has(&notes.at[1], FIELD_WAIT));
	assert_int_equal(notes.at[1].wait_ms, 0);
	ask(brine, "g", NULL, &lease);
	assert_false(has(&notes.at[2], FIELD_WAIT));
	assert_false(has(&notes.at[2], FIELD_HOLDER));
	assert_false(has(&notes.at[2], FIELD_STALE_OK));
	assert_false(has(&notes.at[2], FIELD_LEASE_TIME));
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_lease_is_published_with_its_token_or_released_with_a_reason(void **state)
{
	struct brine_put_options publish = { 0 };
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, by_key);
	brine = open_at(fake.path, 0);
	ask(brine, "g", NULL, &lease);
	publish.token = lease.token;
	assert_int_equal(brine_put(brine, "g", 1, "v", 1, &publish, NULL), 0);
	assert_memory_equal(notes.at[1].token, lease.token, BRINE_TOKEN_SIZE);
	assert_int_equal(
		brine_release(brine, "g", 1, NULL, lease.token, BRINE_CANNOT_BE_KEPT),
		BRINE_DONE);
	assert_int_equal(notes.at[2].kind, COMMAND_RELEASE);
	assert_int_equal(notes.at[2].give_up, BRINE_CANNOT_BE_KEPT);
	assert_memory_equal(notes.at[2].token, lease.token, BRINE_TOKEN_SIZE);
	assert_int_equal(brine_release(brine, "g", 1, NULL, lease.token, 3),
			 -BRINE_ERROR_BAD_ARGUMENT);
	assert_int_equal(brine_release(brine, "g", 1, NULL, NULL, BRINE_FAILED),
			 -BRINE_ERROR_BAD_ARGUMENT);
	assert_int_equal(notes.count, 3);
	brine_close(&brine);
	fake_stop(&fake);
}

/* ---- silence */

/* GET is answered when as many PINGs as `stage` says have been. */
static enum fake_does
answers_after_pings(struct fake *fake, const struct fake_request *request)
{
	static struct fake_request parked;

	note(fake, request);
	if (request->frame.kind == COMMAND_GET) {
		parked = (struct fake_request){ .conn = request->conn,
						.frame = request->frame };
		return FAKE_DOES_NOT;
	}
	if (request->frame.kind != COMMAND_PING)
		return FAKE_ANSWERS;
	fake_answer(fake, request);
	if (atomic_fetch_sub(&fake->stage, 1) == 1)
		reply_value(&parked, "at last");
	return FAKE_DOES_NOT;
}

static void
a_wait_is_longer_than_the_timeout_as_long_as_pings_are_answered(void **state)
{
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, answers_after_pings);
	atomic_store(&fake.stage, 2);
	brine = open_at(fake.path, 250); /* a busy machine answers within that */
	assert_int_equal(ask(brine, "k", NULL, &lease), BRINE_HIT);
	assert_int_equal(notes.count, 3);
	assert_int_equal(atomic_load(&fake.connections), 1);
	/* The answer to a PING is nobody's, and the connection goes on. */
	atomic_store(&fake.stage, 1);
	assert_int_equal(ask(brine, "k", NULL, &lease), BRINE_HIT);
	assert_int_equal(brine_ping(brine, NULL), 0);
	assert_int_equal(brine_incr(brine, "k", 1, 1, NULL, NULL), 0);
	assert_int_equal(atomic_load(&fake.connections), 1);
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
silent(struct fake *fake, const struct fake_request *request)
{
	note(fake, request);
	return FAKE_DOES_NOT;
}

static void
silence_after_a_ping_is_an_outage(void **state)
{
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, silent);
	brine = open_at(fake.path, 500); /* time enough for the fake to read both */
	assert_int_equal(ask(brine, "k", NULL, &lease), -BRINE_ERROR_TIMED_OUT);
	assert_int_equal(lease.state, BRINE_LEASE_ALONE);
	assert_non_null(strstr(brine_message(brine), "silent"));
	assert_non_null(strstr(brine_message(brine), fake.path));
	assert_int_equal(notes.count, 2);
	assert_int_equal(notes.at[1].kind, COMMAND_PING);
	/* And then nobody asks it for a while. */
	assert_int_equal(ask(brine, "k", NULL, &lease), -BRINE_ERROR_TIMED_OUT);
	assert_int_equal(notes.count, 2);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
who_does_not_want_to_wait_has_the_ordinary_timeout(void **state)
{
	struct brine_lease_options options = { .wait_ms = BRINE_NO_WAIT };
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, silent);
	brine = open_at(fake.path, 100);
	assert_int_equal(ask(brine, "k", &options, &lease), -BRINE_ERROR_TIMED_OUT);
	brine_close(&brine);
	fake_stop(&fake);
	/* No PING; on a busy machine the fake may have read nothing at all yet. */
	assert_in_range(notes.count, 0, 1);
}

static int
no_more(void *arg)
{
	++*(int *)arg;
	return 1;
}

static void
on_alarm(int number)
{
	(void)number;
}

static void
a_signal_ends_the_wait(void **state)
{
	struct itimerval soon = { { 0, 10000 }, { 0, 10000 } }, never = { 0 };
	struct sigaction action = { .sa_handler = on_alarm }, before;
	int asked = 0;
	struct brine_options options = { .interrupted = no_more,
					 .interrupted_arg = &asked };
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;
	sigset_t set;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGALRM);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* not in the daemon's thread */
	start(&fake, &notes, silent);
	pthread_sigmask(SIG_UNBLOCK, &set, NULL);
	options.socket = fake.path;
	assert_int_equal(brine_open(&options, &brine), 0);
	sigaction(SIGALRM, &action, &before);
	setitimer(ITIMER_REAL, &soon, NULL);
	assert_int_equal(ask(brine, "k", NULL, &lease), -BRINE_ERROR_INTERRUPTED);
	setitimer(ITIMER_REAL, &never, NULL);
	sigaction(SIGALRM, &before, NULL);
	assert_int_equal(asked, 1);
	brine_close(&brine);
	fake_stop(&fake);
}

/* It came just before the wait began, and interrupted no system call: it is asked for at the next PING. */
static void
a_signal_that_came_before_the_wait_ends_it_all_the_same(void **state)
{
	int asked = 0;
	struct brine_options options = { .interrupted = no_more,
					 .interrupted_arg = &asked,
					 .timeout_ms = 50 };
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, silent);
	options.socket = fake.path;
	assert_int_equal(brine_open(&options, &brine), 0);
	assert_int_equal(ask(brine, "k", NULL, &lease), -BRINE_ERROR_INTERRUPTED);
	assert_int_equal(asked, 1);
	brine_close(&brine);
	fake_stop(&fake);
}

/* ---- lost connections */

/* Says that it leaves, and is gone. */
static enum fake_does
leaves_for_good(struct fake *fake, const struct fake_request *request)
{
	note(fake, request);
	unlink(fake->path);
	fake_goaway(request, request->frame.id - 1);
	return FAKE_CLOSES;
}

static void
a_signal_ends_the_search_for_a_daemon_that_left(void **state)
{
	struct brine_request requests[2] = {
		{ .command = BRINE_GET, .key = "k", .key_len = 1 },
		{ .command = BRINE_GET, .key = "l", .key_len = 1 },
	};
	struct brine_reply replies[2];
	struct brine_value *value;
	struct brine_lease lease;

	(void)state;
	for (int way = 0; way < 3; way++) {
		struct itimerval soon = { { 0, 10000 }, { 0, 10000 } }, never = { 0 };
		struct sigaction action = { .sa_handler = on_alarm }, before;
		int asked = 0, result;
		struct brine_options options = { .timeout_ms = 60000,
						 .interrupted = no_more,
						 .interrupted_arg = &asked };
		struct notes notes;
		struct fake fake;
		struct brine *brine;
		sigset_t set;

		sigemptyset(&set);
		sigaddset(&set, SIGALRM);
		pthread_sigmask(SIG_BLOCK, &set, NULL);
		start(&fake, &notes, leaves_for_good);
		pthread_sigmask(SIG_UNBLOCK, &set, NULL);
		options.socket = fake.path;
		assert_int_equal(brine_open(&options, &brine), 0);
		sigaction(SIGALRM, &action, &before);
		setitimer(ITIMER_REAL, &soon, NULL);
		if (way == 0)
			result = ask(brine, "k", NULL, &lease);
		else if (way == 1)
			result = brine_get(brine, "k", 1, NULL, &value);
		else
			result = brine_many(brine, requests, 2, replies);
		setitimer(ITIMER_REAL, &never, NULL);
		sigaction(SIGALRM, &before, NULL);
		assert_int_equal(result, -BRINE_ERROR_INTERRUPTED);
		assert_int_equal(asked, 1);
		brine_close(&brine);
		fake_stop(&fake);
	}
}

/* The first question finds its connection cut, the next one a value. */
static enum fake_does
cuts_first(struct fake *fake, const struct fake_request *request)
{
	note(fake, request);
	if (request->frame.kind != COMMAND_GET)
		return FAKE_ANSWERS;
	if (atomic_fetch_add(&fake->stage, 1) == 0)
		return FAKE_CLOSES;
	reply_value(request, "value");
	return FAKE_DOES_NOT;
}

static void
a_cut_connection_is_made_again_and_the_wait_goes_on(void **state)
{
	struct brine_lease_options options = { .wait_ms = 60000 };
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, cuts_first);
	brine = open_at(fake.path, 0);
	assert_int_equal(ask(brine, "k", &options, &lease), BRINE_HIT);
	assert_int_equal(notes.count, 2);
	assert_int_equal(notes.at[0].wait_ms, 60000);
	assert_in_range(notes.at[1].wait_ms, 1, 60000);
	assert_int_equal(atomic_load(&fake.connections), 2);
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
always_cuts(struct fake *fake, const struct fake_request *request)
{
	note(fake, request);
	return FAKE_CLOSES;
}

static void
a_daemon_that_ends_under_every_question_is_left_alone_after_the_timeout(void **state)
{
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, always_cuts);
	brine = open_at(fake.path, 250);
	assert_int_equal(ask(brine, "k", NULL, &lease), -BRINE_ERROR_CUT_OFF);
	assert_int_equal(lease.state, BRINE_LEASE_ALONE);
	assert_in_range(notes.count, 2, 40);
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
goes_for_good(struct fake *fake, const struct fake_request *request)
{
	unlink(fake->path);
	return always_cuts(fake, request);
}

static void
a_daemon_that_does_not_come_back_ends_the_wait_after_the_timeout(void **state)
{
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, goes_for_good);
	brine = open_at(fake.path, 250);
	assert_int_equal(ask(brine, "k", NULL, &lease), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), fake.path));
	assert_int_equal(notes.count, 1);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_daemon_that_was_never_there_costs_no_wait_at_all(void **state)
{
	struct brine_lease lease;
	struct brine *brine = open_at("/nonexistent/brine.sock", -1);

	(void)state;
	assert_int_equal(ask(brine, "k", NULL, &lease), -BRINE_ERROR_UNREACHABLE);
	brine_close(&brine);
}

/* Says that it leaves while the first question is parked, and answers the next. */
static enum fake_does
leaves_first(struct fake *fake, const struct fake_request *request)
{
	note(fake, request);
	if (request->frame.kind != COMMAND_GET)
		return FAKE_ANSWERS;
	if (atomic_fetch_add(&fake->stage, 1) == 0) {
		fake_goaway(request, request->frame.id);
		fake_error(request, ERROR_SHUTTING_DOWN);
	} else {
		grant(request);
	}
	return FAKE_DOES_NOT;
}

static void
a_daemon_that_shuts_down_is_asked_again_when_it_is_back(void **state)
{
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, leaves_first);
	brine = open_at(fake.path, 0);
	assert_int_equal(ask(brine, "k", NULL, &lease), BRINE_MISS);
	assert_int_equal(lease.state, BRINE_LEASE_GRANTED);
	assert_int_equal(atomic_load(&fake.connections), 2);
	brine_close(&brine);
	fake_stop(&fake);
}

/* ---- held leases */

/* Grants what is asked for; the key "cut" costs the connection, once. Key "no" is somebody else's. */
static enum fake_does
grants_and_cuts(struct fake *fake, const struct fake_request *request)
{
	char first =
		request->message.key.len ? *(const char *)request->message.key.data : 0;

	note(fake, request);
	if (request->frame.kind == COMMAND_RESUME) {
		reply_status(request, first == 'n' ? STATUS_MISS : STATUS_DONE);
		return FAKE_DOES_NOT;
	}
	if (request->frame.kind == COMMAND_RELEASE) {
		reply_status(request, STATUS_DONE);
		return FAKE_DOES_NOT;
	}
	if (request->frame.kind == COMMAND_PUT && first == 'x')
		return FAKE_CLOSES;
	if (request->frame.kind == COMMAND_PUT && first == 'f') {
		fake_error(request, ERROR_DISK_FULL);
		return FAKE_DOES_NOT;
	}
	if (request->frame.kind == COMMAND_PUT && first == 'o') {
		fake_error(request, ERROR_OLD_TOKEN);
		return FAKE_DOES_NOT;
	}
	if (request->frame.kind != COMMAND_GET)
		return FAKE_ANSWERS;
	if (first == 'c' && atomic_fetch_xor(&fake->stage, 1) == 0)
		return FAKE_CLOSES;
	grant(request);
	return FAKE_DOES_NOT;
}

static void
held_leases_are_resumed_before_the_next_question(void **state)
{
	struct brine_lease_options options = { .namespace_name = "web", .holder = 5 };
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, grants_and_cuts);
	brine = open_at(fake.path, 0);
	ask(brine, "a", &options, &lease);
	ask(brine, "b", NULL, &lease);
	assert_int_equal(ask(brine, "cut", NULL, &lease), BRINE_MISS);
	assert_int_equal(notes.count, 6);
	assert_int_equal(notes.at[3].kind, COMMAND_RESUME);
	assert_int_equal(notes.at[3].first_of_key, 'a');
	assert_int_equal(notes.at[3].holder, 5);
	assert_true(has(&notes.at[3], FIELD_NAMESPACE));
	assert_memory_equal(notes.at[3].token, "0123456789abcdea", BRINE_TOKEN_SIZE);
	assert_int_equal(notes.at[4].kind, COMMAND_RESUME);
	assert_int_equal(notes.at[4].first_of_key, 'b');
	assert_false(has(&notes.at[4], FIELD_HOLDER));
	assert_int_equal(notes.at[5].kind, COMMAND_GET);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
any_call_that_connects_again_resumes_the_leases(void **state)
{
	struct brine_lease lease;
	struct brine_value *value;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, grants_and_cuts);
	brine = open_at(fake.path, 0);
	ask(brine, "a", NULL, &lease);
	assert_int_equal(brine_get(brine, "cut", 3, NULL, &value), BRINE_MISS);
	assert_int_equal(notes.count, 4);
	assert_int_equal(notes.at[2].kind, COMMAND_RESUME);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
what_is_over_is_not_resumed(void **state)
{
	struct brine_put_options publish = { 0 };
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, grants_and_cuts);
	brine = open_at(fake.path, 0);
	ask(brine, "published", NULL, &lease);
	publish.token = lease.token;
	assert_int_equal(brine_put(brine, "published", 9, "", 0, &publish, NULL), 0);
	ask(brine, "released", NULL, &lease);
	brine_release(brine, "released", 8, NULL, lease.token, BRINE_FAILED);
	ask(brine, "old", NULL, &lease);
	publish.token = lease.token;
	assert_int_equal(brine_put(brine, "old", 3, "", 0, &publish, NULL),
			 -BRINE_ERROR_OLD_TOKEN);
	ask(brine, "no", NULL, &lease); /* its RESUME will be refused */
	notes.count = 0;
	ask(brine, "cut", NULL, &lease);
	assert_int_equal(notes.count, 3);
	assert_int_equal(notes.at[1].kind, COMMAND_RESUME);
	assert_int_equal(notes.at[1].first_of_key, 'n');
	brine_release(brine, "cut", 3, NULL, lease.token, BRINE_FAILED);
	notes.count = 0;
	ask(brine, "cut", NULL, &lease);
	assert_int_equal(notes.count, 2);
	brine_close(&brine);
	fake_stop(&fake);
}

/* Else those who wait for the key would wait as long as the handle lives. */
static void
a_lease_whose_publication_failed_with_the_connection_is_not_resumed(void **state)
{
	struct brine_put_options publish = { 0 };
	struct brine_upload *upload;
	struct brine_request request = { .command = BRINE_PUT, .key = "x", .key_len = 1 };
	struct brine_reply reply;
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;
	int result;

	(void)state;
	start(&fake, &notes, grants_and_cuts);
	brine = open_at(fake.path, 0);
	for (int way = 0; way < 3; way++) {
		ask(brine, "x", NULL, &lease);
		publish.token = request.token = lease.token;
		if (way == 0) {
			result = brine_put(brine, "x", 1, "", 0, &publish, NULL);
		} else if (way == 1) {
			brine_put_begin(brine, "x", 1, 0, &publish, &upload);
			result = brine_put_finish(&upload, NULL);
		} else {
			result = brine_many(brine, &request, 1, &reply);
		}
		assert_int_equal(result, -BRINE_ERROR_CUT_OFF);
		notes.count = 0;
		assert_int_equal(brine_ping(brine, NULL), 0);
		assert_int_equal(notes.count, 1);
		assert_int_equal(notes.at[0].kind, COMMAND_PING);
	}
	/* One that was refused on a connection that stands is held as before. */
	ask(brine, "f", NULL, &lease);
	publish.token = lease.token;
	assert_int_equal(brine_put(brine, "f", 1, "", 0, &publish, NULL),
			 -BRINE_ERROR_DISK_FULL);
	notes.count = 0;
	ask(brine, "cut", NULL, &lease);
	assert_int_equal(notes.count, 3);
	assert_int_equal(notes.at[1].kind, COMMAND_RESUME);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
only_the_last_64_leases_are_resumed(void **state)
{
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;
	char key[16];

	(void)state;
	start(&fake, &notes, grants_and_cuts);
	brine = open_at(fake.path, 0);
	for (int i = 0; i < HELD_MAX + 10; i++) {
		snprintf(key, sizeof(key), "%c%d", i < 10 ? 'A' : 'B', i);
		ask(brine, key, NULL, &lease);
	}
	notes.count = 0;
	ask(brine, "cut", NULL, &lease);
	assert_int_equal(notes.count, 2 + HELD_MAX);
	for (int i = 1; i <= HELD_MAX; i++)
		assert_int_equal(notes.at[i].first_of_key, 'B');
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_forked_child_leaves_the_leases_to_its_parent(void **state)
{
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;
	int status;
	pid_t pid;

	(void)state;
	start(&fake, &notes, grants_and_cuts);
	brine = open_at(fake.path, 0);
	ask(brine, "a", NULL, &lease);
	pid = fork();
	if (pid == 0)
		_exit(brine_ping(brine, NULL) == 0 ? 0 : 1);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(notes.count, 2);
	assert_int_equal(notes.at[1].kind, COMMAND_PING);
	notes.count = 0;
	ask(brine, "cut", NULL, &lease);
	assert_int_equal(notes.count, 3); /* the parent still has it */
	brine_close(&brine);
	fake_stop(&fake);
}

/* ---- the lease that comes with a value for which there is no memory */

/* A body that is said to be larger than any memory. */
static enum fake_does
grants_with_too_much(struct fake *fake, const struct fake_request *request)
{
	struct message message = { 0 };

	note(fake, request);
	if (request->frame.kind == COMMAND_RELEASE) {
		reply_status(request, STATUS_DONE);
		return FAKE_DOES_NOT;
	}
	if (request->frame.kind != COMMAND_GET)
		return FAKE_ANSWERS;
	MESSAGE_SET(&message, LENGTH, length, 1ull << 60);
	MESSAGE_SET(&message, STALE, stale_ms, 1);
	MESSAGE_SET(&message, LEASE, lease, BRINE_LEASE_GRANTED);
	MESSAGE_SET(&message, TOKEN, token, slice_text(TOKEN));
	fake_reply(request, FRAME_REPLY, &message, "x", 1);
	return FAKE_DOES_NOT;
}

static void
a_lease_whose_stale_value_cannot_be_received_is_given_back(void **state)
{
	struct brine_lease lease;
	struct notes notes;
	struct fake fake;
	struct brine *brine;

	(void)state;
	start(&fake, &notes, grants_with_too_much);
	brine = open_at(fake.path, 0);
	assert_int_equal(ask(brine, "k", NULL, &lease), -BRINE_ERROR_LOCAL_MEMORY);
	assert_int_equal(lease.state, BRINE_LEASE_ALONE);
	assert_non_null(strstr(brine_message(brine), "no memory"));
	assert_int_equal(notes.count, 2);
	assert_int_equal(notes.at[1].kind, COMMAND_RELEASE);
	assert_int_equal(notes.at[1].give_up, BRINE_FAILED);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
switched_off_everybody_computes_alone(void **state)
{
	struct brine_lease lease = { 0 };
	struct brine *brine;

	(void)state;
	setenv("BRINE_DISABLE", "1", 1);
	brine = open_at("/nonexistent/brine.sock", 0);
	unsetenv("BRINE_DISABLE");
	assert_int_equal(ask(brine, "k", NULL, &lease), BRINE_MISS);
	assert_int_equal(lease.state, BRINE_LEASE_ALONE);
	assert_int_equal(brine_release(brine, "k", 1, NULL, lease.token, BRINE_FAILED),
			 BRINE_DONE);
	brine_close(&brine);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_answer_has_its_state),
		cmocka_unit_test(the_question_says_who_asks_and_how_long_it_waits),
		cmocka_unit_test(
			a_lease_is_published_with_its_token_or_released_with_a_reason),
		cmocka_unit_test(
			a_wait_is_longer_than_the_timeout_as_long_as_pings_are_answered),
		cmocka_unit_test(silence_after_a_ping_is_an_outage),
		cmocka_unit_test(who_does_not_want_to_wait_has_the_ordinary_timeout),
		cmocka_unit_test(a_signal_ends_the_wait),
		cmocka_unit_test(a_signal_that_came_before_the_wait_ends_it_all_the_same),
		cmocka_unit_test(a_signal_ends_the_search_for_a_daemon_that_left),
		cmocka_unit_test(a_cut_connection_is_made_again_and_the_wait_goes_on),
		cmocka_unit_test(
			a_daemon_that_ends_under_every_question_is_left_alone_after_the_timeout),
		cmocka_unit_test(
			a_daemon_that_does_not_come_back_ends_the_wait_after_the_timeout),
		cmocka_unit_test(a_daemon_that_was_never_there_costs_no_wait_at_all),
		cmocka_unit_test(a_daemon_that_shuts_down_is_asked_again_when_it_is_back),
		cmocka_unit_test(held_leases_are_resumed_before_the_next_question),
		cmocka_unit_test(any_call_that_connects_again_resumes_the_leases),
		cmocka_unit_test(what_is_over_is_not_resumed),
		cmocka_unit_test(
			a_lease_whose_publication_failed_with_the_connection_is_not_resumed),
		cmocka_unit_test(only_the_last_64_leases_are_resumed),
		cmocka_unit_test(a_forked_child_leaves_the_leases_to_its_parent),
		cmocka_unit_test(
			a_lease_whose_stale_value_cannot_be_received_is_given_back),
		cmocka_unit_test(switched_off_everybody_computes_alone),
	};

	return unit_run(tests);
}
