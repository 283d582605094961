/* test_lease.c - the rules of leases, without a cache around them. */
#include "tests/unit/unit.h"

#include <string.h>

#include "daemon/lease.h"

#define EPOCH 7
#define MANY 5000

static struct leases *leases;
static uint64_t clock_number, now;

static uint64_t
next_number(void *arg)
{
	(void)arg;
	return ++clock_number;
}

static int
set_up(void **state)
{
	(void)state;
	now = 1000;
	leases = leases_new(EPOCH, next_number, NULL);
	return leases ? 0 : -1;
}

static int
tear_down(void **state)
{
	(void)state;
	leases_free(&leases);
	return 0;
}

struct row {
	uint8_t bytes[ROW_KEY_SIZE];
};

static struct row
row(unsigned number)
{
	struct row key = { { 0, 0, 0, 1 } };

	memcpy(key.bytes + 8, &number, sizeof(number));
	return key;
}

#define KEY(number) row(number).bytes

/* One caller of one connection. */
struct caller {
	struct peer *peer;
	struct waiter waiter;
	enum lease_verdict verdict;
	struct token token;
	uint64_t holder, time_ns, wait_until;
	bool only_wait, waits;
};

static void
caller_open(struct caller *caller)
{
	*caller = (struct caller){ .peer = peer_new(leases, 1000),
				   .wait_until = UINT64_MAX };
	assert_non_null(caller->peer);
}

static enum lease_verdict
ask(struct caller *caller, unsigned key)
{
	struct lease_request request = { .peer = caller->peer,
					 .holder = caller->holder,
					 .time_ns = caller->time_ns,
					 .only_wait = caller->only_wait };

	caller->verdict = lease_ask(leases, KEY(key), &request, now, &caller->token);
	if (caller->verdict == LEASE_PARK) {
		assert_int_equal(lease_wait(leases, KEY(key), &request,
					    caller->wait_until, &caller->waiter),
				 0);
		caller->waits = true;
	}
	return caller->verdict;
}

/* Everybody who was told knows it now. Returns how many. */
static unsigned
hear(struct caller *callers, unsigned count)
{
	struct waiter *waiter;
	unsigned heard = 0;

	while ((waiter = lease_told(leases))) {
		for (unsigned i = 0; i < count; i++) {
			if (&callers[i].waiter != waiter)
				continue;
			callers[i].waits = false;
			callers[i].verdict = waiter->verdict;
			callers[i].token = waiter->token;
			heard++;
		}
	}
	return heard;
}

static void
open_all(struct caller *callers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		caller_open(&callers[i]);
}

static void
close_all(struct caller *callers, unsigned count)
{
	for (unsigned i = 0; i < count; i++)
		peer_free(&callers[i].peer, now);
	hear(callers, count);
}

/* Else who waits a moment for each of so many keys takes the places of everybody's leases, for good. */
static void
a_key_that_was_waited_for_in_vain_takes_no_place(void **state)
{
	struct caller caller;

	(void)state;
	caller_open(&caller);
	caller.only_wait = true;
	for (unsigned key = 0; key < LEASES_MAX + 1; key++) {
		caller.wait_until = now + 1;
		assert_int_equal(ask(&caller, key), LEASE_PARK);
		now += 2;
		lease_tick(leases, now);
		assert_int_equal(hear(&caller, 1), 1);
		assert_int_equal(caller.verdict, LEASE_VAIN);
	}
	caller.only_wait = false;
	assert_int_equal(lease_counts(leases)->entries, 0);
	assert_int_equal(ask(&caller, LEASES_MAX + 1), LEASE_GRANTED);
	close_all(&caller, 1);
}

