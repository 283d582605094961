/* test_cli_top.c - what brine top draws of two looks, and what brine stats writes as OpenMetrics. */
#include "tests/unit/unit.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/look.h"
#include "client/cli/openmetrics.h"
#include "client/cli/toptable.h"
#include "client/value.h"

static char *shown;

static struct brine_value *
said(const char *text)
{
	struct brine_value *value = value_new(strlen(text));

	assert_non_null(value);
	memcpy(value->data, text, strlen(text));
	return value;
}

static void
take_look(struct look *look, const char *text, uint64_t at_us)
{
	struct brine_value *value = said(text);

	assert_int_equal(look_read(look, value, at_us), 0);
	brine_value_release(&value);
}

static void
draw(const struct look *now, const struct look *before, unsigned columns, unsigned rows)
{
	size_t size;
	FILE *to;

	free(shown);
	to = open_memstream(&shown, &size);
	assert_non_null(to);
	toptable_draw(to, now, before, "/run/x.sock", columns, rows, "\n");
	fclose(to);
}

static void
assert_shows(const char *part)
{
	if (!strstr(shown, part))
		fail_msg("no '%s' in:\n%s", part, shown);
}

static const char first[] = "\trelease\t0.1.0\n\tuptime_ms\t60000\n\tconnections\t3\n"
			    "\trequests_get\t100\n\trequests_put\t50\n"
			    "\tused_bytes\t1048576\n\tlimit_bytes\t10485760\n"
			    "web\tobjects\t7\nweb\trequests\t100\nweb\thits\t50\n"
			    "web\tmisses_absent\t50\nweb\tsaved_us\t1000000\n"
			    "web\tlatency_get_buckets\t1024:100\n"
			    "quiet\trequests\t900\n";
static const char second[] = "\trelease\t0.1.0\n\tuptime_ms\t62000\n\tconnections\t3\n"
			     "\trequests_get\t300\n\trequests_put\t50\n"
			     "\tused_bytes\t1048576\n\tlimit_bytes\t10485760\n"
			     "quiet\trequests\t900\n"
			     "web\tobjects\t7\nweb\trequests\t300\nweb\thits\t249\n"
			     "web\tmisses_absent\t51\nweb\tsaved_us\t61000000\n"
			     "web\tlatency_get_buckets\t1024:100 4096:198 1048576:2\n";

static void
rates_and_times_are_those_between_the_two_looks(void **state)
{
	struct look one = { 0 }, two = { 0 };
	(void)state;

	take_look(&one, first, 5000000);
	take_look(&two, second, 7000000);
	draw(&two, &one, 80, 24);
	assert_string_equal(
		shown,
		"brined 0.1.0, up for 1m2s, 3 connections; /run/x.sock\n"
		"100 requests/s, -% hits; 99%: gets within -, disk within -\n"
		"1.0M of 10M used, 0 evicted/s, 0 expired/s\n"
		"\n"
		"NAMESPACE                REQ/S  HIT%    P50    P99 OBJECTS  HELD EVICT/S   SAVED\n"
		"web                        100  99.5  4.1us  4.1us       7     0       0    1m1s\n"
		"quiet                        0     -      -      -       0     0       0      0s\n");
	look_done(&one);
	look_done(&two);
}

static void
the_first_look_has_no_rates(void **state)
{
	struct look one = { 0 };
	(void)state;

	take_look(&one, first, 5000000);
	draw(&one, NULL, 80, 24);
	assert_shows("- requests/s");
	assert_shows("web                          -  50.0");
	look_done(&one);
}

static void
a_daemon_that_began_anew_has_none_either(void **state)
{
	struct look one = { 0 }, two = { 0 };
	(void)state;

	take_look(&one, second, 5000000);
	take_look(&two, first, 7000000);
	draw(&two, &one, 80, 24);
	assert_shows("- requests/s");
	look_done(&one);
	look_done(&two);
}

