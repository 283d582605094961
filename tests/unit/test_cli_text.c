/* test_cli_text.c - keys, durations, sizes and JSON as the command line reads and writes them. */
#include "tests/unit/unit.h"

#include <string.h>

#include "client/cli/base64.h"
#include "client/cli/codec.h"
#include "client/cli/json.h"
#include "client/cli/keytext.h"
#include "client/cli/progress.h"
#include "client/cli/units.h"
#include "client/cli/utf8.h"

static void
durations_read_and_show(void **state)
{
	char text[UNITS_TEXT_MAX];
	uint64_t us;
	static const struct {
		const char *written;
		uint64_t us;
		const char *shown;
	} cases[] = {
		{ "300ms", 300000, "300ms" },
		{ "90s", 90000000, "1m30s" },
		{ "1h30m", UINT64_C(5400000000), "1h30m" },
		{ "7d", UINT64_C(604800000000), "7d" },
		{ "2d1s", UINT64_C(172801000000), "2d" },
		{ "59s999ms", 59999000, "1m" },
		{ "1h59m59s990ms", UINT64_C(7199990000), "2h" },
		{ "23h59m59s", UINT64_C(86399000000), "1d" },
		{ "9s960ms", 9960000, "10s" },
		{ "999us", 999, "999us" },
		{ "999ms900us", 999900, "1s" },
		{ "8ms650us", 8650, "8.7ms" },
		{ "1s500ms", 1500000, "1.5s" },
		{ "1us", 1, "1us" },
		{ "15ms20us", 15020, "15ms" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		assert_int_equal(duration_parse(cases[i].written, &us), 0);
		assert_int_equal(us, cases[i].us);
		duration_show(us, text);
		assert_string_equal(text, cases[i].shown);
	}
	assert_int_equal(duration_parse("999999999999d", &us), DURATION_LONG);
	assert_int_equal(duration_parse("1", &us), -1);
	assert_int_equal(duration_parse("1.5h", &us), -1);
	milliseconds_show(UINT64_MAX, text);
	assert_string_equal(text, "never");
	milliseconds_show(UINT64_MAX - 1, text);
	assert_string_equal(text, "never");
	duration_show(0, text);
	assert_string_equal(text, "0s");
	nanoseconds_show(999, text);
	assert_string_equal(text, "999ns");
	nanoseconds_show(1250, text);
	assert_string_equal(text, "1.3us");
	nanoseconds_show(9949, text);
	assert_string_equal(text, "9.9us");
	nanoseconds_show(9950, text);
	assert_string_equal(text, "10us");
	nanoseconds_show(UINT64_MAX, text);
}

static void
sizes_and_numbers_show(void **state)
{
	char text[UNITS_TEXT_MAX];

	(void)state;
#define SIZE(bytes, shown)                                                               \
	do {                                                                             \
		size_show(bytes, text);                                                  \
		assert_string_equal(text, shown);                                        \
	} while (0)
	SIZE(0, "0");
	SIZE(1023, "1023");
	SIZE(1024, "1.0K");
	SIZE(1536, "1.5K");
	SIZE(10240, "10K");
	SIZE(1048575, "1.0M");
	SIZE(UINT64_C(5) << 30, "5.0G");
	SIZE(UINT64_MAX, "16E");
	number_show(UINT64_MAX, text);
	assert_string_equal(text, "18,446,744,073,709,551,615");
	number_show(999, text);
	assert_string_equal(text, "999");
	number_show(1000, text);
	assert_string_equal(text, "1,000");
}

static void
integers_have_64_bits_and_a_sign(void **state)
{
	int64_t integer;

	(void)state;
	assert_int_equal(integer_parse(" -9223372036854775808\n", &integer), 0);
	assert_true(integer == INT64_MIN);
	assert_int_equal(integer_parse("9223372036854775807", &integer), 0);
	assert_true(integer == INT64_MAX);
	assert_int_equal(integer_parse("+5", &integer), 0);
	assert_int_equal(integer, 5);
	assert_int_equal(integer_parse("9223372036854775808", &integer), -1);
	assert_int_equal(integer_parse("-9223372036854775809", &integer), -1);
	assert_int_equal(integer_parse("", &integer), -1);
	assert_int_equal(integer_parse("-", &integer), -1);
	assert_int_equal(integer_parse("--5", &integer), -1);
	assert_int_equal(integer_parse("5 6", &integer), -1);
	assert_int_equal(integer_parse("0x5", &integer), -1);
}

static void
base64_is_that_of_the_rfc(void **state)
{
	static const char *const pairs[][2] = {
		{ "", "" },        { "f", "Zg==" },          { "fo", "Zm8=" },
		{ "foo", "Zm9v" }, { "foobar", "Zm9vYmFy" },
	};
	static const char *const wrong[] = { "Z",    "Zg=",      "Zh==",     "Zm9=",
					     "====", "Zg==Zg==", "Zm9v\nZg", "Z===" };
	char letters[16], bytes[16];
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		len = base64_encode(pairs[i][0], strlen(pairs[i][0]), letters);
		assert_int_equal(len, strlen(pairs[i][1]));
		assert_memory_equal(letters, pairs[i][1], len);
		assert_int_equal(base64_decode(letters, len, bytes, sizeof(bytes), &len),
				 0);
		assert_int_equal(len, strlen(pairs[i][0]));
		assert_memory_equal(bytes, pairs[i][0], len);
	}
	for (size_t i = 0; i < sizeof(wrong) / sizeof(wrong[0]); i++)
		assert_int_equal(base64_decode(wrong[i], strlen(wrong[i]), bytes,
					       sizeof(bytes), &len),
				 -1);
	assert_int_equal(base64_decode("Zm9v", 4, bytes, 2, &len), -1);
}