static void
the_first_computes_and_all_others_look_when_it_has_published(void **state)
{
	static struct caller callers[MANY];
	unsigned looking = 0;

	(void)state;
	open_all(callers, MANY);
	assert_int_equal(ask(&callers[0], 1), LEASE_GRANTED);
	for (unsigned i = 1; i < MANY; i++)
		assert_int_equal(ask(&callers[i], 1), LEASE_PARK);
	assert_int_equal(lease_counts(leases)->waiters, MANY - 1);
	assert_true(lease_valid(leases, KEY(1), callers[0].token));
	lease_published(leases, KEY(1), NULL);
	assert_int_equal(hear(callers, MANY), MANY - 1);
	for (unsigned i = 1; i < MANY; i++)
		looking += callers[i].verdict == LEASE_LOOK;
	assert_int_equal(looking, MANY - 1);
	assert_false(lease_valid(leases, KEY(1), callers[0].token));
	assert_int_equal(lease_counts(leases)->entries, 0);
	assert_false(peer_holds(callers[0].peer));
	close_all(callers, MANY);
}

static void
two_keys_have_nothing_to_do_with_each_other(void **state)
{
	struct caller callers[2];

	(void)state;
	open_all(callers, 2);
	assert_int_equal(ask(&callers[0], 1), LEASE_GRANTED);
	assert_int_equal(ask(&callers[1], 2), LEASE_GRANTED);
	assert_false(lease_valid(leases, KEY(1), callers[1].token));
	lease_published(leases, KEY(1), NULL);
	assert_true(lease_valid(leases, KEY(2), callers[1].token));
	close_all(callers, 2);
}

static void
the_death_of_the_holder_passes_the_lease_on_and_makes_its_token_old(void **state)
{
	struct caller callers[3];
	struct token old;

	(void)state;
	open_all(callers, 3);
	ask(&callers[0], 1);
	ask(&callers[1], 1);
	ask(&callers[2], 1);
	old = callers[0].token;
	peer_died(callers[0].peer, now);
	assert_int_equal(hear(callers, 3), 1);
	assert_int_equal(callers[1].verdict, LEASE_GRANTED);
	assert_true(callers[2].waits);
	assert_false(lease_valid(leases, KEY(1), old));
	assert_true(lease_valid(leases, KEY(1), callers[1].token));
	/* Somebody else has the dead one's connection: it is granted nothing. */
	assert_int_equal(ask(&callers[0], 5), LEASE_ALONE);
	close_all(callers, 3);
}

static void
a_lease_that_ended_with_nobody_waiting_still_publishes(void **state)
{
	struct caller callers[2];

	(void)state;
	open_all(callers, 2);
	ask(&callers[0], 1);
	peer_free(&callers[0].peer, now);
	assert_true(lease_valid(leases, KEY(1), callers[0].token));
	assert_int_equal(ask(&callers[1], 1), LEASE_GRANTED);
	assert_false(lease_valid(leases, KEY(1), callers[0].token));
	close_all(callers, 2);
}

static void
a_lease_time_that_has_passed_passes_the_lease_on(void **state)
{
	struct caller callers[2];
	struct token old;

	(void)state;
	open_all(callers, 2);
	callers[0].time_ns = 500;
	ask(&callers[0], 1);
	ask(&callers[1], 1);
	old = callers[0].token;
	assert_int_equal(lease_deadline_ns(leases), 1500);
	lease_tick(leases, 1499);
	assert_int_equal(hear(callers, 2), 0);
	lease_tick(leases, 1500);
	assert_int_equal(hear(callers, 2), 1);
	assert_int_equal(callers[1].verdict, LEASE_GRANTED);
	assert_false(lease_valid(leases, KEY(1), old));
	assert_int_equal(lease_deadline_ns(leases), UINT64_MAX);
	close_all(callers, 2);
}

static void
a_lease_without_a_time_never_ends_by_the_clock(void **state)
{
	struct caller callers[2];

	(void)state;
	open_all(callers, 2);
	ask(&callers[0], 1);
	ask(&callers[1], 1);
	lease_tick(leases, UINT64_MAX - 1);
	assert_int_equal(hear(callers, 2), 0);
	assert_true(callers[1].waits);
	close_all(callers, 2);
}

