/* test_cli_options.c - the command line's arguments, commands, suggestions and help. */
#include "tests/unit/unit.h"

#include <string.h>

#include "client/cli/command.h"
#include "client/cli/help.h"
#include "client/cli/option.h"
#include "client/cli/suggest.h"

#define ARGUMENTS_MAX (2 * OPTION_LISTED_MAX + 8)

static struct options options;
static const char *operands[ARGUMENTS_MAX];
static size_t operand_count;
static char error[OPTION_ERROR_MAX];

static int
parse(const char *const *arguments)
{
	char *copies[ARGUMENTS_MAX];
	size_t count = 0;

	for (; arguments[count]; count++)
		copies[count] = (char *)arguments[count];
	error[0] = 0;
	return option_parse(copies, count, &options, operands, &operand_count, error);
}

#define PARSE(...) parse((const char *const[]){ __VA_ARGS__, NULL })
#define REFUSED(part, ...)                                                               \
	do {                                                                             \
		assert_int_equal(PARSE(__VA_ARGS__), -1);                                \
		if (!strstr(error, part))                                                \
			fail_msg("no '%s' in: %s", part, error);                         \
	} while (0)

static void
options_stand_before_and_behind_operands(void **state)
{
	(void)state;
	assert_int_equal(
		PARSE("--json", "put", "--ttl", "90s", "key", "file", "-s", "/s"), 0);
	assert_int_equal(operand_count, 3);
	assert_string_equal(operands[0], "put");
	assert_string_equal(operands[2], "file");
	assert_true(option_given(&options, OPTION_JSON));
	assert_int_equal(options.number[OPTION_TTL], 90000);
	assert_string_equal(options.text[OPTION_SOCKET], "/s");
	assert_false(option_given(&options, OPTION_NAMESPACE));
}

static void
arguments_are_attached_or_apart(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--ttl=1m", "-nweb", "-lj0", "-o", "-"), 0);
	assert_int_equal(options.number[OPTION_TTL], 60000);
	assert_string_equal(options.text[OPTION_NAMESPACE], "web");
	assert_true(option_given(&options, OPTION_LONG));
	assert_true(option_given(&options, OPTION_JSON));
	assert_true(option_given(&options, OPTION_NUL));
	assert_string_equal(options.text[OPTION_OUTPUT], "-");
	assert_int_equal(PARSE("-jnweb"), 0);
	assert_string_equal(options.text[OPTION_NAMESPACE], "web");
	assert_int_equal(PARSE("--value=", "--value"), -1);
	assert_int_equal(PARSE("--value=a=b"), 0);
	assert_string_equal(options.text[OPTION_VALUE], "a=b");
}

static void
a_negative_integer_is_an_operand_where_a_command_counts(void **state)
{
	(void)state;
	assert_int_equal(PARSE("incr", "key", "-5", "--initial", "-7"), 0);
	assert_int_equal(operand_count, 3);
	assert_string_equal(operands[2], "-5");
	assert_int_equal((int64_t)options.number[OPTION_INITIAL], -7);
	assert_int_equal(PARSE("keys", "-0"), 0);
	assert_true(option_given(&options, OPTION_NUL));
	REFUSED("no option -5", "incr", "-5");
	REFUSED("no option -5", "get", "key", "-5");
	REFUSED("no option -5x", "incr", "key", "-5x");
	REFUSED("--initial 1.5: not an integer", "incr", "key", "--initial=1.5");
}

static void
a_list_keeps_all_its_texts_in_order(void **state)
{
	const char *arguments[2 * OPTION_LISTED_MAX + 4] = { "put", "key" };
	size_t position = 0;

	(void)state;
	assert_int_equal(PARSE("put", "--tag", "a", "key", "--tag=b", "--tag", ""), 0);
	assert_string_equal(option_next(&options, OPTION_TAG, &position), "a");
	assert_string_equal(option_next(&options, OPTION_TAG, &position), "b");
	assert_string_equal(option_next(&options, OPTION_TAG, &position), "");
	assert_null(option_next(&options, OPTION_TAG, &position));
	for (size_t i = 0; i <= OPTION_LISTED_MAX; i++)
		arguments[2 + i] = "--tag=x";
	assert_int_equal(parse(arguments), -1);
	assert_non_null(strstr(error, "--tag: too many of them; 256"));
}

