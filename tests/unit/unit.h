/* unit.h - what every unit test includes: cmocka, and a main that honours the name filter.
 *
 *	int
 *	main(void)
 *	{
 *		static const struct CMUnitTest tests[] = {
 *			cmocka_unit_test(expired_object_is_a_miss),
 *		};
 *		return unit_run(tests);
 *	}
 *
 * `make check T=expired` arrives here as BRINE_TEST=expired. */
#ifndef BRINE_TESTS_UNIT_H
#define BRINE_TESTS_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static inline void
unit_filter(void)
{
	static char pattern[256];
	const char *part = getenv("BRINE_TEST");

	if (!part || !*part)
		return;
	snprintf(pattern, sizeof(pattern), "*%s*", part);
	cmocka_set_test_filter(pattern);
}

#define unit_run(tests) (unit_filter(), cmocka_run_group_tests(tests, NULL, NULL))
#define unit_run_with(tests, setup, teardown)                                            \
	(unit_filter(), cmocka_run_group_tests(tests, setup, teardown))

#endif