static void
a_wait_that_has_passed_is_told_so_and_the_others_stay_in_line(void **state)
{
	struct caller callers[3];

	(void)state;
	open_all(callers, 3);
	callers[1].wait_until = 2000;
	ask(&callers[0], 1);
	ask(&callers[1], 1);
	ask(&callers[2], 1);
	lease_tick(leases, 2000);
	assert_int_equal(hear(callers, 3), 1);
	assert_int_equal(callers[1].verdict, LEASE_VAIN);
	peer_died(callers[0].peer, now);
	hear(callers, 3);
	assert_int_equal(callers[2].verdict, LEASE_GRANTED);
	close_all(callers, 3);
}

static void
a_delete_makes_the_token_old_and_the_first_waiter_computes(void **state)
{
	struct caller callers[2];
	struct token old;

	(void)state;
	open_all(callers, 2);
	ask(&callers[0], 1);
	ask(&callers[1], 1);
	old = callers[0].token;
	lease_revoked(leases, KEY(1), now);
	hear(callers, 2);
	assert_int_equal(callers[1].verdict, LEASE_GRANTED);
	assert_false(lease_valid(leases, KEY(1), old));
	lease_revoked(leases, KEY(1), now);
	assert_int_equal(lease_counts(leases)->entries, 0);
	close_all(callers, 2);
}

static void
a_flush_moves_the_waiters_to_where_the_key_lives_now(void **state)
{
	struct caller callers[3];
	struct row moved = row(1);

	(void)state;
	open_all(callers, 3);
	ask(&callers[0], 1);
	ask(&callers[1], 1);
	ask(&callers[2], 1);
	lease_flushed(leases, 1, 9, now);
	moved.bytes[3] = 9;
	hear(callers, 3);
	assert_int_equal(callers[1].verdict, LEASE_GRANTED);
	assert_true(lease_valid(leases, moved.bytes, callers[1].token));
	assert_false(lease_valid(leases, KEY(1), callers[0].token));
	lease_published(leases, moved.bytes, NULL);
	hear(callers, 3);
	assert_int_equal(callers[2].verdict, LEASE_LOOK);
	close_all(callers, 3);
}

static void
after_two_failures_in_a_row_everybody_computes_alone(void **state)
{
	static struct caller callers[64];

	(void)state;
	open_all(callers, 64);
	for (unsigned i = 0; i < 64; i++)
		ask(&callers[i], 1);
	assert_true(lease_release(leases, KEY(1), callers[0].token, false, now));
	assert_int_equal(hear(callers, 64), 1);
	assert_int_equal(callers[1].verdict, LEASE_GRANTED);
	assert_false(lease_release(leases, KEY(1), callers[0].token, false, now));
	assert_true(lease_release(leases, KEY(1), callers[1].token, false, now));
	assert_int_equal(hear(callers, 64), 62);
	for (unsigned i = 2; i < 64; i++)
		assert_int_equal(callers[i].verdict, LEASE_ALONE);
	assert_int_equal(lease_counts(leases)->entries, 0);
	close_all(callers, 64);
}

static void
a_result_that_cannot_be_kept_sends_everybody_to_compute_at_once(void **state)
{
	static struct caller callers[64];

	(void)state;
	open_all(callers, 64);
	for (unsigned i = 0; i < 64; i++)
		ask(&callers[i], 1);
	assert_true(lease_release(leases, KEY(1), callers[0].token, true, now));
	assert_int_equal(hear(callers, 64), 63);
	assert_int_equal(callers[63].verdict, LEASE_ALONE);
	close_all(callers, 64);
}

static void
who_would_wait_for_itself_computes_alone(void **state)
{
	struct caller callers[4];

	(void)state;
	open_all(callers, 4);
	for (unsigned i = 0; i < 4; i++)
		callers[i].holder = 100 + i;
	assert_int_equal(ask(&callers[0], 1), LEASE_GRANTED);
	assert_int_equal(ask(&callers[0], 1), LEASE_ALONE); /* its own key */
	assert_int_equal(ask(&callers[1], 2), LEASE_GRANTED);
	assert_int_equal(ask(&callers[2], 3), LEASE_GRANTED);
	assert_int_equal(ask(&callers[0], 2), LEASE_PARK); /* 0 waits for 1 */
	callers[3].holder = 101;
	assert_int_equal(ask(&callers[3], 3), LEASE_PARK);  /* 1 waits for 2 */
	assert_int_equal(ask(&callers[2], 1), LEASE_ALONE); /* 2 would wait for 0 */
	close_all(callers, 4);
}

