/* test_frame.c - preambles and segment words, byte by byte. */
#include "tests/unit/unit.h"

#include <string.h>

#include "proto/bytes.h"
#include "proto/frame.h"

static const uint8_t known[FRAME_PREAMBLE_SIZE] = {
	1,    4,    1,    0,    0x44, 0x33, 0x22, 0x11,
	0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x10, 0x80,
};

static void
every_member_has_its_place_in_the_preamble(void **state)
{
	struct frame frame = { 0 };

	(void)state;
	assert_int_equal(frame_read(known, &frame), 0);
	assert_int_equal(frame.version, FRAME_VERSION);
	assert_int_equal(frame.kind, 4);
	assert_int_equal(frame.flags, FRAME_FD);
	assert_int_equal(frame.id, 0x11223344);
	assert_int_equal(frame.header_len, FRAME_HEADER_MAX);
	assert_int_equal(frame.first.mark, FRAME_LAST);
	assert_int_equal(frame.first.len, FRAME_SEGMENT_MAX);
	assert_int_equal(frame.first.error, 0);
	assert_int_equal(frame_size(&frame), FRAME_WHOLE_MAX);
}

static void
a_frame_that_was_read_is_written_as_it_was(void **state)
{
	uint8_t written[FRAME_PREAMBLE_SIZE];
	struct frame frame;

	(void)state;
	assert_int_equal(frame_read(known, &frame), 0);
	frame_write(written, &frame);
	assert_memory_equal(written, known, sizeof(known));
}

/* The known preamble with one 32-bit word replaced. */
static int
read_with_word(size_t at, uint32_t word, struct frame *ret_frame)
{
	uint8_t bytes[FRAME_PREAMBLE_SIZE];

	memcpy(bytes, known, sizeof(bytes));
	le32_store(bytes + at, word);
	return frame_read(bytes, ret_frame);
}

static void
a_preamble_beyond_a_limit_is_refused_and_changes_nothing(void **state)
{
	static const struct {
		size_t at;
		uint32_t word;
	} bad[] = {
		{ 0, 0x00000400 },           /* version 0 */
		{ 0, 0x00000001 },           /* kind 0 */
		{ 8, FRAME_HEADER_MAX + 1 }, /* header too long */
		{ 8, 0xffffffff },
		{ 12, 0x00000001 }, /* no body, and a length */
		{ 12, 0x40000000 | (FRAME_SEGMENT_MAX + 1) },
		{ 12, 0x80000000 | (FRAME_SEGMENT_MAX + 1) },
		{ 12, 0xbfffffff },
		{ 12, 0xc0000000 }, /* abort without an error */
		{ 12, 0xc0000100 }, /* abort with an error over 255 */
	};

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		struct frame frame = { .id = 7 };

		assert_int_equal(read_with_word(bad[i].at, bad[i].word, &frame), -1);
		assert_int_equal(frame.id, 7);
	}
}

static void
unknown_kinds_flags_and_versions_do_not_stop_the_stream(void **state)
{
	struct frame frame;

	(void)state;
	assert_int_equal(read_with_word(0, 0xffffffff, &frame), 0);
	assert_int_equal(frame.version, 255);
	assert_int_equal(frame.kind, 255);
	assert_int_equal(frame.flags, 0xffff);
}

static void
segments_are_read_as_they_are_written(void **state)
{
	static const struct frame_segment segments[] = {
		{ FRAME_MORE, 0, 0 },
		{ FRAME_MORE, 1, 0 },
		{ FRAME_MORE, FRAME_SEGMENT_MAX, 0 },
		{ FRAME_LAST, 0, 0 },
		{ FRAME_LAST, FRAME_SEGMENT_MAX, 0 },
		{ FRAME_ABORT, 0, 1 },
		{ FRAME_ABORT, 0, 255 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(segments) / sizeof(segments[0]); i++) {
		uint8_t word[FRAME_WORD_SIZE];
		struct frame_segment segment;

		frame_write_segment(word, &segments[i]);
		assert_int_equal(frame_read_segment(word, &segment), 0);
		assert_int_equal(segment.mark, segments[i].mark);
		assert_int_equal(segment.len, segments[i].len);
		assert_int_equal(segment.error, segments[i].error);
	}
}

static void
a_later_segment_must_have_a_mark(void **state)
{
	static const uint8_t none[FRAME_WORD_SIZE];
	struct frame_segment segment = { .len = 7 };

	(void)state;
	assert_int_equal(frame_read_segment(none, &segment), -1);
	assert_int_equal(segment.len, 7);
}

/* Every word is either refused or means what its bits say. */
static void
a_word_is_never_misread(void **state)
{
	(void)state;
	for (uint64_t word = 0; word <= UINT32_MAX; word += 4093) {
		uint32_t low = word & 0x3fffffff, mark = (uint32_t)(word >> 30);
		uint8_t bytes[FRAME_WORD_SIZE], again[FRAME_WORD_SIZE];
		struct frame_segment segment;
		bool good = mark == FRAME_ABORT  ? low >= 1 && low <= 255
			    : mark == FRAME_NONE ? false
						 : low <= FRAME_SEGMENT_MAX;

		le32_store(bytes, (uint32_t)word);
		assert_int_equal(frame_read_segment(bytes, &segment), good ? 0 : -1);
		if (!good)
			continue;
		frame_write_segment(again, &segment);
		assert_memory_equal(again, bytes, sizeof(bytes));
	}
}

static void
ids_are_compared_across_the_wrap(void **state)
{
	(void)state;
	assert_true(frame_id_before(0, 1));
	assert_false(frame_id_before(1, 0));
	assert_false(frame_id_before(5, 5));
	assert_true(frame_id_before(UINT32_MAX, 0));
	assert_true(frame_id_before(UINT32_MAX - 10, 65000));
	assert_false(frame_id_before(0, UINT32_MAX));
	assert_true(frame_id_before(0x7fffffff, 0x80000000));
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_member_has_its_place_in_the_preamble),
		cmocka_unit_test(a_frame_that_was_read_is_written_as_it_was),
		cmocka_unit_test(
			a_preamble_beyond_a_limit_is_refused_and_changes_nothing),
		cmocka_unit_test(unknown_kinds_flags_and_versions_do_not_stop_the_stream),
		cmocka_unit_test(segments_are_read_as_they_are_written),
		cmocka_unit_test(a_later_segment_must_have_a_mark),
		cmocka_unit_test(a_word_is_never_misread),
		cmocka_unit_test(ids_are_compared_across_the_wrap),
	};

	return unit_run(tests);
}
