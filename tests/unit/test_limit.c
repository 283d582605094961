/* test_limit.c - the arithmetic of the limit. */
#include "tests/unit/unit.h"

#include "daemon/limit.h"

#define MIB UINT64_C(1048576)
#define PAGES(bytes) ((bytes) / 4096)

static void
a_file_system_that_others_fill_takes_nothing_from_the_file(void **state)
{
	(void)state;
	assert_int_equal(limit_disk_size(100 * MIB, 0, 1000 * MIB, 0), 100 * MIB);
	assert_int_equal(limit_disk_size(100 * MIB, 0, 1000 * MIB, 5), 100 * MIB);
	assert_int_equal(limit_disk_size(100 * MIB, 49 * MIB, 1000 * MIB, 5), 100 * MIB);
	assert_int_equal(limit_disk_size(100 * MIB, 300 * MIB, 1000 * MIB, 5), 350 * MIB);
}

static void
what_lies_beside_the_store_counts_towards_max_size_alone(void **state)
{
	struct limit limit = { .max_size = 1024 * MIB,
			       .beside = 24 * MIB,
			       .disk_size = 10 * MIB };
	(void)state;

	assert_int_equal(limit_pages(&limit), PAGES(10 * MIB));
	limit.disk_size = UINT64_MAX;
	assert_int_equal(limit_pages(&limit), PAGES(1000 * MIB - limit_reserve(&limit)));
	limit.beside = 2000 * MIB;
	assert_int_equal(limit_pages(&limit), 0);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_file_system_that_others_fill_takes_nothing_from_the_file),
		cmocka_unit_test(
			what_lies_beside_the_store_counts_towards_max_size_alone),
	};
	return unit_run(tests);
}
