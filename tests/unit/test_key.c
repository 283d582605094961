/* test_key.c - the one encoding of keys: every tag, every boundary, and what a daemon refuses. */
#include "tests/unit/unit.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "proto/key.h"

static void
check_int(int64_t value, const char *expected, size_t len)
{
	uint8_t bytes[KEY_INT_MAX];

	assert_int_equal(key_encode_int(value, bytes), len);
	assert_memory_equal(bytes, expected, len);
	assert_true(key_valid(slice(bytes, len)));
}

#define CHECK_INT(value, expected) check_int(value, expected, sizeof(expected) - 1)

static void
an_int_is_as_short_as_it_can_be(void **state)
{
	(void)state;
	CHECK_INT(0, "\xf6");
	CHECK_INT(1, "\xf6\x01");
	CHECK_INT(-1, "\xf6\xff");
	CHECK_INT(127, "\xf6\x7f");
	CHECK_INT(128, "\xf6\x00\x80");
	CHECK_INT(-128, "\xf6\x80");
	CHECK_INT(-129, "\xf6\xff\x7f");
	CHECK_INT(255, "\xf6\x00\xff");
	CHECK_INT(256, "\xf6\x01\x00");
	CHECK_INT(-256, "\xf6\xff\x00");
	CHECK_INT(INT64_MAX, "\xf6\x7f\xff\xff\xff\xff\xff\xff\xff");
	CHECK_INT(INT64_MIN, "\xf6\x80\x00\x00\x00\x00\x00\x00\x00");
}

static int64_t
decode_int(const uint8_t *bytes, size_t len)
{
	uint64_t value = len && bytes[0] >= 0x80 ? UINT64_MAX : 0;

	for (size_t i = 0; i < len; i++)
		value = value << 8 | bytes[i];
	return (int64_t)value;
}

static void
ints_around_every_power_of_two_come_back(void **state)
{
	(void)state;
	for (unsigned bit = 0; bit < 64; bit++) {
		for (int64_t step = -2; step <= 2; step++) {
			int64_t value = (int64_t)((1ull << bit) + (uint64_t)step);
			uint8_t bytes[KEY_INT_MAX];
			size_t len = key_encode_int(value, bytes);

			assert_int_equal(decode_int(bytes + 1, len - 1), value);
			/* One byte less would be another number. */
			if (len > 1)
				assert_int_not_equal(decode_int(bytes + 2, len - 2),
						     value);
		}
	}
}

static void
check_float(double value, const char *expected)
{
	uint8_t bytes[KEY_FLOAT_SIZE];

	assert_int_equal(key_encode_float(value, bytes), KEY_FLOAT_SIZE);
	assert_memory_equal(bytes, expected, KEY_FLOAT_SIZE);
}

static void
a_float_is_its_eight_bytes_big_endian(void **state)
{
	(void)state;
	check_float(1.0, "\xf7\x3f\xf0\x00\x00\x00\x00\x00\x00");
	check_float(0.0, "\xf7\x00\x00\x00\x00\x00\x00\x00\x00");
	check_float(-0.0, "\xf7\x80\x00\x00\x00\x00\x00\x00\x00");
	check_float(-1.5, "\xf7\xbf\xf8\x00\x00\x00\x00\x00\x00");
	check_float(DBL_MAX, "\xf7\x7f\xef\xff\xff\xff\xff\xff\xff");
	check_float((double)INFINITY, "\xf7\x7f\xf0\x00\x00\x00\x00\x00\x00");
}

static void
every_nan_is_the_same_key(void **state)
{
	static const char nan_key[] = "\xf7\x7f\xf8\x00\x00\x00\x00\x00\x00";

	(void)state;
	check_float((double)NAN, nan_key);
	check_float(-(double)NAN, nan_key);
	check_float(nan("12345"), nan_key);
}

static void
lengths_are_shortest_leb128(void **state)
{
	uint8_t bytes[KEY_LENGTH_MAX];

	(void)state;
	assert_int_equal(key_encode_length(0, bytes), 1);
	assert_memory_equal(bytes, "\x00", 1);
	assert_int_equal(key_encode_length(127, bytes), 1);
	assert_memory_equal(bytes, "\x7f", 1);
	assert_int_equal(key_encode_length(128, bytes), 2);
	assert_memory_equal(bytes, "\x80\x01", 2);
	assert_int_equal(key_encode_length(300, bytes), 2);
	assert_memory_equal(bytes, "\xac\x02", 2);
	assert_int_equal(key_encode_length(UINT64_MAX, bytes), KEY_LENGTH_MAX);
	assert_memory_equal(bytes, "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01", 10);
}

#define LONGEST 5000

static uint8_t text[LONGEST];

/* Builds a key of len bytes of text, `step` at a time. */
static struct slice
build(struct key_builder *key, size_t len, size_t step)
{
	key_begin(key);
	for (size_t at = 0; at < len; at += step)
		key_add(key, text + at, len - at < step ? len - at : step);
	return key_end(key);
}

