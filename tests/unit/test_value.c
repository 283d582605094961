/* test_value.c - the memory of a value: small ones, large ones in mappings of their own, and one that becomes the other. */
#include "tests/unit/unit.h"

#include <string.h>

#include "client/value.h"

#define MIB ((size_t)1 << 20)

/* Around the sizes at which a value gets a mapping, and at which its end gets a large page. */
static const size_t lengths[] = {
	0,       1,       4095,          4096,    MIB - 1,
	MIB,     MIB + 1, 2 * MIB - 200, 2 * MIB, 3 * MIB - 200,
	3 * MIB, 8 * MIB,
};
#define LENGTHS (sizeof(lengths) / sizeof(*lengths))

static void
fill(struct brine_value *value)
{
	for (size_t i = 0; i < value->len; i++)
		value->data[i] = (unsigned char)(i * 31 + (i >> 8));
}

static void
check_filled(const struct brine_value *value, size_t len)
{
	for (size_t i = 0; i < len; i++)
		if (value->data[i] != (unsigned char)(i * 31 + (i >> 8)))
			fail_msg("byte %zu of %zu is wrong", i, len);
}

static void
every_byte_of_a_value_can_be_written_and_a_nul_follows(void **state)
{
	(void)state;
	for (size_t i = 0; i < LENGTHS; i++) {
		struct brine_value *value = value_new(lengths[i]);

		assert_non_null(value);
		assert_int_equal(brine_value_len(value), lengths[i]);
		fill(value);
		assert_int_equal(value->data[lengths[i]], 0);
		brine_value_release(&value);
		assert_null(value);
	}
}

static void
a_value_keeps_its_bytes_and_what_is_known_about_it_at_every_change_of_length(void **state)
{
	(void)state;
	for (size_t from = 0; from < LENGTHS; from++) {
		for (size_t to = 0; to < LENGTHS; to++) {
			struct brine_value *value = value_new(lengths[from]);

			assert_non_null(value);
			value->meta.version = 4711;
			fill(value);
			assert_int_equal(value_resize(&value, lengths[to]), 0);
			assert_int_equal(brine_value_len(value), lengths[to]);
			assert_int_equal(brine_value_meta(value)->version, 4711);
			assert_int_equal(value->data[lengths[to]], 0);
			check_filled(value, lengths[from] < lengths[to] ? lengths[from]
									: lengths[to]);
			fill(value);
			check_filled(value, lengths[to]);
			brine_value_release(&value);
		}
	}
}

static void
a_length_that_no_memory_holds_is_refused_and_the_value_stays(void **state)
{
	struct brine_value *value = value_new(3);
	(void)state;

	assert_null(value_new(SIZE_MAX));
	assert_null(value_new(SIZE_MAX / 2));
	memcpy(value->data, "abc", 3);
	assert_int_equal(value_resize(&value, SIZE_MAX), -1);
	assert_int_equal(brine_value_len(value), 3);
	assert_memory_equal(brine_value_data(value), "abc", 4);
	brine_value_release(&value);
	brine_value_release(&value);
	brine_value_release(NULL);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_byte_of_a_value_can_be_written_and_a_nul_follows),
		cmocka_unit_test(
			a_value_keeps_its_bytes_and_what_is_known_about_it_at_every_change_of_length),
		cmocka_unit_test(
			a_length_that_no_memory_holds_is_refused_and_the_value_stays),
	};

	return unit_run(tests);
}
