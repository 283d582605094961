/* test_cli_run.c - the form in which `brine run` keeps what a command wrote. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/transcript.h"

#define LARGE (3u * HOARD_MEMORY)

static struct transcript transcript;
/* What was replayed: the streams' bytes, and in which order pieces came. */
static char said[3][LARGE];
static size_t said_len[3];
static char order[64];

static int
take_piece(void *arg, int stream, const void *bytes, size_t len)
{
	size_t count = strlen(order);

	(void)arg;
	assert_in_range(len, 1, TRANSCRIPT_PIECE);
	memcpy(said[stream] + said_len[stream], bytes, len);
	said_len[stream] += len;
	if (count + 1 < sizeof(order)) {
		order[count] = (char)('0' + stream);
		order[count + 1] = 0;
	}
	return 0;
}

static int
replay(const struct hoard *pieces)
{
	said_len[1] = said_len[2] = 0;
	order[0] = 0;
	return transcript_walk(pieces, take_piece, NULL);
}

static void
pieces_come_back_in_their_order(void **state)
{
	(void)state;
	assert_int_equal(transcript_open(&transcript, UINT64_MAX), 0);
	assert_int_equal(transcript_add(&transcript, 1, "a", 1), 0);
	assert_int_equal(transcript_add(&transcript, 1, "\0b", 2), 0);
	assert_int_equal(transcript_add(&transcript, 2, "x", 1), 0);
	assert_int_equal(transcript_add(&transcript, 1, "c", 1), 0);
	assert_int_equal(transcript_finish(&transcript), 0);
	assert_int_equal(transcript_walk(&transcript.hoard, NULL, NULL), 0);
	assert_int_equal(replay(&transcript.hoard), 0);
	assert_string_equal(order, "121");
	assert_int_equal(said_len[1], 4);
	assert_memory_equal(said[1], "a\0bc", 4);
	assert_int_equal(said_len[2], 1);
	transcript_close(&transcript);
}

static void
what_outgrows_memory_comes_back_from_the_spool(void **state)
{
	static char bytes[LARGE - 10];

	(void)state;
	for (size_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (char)(i * 7 + i / 251);
	assert_int_equal(transcript_open(&transcript, UINT64_MAX), 0);
	assert_non_null(transcript.hoard.memory);
	assert_int_equal(transcript_add(&transcript, 2, bytes, sizeof(bytes)), 0);
	assert_int_equal(transcript_finish(&transcript), 0);
	assert_null(transcript.hoard.memory);
	assert_int_equal(replay(&transcript.hoard), 0);
	assert_int_equal(said_len[2], sizeof(bytes));
	assert_memory_equal(said[2], bytes, sizeof(bytes));
	transcript_close(&transcript);
	transcript_close(&transcript);
}

static void
more_than_the_maximum_is_refused(void **state)
{
	(void)state;
	assert_int_equal(transcript_open(&transcript, 15), 0);
	assert_int_equal(transcript_add(&transcript, 1, "0123456789", 10), 0);
	assert_int_equal(transcript_finish(&transcript), 0);
	assert_int_equal(transcript.hoard.len, 15);
	assert_int_equal(transcript_add(&transcript, 1, "x", 1), 0);
	assert_int_equal(transcript_finish(&transcript), -EFBIG);
	transcript_close(&transcript);
}

static struct hoard
hoard_of(const void *bytes, size_t len)
{
	struct hoard hoard;

	assert_int_equal(hoard_open(&hoard, UINT64_MAX), 0);
	assert_int_equal(hoard_add(&hoard, bytes, len), 0);
	return hoard;
}

static void
what_are_no_pieces_is_refused(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
	} wrong[] = {
		{ "\1", 1 },           { "\1\1\0\0\0", 5 },          { "\0\1\0\0\0x", 6 },
		{ "\3\1\0\0\0x", 6 },  { "\1\0\0\0\0", 5 },          { "\1\2\0\0\0x", 6 },
		{ "\1\1\0\0\0xy", 7 }, { "\1\xff\xff\xff\xffx", 6 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(wrong) / sizeof(*wrong); i++) {
		struct hoard hoard = hoard_of(wrong[i].bytes, wrong[i].len);

		assert_int_equal(transcript_walk(&hoard, NULL, NULL), -EBADMSG);
		hoard_close(&hoard);
	}
}

static void
a_head_is_read_as_it_was_written(void **state)
{
	struct transcript_head head = { .status = 255, .len = 3 }, read;
	uint8_t value[TRANSCRIPT_HEAD + 3] = { 0 };

	(void)state;
	memset(head.digest, 0xab, sizeof(head.digest));
	transcript_write_head(&head, value);
	assert_int_equal(transcript_read_head(value, sizeof(value), &read), 0);
	assert_int_equal(read.status, 255);
	assert_int_equal(read.len, 3);
	assert_false(read.apart);
	assert_memory_equal(read.digest, head.digest, sizeof(head.digest));
	head.apart = true;
	transcript_write_head(&head, value);
	assert_int_equal(transcript_read_head(value, TRANSCRIPT_HEAD, &read), 0);
	assert_true(read.apart);
}

static void
no_byte_of_a_heads_form_may_be_another_and_no_length(void **state)
{
	struct transcript_head head = { .status = 1, .len = 2 }, read;
	uint8_t value[TRANSCRIPT_HEAD + 2] = { 0 };

	(void)state;
	transcript_write_head(&head, value);
	for (size_t i = 0; i < 24; i++)
		for (int bit = 0; bit < 8; bit++) {
			/* Another exit status is one, too. */
			if (i == 12)
				continue;
			value[i] ^= (uint8_t)(1 << bit);
			assert_int_equal(
				transcript_read_head(value, sizeof(value), &read),
				-EBADMSG);
			value[i] ^= (uint8_t)(1 << bit);
		}
	for (size_t len = 0; len < sizeof(value); len++)
		assert_int_equal(transcript_read_head(value, len, &read), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_come_back_in_their_order),
		cmocka_unit_test(what_outgrows_memory_comes_back_from_the_spool),
		cmocka_unit_test(more_than_the_maximum_is_refused),
		cmocka_unit_test(what_are_no_pieces_is_refused),
		cmocka_unit_test(a_head_is_read_as_it_was_written),
		cmocka_unit_test(no_byte_of_a_heads_form_may_be_another_and_no_length),
	};
	return unit_run(tests);
}