static void
up_to_1023_bytes_a_key_is_sent_as_it_is(void **state)
{
	static const size_t lens[] = { 1, 2, 991, 992, 993, 1022, 1023 };
	struct key_builder builder;

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct slice key = build(&builder, lens[i], LONGEST);

		assert_int_equal(key.len, lens[i]);
		assert_memory_equal(key.data, text, lens[i]);
		assert_false(key_shortened(key));
		assert_true(key_valid(key));
	}
}

static void
a_longer_key_is_its_head_and_the_digest_of_the_whole(void **state)
{
	static const size_t lens[] = { 1024, 1025, 1055, 1056, 2048, LONGEST };
	struct key_builder builder;
	struct blake2b hash;
	uint8_t digest[BLAKE2B_DIGEST];

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct slice key = build(&builder, lens[i], LONGEST);

		blake2b_begin(&hash);
		blake2b_add(&hash, text, lens[i]);
		blake2b_end(&hash, digest);
		assert_int_equal(key.len, KEY_MAX);
		assert_memory_equal(key.data, text, 992);
		assert_memory_equal((const uint8_t *)key.data + 992, digest, 32);
		assert_true(key_shortened(key));
		assert_true(key_valid(key));
	}
}

static void
a_key_does_not_depend_on_how_it_was_added(void **state)
{
	static const size_t lens[] = { 1, 1022, 1023, 1024, 1025, LONGEST };
	static const size_t steps[] = { 1, 3, 511, 1022, 1023, 1024, 1025 };
	struct key_builder whole, parts;

	(void)state;
	for (size_t i = 0; i < sizeof(lens) / sizeof(lens[0]); i++) {
		struct slice expected = build(&whole, lens[i], LONGEST);

		for (size_t j = 0; j < sizeof(steps) / sizeof(steps[0]); j++)
			assert_true(
				slice_equal(build(&parts, lens[i], steps[j]), expected));
	}
}

static void
adding_nothing_changes_nothing(void **state)
{
	struct key_builder builder;

	(void)state;
	key_begin(&builder);
	key_add(&builder, NULL, 0);
	key_add(&builder, text, 1023);
	key_add(&builder, NULL, 0);
	key_add(&builder, text + 1023, 1);
	key_add(&builder, NULL, 0);
	assert_true(slice_equal(key_end(&builder),
				build(&(struct key_builder){ 0 }, 1024, 1024)));
}

static void
keys_without_bytes_or_over_1024_are_refused(void **state)
{
	static uint8_t bytes[KEY_MAX + 1] = { KEY_BYTES };

	(void)state;
	assert_false(key_valid(slice(NULL, 0)));
	assert_false(key_valid(slice("", 0)));
	assert_true(key_valid(slice(bytes, KEY_MAX)));
	assert_false(key_valid(slice(bytes, KEY_MAX + 1)));
}

static void
any_first_byte_from_f5_is_a_typed_key(void **state)
{
	(void)state;
	for (unsigned tag = 0xf5; tag <= 0xff; tag++) {
		uint8_t bytes[] = { (uint8_t)tag, 0x80 };

		assert_true(key_valid(slice(bytes, 1)));
		assert_true(key_valid(slice(bytes, 2)));
	}
	for (unsigned lead = 0x80; lead <= 0xf4; lead++) {
		uint8_t bytes[] = { (uint8_t)lead };

		assert_false(key_valid(slice(bytes, 1)));
	}
}

/* UTF-8 by arithmetic: decodes, and asks whether this was the shortest form of a scalar value. */
static size_t
naive_character(const uint8_t *at, size_t len)
{
	static const uint32_t least[] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t size = at[0] < 0x80             ? 1
		      : (at[0] & 0xe0) == 0xc0 ? 2
		      : (at[0] & 0xf0) == 0xe0 ? 3
		      : (at[0] & 0xf8) == 0xf0 ? 4
					       : 0;
	uint32_t value;

	if (size == 0 || len < size)
		return 0;
	if (size == 1)
		return 1;
	value = at[0] & (0x7f >> size);
	for (size_t i = 1; i < size; i++) {
		if ((at[i] & 0xc0) != 0x80)
			return 0;
		value = value << 6 | (at[i] & 0x3f);
	}
	if (value < least[size] || value > 0x10ffff ||
	    (value >= 0xd800 && value <= 0xdfff))
		return 0;
	return size;
}

static size_t
naive_prefix(const uint8_t *at, size_t len)
{
	size_t done = 0;

	while (done < len) {
		size_t size = naive_character(at + done, len - done);

		if (!size)
			break;
		done += size;
	}
	return done;
}

static void
utf8_of_up_to_three_bytes_is_judged_as_unicode_says(void **state)
{
	(void)state;
	for (uint32_t word = 0; word < 1 << 24; word++) {
		uint8_t bytes[] = { (uint8_t)(word >> 16), (uint8_t)(word >> 8),
				    (uint8_t)word };

		/* assert_int_equal sixteen million times takes seconds. */
		if (key_utf8_prefix(bytes, 3) != naive_prefix(bytes, 3))
			fail_msg("%02x %02x %02x", bytes[0], bytes[1], bytes[2]);
	}
}

