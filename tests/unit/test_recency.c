/* test_recency.c - the table of who was used when. */
#include "tests/unit/unit.h"

#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "daemon/recency.h"

#define GIB (UINT64_C(1) << 30)
#define MIB (UINT64_C(1) << 20)
#define NOW_S 1700000000
#define MANY 100000

/* splitmix64 (Steele, Lea, Flood 2014): row keys end in bits of a hash. */
static uint64_t
mixed(uint64_t number)
{
	number = (number + 1) * UINT64_C(0x9e3779b97f4a7c15);
	number = (number ^ number >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	number = (number ^ number >> 27) * UINT64_C(0x94d049bb133111eb);
	return number ^ number >> 31;
}

static void
make_key(uint64_t number, uint8_t ret_key[static RECENCY_KEY_SIZE])
{
	uint64_t first = mixed(2 * number), second = mixed(2 * number + 1);

	memcpy(ret_key, &first, sizeof(first));
	memcpy(ret_key + sizeof(first), &second, sizeof(second));
	memset(ret_key, 0, 3);
	ret_key[3] = 1; /* the incarnation */
}

static void
use(struct recency *recency, uint64_t number, uint32_t now_s)
{
	uint8_t key[RECENCY_KEY_SIZE];

	make_key(number, key);
	recency_touch(recency, key, now_s);
}

static uint32_t
last_use(const struct recency *recency, uint64_t number)
{
	uint8_t key[RECENCY_KEY_SIZE];
	struct recency_use found;

	make_key(number, key);
	found = recency_look(recency, key);
	return found.frequency ? found.last_s : 0;
}

static bool
fresh(const struct recency *recency, uint64_t number)
{
	uint8_t key[RECENCY_KEY_SIZE];

	make_key(number, key);
	return recency_is_fresh(recency, key, NOW_S, 30);
}

/* How many of these keys are known, with the very time of their use. */
static unsigned
count_known(const struct recency *recency, unsigned from, unsigned to, uint32_t at_s)
{
	unsigned known = 0;

	for (unsigned i = from; i < to; i++)
		known += last_use(recency, i) == at_s;
	return known;
}

static uint64_t
file_size(const char *file)
{
	struct stat status;

	assert_int_equal(stat(file, &status), 0);
	return (uint64_t)status.st_size;
}

static void
make_file_name(char ret_file[static 64])
{
	int fd;

	strcpy(ret_file, "/tmp/brine-recency-XXXXXX");
	fd = mkstemp(ret_file);
	assert_true(fd >= 0);
	close(fd);
}

static void
uses_are_counted_and_dated(void **state)
{
	struct recency *recency = recency_new(GIB, NULL);
	uint8_t key[RECENCY_KEY_SIZE];
	(void)state;

	make_key(7, key);
	assert_int_equal(recency_look(recency, key).frequency, 0);
	assert_false(recency_touch(recency, key, NOW_S));
	assert_true(recency_touch(recency, key, NOW_S + 5));
	assert_int_equal(recency_look(recency, key).frequency, 2);
	assert_int_equal(recency_look(recency, key).last_s, NOW_S + 5);
	assert_int_equal(last_use(recency, 8), 0);
	recency_free(&recency);
}

static void
what_was_known_stays_known_while_the_table_grows(void **state)
{
	struct recency *recency = recency_new(16 * GIB, NULL);
	(void)state;

	for (unsigned i = 0; i < MANY; i++)
		use(recency, i, NOW_S + i % 1000);
	for (unsigned second = 0; second < 1000; second += 111) {
		unsigned known = 0;

		for (unsigned i = second; i < MANY; i += 1000)
			known += last_use(recency, i) == NOW_S + second;
		assert_in_range(known, MANY / 1000 * 90 / 100, MANY / 1000);
	}
	assert_in_range(count_known(recency, MANY, 2 * MANY, NOW_S), 0, MANY / 1000);
	recency_free(&recency);
}

static void
a_small_store_has_a_small_table(void **state)
{
	struct recency *recency = recency_new(16 * GIB, NULL);
	char file[64];
	(void)state;

	make_file_name(file);
	for (unsigned i = 0; i < 10000; i++)
		use(recency, i, NOW_S);
	assert_int_equal(recency_save(recency, file), 0);
	assert_in_range(file_size(file), 80000, 300000);
	assert_int_equal(recency_file_size(recency), 4096 + 128 * MIB);
	unlink(file);
	recency_free(&recency);
}

static void
a_full_table_knows_the_newest(void **state)
{
	struct recency *recency = recency_new(64 * MIB, NULL); /* 65,536 slots */
	unsigned known[2] = { 0 };
	(void)state;

	for (unsigned i = 0; i < 3 * MANY; i++)
		use(recency, i, NOW_S + i / 1000);
	for (unsigned second = 0; second < 300; second++)
		known[second >= 260] += count_known(recency, second * 1000,
						    (second + 1) * 1000, NOW_S + second);
	assert_in_range(known[1], 38000, 40000);
	assert_in_range(known[0], 0, 65536 - known[1]);
	recency_free(&recency);
}

/* 100,000 others for each of ten days, in a table that has room for millions. */
static void
keys_that_are_used_no_more_make_room_for_others(void **state)
{
	struct recency *recency = recency_new(16 * GIB, NULL);
	char file[64];
	(void)state;

	make_file_name(file);
	for (unsigned day = 0; day < 10; day++)
		for (unsigned i = 0; i < MANY; i++)
			use(recency, day * MANY + i, NOW_S + day * 86400);
	assert_int_equal(recency_save(recency, file), 0);
	assert_in_range(file_size(file), 2 * MIB, 4 * MIB + 4096);
	assert_in_range(count_known(recency, 9 * MANY, 10 * MANY, NOW_S + 9 * 86400),
			MANY * 95 / 100, MANY);
	unlink(file);
	recency_free(&recency);
}

static void
a_saved_table_is_known_by_the_next_process_but_nothing_in_it_is_fresh(void **state)
{
	struct recency *recency = recency_new(GIB, NULL);
	unsigned known;
	char file[64];
	(void)state;

	make_file_name(file);
	for (unsigned i = 0; i < 10000; i++)
		use(recency, i, NOW_S);
	assert_true(fresh(recency, 5000));
	known = count_known(recency, 0, 10000, NOW_S);
	assert_int_equal(recency_save(recency, file), 0);
	recency_free(&recency);
	recency = recency_new(GIB, file);
	assert_int_equal(access(file, F_OK), -1);
	assert_int_equal(count_known(recency, 0, 10000, NOW_S), known);
	assert_false(fresh(recency, 5000));
	use(recency, 5000, NOW_S);
	assert_true(fresh(recency, 5000));
	/* It goes on growing. */
	for (unsigned i = 10000; i < 40000; i++)
		use(recency, i, NOW_S);
	assert_in_range(count_known(recency, 0, 40000, NOW_S), 38000, 40000);
	recency_free(&recency);
}

static void
a_table_that_is_too_large_or_cut_short_is_not_used(void **state)
{
	struct recency *recency = recency_new(16 * GIB, NULL);
	char file[64];
	(void)state;

	make_file_name(file);
	for (unsigned i = 0; i < 10 * MANY; i++)
		use(recency, i, NOW_S);
	assert_int_equal(recency_save(recency, file), 0);
	recency_free(&recency);
	recency = recency_new(64 * MIB, file);
	assert_int_equal(count_known(recency, 0, 1000, NOW_S), 0);
	use(recency, 1, NOW_S);
	assert_int_equal(recency_save(recency, file), 0);
	recency_free(&recency);
	assert_int_equal(truncate(file, 10000), 0);
	recency = recency_new(64 * MIB, file);
	assert_int_equal(last_use(recency, 1), 0);
	recency_free(&recency);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(uses_are_counted_and_dated),
		cmocka_unit_test(what_was_known_stays_known_while_the_table_grows),
		cmocka_unit_test(a_small_store_has_a_small_table),
		cmocka_unit_test(a_full_table_knows_the_newest),
		cmocka_unit_test(keys_that_are_used_no_more_make_room_for_others),
		cmocka_unit_test(
			a_saved_table_is_known_by_the_next_process_but_nothing_in_it_is_fresh),
		cmocka_unit_test(a_table_that_is_too_large_or_cut_short_is_not_used),
	};
	return unit_run(tests);
}