/* Two threads of holder 5 wait: one for key 1, the other for key 2, whose holder waits for key 1, too. */
static void
a_lease_is_not_passed_to_one_whom_its_waiters_wait_for(void **state)
{
	struct caller callers[6];

	(void)state;
	open_all(callers, 6);
	ask(&callers[0], 1);
	callers[1].holder = callers[2].holder = 5;
	callers[3].holder = callers[4].holder = 7;
	assert_int_equal(ask(&callers[3], 2), LEASE_GRANTED);
	assert_int_equal(ask(&callers[1], 1), LEASE_PARK);
	assert_int_equal(ask(&callers[2], 2), LEASE_PARK);
	assert_int_equal(ask(&callers[4], 1), LEASE_PARK);
	assert_int_equal(ask(&callers[5], 1), LEASE_PARK);
	peer_died(callers[0].peer, now);
	hear(callers, 6);
	assert_int_equal(callers[1].verdict, LEASE_ALONE);
	assert_int_equal(callers[4].verdict, LEASE_GRANTED);
	assert_true(callers[5].waits);
	close_all(callers, 6);
}

static void
a_lease_that_nobody_holds_is_not_granted_to_one_whom_its_waiters_wait_for(void **state)
{
	struct caller callers[4];

	(void)state;
	open_all(callers, 4);
	callers[0].holder = callers[1].holder = 5;
	callers[2].holder = callers[3].holder = 7;
	callers[0].only_wait = true;
	assert_int_equal(ask(&callers[1], 2), LEASE_GRANTED);
	assert_int_equal(ask(&callers[0], 1), LEASE_PARK); /* 5 waits for key 1 */
	assert_int_equal(ask(&callers[2], 2), LEASE_PARK); /* 7 waits for 5 */
	assert_int_equal(ask(&callers[3], 1), LEASE_ALONE);
	close_all(callers, 4);
}

/* Its holder lost its connection, and then began to wait for the key, or for who waits for it. */
static void
a_lapsed_lease_is_not_resumed_where_that_closes_a_circle(void **state)
{
	struct caller callers[5];

	(void)state;
	open_all(callers, 5);
	callers[0].holder = callers[1].holder = callers[2].holder = 7;
	callers[3].holder = callers[4].holder = 8;
	callers[1].only_wait = callers[3].only_wait = true;
	for (int longer = 0; longer < 2; longer++) {
		assert_int_equal(ask(&callers[0], 1), LEASE_GRANTED);
		peer_died(callers[0].peer, now);
		/* 7 waits for 1; or 8 does, which computes 2, and 7 waits for 2. */
		assert_int_equal(ask(&callers[longer ? 3 : 1], 1), LEASE_PARK);
		if (longer) {
			assert_int_equal(ask(&callers[4], 2), LEASE_GRANTED);
			assert_int_equal(ask(&callers[1], 2), LEASE_PARK);
		}
		assert_false(lease_resume(leases, KEY(1), callers[0].token,
					  callers[2].peer, now));
		assert_true(lease_valid(leases, KEY(1), callers[0].token));
		lease_published(leases, KEY(2), NULL);
		if (longer) /* the circle is broken now */
			assert_true(lease_resume(leases, KEY(1), callers[0].token,
						 callers[2].peer, now));
		lease_published(leases, KEY(1), NULL);
		hear(callers, 5);
		peer_free(&callers[0].peer, now);
		callers[0].peer = peer_new(leases, 1000);
	}
	close_all(callers, 5);
}

