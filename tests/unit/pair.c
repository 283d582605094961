/* pair.c - the turns of the engine, and the model behind it: each decides when the other has. */
#include "tests/unit/pair_core.h"

#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/clock.h"

#define HUNG_MS 60000
#define NS_PER_MS UINT64_C(1000000)

struct pair_here here;

static struct pair *clock_of;

_Noreturn void
pair_fail(const struct pair *pair, const char *file, int line, const char *what)
{
	fprintf(stderr, "%s:%d: %s; BRINE_SEED=%llu, start %u, step %u\n", file, line,
		what, (unsigned long long)pair->seed, pair->start, pair->step);
	_exit(EXIT_FAILURE);
}

/* ---- the clock */

static uint64_t
mono_ns(void)
{
	return __atomic_load_n(&clock_of->mono_ns, __ATOMIC_RELAXED);
}

static uint64_t
wall_us(void)
{
	return __atomic_load_n(&clock_of->wall_us, __ATOMIC_RELAXED);
}

static const struct clock_source standing_clock = {
	.mono_ns = mono_ns,
	.boot_us = wall_us,
	.wall_us = wall_us,
};

void
pair_set_clock(struct pair *pair)
{
	clock_of = pair;
	clock_use(&standing_clock);
}

void
pair_move(struct pair *pair, uint64_t to_ns, uint64_t by_ms)
{
	__atomic_store_n(&pair->mono_ns, to_ns, __ATOMIC_RELAXED);
	__atomic_fetch_add(&pair->wall_us, by_ms * 1000, __ATOMIC_RELAXED);
	pair->model.now_ns = pair->mono_ns;
	pair->model.now_ms = pair->wall_us / 1000;
}

