/* test_announce.c - what the service manager must hear, it hears: when it takes messages again. */
#include "tests/unit/unit.h"

#include "daemon/announce.h"
#include "daemon/log.h"
#include "tests/unit/fake/manager.h"

struct house {
	uv_loop_t loop;
	struct manager manager;
	struct announcer announcer;
};

static void
house_open(struct house *house)
{
	log_set_level(LOG_ERROR);
	assert_int_equal(uv_loop_init(&house->loop), 0);
	manager_open(&house->manager);
	announce_init(&house->announcer, &house->loop);
}

static void
house_close(struct house *house)
{
	uv_close((uv_handle_t *)&house->announcer.timer, NULL);
	uv_run(&house->loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&house->loop), 0);
	manager_close(&house->manager);
}

static bool
waits(const struct house *house)
{
	return uv_is_active((const uv_handle_t *)&house->announcer.timer);
}

static void
fill(void)
{
	while (notify_send("STATUS=full"))
		;
}

static void
drain(struct house *house)
{
	while (manager_hears(&house->manager))
		assert_string_equal(house->manager.said, "STATUS=full");
}

static void
expect(struct house *house, const char *said)
{
	while (!manager_hears(&house->manager)) {
		assert_true(waits(house));
		uv_run(&house->loop, UV_RUN_ONCE);
	}
	assert_string_equal(house->manager.said, said);
}

static void
a_manager_that_listens_is_told_at_once(void **state)
{
	struct house house;
	(void)state;

	house_open(&house);
	announce(&house.announcer, "READY=%d", 1);
	assert_true(manager_hears(&house.manager));
	assert_string_equal(house.manager.said, "READY=1");
	assert_false(waits(&house));
	house_close(&house);
}

static void
what_a_manager_does_not_take_it_hears_later_and_in_order(void **state)
{
	struct house house;
	(void)state;

	house_open(&house);
	fill();
	announce(&house.announcer, "RELOADING=1");
	announce(&house.announcer, "READY=1");
	assert_true(waits(&house));
	uv_run(&house.loop, UV_RUN_ONCE); /* in vain, once */
	assert_int_equal(house.announcer.tries, 1);
	drain(&house);
	expect(&house, "RELOADING=1");
	expect(&house, "READY=1");
	assert_false(waits(&house));
	assert_int_equal(house.announcer.tries, 0);
	house_close(&house);
}

static void
of_more_than_can_wait_the_newest_are_told(void **state)
{
	struct house house;
	(void)state;

	house_open(&house);
	fill();
	for (int i = 1; i <= ANNOUNCE_WAITING_MAX + 2; i++)
		announce(&house.announcer, "STATUS=%d", i);
	drain(&house);
	for (int i = 3; i <= ANNOUNCE_WAITING_MAX + 2; i++) {
		char said[16];

		snprintf(said, sizeof(said), "STATUS=%d", i);
		expect(&house, said);
	}
	house_close(&house);
}

static void
a_manager_that_never_listens_is_given_up(void **state)
{
	struct house house;
	(void)state;

	house_open(&house);
	fill();
	announce(&house.announcer, "READY=1");
	house.announcer.tries = ANNOUNCE_TRIES_MAX - 2;
	while (waits(&house))
		uv_run(&house.loop, UV_RUN_ONCE);
	drain(&house);
	announce(&house.announcer, "STOPPING=1");
	expect(&house, "STOPPING=1");
	house_close(&house);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_manager_that_listens_is_told_at_once),
		cmocka_unit_test(
			what_a_manager_does_not_take_it_hears_later_and_in_order),
		cmocka_unit_test(of_more_than_can_wait_the_newest_are_told),
		cmocka_unit_test(a_manager_that_never_listens_is_given_up),
	};

	return unit_run(tests);
}