static void
a_lease_that_is_resumed_keeps_its_holder_and_its_end(void **state)
{
	struct caller callers[4];

	(void)state;
	open_all(callers, 4);
	callers[0].holder = callers[2].holder = 5;
	callers[0].time_ns = 500;
	ask(&callers[0], 1);
	peer_free(&callers[0].peer, now);
	assert_true(lease_resume(leases, KEY(1), callers[0].token, callers[1].peer, now));
	assert_int_equal(ask(&callers[2], 1), LEASE_ALONE);
	assert_int_equal(ask(&callers[3], 1), LEASE_PARK);
	lease_tick(leases, 1500);
	hear(callers, 4);
	assert_int_equal(callers[3].verdict, LEASE_GRANTED);
	assert_false(
		lease_resume(leases, KEY(1), callers[0].token, callers[1].peer, now));
	close_all(callers, 4);
}

static void
the_same_holder_id_of_another_uid_is_another_holder(void **state)
{
	struct caller callers[2];

	(void)state;
	caller_open(&callers[0]);
	callers[1] = (struct caller){ .peer = peer_new(leases, 1001),
				      .wait_until = UINT64_MAX };
	callers[0].holder = callers[1].holder = 5;
	ask(&callers[0], 1);
	assert_int_equal(ask(&callers[1], 1), LEASE_PARK);
	close_all(callers, 2);
}

/* Holder i + 1 computes key i; from the end on, each waits for the next one's key. */
static void
a_walk_that_is_too_long_counts_as_a_circle(void **state)
{
	enum { LONG = LEASE_WALK_MAX + 3 };
	static struct caller holders[LONG], waiting[LONG];

	(void)state;
	open_all(holders, LONG);
	open_all(waiting, LONG);
	for (unsigned i = 0; i < LONG; i++) {
		holders[i].holder = waiting[i].holder = 1 + i;
		assert_int_equal(ask(&holders[i], i), LEASE_GRANTED);
	}
	for (unsigned steps = 0; steps <= LEASE_WALK_MAX; steps++)
		assert_int_equal(ask(&waiting[LONG - 2 - steps], LONG - 1 - steps),
				 LEASE_PARK);
	assert_int_equal(ask(&waiting[0], 1), LEASE_ALONE);
	close_all(waiting, LONG);
	close_all(holders, LONG);
}

static void
who_only_waits_is_never_granted_anything_and_hears_of_every_value(void **state)
{
	struct caller callers[3];

	(void)state;
	open_all(callers, 3);
	callers[0].only_wait = callers[1].only_wait = true;
	assert_int_equal(ask(&callers[0], 1), LEASE_PARK); /* nobody computes yet */
	assert_int_equal(ask(&callers[2], 1), LEASE_GRANTED);
	assert_int_equal(ask(&callers[1], 1), LEASE_PARK);
	assert_true(lease_release(leases, KEY(1), callers[2].token, true, now));
	assert_int_equal(hear(callers, 3), 0);
	lease_published(leases, KEY(1), NULL);
	assert_int_equal(hear(callers, 3), 2);
	assert_int_equal(callers[0].verdict, LEASE_LOOK);
	close_all(callers, 3);
}

static void
a_holder_that_comes_back_with_its_token_has_its_lease_again(void **state)
{
	struct caller callers[3];

	(void)state;
	open_all(callers, 3);
	ask(&callers[0], 1);
	peer_free(&callers[0].peer, now);
	assert_true(lease_resume(leases, KEY(1), callers[0].token, callers[1].peer, now));
	assert_int_equal(ask(&callers[2], 1), LEASE_PARK);
	peer_died(callers[1].peer, now);
	hear(callers, 3);
	assert_int_equal(callers[2].verdict, LEASE_GRANTED);
	assert_false(
		lease_resume(leases, KEY(1), callers[0].token, callers[2].peer, now));
	close_all(callers, 3);
}

