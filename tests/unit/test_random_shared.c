/* test_random_shared.c - random operations of many clients on the engine and on a naive model of it: leases, stale
 * windows, tags, counters, conditions and batches, on few keys so that everything collides, under a clock that
 * the test moves; with orderly restarts and with kill -9 in between.
 *
 * Each start of the engine is a process of its own. What a crash leaves must be what was there after some change:
 * nothing from the middle is lost, no batch is half there, and nothing that was said to be on the disk is gone.
 *
 * BRINE_SEED repeats a run, BRINE_OPS sets its length, BRINE_SECONDS goes on with new seeds for so long. */
#include "tests/unit/pair.h"
#include "tests/unit/unit.h"

#include <ftw.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define SEED 20251
#define OPS 3000
#define STARTS_OPS 150 /* steps of one start, at most about */
#define HOLDERS 4
#define NEVER_COMMIT (UINT64_MAX / 2)

static uint64_t
dice(struct pair *pair, uint64_t below)
{
	return pair_dice(pair, below);
}

static bool
one_in(struct pair *pair, unsigned chances)
{
	return dice(pair, chances) == 0;
}

/* ---- choosing */

static unsigned
choose_space(struct pair *pair)
{
	return one_in(pair, 3) ? (unsigned)dice(pair, MODEL_SPACES) : 0;
}

static uint64_t
choose_ttl(struct pair *pair)
{
	if (one_in(pair, 3))
		return TTL_NEVER;
	return 1 + dice(pair, one_in(pair, 3) ? 3000 : 30);
}

static size_t
choose_len(struct pair *pair)
{
	switch (dice(pair, 20)) {
	case 0:
		return 0;
	case 1:
	case 2:
		return 1800 +
		       dice(pair, 300); /* with the long key: 900 less fit the leaf */
	case 3:
		return 950 + dice(pair, 100);
	case 4:
		return 60000 + dice(pair, 10000);
	case 5:
		return one_in(pair, 2) ? 200000 : 4000;
	default:
		return 8 + dice(pair, 60);
	}
}

static int64_t
choose_number(struct pair *pair)
{
	static const int64_t far[] = { INT64_MAX, INT64_MIN, INT64_MAX - 3, INT64_MIN + 2,
				       0 };

	return one_in(pair, 4) ? far[dice(pair, 5)] : (int64_t)dice(pair, 7) - 3;
}

/* One of this key, mostly the present one. Only what was heard can be said. */
static uint64_t
choose_version(struct pair *pair, unsigned space, unsigned key)
{
	uint64_t version = pair->model.objects[space][key].version;

	if (one_in(pair, 4) && pair->model.versions)
		version = 1 + dice(pair, pair->model.versions);
	while (version && !pair->versions[version])
		version--;
	return version;
}

static uint64_t
choose_token(struct pair *pair, unsigned space, unsigned key)
{
	static const uint8_t none[CACHE_TOKEN_SIZE];
	uint64_t newest = pair->model.tokens;
	uint64_t token = pair->model.leases[space][key].token;

	if ((one_in(pair, 6) || !token) && newest)
		token = newest - dice(pair, newest < 12 ? newest : 12);
	while (token && memcmp(pair->tokens[token], none, CACHE_TOKEN_SIZE) == 0)
		token--;
	return token;
}

static uint8_t
choose_tags(struct pair *pair)
{
	return one_in(pair, 2) ? 0 : (uint8_t)dice(pair, 1u << MODEL_TAGS);
}

static enum ack
choose_ack(struct pair *pair)
{
	return one_in(pair, 5) ? ACK_DISK : ACK_MEMORY;
}

static unsigned
count_reserved(const struct pair *pair)
{
	unsigned count = 0;

	for (unsigned i = 0; i < MODEL_SPACES * MODEL_KEYS; i++)
		count += pair->model.leases[i / MODEL_KEYS][i % MODEL_KEYS].state ==
			 LEASE_IS_RESERVED;
	return count;
}

