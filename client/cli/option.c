/* option.c - reads the arguments of the command line by their table. Pure. */
#include "client/cli/option.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/command.h"
#include "client/cli/suggest.h"
#include "client/cli/units.h"

const struct option option_table[OPTION_COUNT] = {
#define O(id, name, letter, argument, form, help)                                        \
	[OPTION_##id] = { name, letter, argument, OPTION_##form, help },
#include "client/cli/options.def"
#undef O
};

struct reading {
	char *const *arguments;
	size_t count;
	size_t next;                   /* the argument to read */
	const struct command *command; /* NULL while it was not met */
	struct options options;
	char *error; /* OPTION_ERROR_MAX */
};

static int
refuse(struct reading *reading, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(reading->error, OPTION_ERROR_MAX, format, list);
	va_end(list);
	return -1;
}

/* The index of word among the words of choices, which | separates; -1 if it is none of them. */
static int
choice_index(const char *choices, const char *word)
{
	size_t len = strlen(word);

	for (int i = 0; *choices; i++) {
		size_t size = strcspn(choices, "|");

		if (size == len && memcmp(choices, word, len) == 0)
			return i;
		choices += size + (choices[size] == '|');
	}
	return -1;
}

static int
refuse_duration(struct reading *reading, const char *name, const char *text)
{
	size_t digits = strspn(text, "0123456789");

	if (digits && !text[digits] && strspn(text, "0") != digits)
		return refuse(reading,
			      "--%s %.40s: of what? Write %.40ss for seconds, or "
			      "ms, m, h or d.",
			      name, text, text);
	return refuse(
		reading,
		"--%s %.100s: not a duration; write 300ms, 90s, 10m, 2h, 7d or 1h30m.",
		name, text);
}

static int
set_duration(struct reading *reading, enum option_id id, const char *text)
{
	const struct option *option = &option_table[id];
	uint64_t us;
	int result;

	if (option->form != OPTION_DURATION && strcmp(text, "never") == 0) {
		reading->options.number[id] = UINT64_MAX;
		return 0;
	}
	result = duration_parse(text, &us);
	if (result == DURATION_LONG)
		return refuse(reading, "--%s %.40s: too long%s.", option->name, text,
			      option->form == OPTION_DURATION
				      ? ""
				      : "; for no end write never");
	if (result)
		return refuse_duration(reading, option->name, text);
	if (option->form == OPTION_DURATION) {
		if (us == 0)
			return refuse(reading, "--%s %.40s: at least 1us.", option->name,
				      text);
		reading->options.number[id] = us;
		return 0;
	}
	if (us < 1000)
		return refuse(reading,
			      "--%s %.40s: at least 1ms; for no end write never.",
			      option->name, text);
	reading->options.number[id] = us / 1000;
	return 0;
}

static int
set_choice(struct reading *reading, enum option_id id, const char *text)
{
	const struct option *option = &option_table[id];
	int index = choice_index(option->argument, text);

	if (index < 0)
		return refuse(reading, "--%s %.100s: not one of %s.", option->name, text,
			      option->argument);
	reading->options.number[id] = (uint64_t)index;
	return 0;
}

static int
add_listed(struct reading *reading, enum option_id id, const char *text)
{
	struct options *options = &reading->options;

	if (options->listed_count == OPTION_LISTED_MAX)
		return refuse(reading, "--%s: too many of them; %d is the most.",
			      option_table[id].name, OPTION_LISTED_MAX);
	options->listed[options->listed_count].id = id;
	options->listed[options->listed_count].text = text;
	options->listed_count++;
	return 0;
}

static int
set_integer(struct reading *reading, enum option_id id, const char *text)
{
	int64_t integer;

	if (integer_parse(text, &integer))
		return refuse(reading, "--%s %.100s: not an integer of 64 bits.",
			      option_table[id].name, text);
	reading->options.number[id] = (uint64_t)integer;
	return 0;
}

/* text is NULL for a flag, and where it may be left out. */
static int
set_option(struct reading *reading, enum option_id id, const char *text)
{
	const struct option *option = &option_table[id];

	reading->options.given |= OPTION_BIT(id);
	reading->options.text[id] = text;
	switch (option->form) {
	case OPTION_NUMBER:
		if (number_parse(text, &reading->options.number[id]))
			return refuse(reading, "--%s %.100s: not a whole number.",
				      option->name, text);
		return 0;
	case OPTION_INTEGER:
		return set_integer(reading, id, text);
	case OPTION_LIST:
		return add_listed(reading, id, text);
	case OPTION_PAUSE:
		reading->options.number[id] = 0;
		return text ? set_duration(reading, id, text) : 0;
	case OPTION_LIFE:
	case OPTION_DURATION:
		return set_duration(reading, id, text);
	case OPTION_CHOICE:
		return set_choice(reading, id, text);
	default:
		return 0;
	}
}

/* Sets an option whose argument, if it takes one and none is attached, is the next one. shown is how it
 * was written. */
static int
take_option(struct reading *reading, enum option_id id, const char *shown,
	    const char *attached)
{
	const struct option *option = &option_table[id];

	if (option->form == OPTION_FLAG) {
		if (attached)
			return refuse(reading, "%s stands alone, without =%.100s.", shown,
				      attached);
		return set_option(reading, id, NULL);
	}
	if (!attached && option->form != OPTION_PAUSE) {
		if (reading->next == reading->count)
			return refuse(reading, "%s needs a %s behind it.", shown,
				      option->argument);
		attached = reading->arguments[reading->next++];
	}
	return set_option(reading, id, attached);
}

static int
refuse_unknown(struct reading *reading, const char *name, size_t len)
{
	const char *names[OPTION_COUNT];
	char word[SUGGEST_WORD_MAX];
	const char *meant = NULL;

	for (size_t i = 0; i < OPTION_COUNT; i++)
		names[i] = option_table[i].name;
	if (len < sizeof(word)) {
		memcpy(word, name, len);
		word[len] = 0;
		meant = suggest(word, names, OPTION_COUNT);
	}
	if (meant)
		return refuse(reading, "there is no option --%.*s; did you mean --%s?",
			      (int)len, name, meant);
	return refuse(reading,
		      "there is no option --%.*s. (If it is a key, put -- before it.)",
		      len < 100 ? (int)len : 100, name);
}

/* The command whose options these are: the one that was met, else the first that is named later. */
static const struct command *
command_ahead(const struct reading *reading)
{
	const struct command *command = reading->command;

	for (size_t i = reading->next; !command && i < reading->count; i++)
		command = command_find(reading->arguments[i]);
	return command;
}

/* The option of that name, or OPTION_COUNT; of two, the one that belongs to the command. */
static enum option_id
find_name(const struct reading *reading, const char *name, size_t len)
{
	enum option_id found = OPTION_COUNT;

	for (size_t i = 0; i < OPTION_COUNT; i++) {
		const char *known = option_table[i].name;
		const struct command *command;

		if (strlen(known) != len || memcmp(known, name, len) != 0)
			continue;
		if (found == OPTION_COUNT) {
			found = (enum option_id)i;
			continue;
		}
		command = command_ahead(reading);
		if (command && command->options & OPTION_BIT(i))
			found = (enum option_id)i;
	}
	return found;
}

/* "--name", "--name=argument" */
static int
take_long(struct reading *reading, const char *argument)
{
	const char *name = argument + 2;
	size_t len = strcspn(name, "=");
	const char *attached = name[len] ? name + len + 1 : NULL;
	char shown[64];
	enum option_id id = find_name(reading, name, len);

	if (id == OPTION_COUNT)
		return refuse_unknown(reading, name, len);
	snprintf(shown, sizeof(shown), "--%s", option_table[id].name);
	return take_option(reading, id, shown, attached);
}

static enum option_id
find_letter(char letter)
{
	size_t i = 0;

	while (i < OPTION_COUNT && option_table[i].letter != letter)
		i++;
	return (enum option_id)i;
}

/* "-j", "-lj", "-oFILE", "-o" "FILE" */
static int
take_short(struct reading *reading, const char *argument)
{
	for (const char *letter = argument + 1; *letter; letter++) {
		enum option_id id = find_letter(*letter);
		char shown[3] = { '-', *letter, 0 };

		if (id == OPTION_COUNT)
			return refuse(
				reading,
				"there is no option -%.30s. (If it is a key, put -- "
				"before it.)",
				letter);
		if (option_table[id].form != OPTION_FLAG)
			return take_option(reading, id, shown,
					   letter[1] ? letter + 1 : NULL);
		if (take_option(reading, id, shown, NULL))
			return -1;
	}
	return 0;
}

/* "-5", but not "-0", which may be an option. */
static bool
is_negative(const char *argument)
{
	return argument[0] == '-' && argument[1] >= '1' && argument[1] <= '9' &&
	       !argument[1 + strspn(argument + 1, "0123456789")];
}

/* Behind count operands. */
static bool
is_operand(const struct reading *reading, size_t count, const char *argument)
{
	return argument[0] != '-' || !argument[1] ||
	       (is_negative(argument) && command_counts(reading->command, count));
}

int
option_parse(char *const *arguments, size_t count, struct options *ret_options,
	     const char **ret_operands, size_t *ret_operand_count,
	     char error[static OPTION_ERROR_MAX])
{
	struct reading reading = { .arguments = arguments,
				   .count = count,
				   .error = error };
	size_t operands = 0;
	bool ended = false;

	while (reading.next < count) {
		const char *argument = arguments[reading.next++];
		int result = 0;

		if (ended || is_operand(&reading, operands, argument)) {
			if (operands == 0)
				reading.command = command_find(argument);
			else
				ended = ended || command_passes_on(reading.command);
			ret_operands[operands++] = argument;
		} else if (strcmp(argument, "--") == 0) {
			ended = true;
		} else if (argument[1] == '-') {
			result = take_long(&reading, argument);
		} else {
			result = take_short(&reading, argument);
		}
		if (result)
			return result;
	}
	*ret_options = reading.options;
	*ret_operand_count = operands;
	return 0;
}

const char *
option_next(const struct options *options, enum option_id id, size_t *position)
{
	while (*position < options->listed_count)
		if (options->listed[(*position)++].id == id)
			return options->listed[*position - 1].text;
	return NULL;
}

enum option_id
option_foreign(const struct options *options, uint64_t allowed)
{
	uint64_t foreign = options->given & ~(allowed | OPTION_COMMON);

	return foreign ? (enum option_id)__builtin_ctzll(foreign) : OPTION_COUNT;
}
