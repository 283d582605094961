/* command.c - the table of commands, and how a name finds its command. Pure. */
#include "client/cli/command.h"

#include <stdbool.h>
#include <string.h>

#include "client/cli/suggest.h"

const struct command command_table[COMMAND_COUNT] = {
#define O(id) OPTION_BIT(OPTION_##id)
#define C(id, function, name, operands, min, max, starts, options, tried, help, more)    \
	[COMMAND_##id] = { name,    operands, min,  max,  COMMAND_##starts,              \
			   options, tried,    help, more, command_##function },
#include "client/cli/commands.def"
#undef C
#undef O
};

const struct command *
command_find(const char *name)
{
	for (size_t i = 0; i < COMMAND_COUNT; i++)
		if (strcmp(command_table[i].name, name) == 0)
			return &command_table[i];
	return NULL;
}

bool
command_passes_on(const struct command *command)
{
	return command && strncmp(command->operands, "COMMAND ", 8) == 0;
}

bool
command_counts(const struct command *command, size_t count)
{
	return command == &command_table[COMMAND_INCR] && count == 2;
}

bool
command_is_long(const struct command *command)
{
	return command == &command_table[COMMAND_EXPORT] ||
	       command == &command_table[COMMAND_IMPORT] ||
	       command == &command_table[COMMAND_VERIFY];
}

/* Is word one of the words that blanks separate? */
static bool
among(const char *words, const char *word)
{
	size_t len = strlen(word);

	while (*words) {
		size_t size = strcspn(words, " ");

		if (size == len && memcmp(words, word, len) == 0)
			return true;
		words += size + (words[size] == ' ');
	}
	return false;
}

const char *
command_advice(const char *name)
{
	if (among("start serve server daemon brined up enable", name))
		return "the first put starts a daemon, and `brined` one in the foreground";
	if (among("stop shutdown quit exit kill restart down disable", name))
		return "a daemon leaves when nobody uses it, or by `pkill -u $USER -x brined`";
	return NULL;
}

const struct command *
command_meant(const char *name)
{
	const char *names[COMMAND_COUNT];
	const char *meant;

	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		if (among(command_table[i].tried, name))
			return &command_table[i];
		names[i] = command_table[i].name;
	}
	meant = suggest(name, names, COMMAND_COUNT);
	return meant ? command_find(meant) : NULL;
}
