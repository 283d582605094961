/* test_notify.c - what a service manager is told, and what is believed of its variables. */
#include "tests/unit/unit.h"

#include <stdbool.h>

#include "daemon/log.h"
#include "daemon/notify.h"
#include "tests/unit/fake/manager.h"

#define MS UINT64_C(1000000)

static int
fresh(void **state)
{
	(void)state;
	unsetenv("NOTIFY_SOCKET");
	unsetenv("WATCHDOG_PID");
	unsetenv("WATCHDOG_USEC");
	log_set_level(LOG_ERROR);
	return 0;
}

static void
nobody_is_told_where_nobody_asks(void **state)
{
	(void)state;
	assert_true(notify_send("READY=1"));
	setenv("NOTIFY_SOCKET", "", 1);
	assert_true(notify_send("READY=1"));
	setenv("NOTIFY_SOCKET", "relative/path", 1);
	assert_true(notify_send("READY=1"));
}

static void
a_state_arrives_as_it_was_written(void **state)
{
	struct manager manager;
	(void)state;

	manager_open(&manager);
	assert_true(notify_send("READY=1\nSTATUS=Serving 7%"));
	assert_true(manager_hears(&manager));
	assert_string_equal(manager.said, "READY=1\nSTATUS=Serving 7%");
	assert_false(manager_hears(&manager));
	manager_close(&manager);
}

static void
what_takes_long_asks_for_five_minutes(void **state)
{
	struct manager manager;
	(void)state;

	manager_open(&manager);
	notify_wait("STOPPING=1" NOTIFY_PATIENCE);
	assert_true(manager_hears(&manager));
	assert_string_equal(manager.said, "STOPPING=1\nEXTEND_TIMEOUT_USEC=300000000");
	manager_close(&manager);
}

static void
a_manager_that_takes_nothing_is_not_waited_for(void **state)
{
	struct manager manager;
	unsigned count = 0;
	(void)state;

	manager_open(&manager);
	while (notify_send("READY=1"))
		count++;
	/* A thousand waits of a second would not end. */
	for (int i = 0; i < 1000; i++) {
		notify_alive("well");
		assert_false(notify_send("READY=1"));
	}
	while (count-- > 0)
		assert_true(manager_hears(&manager));
	assert_false(manager_hears(&manager));
	assert_true(notify_send("READY=1"));
	manager_close(&manager);
}

static void
a_manager_that_is_gone_is_survived(void **state)
{
	struct manager manager;
	char name[64];
	(void)state;

	manager_open(&manager);
	snprintf(name, sizeof(name), "%s", getenv("NOTIFY_SOCKET"));
	manager_close(&manager);
	setenv("NOTIFY_SOCKET", name, 1);
	assert_true(notify_send("READY=1"));
	setenv("NOTIFY_SOCKET",
	       "/a/path/that/is/longer/than/the/address/of/a/socket/can/be/which/has/"
	       "room/for/one/hundred/and/eight/bytes/and/not/one/more",
	       1);
	assert_true(notify_send("READY=1"));
}

static uint64_t
watchdog_of(const char *usec, const char *pid)
{
	setenv("WATCHDOG_USEC", usec, 1);
	if (pid)
		setenv("WATCHDOG_PID", pid, 1);
	else
		unsetenv("WATCHDOG_PID");
	return notify_watchdog_ns();
}

static void
the_watchdog_is_this_process_s_own_or_nobody_s(void **state)
{
	char pid[24];
	(void)state;

	assert_int_equal(notify_watchdog_ns(), 0);
	snprintf(pid, sizeof(pid), "%d", getpid());
	assert_int_equal(watchdog_of("120000", pid), 120 * MS);
	assert_int_equal(watchdog_of("120000", NULL), 120 * MS);
	assert_int_equal(watchdog_of("120000", "1"), 0);
	assert_int_equal(watchdog_of("120000", "me"), 0);
}

static void
a_watchdog_s_time_that_is_none_is_refused(void **state)
{
	static const char *const wrong[] = { "",
					     "-1",
					     "+1",
					     " 1",
					     "12s",
					     "1e9",
					     "0x10",
					     "18446744073709551616",
					     "31536000000001" };
	(void)state;

	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(watchdog_of(wrong[i], NULL), 0);
	assert_int_equal(watchdog_of("0", NULL), 0);
	assert_int_equal(watchdog_of("31536000000000", NULL),
			 UINT64_C(31536000000000) * 1000);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(nobody_is_told_where_nobody_asks, fresh),
		cmocka_unit_test_setup(a_state_arrives_as_it_was_written, fresh),
		cmocka_unit_test_setup(what_takes_long_asks_for_five_minutes, fresh),
		cmocka_unit_test_setup(a_manager_that_takes_nothing_is_not_waited_for,
				       fresh),
		cmocka_unit_test_setup(a_manager_that_is_gone_is_survived, fresh),
		cmocka_unit_test_setup(the_watchdog_is_this_process_s_own_or_nobody_s,
				       fresh),
		cmocka_unit_test_setup(a_watchdog_s_time_that_is_none_is_refused, fresh),
	};

	return unit_run(tests);
}