static void
leaving_tells_all_waiters_and_keeps_what_is_held_to_be_saved(void **state)
{
	struct caller callers[2];
	struct saved_lease saved[4];

	(void)state;
	open_all(callers, 2);
	callers[0].holder = 42;
	ask(&callers[0], 1);
	ask(&callers[1], 1);
	lease_leave(leases);
	assert_int_equal(hear(callers, 2), 1);
	assert_int_equal(callers[1].verdict, LEASE_LEAVING);
	assert_int_equal(ask(&callers[1], 2), LEASE_LEAVING);
	close_all(callers, 2);
	assert_int_equal(lease_saved(leases, now, saved, 4), 1);
	assert_int_equal(saved[0].holder, 42);
	assert_int_equal(saved[0].token.number, callers[0].token.number);
	assert_memory_equal(saved[0].row_key, KEY(1), ROW_KEY_SIZE);
}

static void
reserve(unsigned key, struct token token)
{
	struct saved_lease saved = { .token = token, .holder = 42, .uid = 1000 };

	memcpy(saved.row_key, KEY(key), ROW_KEY_SIZE);
	lease_reserve(leases, &saved, now);
}

static void
after_a_restart_others_wait_for_the_holder_and_then_compute(void **state)
{
	struct token earlier = { 1, 2 };
	struct caller callers[2];

	(void)state;
	open_all(callers, 2);
	reserve(1, earlier);
	reserve(2, earlier);
	reserve(3, earlier);
	assert_int_equal(ask(&callers[0], 1), LEASE_PARK);
	assert_int_equal(ask(&callers[1], 2), LEASE_PARK);
	assert_true(lease_valid(leases, KEY(1), earlier));
	assert_true(lease_resume(leases, KEY(2), earlier, callers[0].peer, now));
	lease_tick(leases, now + LEASE_RESERVED_NS);
	hear(callers, 2);
	assert_int_equal(callers[0].verdict, LEASE_GRANTED);
	assert_true(callers[1].waits);
	assert_false(lease_valid(leases, KEY(1), earlier));
	assert_true(lease_valid(leases, KEY(2), earlier));
	assert_false(lease_valid(leases, KEY(3), earlier));
	close_all(callers, 2);
}

static void
a_reserved_lease_is_not_resumed_by_another_uid(void **state)
{
	struct token earlier = { 1, 2 };
	struct peer *stranger = peer_new(leases, 1001);

	(void)state;
	reserve(1, earlier);
	assert_false(lease_resume(leases, KEY(1), earlier, stranger, now));
	peer_free(&stranger, now);
}

static void
of_what_lapsed_a_uid_loses_its_own_oldest_and_nobody_elses(void **state)
{
	struct caller caller, other;
	struct token first = { 0, 0 };

	(void)state;
	other = (struct caller){ .peer = peer_new(leases, 1001),
				 .wait_until = UINT64_MAX };
	assert_int_equal(ask(&other, LEASES_MAX), LEASE_GRANTED);
	peer_free(&other.peer, now);
	for (unsigned i = 0; i <= LEASES_LAPSED_MAX; i++) {
		caller_open(&caller);
		assert_int_equal(ask(&caller, i), LEASE_GRANTED);
		if (i == 0)
			first = caller.token;
		peer_free(&caller.peer, now);
	}
	assert_false(lease_valid(leases, KEY(0), first));
	assert_true(lease_valid(leases, KEY(LEASES_LAPSED_MAX), caller.token));
	assert_true(lease_valid(leases, KEY(LEASES_MAX), other.token));
	/* Half of what the other leaves, and the other's. */
	assert_int_equal(lease_counts(leases)->entries, LEASES_LAPSED_MAX / 2 + 1);
}

static void
what_lapsed_makes_room_for_what_its_uid_computes(void **state)
{
	struct caller caller;

	(void)state;
	for (unsigned i = 0; i < 100; i++) {
		caller_open(&caller);
		assert_int_equal(ask(&caller, i), LEASE_GRANTED);
		peer_free(&caller.peer, now);
	}
	caller_open(&caller);
	for (unsigned i = 100; i < LEASES_MAX / 2 + 100; i++)
		assert_int_equal(ask(&caller, i), LEASE_GRANTED);
	assert_int_equal(ask(&caller, LEASES_MAX), LEASE_ALONE);
	peer_free(&caller.peer, now);
}