static void
no_line_is_longer_than_the_screen_and_no_screen_too_small(void **state)
{
	static char text[2 << 20];
	struct look one = { 0 }, two = { 0 };
	size_t len = 0;
	(void)state;

	for (int i = 0; i < 5000; i++)
		len += (size_t)snprintf(
			text + len, sizeof(text) - len,
			"4294967295:%064d\trequests\t18446744073709551615\n"
			"4294967295:%064d\tsaved_us\t18446744073709551614\n"
			"4294967295:%064d\tobjects\t18446744073709551615\n",
			i, i, i);
	take_look(&one, first, 1);
	take_look(&two, text, 2000001);
	assert_int_equal(two.count, LOOK_SCOPES_MAX);
	for (unsigned columns = 0; columns < 700; columns += 7) {
		unsigned lines = 0, rows = columns / 3;

		draw(&two, &one, columns, rows);
		for (const char *line = shown; *line; lines++) {
			size_t width = strcspn(line, "\n");

			assert_true(width <= (columns > 40 ? columns : 40));
			line += width + (line[width] == '\n');
		}
		assert_true(lines <= (rows > 6 ? rows : 6));
	}
	assert_shows("more");
	look_done(&one);
	look_done(&two);
}

static void
metrics(const char *text)
{
	struct brine_value *value = said(text);
	size_t size;
	FILE *to;

	free(shown);
	to = open_memstream(&shown, &size);
	assert_non_null(to);
	openmetrics_write(to, value, 1000);
	fclose(to);
	brine_value_release(&value);
}

static void
a_family_is_one_run_of_lines_whatever_the_order_of_the_figures(void **state)
{
	(void)state;
	metrics("\tgets\t1\nweb\thits\t1\nweb\tmood\tgood\nweb\tmisses_absent\t2\n"
		"7:web\tmisses_expired\t3\n/s\thits\t4\nweb\tmisses_\t4\n");
	assert_string_equal(
		shown,
		"# TYPE brine_namespace_hits counter\n"
		"# HELP brine_namespace_hits Gets that found a value.\n"
		"brine_namespace_hits_total{uid=\"1000\",namespace=\"web\"} 1\n"
		"brine_namespace_hits_total{namespace=\"/s\"} 4\n"
		"# TYPE brine_namespace_misses counter\n"
		"# HELP brine_namespace_misses Gets that found none, by reason.\n"
		"brine_namespace_misses_total{uid=\"1000\",namespace=\"web\",reason=\"absent\"} 2\n"
		"brine_namespace_misses_total{uid=\"7\",namespace=\"web\",reason=\"expired\"} 3\n"
		"# EOF\n");
}

static void
what_a_label_must_not_hold_is_escaped(void **state)
{
	(void)state;
	metrics("a\"b\\c\thits\t1\n");
	assert_shows("namespace=\"a\\\"b\\\\c\"} 1\n");
}

static void
a_latency_is_a_histogram_in_seconds(void **state)
{
	(void)state;
	metrics("\tlatency_get_p50_ns\t1024\n\tlatency_get_sum_ns\t1500000000\n"
		"\tlatency_get_buckets\t1024:5 1280:2 -:1\n");
	assert_shows("# UNIT brine_request_duration_seconds seconds\n");
	assert_shows("_bucket{kind=\"get\",le=\"1.28e-07\"} 0\n");
	assert_shows("_bucket{kind=\"get\",le=\"1.024e-06\"} 5\n");
	assert_shows("_bucket{kind=\"get\",le=\"2.048e-06\"} 7\n");
	assert_shows("_bucket{kind=\"get\",le=\"+Inf\"} 8\n");
	assert_shows("_count{kind=\"get\"} 8\n");
	assert_shows("_sum{kind=\"get\"} 1.5\n");
	metrics("\tlatency_get_buckets\tnonsense\n");
	assert_null(strstr(shown, "bucket"));
	free(shown);
	shown = NULL;
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(rates_and_times_are_those_between_the_two_looks),
		cmocka_unit_test(the_first_look_has_no_rates),
		cmocka_unit_test(a_daemon_that_began_anew_has_none_either),
		cmocka_unit_test(
			no_line_is_longer_than_the_screen_and_no_screen_too_small),
		cmocka_unit_test(
			a_family_is_one_run_of_lines_whatever_the_order_of_the_figures),
		cmocka_unit_test(what_a_label_must_not_hold_is_escaped),
		cmocka_unit_test(a_latency_is_a_histogram_in_seconds),
	};
	return unit_run(tests);
}