/* A connection of the space's uid, which is asked for if there is none; 0: none can be. */
static unsigned
choose_peer(struct pair *pair, unsigned space)
{
	unsigned seat = (unsigned)dice(pair, PAIR_SEATS);
	uint32_t uid = model_uid(space);

	for (unsigned i = 0; i < PAIR_SEATS; i++, seat = (seat + 1) % PAIR_SEATS) {
		if (!pair->seats[seat] && pair->peers + 1 < MODEL_PEERS)
			pair_sit_down(pair, seat, uid);
		if (pair->seats[seat] && pair->model.peers[pair->seats[seat]].uid == uid)
			return pair->seats[seat];
	}
	return 0;
}

static void
choose_lease(struct pair *pair, struct model_question *question)
{
	const struct model_lease *lease =
		&pair->model.leases[question->space][question->key];

	question->peer = choose_peer(pair, question->space);
	if (!question->peer)
		return;
	question->wish = one_in(pair, 5) ? LEASE_WISH_WAIT : LEASE_WISH_COMPUTE;
	question->holder = dice(pair, HOLDERS);
	/* Those of a restart end at one moment, in no order that a model could know: no circle may hang on it. */
	if (lease->state == LEASE_IS_RESERVED && count_reserved(pair) > 1)
		question->holder = 0;
	question->wait_ms = one_in(pair, 2)   ? TTL_NEVER
			    : one_in(pair, 5) ? 0
					      : 1 + dice(pair, 4000);
	question->lease_ms = one_in(pair, 3) ? 1 + dice(pair, 5000) : 0;
}

static void
choose_get(struct pair *pair, struct model_question *question)
{
	question->max_age_ms = one_in(pair, 10) ? dice(pair, 200) : TTL_NEVER;
	question->stale_ok = !one_in(pair, 3);
	if (one_in(pair, 10))
		question->not_version =
			choose_version(pair, question->space, question->key);
	question->refresh = one_in(pair, 10);
	question->refresh_ms =
		question->refresh && one_in(pair, 2) ? 1 + dice(pair, 2000) : 0;
	if (question->what == ASK_GET && !one_in(pair, 3))
		choose_lease(pair, question);
}

static void
choose_item(struct pair *pair, unsigned space, struct model_item *item)
{
	item->ttl_ms = choose_ttl(pair);
	item->stale_for_ms = !one_in(pair, 3) ? 1 + dice(pair, 30000) : 0;
	item->cost_us = one_in(pair, 2) ? dice(pair, 1000000) : 0;
	item->codec = (uint32_t)dice(pair, UINT32_MAX);
	item->seed = (uint32_t)dice(pair, UINT32_MAX);
	item->len = choose_len(pair);
	item->tags = choose_tags(pair);
	if (one_in(pair, 4)) {
		item->kind = OBJECT_COUNTER;
		item->counter = choose_number(pair);
	}
	if (one_in(pair, 3))
		item->condition = (enum condition)dice(pair, 4);
	if (item->condition == CONDITION_VERSION) {
		item->version = choose_version(pair, space, item->key);
		if (!item->version)
			item->condition = CONDITION_NONE;
	}
	item->or_get = item->condition == CONDITION_ABSENT && one_in(pair, 2);
	if (item->or_get && one_in(pair, 2))
		item->not_version = choose_version(pair, space, item->key);
}

static void
choose_put(struct pair *pair, struct model_question *question)
{
	struct model_item *item = &question->items[0];

	item->key = question->key;
	choose_item(pair, question->space, item);
	if (question->what == ASK_UPLOAD)
		item->kind = OBJECT_BLOB;
	if (one_in(pair, 2))
		question->token = choose_token(pair, question->space, question->key);
	if (!model_unsure(&pair->model, question))
		return;
	/* What nobody can know beforehand must be seen at once. */
	question->what = ASK_PUT;
	question->ack = ACK_MEMORY;
	item->condition = CONDITION_NONE;
	item->or_get = false;
}