static void
keys_that_one_uid_only_waits_for_are_among_its_entries(void **state)
{
	static struct waiter waiters[LEASE_WAITERS_MAX / 2];
	struct caller caller, other;
	struct lease_request request;
	unsigned held = 0;

	(void)state;
	caller_open(&caller);
	other = (struct caller){ .peer = peer_new(leases, 1001),
				 .wait_until = UINT64_MAX };
	request = (struct lease_request){ .peer = caller.peer, .only_wait = true };
	for (unsigned i = 0; i < LEASE_WAITERS_MAX / 2; i++)
		assert_int_equal(
			lease_wait(leases, KEY(i), &request, UINT64_MAX, &waiters[i]), 0);
	while (ask(&caller, LEASES_MAX + held) == LEASE_GRANTED)
		held++;
	assert_int_equal(held + LEASE_WAITERS_MAX / 2, LEASES_MAX / 2);
	/* What somebody else computes is that one's. */
	assert_int_equal(ask(&other, 0), LEASE_GRANTED);
	assert_int_equal(ask(&caller, 2 * LEASES_MAX), LEASE_GRANTED);
	assert_int_equal(ask(&caller, 2 * LEASES_MAX + 1), LEASE_ALONE);
	close_all(&caller, 1);
	close_all(&other, 1);
}

/* These all had one bucket, where a multiplication by a number that everybody knows said which. */
static void
holders_who_are_chosen_to_be_in_ones_way_are_not(void **state)
{
	enum { CROWD = 1000, SHIFT = 52 };
	static struct waiter waiters[CROWD];
	const uint64_t factor = 0x9e3779b97f4a7c15;
	struct caller holder, victim, hostile;
	struct lease_request request;
	uint64_t wanted = 77 * factor >> SHIFT, chosen = 0;

	(void)state;
	caller_open(&holder);
	holder.holder = 78;
	caller_open(&victim);
	victim.holder = 77;
	hostile = (struct caller){ .peer = peer_new(leases, 1001),
				   .wait_until = UINT64_MAX };
	ask(&holder, 1);
	ask(&hostile, 2);
	request = (struct lease_request){ .peer = hostile.peer };
	for (unsigned i = 0; i < CROWD; i++) {
		do
			chosen++;
		while (chosen * factor >> SHIFT != wanted || chosen == 77);
		request.holder = chosen;
		assert_int_equal(
			lease_wait(leases, KEY(2), &request, UINT64_MAX, &waiters[i]), 0);
	}
	/* The victim waits for one key, and asks for another that nobody holds. */
	assert_int_equal(ask(&victim, 1), LEASE_PARK);
	victim.verdict = LEASE_VAIN;
	request = (struct lease_request){ .peer = victim.peer, .holder = 77 };
	assert_int_equal(lease_ask(leases, KEY(3), &request, now, &victim.token),
			 LEASE_GRANTED);
	assert_int_equal(lease_wait(leases, KEY(4),
				    &(struct lease_request){ .peer = hostile.peer,
							     .only_wait = true },
				    UINT64_MAX, &hostile.waiter),
			 0);
	assert_int_equal(lease_ask(leases, KEY(4), &request, now, &victim.token),
			 LEASE_GRANTED);
	close_all(&hostile, 1);
	close_all(&victim, 1);
	close_all(&holder, 1);
}

static void
one_uid_has_no_more_than_its_part_and_others_are_served(void **state)
{
	struct caller caller, other;

	(void)state;
	caller_open(&caller);
	other = (struct caller){ .peer = peer_new(leases, 1001),
				 .wait_until = UINT64_MAX };
	for (unsigned i = 0; i < LEASES_MAX / 2; i++)
		assert_int_equal(ask(&caller, i), LEASE_GRANTED);
	assert_int_equal(ask(&caller, LEASES_MAX), LEASE_ALONE);
	assert_int_equal(ask(&other, LEASES_MAX), LEASE_GRANTED);
	peer_free(&caller.peer, now);
	peer_free(&other.peer, now);
}

