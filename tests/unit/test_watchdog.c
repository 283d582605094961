/* test_watchdog.c - who is fed, and when not. */
#include "tests/unit/unit.h"

#include "tests/unit/fake/cache.c"
#include "tests/unit/fake/manager.h"
#include "tests/unit/fake/peer.h"

#include "daemon/watchdog.h"

struct house {
	struct world world;
	struct manager manager;
	struct watchdog watchdog;
};

static void
house_open(struct house *house, const char *usec)
{
	world_open(&house->world, NULL);
	log_set_level(LOG_ERROR);
	manager_open(&house->manager);
	setenv("WATCHDOG_USEC", usec, 1);
	watchdog_start(&house->watchdog, &house->world.loop, house->world.sessions.cache,
		       house->world.conns);
}

static void
house_close(struct house *house)
{
	uv_close((uv_handle_t *)&house->watchdog.timer, NULL);
	manager_close(&house->manager);
	unsetenv("WATCHDOG_USEC");
	world_close(&house->world);
}

static void
wait_to_be_told(struct house *house)
{
	while (!manager_hears(&house->manager))
		uv_run(&house->world.loop, UV_RUN_ONCE);
}

static void
a_daemon_that_lives_says_so_again_and_again(void **state)
{
	struct house house;
	(void)state;

	house_open(&house, "20000");
	fake.health =
		(struct cache_health){ .used_bytes = 3 << 20, .limit_bytes = 64 << 20 };
	for (int i = 0; i < 3; i++) {
		wait_to_be_told(&house);
		assert_string_equal(
			house.manager.said,
			"WATCHDOG=1\nSTATUS=Serving 0 clients; 3 of 64 MiB used");
	}
	house_close(&house);
}

static void
a_daemon_whose_threads_are_silent_is_not_called_alive(void **state)
{
	struct house house;
	(void)state;

	house_open(&house, "20000");
	log_set_level(LOG_ERROR);
	fake.health.silent = "the writer";
	for (unsigned before = fake.examined; fake.examined < before + 5;)
		uv_run(&house.world.loop, UV_RUN_ONCE);
	assert_false(manager_hears(&house.manager));
	fake.health.silent = NULL;
	wait_to_be_told(&house);
	house_close(&house);
}

static void
a_daemon_that_nobody_watches_asks_for_no_timer(void **state)
{
	struct house house;
	(void)state;

	house_open(&house, "0");
	assert_false(uv_is_active((uv_handle_t *)&house.watchdog.timer));
	house_close(&house);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_daemon_that_lives_says_so_again_and_again),
		cmocka_unit_test(a_daemon_whose_threads_are_silent_is_not_called_alive),
		cmocka_unit_test(a_daemon_that_nobody_watches_asks_for_no_timer),
	};

	return unit_run(tests);
}
