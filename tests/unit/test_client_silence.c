/* test_client_silence.c - how long a daemon that kept silent is left alone, and by whom. */
#include "tests/unit/unit.h"

#include "client/silence.h"

#define FIRST 10

static void
who_has_heard_of_no_silence_asks(void **state)
{
	struct brine_silence silence = { 0 };

	(void)state;
	assert_false(silence_holds(&silence, FIRST, 0));
	assert_false(silence_holds(&silence, FIRST, UINT64_MAX));
	silence_end(&silence);
	assert_false(silence_holds(&silence, FIRST, 5));
}

static void
after_each_pause_one_asks_and_the_others_do_not_wait(void **state)
{
	struct brine_silence silence = { 0 };

	(void)state;
	silence_begin(&silence, FIRST, 100);
	assert_true(silence_holds(&silence, FIRST, 100));
	assert_true(silence_holds(&silence, FIRST, 109));
	assert_false(silence_holds(&silence, FIRST, 110));
	assert_true(silence_holds(&silence, FIRST, 110));
	assert_true(silence_holds(&silence, FIRST, 119));
	/* Whoever asked was never heard of again. */
	assert_false(silence_holds(&silence, FIRST, 120));
}

static void
each_silence_is_left_alone_for_twice_as_long_up_to_a_bound(void **state)
{
	static const unsigned times[] = { 1, 2, 4, 8, 16, 16, 16 };
	struct brine_silence silence = { 0 };
	uint64_t now = 1000;

	(void)state;
	for (size_t i = 0; i < sizeof(times) / sizeof(times[0]); i++) {
		silence_begin(&silence, FIRST, now);
		now += FIRST * times[i];
		assert_true(silence_holds(&silence, FIRST, now - 1));
		assert_false(silence_holds(&silence, FIRST, now));
	}
	for (int i = 0; i < 1000; i++)
		silence_begin(&silence, FIRST, now);
	assert_false(silence_holds(&silence, FIRST, now + FIRST * SILENCE_LONGEST));
}

static void
an_answer_ends_it_for_all_and_the_next_one_begins_anew(void **state)
{
	struct brine_silence silence = { 0 };

	(void)state;
	for (int i = 0; i < 5; i++)
		silence_begin(&silence, FIRST, 100);
	silence_end(&silence);
	assert_false(silence_holds(&silence, FIRST, 101));
	silence_begin(&silence, FIRST, 200);
	assert_false(silence_holds(&silence, FIRST, 210));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_has_heard_of_no_silence_asks),
		cmocka_unit_test(after_each_pause_one_asks_and_the_others_do_not_wait),
		cmocka_unit_test(
			each_silence_is_left_alone_for_twice_as_long_up_to_a_bound),
		cmocka_unit_test(an_answer_ends_it_for_all_and_the_next_one_begins_anew),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