static void
choose_batch(struct pair *pair, struct model_question *question)
{
	bool large = one_in(pair, 8); /* as much as one commit takes, or more */

	question->count = large ? MODEL_ITEMS : 1 + (unsigned)dice(pair, MODEL_ITEMS);
	for (unsigned i = 0; i < question->count; i++) {
		struct model_item *item = &question->items[i];

		item->key = (unsigned)dice(pair, MODEL_KEYS);
		item->remove = !large && one_in(pair, 3);
		if (!item->remove) {
			choose_item(pair, question->space, item);
			/* Else hardly a batch would pass. */
			if (large || !one_in(pair, 4))
				item->condition = CONDITION_NONE;
			item->or_get = false;
			if (large) {
				item->kind = OBJECT_BLOB;
				item->len = 190000;
			}
		} else if (one_in(pair, 4)) {
			item->version = choose_version(pair, question->space, item->key);
		}
	}
}

static void
choose_rest(struct pair *pair, struct model_question *question)
{
	unsigned space = question->space, key = question->key;

	switch (question->what) {
	case ASK_GET:
	case ASK_META:
		choose_get(pair, question);
		break;
	case ASK_PUT:
	case ASK_UPLOAD:
		choose_put(pair, question);
		break;
	case ASK_DELETE:
	case ASK_TAKE:
		if (one_in(pair, 3))
			question->version = choose_version(pair, space, key);
		break;
	case ASK_TOUCH:
		question->ttl_ms = choose_ttl(pair);
		break;
	case ASK_INCR:
		question->delta = choose_number(pair);
		question->initial = one_in(pair, 2) ? choose_number(pair) : 0;
		question->ttl_ms = choose_ttl(pair);
		question->only_if_present = one_in(pair, 5);
		break;
	case ASK_BATCH:
		choose_batch(pair, question);
		break;
	case ASK_FLUSH:
		break;
	case ASK_INVALIDATE:
		question->tags = (uint8_t)(1 + dice(pair, (1u << MODEL_TAGS) - 1));
		break;
	case ASK_RELEASE:
	case ASK_RESUME:
		question->token = choose_token(pair, space, key);
		question->why = one_in(pair, 3) ? GIVE_UP_CANNOT_BE_KEPT : GIVE_UP_FAILED;
		if (question->what == ASK_RESUME)
			question->peer = choose_peer(pair, space);
		if (!question->token || (question->what == ASK_RESUME && !question->peer))
			question->what = ASK_META; /* there is nothing to give up */
		break;
	}
	if (question->what == ASK_META)
		question->max_age_ms = TTL_NEVER;
}

static struct model_question
choose(struct pair *pair, const enum model_what *among, size_t count)
{
	struct model_question question = {
		.what = among[dice(pair, count)],
		.ack = choose_ack(pair),
	};

	/* One is asked for most: a line needs many. */
	if (!one_in(pair, 3)) {
		question.space = choose_space(pair);
		question.key = (unsigned)dice(pair, MODEL_KEYS);
	}

	choose_rest(pair, &question);
	return question;
}

/* ---- doing */

static const enum model_what anything[] = {
	ASK_GET,     ASK_GET,     ASK_GET,     ASK_GET,    ASK_GET,   ASK_GET,
	ASK_GET,     ASK_GET,     ASK_GET,     ASK_GET,    ASK_GET,   ASK_GET,
	ASK_META,    ASK_PUT,     ASK_PUT,     ASK_PUT,    ASK_PUT,   ASK_PUT,
	ASK_UPLOAD,  ASK_DELETE,  ASK_DELETE,  ASK_TAKE,   ASK_TOUCH, ASK_INCR,
	ASK_INCR,    ASK_INCR,    ASK_BATCH,   ASK_BATCH,  ASK_FLUSH, ASK_INVALIDATE,
	ASK_RELEASE, ASK_RELEASE, ASK_RELEASE, ASK_RESUME,
};
/* Where little is stored, lines get long. */
static const enum model_what waiting[] = {
	ASK_GET, ASK_GET,     ASK_GET,     ASK_GET,        ASK_GET,    ASK_GET,
	ASK_GET, ASK_RELEASE, ASK_RELEASE, ASK_INVALIDATE, ASK_DELETE, ASK_RESUME,
};
static const enum model_what batches[] = { ASK_BATCH };
/* Decided at once even while another request is with a reader. */
static const enum model_what prompt[] = {
	ASK_PUT,        ASK_DELETE,  ASK_INCR,   ASK_FLUSH,
	ASK_INVALIDATE, ASK_RELEASE, ASK_RESUME, ASK_TOUCH,
};

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static void
free_a_seat(struct pair *pair)
{
	unsigned seat = (unsigned)dice(pair, PAIR_SEATS);

	if (!pair->seats[seat])
		return;
	if (one_in(pair, 5))
		pair_die(pair, seat);
	else
		pair_get_up(pair, seat);
}