static void
who_waits_has_a_bound_for_each_uid(void **state)
{
	enum { MOST = LEASE_WAITERS_MAX / 2 };
	static struct waiter waiters[MOST + 1];
	struct caller caller, other;
	struct lease_request request;

	(void)state;
	caller_open(&caller);
	other = (struct caller){ .peer = peer_new(leases, 1001),
				 .wait_until = UINT64_MAX };
	ask(&caller, 1);
	request = (struct lease_request){ .peer = caller.peer };
	for (unsigned i = 0; i < MOST; i++)
		assert_int_equal(
			lease_wait(leases, KEY(1), &request, UINT64_MAX, &waiters[i]), 0);
	assert_int_equal(lease_wait(leases, KEY(1), &request, UINT64_MAX, &waiters[MOST]),
			 -1);
	assert_int_equal(ask(&other, 1), LEASE_PARK);
	close_all(&caller, 1);
	close_all(&other, 1);
}

static void
a_full_table_lets_everybody_compute_alone(void **state)
{
	enum { UIDS = 18 }; /* each has half of what is left, and the last nothing */
	struct caller callers[UIDS];
	unsigned key = 0;

	(void)state;
	for (unsigned i = 0; i < UIDS; i++) {
		callers[i] = (struct caller){ .peer = peer_new(leases, 1000 + i),
					      .wait_until = UINT64_MAX };
		while (ask(&callers[i], key) == LEASE_GRANTED)
			key++;
		assert_int_equal(callers[i].verdict, LEASE_ALONE);
	}
	assert_int_equal(key, LEASES_MAX);
	close_all(callers, UIDS);
}

int
main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	static const struct CMUnitTest tests[] = {
		T(the_first_computes_and_all_others_look_when_it_has_published),
		T(a_key_that_was_waited_for_in_vain_takes_no_place),
		T(two_keys_have_nothing_to_do_with_each_other),
		T(the_death_of_the_holder_passes_the_lease_on_and_makes_its_token_old),
		T(a_lease_that_ended_with_nobody_waiting_still_publishes),
		T(a_lease_time_that_has_passed_passes_the_lease_on),
		T(a_lease_without_a_time_never_ends_by_the_clock),
		T(a_wait_that_has_passed_is_told_so_and_the_others_stay_in_line),
		T(a_delete_makes_the_token_old_and_the_first_waiter_computes),
		T(a_flush_moves_the_waiters_to_where_the_key_lives_now),
		T(after_two_failures_in_a_row_everybody_computes_alone),
		T(a_result_that_cannot_be_kept_sends_everybody_to_compute_at_once),
		T(who_would_wait_for_itself_computes_alone),
		T(a_lease_is_not_passed_to_one_whom_its_waiters_wait_for),
		T(a_lease_that_nobody_holds_is_not_granted_to_one_whom_its_waiters_wait_for),
		T(a_lease_that_is_resumed_keeps_its_holder_and_its_end),
		T(a_lapsed_lease_is_not_resumed_where_that_closes_a_circle),
		T(the_same_holder_id_of_another_uid_is_another_holder),
		T(a_walk_that_is_too_long_counts_as_a_circle),
		T(who_only_waits_is_never_granted_anything_and_hears_of_every_value),
		T(a_holder_that_comes_back_with_its_token_has_its_lease_again),
		T(leaving_tells_all_waiters_and_keeps_what_is_held_to_be_saved),
		T(after_a_restart_others_wait_for_the_holder_and_then_compute),
		T(a_reserved_lease_is_not_resumed_by_another_uid),
		T(of_what_lapsed_a_uid_loses_its_own_oldest_and_nobody_elses),
		T(what_lapsed_makes_room_for_what_its_uid_computes),
		T(keys_that_one_uid_only_waits_for_are_among_its_entries),
		T(holders_who_are_chosen_to_be_in_ones_way_are_not),
		T(one_uid_has_no_more_than_its_part_and_others_are_served),
		T(who_waits_has_a_bound_for_each_uid),
		T(a_full_table_lets_everybody_compute_alone),
	};
	return unit_run(tests);
}
