/* test_errors.c - the list of errors.def as clients see it. */
#include "tests/unit/unit.h"

#include <string.h>

#include "proto/errors.h"

static const int numbers[] = {
#define E(name, number, class, text) number,
#include "proto/errors.def"
#undef E
};

#define COUNT (sizeof(numbers) / sizeof(numbers[0]))

static void
an_error_has_its_name_class_and_sentence(void **state)
{
	(void)state;
	assert_string_equal(error_name(ERROR_TOO_LARGE), "TOO_LARGE");
	assert_int_equal(error_class(ERROR_TOO_LARGE), CLASS_REFUSAL);
	assert_int_equal(error_class(ERROR_DISK_FULL), CLASS_OUTAGE);
	assert_int_equal(error_class(ERROR_CHANGED), CLASS_CONDITION);
	assert_int_equal(error_class(ERROR_SOURCE_FAILED), CLASS_REFUSAL);
	assert_string_equal(error_text(ERROR_ABSENT), "no such object");
}

static void
no_two_errors_share_a_number(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		assert_in_range(numbers[i], 1, 255);
		for (size_t j = 0; j < i; j++)
			assert_int_not_equal(numbers[i], numbers[j]);
	}
}

static void
the_class_on_the_wire_is_that_of_the_range(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT; i++) {
		enum error_class class = numbers[i] < 32   ? CLASS_OUTAGE
					 : numbers[i] < 64 ? CLASS_REFUSAL
							   : CLASS_CONDITION;

		if (numbers[i] < 128)
			assert_int_equal(error_class(numbers[i]), class);
	}
}

static void
an_unknown_error_has_the_class_of_its_range(void **state)
{
	static const struct {
		int number;
		enum error_class class;
	} unknown[] = {
		{ 0, CLASS_OUTAGE },       { 31, CLASS_OUTAGE },  { 63, CLASS_REFUSAL },
		{ 127, CLASS_CONDITION },  { 255, CLASS_OUTAGE }, { -1, CLASS_OUTAGE },
		{ 1 << 20, CLASS_OUTAGE }, { 56, CLASS_REFUSAL },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
		assert_string_equal(error_name(unknown[i].number), "UNKNOWN");
		assert_int_equal(error_class(unknown[i].number), unknown[i].class);
		assert_true(strlen(error_text(unknown[i].number)) > 0);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_has_its_name_class_and_sentence),
		cmocka_unit_test(no_two_errors_share_a_number),
		cmocka_unit_test(the_class_on_the_wire_is_that_of_the_range),
		cmocka_unit_test(an_unknown_error_has_the_class_of_its_range),
	};

	return unit_run(tests);
}