/* Everybody who waits is gone, and what waits for the disk is there. */
static void
make_room(struct pair *pair)
{
	pair_turn_begin(pair);
	for (unsigned seat = 0; seat < PAIR_SEATS; seat++)
		if (pair->seats[seat])
			pair_get_up(pair, seat);
	pair_turn_end(pair);
	pair_settle(pair);
}

static void
ask(struct pair *pair, const enum model_what *among, size_t count, bool cold)
{
	struct model_question question = choose(pair, among, count);

	if (pair_ask(pair, &question, cold))
		return;
	pair_turn_end(pair);
	make_room(pair);
	pair_turn_begin(pair);
}

/* Of this start of the engine. */
static bool long_lines;

static void
ask_anything(struct pair *pair, bool cold)
{
	if (long_lines && !one_in(pair, 10))
		ask(pair, waiting, COUNT(waiting), cold);
	else
		ask(pair, anything, COUNT(anything), cold);
}

static void
turn(struct pair *pair)
{
	unsigned count = one_in(pair, 4) ? 1 + (unsigned)dice(pair, 4) : 1;
	bool open = pair_anything_open(pair);

	pair_turn_begin(pair);
	for (unsigned i = 0; i < count; i++) {
		if (one_in(pair, 25))
			free_a_seat(pair);
		else if (open)
			ask(pair, prompt, COUNT(prompt), false);
		else
			ask_anything(pair, false);
	}
	pair_turn_end(pair);
}

/* A request that goes to a reader; what follows is decided before it. */
static void
cold_turn(struct pair *pair)
{
	pair_settle(pair);
	pair_turn_begin(pair);
	ask_anything(pair, true);
	pair_turn_end(pair);
}

static void
step(struct pair *pair)
{
	unsigned what = (unsigned)dice(pair, 100);

	if (pair->model.change - pair->model.on_disk > MODEL_PAST / 2)
		pair_sync(pair);
	if (what < 10)
		pair_pass(pair, dice(pair, one_in(pair, 6) ? 5000 : 40), one_in(pair, 4));
	else if (what < 18)
		pair_look(pair);
	else if (what < 19)
		pair_sync(pair);
	else if (what < 21)
		pair_scan(pair, choose_space(pair), 1 + (unsigned)dice(pair, 5));
	else if (what < 29)
		cold_turn(pair);
	else
		turn(pair);
	if (!pair_anything_open(pair))
		pair_compare_figures(pair);
}

/* Some real time, so that the writer is anywhere. */
static void
dawdle(struct pair *pair)
{
	struct timespec begin, now;
	long ns = (long)dice(pair, one_in(pair, 2) ? 20000000 : 2000000);

	clock_gettime(CLOCK_MONOTONIC, &begin);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((now.tv_sec - begin.tv_sec) * 1000000000 + now.tv_nsec - begin.tv_nsec <
	       ns);
}

static void
leave_slowly(struct pair *pair)
{
	pair_settle(pair);
	pair_turn_begin(pair);
	pair_leave(pair);
	pair_turn_end(pair);
	for (unsigned count = (unsigned)dice(pair, 6); count; count--)
		turn(pair);
}