static void
utf8_of_four_bytes_is_judged_as_unicode_says(void **state)
{
	static const uint8_t tails[] = { 0x00, 0x7f, 0x80, 0x8f, 0x90, 0xbf, 0xc0, 0xff };

	(void)state;
	for (unsigned word = 0; word < 16 * 256 * 64; word++) {
		uint8_t bytes[] = { (uint8_t)(0xf0 | word >> 14), (uint8_t)(word >> 6),
				    tails[word >> 3 & 7], tails[word & 7] };

		if (key_utf8_prefix(bytes, 4) != naive_prefix(bytes, 4))
			fail_msg("%02x %02x %02x %02x", bytes[0], bytes[1], bytes[2],
				 bytes[3]);
	}
}

static void
utf8_is_judged_at_every_alignment(void **state)
{
	static const char euro[] = "\xe2\x82\xac";
	uint8_t bytes[64];

	(void)state;
	for (size_t at = 0; at + 3 <= 40; at++) {
		memset(bytes, 'a', sizeof(bytes));
		memcpy(bytes + at, euro, 3);
		for (size_t len = 0; len <= 40; len++) {
			size_t expected = len > at && len < at + 3 ? at : len;

			assert_int_equal(key_utf8_prefix(bytes, len), expected);
		}
	}
}

static void
a_text_key_must_be_utf8_to_its_end(void **state)
{
	(void)state;
	assert_true(key_valid(slice_text("caf\xc3\xa9")));
	assert_true(key_valid(slice("a\0b", 3)));
	assert_false(key_valid(slice_text("caf\xc3")));
	assert_false(key_valid(slice_text("caf\xe9")));
	assert_false(key_valid(slice_text("\xed\xa0\x80"))); /* a surrogate */
	assert_false(key_valid(slice_text("\xc0\x80")));
}

/* A shortened text whose head ends with these bytes. */
static bool
valid_with_end(const char *end)
{
	uint8_t bytes[KEY_MAX];
	size_t len = strlen(end);

	memset(bytes, 'a', KEY_HEAD);
	memset(bytes + KEY_HEAD, 0xff, BLAKE2B_DIGEST);
	memcpy(bytes + KEY_HEAD - len, end, len);
	return key_valid(slice(bytes, sizeof(bytes)));
}

static void
only_a_cut_may_end_the_head_of_a_shortened_text(void **state)
{
	(void)state;
	assert_true(valid_with_end("a"));
	assert_true(valid_with_end("\xc3\xa9"));
	assert_true(valid_with_end("\xc3"));
	assert_true(valid_with_end("\xe2"));
	assert_true(valid_with_end("\xe2\x82"));
	assert_true(valid_with_end("\xf0\x9f\x98"));
	assert_true(valid_with_end("\xf0\x9f"));
	assert_false(valid_with_end("\x80"));
	assert_false(valid_with_end("\xff"));
	assert_false(valid_with_end("\xc0"));
	assert_false(valid_with_end("\xed\xa0"));
	assert_false(valid_with_end("\xf0\x80"));
	assert_false(valid_with_end("\xf4\x90"));
	assert_false(valid_with_end("\xe2\x82"
				    "a"));
	assert_false(valid_with_end("\xc3\xc3"));
	assert_false(valid_with_end("\xff"
				    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaa"));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_int_is_as_short_as_it_can_be),
		cmocka_unit_test(ints_around_every_power_of_two_come_back),
		cmocka_unit_test(a_float_is_its_eight_bytes_big_endian),
		cmocka_unit_test(every_nan_is_the_same_key),
		cmocka_unit_test(lengths_are_shortest_leb128),
		cmocka_unit_test(up_to_1023_bytes_a_key_is_sent_as_it_is),
		cmocka_unit_test(a_longer_key_is_its_head_and_the_digest_of_the_whole),
		cmocka_unit_test(a_key_does_not_depend_on_how_it_was_added),
		cmocka_unit_test(adding_nothing_changes_nothing),
		cmocka_unit_test(keys_without_bytes_or_over_1024_are_refused),
		cmocka_unit_test(any_first_byte_from_f5_is_a_typed_key),
		cmocka_unit_test(utf8_of_up_to_three_bytes_is_judged_as_unicode_says),
		cmocka_unit_test(utf8_of_four_bytes_is_judged_as_unicode_says),
		cmocka_unit_test(utf8_is_judged_at_every_alignment),
		cmocka_unit_test(a_text_key_must_be_utf8_to_its_end),
		cmocka_unit_test(only_a_cut_may_end_the_head_of_a_shortened_text),
	};

	for (size_t i = 0; i < LONGEST; i++)
		text[i] = (uint8_t)('a' + i % 26);
	return unit_run(tests);
}