static void
utf8_refuses_what_unicode_refuses(void **state)
{
	(void)state;
#define VALID(text) assert_true(utf8_valid(text, sizeof(text) - 1))
#define INVALID(text) assert_false(utf8_valid(text, sizeof(text) - 1))
	VALID("");
	VALID("a\0b");
	VALID("\xc3\xa9\xe2\x82\xac\xf0\x9f\x99\x82");
	VALID("\xf4\x8f\xbf\xbf");
	INVALID("\xc3");
	INVALID("\xc0\x80");
	INVALID("\xe0\x9f\xbf");
	INVALID("\xed\xa0\x80");
	INVALID("\xf4\x90\x80\x80");
	INVALID("\xf5");
	INVALID("\x80");
}

/* Shows an encoded key, given as a string literal. */
#define SHOWS(form, key, shown)                                                          \
	do {                                                                             \
		char to[KEYTEXT_MAX];                                                    \
                                                                                         \
		assert_int_equal(keytext_show(key, sizeof(key) - 1, form, to),           \
				 strlen(shown));                                         \
		assert_string_equal(to, shown);                                          \
	} while (0)

static void
texts_show_as_they_stand_unless_a_terminal_would_obey_them(void **state)
{
	(void)state;
	SHOWS(KEYTEXT_TEXT, "user:42", "user:42");
	SHOWS(KEYTEXT_TEXT, "caf\xc3\xa9", "caf\xc3\xa9");
	SHOWS(KEYTEXT_TEXT, "a\nb", "'a\\nb'");
	SHOWS(KEYTEXT_TEXT, "\x1b[2J", "'\\x1b[2J'");
	SHOWS(KEYTEXT_TEXT, "\xc2\x9b", "'\\x9b'");
	SHOWS(KEYTEXT_TEXT, "a\xe2\x80\xae", "'a\\u202e'");
	SHOWS(KEYTEXT_PYTHON, "it's", "\"it's\"");
	SHOWS(KEYTEXT_PYTHON, "a\\b", "'a\\\\b'");
	SHOWS(KEYTEXT_BASE64, "foo", "Zm9v");
}