void
pair_init(struct pair *pair, const char *path, uint64_t seed)
{
	struct timespec now;

	memset(pair, 0, sizeof(*pair));
	model_init(&pair->model);
	snprintf(pair->path, sizeof(pair->path), "%s", path);
	pair->seed = pair->state = seed | 1;
	/* Beside the real one, which the threads wait by. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	pair->wall_us = UINT64_C(1700000000000000);
	pair->exited = true;
	pair_move(pair, (uint64_t)now.tv_sec * 1000 * NS_PER_MS, 0);
	pair->exit_ns = pair->mono_ns;
}

/* xorshift64* */
uint64_t
pair_dice(struct pair *pair, uint64_t below)
{
	pair->state ^= pair->state >> 12;
	pair->state ^= pair->state << 25;
	pair->state ^= pair->state >> 27;
	return (pair->state * 0x2545f4914f6cdd1d >> 11) % below;
}

/* ---- what the engine says */

void
pair_on_answer(void *arg, uint32_t id, const struct answer *answer)
{
	struct flight *flight = arg;

	(void)id;
	flight->answered = true;
	flight->answer = *answer;
	/* Borrowed until this returns. */
	if (answer->cursor.len)
		memcpy(flight->cursor, answer->cursor.data, answer->cursor.len);
	flight->len = answer->value.len;
	flight->bytes = malloc(flight->len + 1);
	if (flight->len)
		memcpy(flight->bytes, answer->value.data, flight->len);
	free(answer->owner);
	flight->answer.bundle = NULL;
	if (!answer->bundle)
		return;
	for (size_t i = 0; i < answer->bundle->count; i++) {
		flight->versions[i] = answer->bundle->items[i].version;
		flight->removed[i] = answer->bundle->items[i].there;
	}
	bundle_free(&(struct bundle *){ answer->bundle });
}

static bool
is_of(const struct parked *parked, unsigned number)
{
	return parked->op.kind != OP_ANSWER &&
	       parked->op.later.arg == (void *)&here.flights[number];
}

static enum where
find_flight(unsigned number)
{
	for (const struct read_job *job = here.cache->jobs_first; job;
	     job = job->following)
		if (job->kind != READ_PART && is_of(job->owner, number))
			return WITH_READER;
	for (const struct parked *at = here.cache->waits_first; at; at = at->next)
		if (is_of(at, number))
			return WITH_WRITER;
	return DECIDED;
}

/* The engine has taken it: the model decides it if the engine has. */
void
pair_follow_one(struct pair *pair, unsigned number)
{
	here.flights[number].where = find_flight(number);
	here.flights[number].opened = ++here.opened;
	if (here.flights[number].where == DECIDED)
		model_decide(&pair->model, number);
	pair_trace(pair, number, "asked");
}

/* The first that was there and has been decided since. */
static unsigned
first_decided(const struct pair *pair, enum where where)
{
	unsigned first = MODEL_ASKED;

	for (unsigned i = 0; i < MODEL_ASKED; i++)
		if (pair->model.asked[i].state == ASKED_OPEN &&
		    here.flights[i].where == where && find_flight(i) == DECIDED &&
		    (first == MODEL_ASKED ||
		     here.flights[i].opened < here.flights[first].opened))
			first = i;
	return first;
}

/* The engine had a turn: readers' news, then the writer's, then who was told something. */
static void
follow(struct pair *pair)
{
	unsigned number;

	for (enum where where = WITH_READER; where <= WITH_WRITER; where++)
		while ((number = first_decided(pair, where)) != MODEL_ASKED) {
			model_decide(&pair->model, number);
			pair_trace(pair, number, "decided");
		}
	for (unsigned i = 0; i < MODEL_ASKED; i++)
		if (pair->model.asked[i].state == ASKED_OPEN)
			here.flights[i].where = find_flight(i);
	while ((number = model_next_told(&pair->model)) != MODEL_ASKED)
		if (pair->model.asked[number].state == ASKED_OPEN)
			pair_follow_one(pair, number);
		else
			pair_trace(pair, number, "told");
}

/* ---- turns */

void
pair_turn_begin(struct pair *pair)
{
	(void)pair;
	cache_turn_begin(here.cache);
}

void
pair_end_turn(struct pair *pair)
{
	here.cache->cold_share = 0;
	here.cache->hold_until_ns = 0; /* its end would never come by this clock */
	cache_turn_end(here.cache);
	model_tick(&pair->model);
	follow(pair);
}

void
pair_turn_end(struct pair *pair)
{
	pair_end_turn(pair);
	pair_compare(pair);
}

static void
wake(struct pair *pair)
{
	here.cache->cold_share = 0;
	cache_wake(here.cache);
	follow(pair);
}

/* Until the next news. */
void
pair_step(struct pair *pair)
{
	struct pollfd news = { cache_wake_fd(here.cache), POLLIN, 0 };

	cache_turn_begin(here.cache);
	pair_end_turn(pair);
	MUST(pair, poll(&news, 1, HUNG_MS) == 1);
	wake(pair);
	cache_turn_begin(here.cache);
	pair_end_turn(pair);
}

void
pair_look(struct pair *pair)
{
	struct pollfd news = { cache_wake_fd(here.cache), POLLIN, 0 };

	if (poll(&news, 1, 0) == 1)
		wake(pair);
	pair_compare(pair);
}

bool
pair_anything_open(const struct pair *pair)
{
	for (unsigned i = 0; i < MODEL_ASKED; i++)
		if (pair->model.asked[i].state == ASKED_OPEN)
			return true;
	return false;
}

static bool
anything_due(const struct pair *pair)
{
	for (unsigned i = 0; i < MODEL_ASKED; i++)
		if (pair->model.asked[i].state == ASKED_OPEN ||
		    (pair->model.asked[i].state == ASKED_ANSWERED &&
		     !here.flights[i].answered))
			return true;
	return false;
}

void
pair_settle(struct pair *pair)
{
	pair_compare(pair);
	while (anything_due(pair))
		pair_step(pair);
	pair_compare(pair);
}

void
pair_sync(struct pair *pair)
{
	struct flight flight = { .bytes = NULL };
	/* What is decided before the answer comes may be newer. */
	uint64_t change = pair->model.change;

	CALL(pair, &flight, cache_sync(here.cache, 1000, &later, &answer_));
	MUST(pair, flight.answer.kind == ANSWER_DONE);
	free(flight.bytes);
	model_synced(&pair->model, change);
	pair_settle(pair);
}

static void
turn_at(struct pair *pair, uint64_t at_ns, uint64_t by_ms)
{
	pair_move(pair, at_ns, by_ms);
	pair_turn_begin(pair);
	pair_turn_end(pair);
}

void
pair_pass(struct pair *pair, uint64_t ms, bool late)
{
	uint64_t to_ns = pair->mono_ns + (ms + 1) * NS_PER_MS, at_ns;

	while (!late && (at_ns = model_deadline_ns(&pair->model)) <= to_ns)
		turn_at(pair, at_ns > pair->mono_ns ? at_ns : pair->mono_ns + 1, 0);
	turn_at(pair,
		to_ns > pair->mono_ns + NS_PER_MS ? to_ns : pair->mono_ns + NS_PER_MS,
		ms);
}

/* ---- connections */

void
pair_sit_down(struct pair *pair, unsigned seat, uint32_t uid)
{
	MUST(pair, pair->peers + 1 < MODEL_PEERS);
	pair->seats[seat] = ++pair->peers;
	here.peers[pair->peers] = cache_peer_new(here.cache, uid);
	model_peer_open(&pair->model, pair->peers, uid);
}

void
pair_die(struct pair *pair, unsigned seat)
{
	cache_peer_died(here.cache, here.peers[pair->seats[seat]]);
	model_peer_died(&pair->model, pair->seats[seat]);
}

void
pair_get_up(struct pair *pair, unsigned seat)
{
	cache_peer_free(here.cache, &here.peers[pair->seats[seat]]);
	model_peer_died(&pair->model, pair->seats[seat]);
	pair->seats[seat] = 0;
}

void
pair_leave(struct pair *pair)
{
	cache_leave(here.cache);
	model_leave(&pair->model);
}
