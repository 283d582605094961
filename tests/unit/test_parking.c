/* test_parking.c - what waits is as large as what it borrowed, and leaves nothing behind. */
#include "tests/unit/engine.h"

#include <malloc.h>

#include "daemon/cache_core.h"

#define ANSWER_OP_MOST 512
#define WAITER_MOST 536

static void
a_put_that_waits_for_its_commit_costs_little(void **state)
{
	static char key[KEY_PLAIN_MAX + 1];
	static const char value[10000];
	struct put put = { .ttl_ms = TTL_NEVER, .ack = ACK_DISK };
	struct engine engine;
	struct later later = { .answered = engine_answered, .arg = &engine, .id = 0 };
	struct answer answer;
	(void)state;

	memset(key, 'k', KEY_PLAIN_MAX);
	engine_open(&engine);
	put.target = engine_target(key);
	put.payer = engine.payer;
	engine.answered = false;
	cache_turn_begin(engine.cache);
	assert_int_equal(cache_put(engine.cache, &put, slice(value, sizeof(value)),
				   &later, &answer),
			 CACHE_LATER);
	assert_int_equal(engine.cache->parked, 1);
	assert_true(malloc_usable_size(engine.cache->waits_first) <= ANSWER_OP_MOST);
	cache_turn_end(engine.cache);
	while (!engine.answered)
		engine_step(&engine);
	assert_int_equal(engine.cache->parked, 0);
	engine_close(&engine);
}

static void
a_get_that_is_parked_keeps_copies_of_what_it_borrowed(void **state)
{
	char key[] = "first", name[] = "default";
	struct op op = { .kind = OP_GET };
	struct parked *parked;
	struct engine engine;
	(void)state;

	engine_open(&engine);
	op.get.target = (struct target){ .uid = 1000,
					 .namespace = slice_text(name),
					 .key = slice_text(key) };
	parked = op_park(engine.cache, &op);
	memset(key, 'x', 5);
	memset(name, 'x', 7);
	assert_true(malloc_usable_size(parked) <= WAITER_MOST);
	assert_true(slice_equal(parked->op.get.target.key, slice_text("first")));
	assert_true(slice_equal(parked->op.get.target.namespace, slice_text("default")));
	assert_true(parked->op.waited);
	op_unpark(engine.cache, parked);
	engine_close(&engine);
}

static void
a_parked_put_holds_its_payer_and_lets_it_go(void **state)
{
	struct op op = { .kind = OP_PUT, .value = slice_text("value") };
	struct parked *parked;
	struct engine engine;
	size_t refs;
	(void)state;

	engine_open(&engine);
	op.put.target = engine_target("a");
	op.put.payer = engine.payer;
	refs = engine.payer->refs;
	engine.cache->parked = PARKED_MAX;
	assert_null(op_park(engine.cache, &op));
	assert_int_equal(engine.payer->refs, refs);
	engine.cache->parked = 0;
	parked = op_park(engine.cache, &op);
	assert_int_equal(engine.payer->refs, refs + 1);
	assert_true(slice_equal(parked->op.value, slice_text("value")));
	assert_ptr_not_equal(parked->op.value.data, op.value.data);
	op_unpark(engine.cache, parked);
	assert_int_equal(engine.payer->refs, refs);
	assert_int_equal(engine.cache->parked, 0);
	engine_close(&engine);
}

/* Whoever runs the test, uids 1000 and up are strangers to the daemon. */
static void
open_for_strangers(struct engine *engine)
{
	engine_open(engine);
	engine->cache->own_uid = 0;
	engine->payer->account->privileged = false;
}

static void
a_uid_leaves_others_half_of_the_places_to_wait(void **state)
{
	static struct parked *parked[PARKED_MAX];
	struct op greedy = { .kind = OP_GET }, other = { .kind = OP_GET };
	struct engine engine;
	size_t count = 0;
	(void)state;

	open_for_strangers(&engine);
	greedy.get.target = engine_target("a");
	other.get.target = (struct target){ .uid = 2000,
					    .namespace = slice_text("default"),
					    .key = slice_text("a") };
	while (count < PARKED_MAX && (parked[count] = op_park(engine.cache, &greedy)))
		count++;
	assert_int_equal(count, PARKED_MAX / 2);
	assert_true(core_crowded(engine.cache, 1000));
	assert_false(core_crowded(engine.cache, 2000));
	parked[count] = op_park(engine.cache, &other);
	assert_non_null(parked[count++]);
	/* Who stands in line for a lease is counted there. */
	op_stand_in_line(engine.cache, parked[0]);
	parked[count] = op_park(engine.cache, &greedy);
	assert_non_null(parked[count++]);
	assert_null(op_park(engine.cache, &greedy));
	while (count)
		op_unpark(engine.cache, parked[--count]);
	assert_int_equal(engine.cache->parked, 0);
	assert_int_equal(engine.cache->in_line, 0);
	assert_int_equal(engine.payer->account->parked, 0);
	/* The account of one who is not connected any more ends with its last request. */
	assert_null(account_find(engine.cache, 2000));
	engine_close(&engine);
}

static void
of_requests_for_figures_a_uid_has_few_that_wait(void **state)
{
	struct op op = { .kind = OP_STATS, .simple.target.uid = 2000 };
	struct parked *parked[FIGURES_WAITING_MAX], *other;
	struct engine engine;
	(void)state;

	open_for_strangers(&engine);
	for (size_t i = 0; i < FIGURES_WAITING_MAX; i++) {
		parked[i] = op_park(engine.cache, &op);
		assert_non_null(parked[i]);
	}
	assert_null(op_park(engine.cache, &op));
	op.simple.target.uid = 3000;
	other = op_park(engine.cache, &op);
	assert_non_null(other);
	op_unpark(engine.cache, parked[0]);
	op.simple.target.uid = 2000;
	parked[0] = op_park(engine.cache, &op);
	assert_non_null(parked[0]);
	op_unpark(engine.cache, other);
	for (size_t i = 0; i < FIGURES_WAITING_MAX; i++)
		op_unpark(engine.cache, parked[i]);
	engine_close(&engine);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_put_that_waits_for_its_commit_costs_little),
		cmocka_unit_test(a_get_that_is_parked_keeps_copies_of_what_it_borrowed),
		cmocka_unit_test(a_parked_put_holds_its_payer_and_lets_it_go),
		cmocka_unit_test(a_uid_leaves_others_half_of_the_places_to_wait),
		cmocka_unit_test(of_requests_for_figures_a_uid_has_few_that_wait),
	};
	return unit_run(tests);
}