static void
typed_keys_show_as_python_writes_them(void **state)
{
	(void)state;
	SHOWS(KEYTEXT_TEXT, "\xf5", "b''");
	SHOWS(KEYTEXT_TEXT, "\xf5\x00'\xff", "b\"\\x00'\\xff\"");
	SHOWS(KEYTEXT_TEXT, "\xf6", "0");
	SHOWS(KEYTEXT_TEXT, "\xf6\x00\x80", "128");
	SHOWS(KEYTEXT_TEXT, "\xf6\x80", "-128");
	SHOWS(KEYTEXT_TEXT, "\xf6\x80\x00\x00\x00\x00\x00\x00\x00",
	      "-9223372036854775808");
	SHOWS(KEYTEXT_TEXT, "\xf7\x3f\xf0\x00\x00\x00\x00\x00\x00", "1.0");
	SHOWS(KEYTEXT_TEXT, "\xf7\x3f\xb9\x99\x99\x99\x99\x99\x9a", "0.1");
	SHOWS(KEYTEXT_TEXT, "\xf7\x80\x00\x00\x00\x00\x00\x00\x00", "-0.0");
	SHOWS(KEYTEXT_TEXT, "\xf7\x43\x41\xc3\x79\x37\xe0\x80\x00", "1e+16");
	SHOWS(KEYTEXT_TEXT, "\xf7\x40\x5e\xdd\x2f\x1a\x9f\xbe\x77", "123.456");
	SHOWS(KEYTEXT_TEXT, "\xf7\x3e\xe4\xf8\xb5\x88\xe3\x68\xf1", "1e-05");
	SHOWS(KEYTEXT_TEXT, "\xf7\x3f\x1a\x36\xe2\xeb\x1c\x43\x2d", "0.0001");
	SHOWS(KEYTEXT_TEXT, "\xf7\xff\xf0\x00\x00\x00\x00\x00\x00", "-inf");
	SHOWS(KEYTEXT_TEXT, "\xf7\x7f\xf8\x00\x00\x00\x00\x00\x00", "nan");
	SHOWS(KEYTEXT_TEXT, "\xf8\x00", "False");
	SHOWS(KEYTEXT_TEXT, "\xf9", "None");
	SHOWS(KEYTEXT_TEXT, "\xfa", "()");
	SHOWS(KEYTEXT_TEXT, "\xfa\x01\x61\x02\xf6\x01\x02\xf8\x01\x01\xf9\x00",
	      "('a', 1, True, None, '')");
	SHOWS(KEYTEXT_TEXT, "\xfa\x05\xfa\x01\x61\x01\x62\x03\xf6\x01\x2c",
	      "(('a', 'b'), 300)");
	SHOWS(KEYTEXT_TEXT, "\xfa\x01\x61", "('a',)");
}

static void
what_no_client_writes_shows_its_bytes(void **state)
{
	(void)state;
	SHOWS(KEYTEXT_TEXT, "\xf6\x00", "<int 00>");
	SHOWS(KEYTEXT_TEXT, "\xf6\x00\x01", "<int 0001>");
	SHOWS(KEYTEXT_TEXT, "\xf7\x00", "<float 00>");
	SHOWS(KEYTEXT_TEXT, "\xf8\x02", "<bool 02>");
	SHOWS(KEYTEXT_TEXT, "\xfa\x05\x61", "<tuple 0561>");
	SHOWS(KEYTEXT_TEXT, "\xfa\x80\x00", "<tuple 8000>");
	SHOWS(KEYTEXT_TEXT, "\xfa\x01\x80", "<tuple 0180>");
	SHOWS(KEYTEXT_TEXT, "\xf6\x00\x00\x80\x00\x00\x00\x00\x00\x00\x00",
	      "<int 00008000000000000000>");
	SHOWS(KEYTEXT_TEXT,
	      "\xfb\x01\x05"
	      "a.b.c"
	      "12345678",
	      "<call a.b.c 3132333435363738>");
	SHOWS(KEYTEXT_TEXT, "\xfb\x01\x7f", "<call 017f>");
	SHOWS(KEYTEXT_TEXT, "\xff\x01", "<unknown 01>");
}

static void
shortened_keys_show_their_beginning_and_a_hash(void **state)
{
	char key[BRINE_KEY_MAX], shown[KEYTEXT_MAX];
	size_t head = BRINE_KEY_MAX - 32;

	(void)state;
	memset(key, 'a', head);
	memset(key + head, 0x1f, 32);
	assert_int_equal(keytext_show(key, sizeof(key), KEYTEXT_TEXT, shown), head + 11);
	assert_string_equal(shown + head, "...1f1f1f1f");
	/* A character that was cut is left out. */
	memcpy(key + head - 2, "\xe2\x82", 2);
	assert_int_equal(keytext_show(key, sizeof(key), KEYTEXT_TEXT, shown), head + 9);
	/* The longest text that any key shows as. */
	memset(key, 0x01, head);
	keytext_show(key, sizeof(key), KEYTEXT_PYTHON, shown);
	assert_string_equal(shown + strlen(shown) - 12, "'...1f1f1f1f");
	memset(key, 0xff, head);
	key[0] = (char)BRINE_KEY_BYTES;
	keytext_show(key, sizeof(key), KEYTEXT_TEXT, shown);
	assert_string_equal(shown + strlen(shown) - 12, "'...1f1f1f1f");
}

static struct brine_key room;
static const void *key;
static size_t key_len;
static char why[KEYTEXT_WHY_MAX];