static void
of_two_options_with_one_name_the_commands_own_is_meant(void **state)
{
	(void)state;
	assert_int_equal(PARSE("put", "--stale", "5s", "key"), 0);
	assert_int_equal(options.number[OPTION_STALE_FOR], 5000000);
	assert_int_equal(PARSE("--stale", "5s", "put", "key"), 0);
	assert_int_equal(options.number[OPTION_STALE_FOR], 5000000);
	assert_int_equal(PARSE("get", "--stale", "key"), 0);
	assert_true(option_given(&options, OPTION_STALE_OK));
	assert_int_equal(PARSE("--stale", "get", "key"), 0);
	assert_true(option_given(&options, OPTION_STALE_OK));
	assert_int_equal(operand_count, 2);
}

static void
an_argument_that_may_be_left_out_stands_behind_an_equals_sign(void **state)
{
	(void)state;
	assert_int_equal(PARSE("get", "--wait", "key"), 0);
	assert_int_equal(operand_count, 2);
	assert_true(option_given(&options, OPTION_WAIT));
	assert_int_equal(options.number[OPTION_WAIT], 0);
	assert_int_equal(PARSE("get", "--wait=5m", "key"), 0);
	assert_int_equal(options.number[OPTION_WAIT], 300000);
	assert_int_equal(PARSE("get", "-w5m", "key"), 0);
	assert_int_equal(options.number[OPTION_WAIT], 300000);
	REFUSED("--wait 5: of what?", "get", "--wait=5", "key");
}

static void
two_dashes_end_options_and_one_is_an_operand(void **state)
{
	(void)state;
	assert_int_equal(PARSE("get", "--", "--json", "-x", "--"), 0);
	assert_int_equal(operand_count, 4);
	assert_string_equal(operands[1], "--json");
	assert_string_equal(operands[3], "--");
	assert_false(option_given(&options, OPTION_JSON));
	assert_int_equal(PARSE("put", "k", "-", ""), 0);
	assert_int_equal(operand_count, 4);
	assert_string_equal(operands[2], "-");
}

static void
an_argument_may_look_like_an_option(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--value", "--json", "-v", "--"), 0);
	assert_string_equal(options.text[OPTION_VALUE], "--");
	assert_false(option_given(&options, OPTION_JSON));
}

static void
the_later_of_two_counts(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--ttl", "1s", "--ttl", "2s"), 0);
	assert_int_equal(options.number[OPTION_TTL], 2000);
}

static void
durations_and_choices_are_checked(void **state)
{
	(void)state;
	assert_int_equal(PARSE("--ttl", "never", "--cost", "250us", "--ack", "disk"), 0);
	assert_true(options.number[OPTION_TTL] == UINT64_MAX);
	assert_int_equal(options.number[OPTION_COST], 250);
	assert_int_equal(options.number[OPTION_ACK], 1);
	assert_int_equal(PARSE("--codec", "bytes"), 0);
	assert_int_equal(options.number[OPTION_CODEC], 0);
	assert_true(option_given(&options, OPTION_CODEC));
	REFUSED("of what?", "--ttl", "90");
	REFUSED("not a duration", "--ttl", "soon");
	REFUSED("not a duration", "--ttl", "-1s");
	REFUSED("not a duration", "--ttl", "1m1h");
	REFUSED("not a duration", "--ttl", "");
	REFUSED("at least 1ms", "--ttl", "0s");
	REFUSED("at least 1ms", "--ttl", "900us");
	REFUSED("not a duration", "--ttl", "0");
	REFUSED("write never", "--ttl", "300000000d");
	REFUSED("not a duration", "--ttl", "99999999999999999999d");
	REFUSED("at least 1us", "--cost", "0ms");
	REFUSED("not a duration", "--cost", "never");
	REFUSED("not one of memory|disk", "--ack", "tape");
	REFUSED("not one of", "--ack", "");
	REFUSED("not one of", "--ack", "memory|disk");
	REFUSED("not a whole number", "--limit", "-1");
	REFUSED("not a whole number", "--limit", "18446744073709551616");
	REFUSED("not a whole number", "--if-version", "1x");
}

static void
unknown_options_are_refused_with_a_guess(void **state)
{
	(void)state;
	REFUSED("did you mean --namespace?", "--namespcae", "web");
	REFUSED("did you mean --if-absent?", "--ifabsent");
	REFUSED("did you mean --json?", "--jsn");
	REFUSED("put -- before it", "--zzzzzzzz");
	REFUSED("put -- before it", "-17");
	REFUSED("no option -x", "-jx");
	REFUSED("stands alone", "--json=yes");
	REFUSED("needs a PATH", "--socket");
	REFUSED("needs a PATH", "-s");
}

