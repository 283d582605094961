/* test_clock.c - daemon time against clocks that the test moves. */
#include "tests/unit/unit.h"

#include <time.h>

#include "daemon/clock.h"

#define DAY_MS UINT64_C(86400000)
#define WALL_MS UINT64_C(1700000000000)

static uint64_t mono_ns, boot_us, wall_us;

static uint64_t
fake_mono_ns(void)
{
	return mono_ns;
}

static uint64_t
fake_boot_us(void)
{
	return boot_us;
}

static uint64_t
fake_wall_us(void)
{
	return wall_us;
}

static const struct clock_source fake = { fake_mono_ns, fake_boot_us, fake_wall_us };

static int
use_fake(void **state)
{
	(void)state;
	mono_ns = 5;
	boot_us = 7000000;
	wall_us = WALL_MS * 1000;
	clock_use(&fake);
	return 0;
}

static int
use_system(void **state)
{
	(void)state;
	clock_use(NULL);
	return 0;
}

static void
pass_ms(uint64_t ms)
{
	boot_us += ms * 1000;
	wall_us += ms * 1000;
}

static void
readings_come_from_the_source(void **state)
{
	(void)state;
	assert_int_equal(clock_mono_ns(), 5);
	assert_int_equal(clock_boot_ms(), 7000);
	assert_int_equal(clock_wall_us(), WALL_MS * 1000);
}

static void
daemon_time_starts_at_the_system_clock(void **state)
{
	(void)state;
	assert_int_equal(clock_start(0), CLOCK_SYSTEM);
	assert_int_equal(clock_now_ms(), WALL_MS);
	assert_int_equal(clock_start(WALL_MS), CLOCK_SYSTEM);
	assert_int_equal(clock_start(WALL_MS - 1), CLOCK_SYSTEM);
	pass_ms(1500);
	assert_int_equal(clock_now_us(), (WALL_MS + 1500) * 1000);
}

static void
a_later_stored_time_is_continued(void **state)
{
	(void)state;
	assert_int_equal(clock_start(WALL_MS + 3600000), CLOCK_STORED);
	assert_int_equal(clock_now_ms(), WALL_MS + 3600000);
	pass_ms(10);
	clock_tick();
	assert_int_equal(clock_now_ms(), WALL_MS + 3600010);
	assert_int_equal(clock_start(WALL_MS + 10 + DAY_MS), CLOCK_STORED);
}

static void
a_stored_time_over_a_day_ahead_is_ignored(void **state)
{
	(void)state;
	assert_int_equal(clock_start(WALL_MS + DAY_MS + 1), CLOCK_STORED_IGNORED);
	assert_int_equal(clock_now_ms(), WALL_MS);
	assert_int_equal(clock_start(UINT64_MAX), CLOCK_STORED_IGNORED);
	assert_int_equal(clock_now_ms(), WALL_MS);
}

static void
a_forward_step_is_followed(void **state)
{
	(void)state;
	clock_start(0);
	wall_us += 5000000;
	clock_tick();
	assert_int_equal(clock_now_ms(), WALL_MS + 5000);
}

static void
a_backward_step_is_not_followed(void **state)
{
	(void)state;
	clock_start(0);
	wall_us -= 3600 * UINT64_C(1000000);
	clock_tick();
	assert_int_equal(clock_now_ms(), WALL_MS);
	pass_ms(20);
	clock_tick();
	assert_int_equal(clock_now_ms(), WALL_MS + 20);
}

static void
a_step_back_and_forth_again_changes_nothing(void **state)
{
	(void)state;
	clock_start(0);
	wall_us -= 3600 * UINT64_C(1000000);
	clock_tick();
	pass_ms(20);
	wall_us += 3600 * UINT64_C(1000000);
	clock_tick();
	assert_int_equal(clock_now_ms(), WALL_MS + 20);
}

static void
a_system_clock_before_boot_does_not_confuse(void **state)
{
	(void)state;
	wall_us = 0;
	assert_int_equal(clock_start(0), CLOCK_SYSTEM);
	assert_int_equal(clock_now_us(), 0);
	pass_ms(1);
	assert_int_equal(clock_now_ms(), 1);
}

static void
turns_read_the_clocks_again_when_time_has_passed(void **state)
{
	(void)state;
	clock_start(0);
	assert_int_equal(clock_turn_us(mono_ns), WALL_MS * 1000);
	pass_ms(20);
	assert_int_equal(clock_turn_us(mono_ns + CLOCK_TURN_NS - 1), WALL_MS * 1000);
	assert_int_equal(clock_turn_us(mono_ns + CLOCK_TURN_NS), (WALL_MS + 20) * 1000);
	wall_us += 5000000;
	assert_int_equal(clock_turn_us(mono_ns + 2 * CLOCK_TURN_NS),
			 (WALL_MS + 5020) * 1000);
	assert_int_equal(clock_now_ms(), WALL_MS + 5020);
}

static void
a_tick_between_turns_is_seen_by_the_next(void **state)
{
	(void)state;
	clock_start(0);
	clock_turn_us(mono_ns);
	pass_ms(20);
	clock_tick();
	assert_int_equal(clock_turn_us(mono_ns), (WALL_MS + 20) * 1000);
}

static void
the_system_source_reads_the_system(void **state)
{
	time_t before = time(NULL);
	uint64_t mono = clock_mono_ns();

	(void)state;
	assert_true(clock_wall_us() / 1000000 >= (uint64_t)before);
	assert_true(clock_mono_ns() >= mono);
	assert_true(clock_boot_ms() >= mono / 1000000);
	clock_start(0);
	assert_true(clock_now_us() / 1000000 >= (uint64_t)before);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define FAKE(test) cmocka_unit_test_setup_teardown(test, use_fake, use_system)
		FAKE(readings_come_from_the_source),
		FAKE(daemon_time_starts_at_the_system_clock),
		FAKE(a_later_stored_time_is_continued),
		FAKE(a_stored_time_over_a_day_ahead_is_ignored),
		FAKE(a_forward_step_is_followed),
		FAKE(a_backward_step_is_not_followed),
		FAKE(a_step_back_and_forth_again_changes_nothing),
		FAKE(a_system_clock_before_boot_does_not_confuse),
		FAKE(turns_read_the_clocks_again_when_time_has_passed),
		FAKE(a_tick_between_turns_is_seen_by_the_next),
		cmocka_unit_test(the_system_source_reads_the_system),
	};
	return unit_run(tests);
}