static int
read_key(const char *written, enum keytext_form form)
{
	return keytext_read(written, form, &room, &key, &key_len, why);
}

static void
literals_read_back_as_the_key_they_show(void **state)
{
	static const char *const literals[] = {
		"'a'",
		"\"it's\"",
		"'\\n\\x1b\\u202e\\\\'",
		"b''",
		"b'\\x00\\xff'",
		"0",
		"-1",
		"300",
		"-9223372036854775808",
		"1.5",
		"1e+16",
		"-0.0",
		"1e-05",
		"123.456",
		"-inf",
		"nan",
		"True",
		"False",
		"None",
		"()",
		"('a',)",
		"(1, 'a', None)",
		"((1, (2.5,)), b'x', '')",
		"0x8000000000000000",
		"0xffffffffffffffff",
		"0x10000000000000000",
		"-0x8000000000000001",
		"-0x10000000000000000",
		"(0x123456789abcdef0123, 1)",
	};
	char shown[KEYTEXT_MAX];

	(void)state;
	for (size_t i = 0; i < sizeof(literals) / sizeof(literals[0]); i++) {
		if (read_key(literals[i], KEYTEXT_PYTHON))
			fail_msg("%s: %s", literals[i], why);
		keytext_show(key, key_len, KEYTEXT_PYTHON, shown);
		assert_string_equal(shown, literals[i]);
	}
	assert_int_equal(
		read_key("(0x0, -0x0, 0x7F, 0x80, -0x80, -0x0081)", KEYTEXT_PYTHON), 0);
	keytext_show(key, key_len, KEYTEXT_PYTHON, shown);
	assert_string_equal(shown, "(0, 0, 127, 128, -128, -129)");
	assert_int_equal(read_key(" ( 1 ,\"\xc3\xa9\\\"\" , ) ", KEYTEXT_PYTHON), 0);
	keytext_show(key, key_len, KEYTEXT_PYTHON, shown);
	assert_string_equal(shown, "(1, '\xc3\xa9\"')");
}

static void
other_texts_are_no_literals(void **state)
{
	static const char *const texts[] = {
		"",
		" ",
		"''",
		"hello",
		"'a",
		"'a'b",
		"b'\xc3\xa9'",
		"(1)",
		"(,)",
		"(1,,2)",
		"(1 2)",
		"(1,",
		"True1",
		"1..2",
		"'\\ud800'",
		"'\\q'",
		"'\\x1'",
		"'\\U00110000'",
		"0x",
		"0xg",
		"b'\\u0041'",
		"9223372036854775808",
		"'\xff'",
		"1e",
		"--1",
		"e",
	};
	char deep[300];

	(void)state;
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		if (read_key(texts[i], KEYTEXT_PYTHON) != -1)
			fail_msg("%s was read", texts[i]);
		assert_true(why[0] != 0);
	}
	memset(deep, '(', sizeof(deep) - 1);
	deep[sizeof(deep) - 1] = 0;
	assert_int_equal(read_key(deep, KEYTEXT_PYTHON), -1);
	assert_non_null(strstr(why, "nested"));
}

static void
long_literals_fit_however_short_they_are_written(void **state)
{
	char written[4096] = "(";
	size_t at = 1;

	(void)state;
	while (at + 4 < sizeof(written)) {
		memcpy(written + at, "1.,", 3);
		at += 3;
	}
	strcpy(written + at, ")");
	assert_int_equal(read_key(written, KEYTEXT_PYTHON), 0);
	assert_int_equal(key_len, BRINE_KEY_MAX);
}