static void
refusing_changes_nothing(void **state)
{
	(void)state;
	memset(&options, 0, sizeof(options));
	operand_count = 77;
	assert_int_equal(PARSE("a", "--json", "--nonsense"), -1);
	assert_int_equal(operand_count, 77);
	assert_int_equal(options.given, 0);
}

static void
options_of_other_commands_are_foreign(void **state)
{
	const struct command *get = command_find("get");

	(void)state;
	assert_int_equal(PARSE("--ttl", "1s", "--json"), 0);
	assert_int_equal(option_foreign(&options, get->options), OPTION_TTL);
	assert_int_equal(option_foreign(&options, command_find("put")->options),
			 OPTION_COUNT);
}

static void
letters_are_used_once_and_no_command_takes_two_options_of_one_name(void **state)
{
	(void)state;
	for (size_t i = 0; i < OPTION_COUNT; i++)
		for (size_t j = 0; j < i; j++) {
			const struct option *a = &option_table[i], *b = &option_table[j];

			for (size_t k = 0; k < COMMAND_COUNT; k++)
				if (command_table[k].options & OPTION_BIT(i) &&
				    (command_table[k].options | OPTION_COMMON) &
					    OPTION_BIT(j))
					assert_string_not_equal(a->name, b->name);
			assert_false(a->letter && a->letter == b->letter);
		}
}

static void
every_option_belongs_to_a_command(void **state)
{
	uint64_t known = OPTION_COMMON;

	(void)state;
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		assert_int_equal(command_table[i].options & OPTION_COMMON, 0);
		known |= command_table[i].options;
	}
	assert_true(known == OPTION_BIT(OPTION_COUNT) - 1);
}

static void
mistyped_commands_find_the_one_meant(void **state)
{
	static const char *const pairs[][2] = {
		{ "gte", "get" },   { "set", "put" },     { "rm", "del" },
		{ "ls", "keys" },   { "delete", "del" },  { "pign", "ping" },
		{ "stat", "meta" }, { "flsuh", "flush" }, { "kyes", "keys" },
		{ "pt", "put" },    { "sta", "stats" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		assert_null(command_find(pairs[i][0]));
		assert_non_null(command_meant(pairs[i][0]));
		assert_string_equal(command_meant(pairs[i][0])->name, pairs[i][1]);
	}
	assert_null(command_meant("frobnicate"));
	assert_null(command_meant(""));
	assert_null(command_meant("x"));
	assert_null(
		command_meant("a-word-that-is-far-longer-than-any-command-or-option"));
}

static void
check_page(FILE *page)
{
	char line[256];

	rewind(page);
	while (fgets(line, sizeof(line), page)) {
		size_t len = strcspn(line, "\n");

		if (len > 80 || (len && line[len - 1] == ' '))
			fail_msg("too long, or ends in a blank: %s", line);
	}
	fclose(page);
}

static void
help_fits_80_columns(void **state)
{
	FILE *page = tmpfile();

	(void)state;
	assert_non_null(page);
	help_all(page);
	check_page(page);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		page = tmpfile();
		assert_non_null(page);
		help_command(page, &command_table[i]);
		check_page(page);
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_stand_before_and_behind_operands),
		cmocka_unit_test(arguments_are_attached_or_apart),
		cmocka_unit_test(a_negative_integer_is_an_operand_where_a_command_counts),
		cmocka_unit_test(a_list_keeps_all_its_texts_in_order),
		cmocka_unit_test(of_two_options_with_one_name_the_commands_own_is_meant),
		cmocka_unit_test(
			an_argument_that_may_be_left_out_stands_behind_an_equals_sign),
		cmocka_unit_test(two_dashes_end_options_and_one_is_an_operand),
		cmocka_unit_test(an_argument_may_look_like_an_option),
		cmocka_unit_test(the_later_of_two_counts),
		cmocka_unit_test(durations_and_choices_are_checked),
		cmocka_unit_test(unknown_options_are_refused_with_a_guess),
		cmocka_unit_test(refusing_changes_nothing),
		cmocka_unit_test(options_of_other_commands_are_foreign),
		cmocka_unit_test(
			letters_are_used_once_and_no_command_takes_two_options_of_one_name),
		cmocka_unit_test(every_option_belongs_to_a_command),
		cmocka_unit_test(mistyped_commands_find_the_one_meant),
		cmocka_unit_test(help_fits_80_columns),
	};
	return unit_run(tests);
}
