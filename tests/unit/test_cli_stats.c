/* test_cli_stats.c - the table of brine stats. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/statstable.h"
#include "client/value.h"

static char *table;

/* Draws what a daemon said. */
static void
draw(const char *said)
{
	struct brine_value *value = value_new(strlen(said));
	size_t size;
	FILE *to;

	free(table);
	to = open_memstream(&table, &size);
	assert_non_null(value);
	assert_non_null(to);
	memcpy(value->data, said, strlen(said));
	statstable_write(to, value);
	fclose(to);
	brine_value_release(&value);
}

static void
assert_has(const char *part)
{
	if (!strstr(table, part))
		fail_msg("no '%s' in:\n%s", part, table);
}

static void
what_belongs_together_is_one_row_with_its_parts_in_words(void **state)
{
	(void)state;
	draw("\trelease\t1.2.3\n"
	     "\tuptime_ms\t5400000\n"
	     "\tconnections\t7\n"
	     "\tconnections_total\t1200\n"
	     "\tconnections_refused\t0\n"
	     "web\tobjects\t12345\n"
	     "web\tvalue_bytes\t1048576\n"
	     "web\tcharged_bytes\t2097152\n"
	     "web\thits\t1234\n"
	     "web\tstale_hits\t12\n"
	     "web\tmisses_absent\t80\n"
	     "web\tmisses_expired\t20\n"
	     "web\tmisses_refused\t0\n"
	     "web\tsaved_us\t11520000000\n"
	     "web\tevicted\t5\n"
	     "web\tflushed\t0\n");
	assert_string_equal(
		table, "namespace web\n"
		       "  objects              12,345  1.0M of values, 2.0M charged\n"
		       "  hits                  1,234  92% of 1,334 gets, 12 stale\n"
		       "  misses                  100  80 absent, 20 expired\n"
		       "  time saved            3h12m  of computation, by hits\n"
		       "  removed                   5  5 evicted for room\n"
		       "\n"
		       "daemon 1.2.3, up for 1h30m\n"
		       "  connections               7  1,200 since its start\n");
}

static void
what_a_newer_daemon_says_is_shown_too(void **state)
{
	(void)state;
	draw("\tconnections\t1\n"
	     "\tbrand_new_us\t1500\n"
	     "\tmood\tsplendid\n"
	     "\terrors_too_late\t3\n"
	     "web\tmisses_bored\t4\n"
	     "web\thits\t4\n"
	     "web\tevicted_by_age\t9\n"
	     "web\tshelf_bytes\t2048\n"
	     "web\ta_name_that_is_longer_than_the_table_has_room_for_it\t1\n");
	assert_has("  brand new             1.5ms\n");
	assert_has("  mood               splendid\n");
	assert_has("  errors                    3  3 too late\n");
	assert_has("  misses                    4  4 bored\n");
	assert_has("  hits                      4  50% of 8 gets\n");
	assert_has("  removed                   9  9 by age\n");
	assert_has("  shelf                  2.0K\n");
	assert_has("  a name that is longer than the table has room fo  1\n");
}

static void
numbers_that_are_as_large_as_can_be_fit(void **state)
{
	static char said[65536];
	size_t len = 0;

	(void)state;
	for (int i = 0; i < 400; i++)
		len += (size_t)snprintf(said + len, sizeof(said) - len,
					"%s\trequests_name_%d\t18446744073709551615\n",
					i < 200 ? "" : "web", i);
	len += (size_t)snprintf(said + len, sizeof(said) - len,
				"web\thits\t18446744073709551615\n"
				"web\tobjects\t18446744073709551615\n"
				"web\tvalue_bytes\t18446744073709551615\n");
	draw(said);
	for (const char *line = table; *line; line += strcspn(line, "\n") + 1)
		assert_in_range(strcspn(line, "\n"), 0, 80);
	draw("");
	assert_string_equal(table, "");
	draw("web\thits\t-5\nweb\tmisses_absent\t1.5\n");
	assert_has("-5");
	free(table);
	table = NULL;
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			what_belongs_together_is_one_row_with_its_parts_in_words),
		cmocka_unit_test(what_a_newer_daemon_says_is_shown_too),
		cmocka_unit_test(numbers_that_are_as_large_as_can_be_fit),
	};
	return unit_run(tests);
}