static void
keys_as_text_are_utf8_or_what_keys_null_wrote(void **state)
{
	char longest[2000];

	(void)state;
	assert_int_equal(read_key("user:42", KEYTEXT_TEXT), 0);
	assert_int_equal(key_len, 7);
	assert_int_equal(read_key("\xf6\x05", KEYTEXT_TEXT), 0);
	assert_int_equal(key_len, 2);
	assert_int_equal(read_key("a\xff", KEYTEXT_TEXT), -1);
	assert_int_equal(read_key("", KEYTEXT_TEXT), -1);
	memset(longest, 'a', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = 0;
	assert_int_equal(read_key(longest, KEYTEXT_TEXT), 0);
	assert_int_equal(key_len, BRINE_KEY_MAX);
	assert_int_equal(read_key("9gU=", KEYTEXT_BASE64), 0);
	assert_memory_equal(key, "\xf6\x05", 2);
	assert_int_equal(read_key("9gU", KEYTEXT_BASE64), -1);
	assert_int_equal(read_key("Yf8=", KEYTEXT_BASE64), -1);
	assert_int_equal(
		keytext_read_prefix("", KEYTEXT_PYTHON, &room, &key, &key_len, why), 0);
	assert_int_equal(key_len, 0);
	assert_int_equal(
		keytext_read_prefix("user:", KEYTEXT_BASE64, &room, &key, &key_len, why),
		0);
	assert_memory_equal(key, "user:", 5);
	assert_int_equal(
		keytext_read_prefix("b'x'", KEYTEXT_PYTHON, &room, &key, &key_len, why),
		0);
	assert_memory_equal(key, "\xf5x", 2);
	assert_int_equal(
		keytext_read_prefix("(1,)", KEYTEXT_PYTHON, &room, &key, &key_len, why),
		-1);
}

static void
json_escapes_what_must_not_stand_in_a_string(void **state)
{
	char text[512] = "";
	FILE *to = fmemopen(text, sizeof(text), "w");
	struct json json;

	(void)state;
	assert_non_null(to);
	json_begin(&json, to);
	json_string(&json, "s", "a\"\\\n\0\x1b\xc2\x9b\xc3\xa9\xff", 11);
	json_number(&json, "n", UINT64_MAX);
	json_integer(&json, "i", INT64_MIN);
	json_open(&json, "o", 1);
	json_bool(&json, "b", true);
	json_null(&json, "z");
	json_close(&json);
	json_open(&json, "e", 1);
	json_close(&json);
	json_base64(&json, "x", "foobar", 5);
	json_end(&json);
	fclose(to);
	assert_string_equal(
		text, "{\"s\": \"a\\\"\\\\\\n\\u0000\\u001b\\u009b\xc3\xa9\\ufffd\", "
		      "\"n\": 18446744073709551615, "
		      "\"i\": -9223372036854775808, "
		      "\"o\": {\"b\": true, \"z\": null}, \"e\": {}, "
		      "\"x\": \"Zm9vYmE=\"}\n");
}

static void
codecs_have_names(void **state)
{
	char text[CODEC_TEXT_MAX];

	(void)state;
	codec_show_long(184747265, text);
	assert_string_equal(text, "pickle 5 (Python 3.11)");
	codec_show(184747265, text);
	assert_string_equal(text, "pickle");
	codec_show_long(codec_of_choice(3), text);
	assert_string_equal(text, "msgpack");
	codec_show(200, text);
	assert_string_equal(text, "codec 200");
}

static void
progress_says_how_much_how_fast_how_long(void **state)
{
	struct progress progress = { .total = UINT64_C(4) << 30,
				     .done = UINT64_C(1) << 30,
				     .began_us = 1000000 };
	char text[PROGRESS_TEXT_MAX];

	(void)state;
	progress_text(&progress, 5000000, text);
	assert_string_equal(text, "1.0G of 4.0G, 25%, 256M/s, 12s left");
	progress.total = BRINE_UNKNOWN;
	progress_text(&progress, 5000000, text);
	assert_string_equal(text, "1.0G, 256M/s");
	progress_text(&progress, 1000000, text);
	assert_string_equal(text, "1.0G, 0/s");
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(durations_read_and_show),
		cmocka_unit_test(sizes_and_numbers_show),
		cmocka_unit_test(integers_have_64_bits_and_a_sign),
		cmocka_unit_test(base64_is_that_of_the_rfc),
		cmocka_unit_test(utf8_refuses_what_unicode_refuses),
		cmocka_unit_test(
			texts_show_as_they_stand_unless_a_terminal_would_obey_them),
		cmocka_unit_test(typed_keys_show_as_python_writes_them),
		cmocka_unit_test(what_no_client_writes_shows_its_bytes),
		cmocka_unit_test(shortened_keys_show_their_beginning_and_a_hash),
		cmocka_unit_test(literals_read_back_as_the_key_they_show),
		cmocka_unit_test(other_texts_are_no_literals),
		cmocka_unit_test(long_literals_fit_however_short_they_are_written),
		cmocka_unit_test(keys_as_text_are_utf8_or_what_keys_null_wrote),
		cmocka_unit_test(json_escapes_what_must_not_stand_in_a_string),
		cmocka_unit_test(codecs_have_names),
		cmocka_unit_test(progress_says_how_much_how_fast_how_long),
	};
	return unit_run(tests);
}