/* One start of the engine, from its beginning to its end. The process does not come back. */
static void
live(struct pair *pair)
{
	unsigned steps = (unsigned)dice(pair, STARTS_OPS);

	pair_start(pair, one_in(pair, 2) ? 0 : NEVER_COMMIT);
	long_lines = one_in(pair, 3);
	while (steps--) {
		pair->step++;
		step(pair);
	}
	if (one_in(pair, 2)) {
		if (one_in(pair, 2))
			pair_look(pair);
		if (one_in(pair, 2)) {
			pair_turn_begin(pair);
			ask(pair, batches, COUNT(batches), false);
			pair_turn_end(pair);
		}
		dawdle(pair);
		kill(getpid(), SIGKILL);
	}
	if (one_in(pair, 3))
		leave_slowly(pair);
	pair_exit(pair, !one_in(pair, 4));
	_exit(EXIT_SUCCESS);
}

/* ---- the test's own process */

static int
remove_one(const char *path, const struct stat *status, int type, struct FTW *where)
{
	(void)status;
	(void)type;
	(void)where;
	return remove(path);
}

static void
play(uint64_t seed, unsigned steps)
{
	char path[] = "/tmp/brine-unit-XXXXXX";
	struct pair *pair = mmap(NULL, sizeof(*pair), PROT_READ | PROT_WRITE,
				 MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	assert_true(pair != MAP_FAILED);
	assert_non_null(mkdtemp(path));
	pair_init(pair, path, seed);
	while (pair->step < steps) {
		pid_t child;
		int status;

		fflush(NULL);
		child = fork();
		assert_true(child >= 0);
		if (child == 0)
			live(pair);
		assert_int_equal(waitpid(child, &status, 0), child);
		if (WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL)
			continue;
		if (!WIFEXITED(status) || WEXITSTATUS(status))
			fail_msg("BRINE_SEED=%llu: start %u ended with status %#x",
				 (unsigned long long)seed, pair->start, status);
	}
	if (getenv("BRINE_SECONDS"))
		printf("seed %llu: starts %llu, hits %llu, stale %llu, granted %llu, alone "
		       "%llu, vain %llu, waiting %llu, refused %llu, lost %llu\n",
		       (unsigned long long)seed, (unsigned long long)pair->seen.starts,
		       (unsigned long long)pair->seen.hits,
		       (unsigned long long)pair->seen.stale,
		       (unsigned long long)pair->seen.granted,
		       (unsigned long long)pair->seen.alone,
		       (unsigned long long)pair->seen.vain,
		       (unsigned long long)pair->seen.waited,
		       (unsigned long long)pair->seen.refused,
		       (unsigned long long)pair->seen.lost);
	if (steps >= OPS) {
		assert_true(pair->seen.hits && pair->seen.stale && pair->seen.granted);
		assert_true(pair->seen.alone && pair->seen.vain && pair->seen.waited);
		assert_true(pair->seen.refused && pair->seen.lost);
	}
	nftw(path, remove_one, 8, FTW_DEPTH | FTW_PHYS);
	munmap(pair, sizeof(*pair));
}

static unsigned
steps(void)
{
	const char *ops = getenv("BRINE_OPS");

	return ops ? (unsigned)strtoul(ops, NULL, 10) : OPS;
}

static void
clients_that_share_get_what_a_naive_model_gives(void **state)
{
	(void)state;
	play(SEED, steps());
}

static uint64_t
now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static void
clients_that_share_get_what_a_naive_model_gives_with_any_seed(void **state)
{
	const char *seed = getenv("BRINE_SEED"), *seconds = getenv("BRINE_SECONDS");
	uint64_t end_ns =
		now_ns() + (seconds ? strtoull(seconds, NULL, 10) * 1000000000 : 0);

	(void)state;
	if (seed) {
		play(strtoull(seed, NULL, 10), steps());
		return;
	}
	do {
		uint64_t any = now_ns() | 1;

		print_message("seed %llu\n", (unsigned long long)any);
		play(any, steps());
	} while (now_ns() < end_ns);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(clients_that_share_get_what_a_naive_model_gives),
		cmocka_unit_test(
			clients_that_share_get_what_a_naive_model_gives_with_any_seed),
	};
	return unit_run(tests);
}
