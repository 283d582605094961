/* option.h - the options of the command line: their table, and how arguments are read by it.
 *
 * Pure: nothing is printed, and whoever holds a struct options owns it. Texts borrow the arguments. */
#ifndef CLI_OPTION_H
#define CLI_OPTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum option_id {
#define O(id, name, letter, argument, form, help) OPTION_##id,
#include "client/cli/options.def"
#undef O
	OPTION_COUNT
};

#define OPTION_BIT(id) (UINT64_C(1) << (id))
/* Those that every command takes. */
#define OPTION_COMMON (OPTION_BIT(OPTION_VERSION + 1) - 1)
_Static_assert(OPTION_COUNT < 64, "options must fit the bits of struct options");

enum option_form {
	OPTION_FLAG,
	OPTION_TEXT,
	OPTION_LIST,
	OPTION_NUMBER,
	OPTION_INTEGER,
	OPTION_LIFE,
	OPTION_PAUSE,
	OPTION_DURATION,
	OPTION_CHOICE,
};

struct option {
	const char *name;
	char letter; /* 0: none */
	const char *argument;
	enum option_form form;
	const char *help;
};

extern const struct option option_table[OPTION_COUNT];

/* How often the options of a list may be given, all of them together. */
#define OPTION_LISTED_MAX 256

struct options {
	uint64_t given; /* OPTION_BIT() of each */
	const char *text[OPTION_COUNT];
	uint64_t number[OPTION_COUNT]; /* of an INTEGER in two's complement */
	struct {
		enum option_id id;
		const char *text;
	} listed[OPTION_LISTED_MAX]; /* in the order in which they were given */
	size_t listed_count;
};

#define OPTION_ERROR_MAX 512

/* Reads count arguments. Options and operands may stand in any order, -- ends the options, and so does the operand of
 * a command that is given the command line of another program; the later of two counts, of a list both. A negative
 * integer is an operand where a command counts. The operands go to ret_operands, which has room for count. Returns 0,
 * or -1 with one or more sentences in error. */
int option_parse(char *const *arguments, size_t count, struct options *ret_options,
		 const char **ret_operands, size_t *ret_operand_count,
		 char error[static OPTION_ERROR_MAX]);

/* The first option that is given and not among the allowed bits, or OPTION_COUNT. */
enum option_id option_foreign(const struct options *options, uint64_t allowed);

/* The next text of a list; *position starts at 0. NULL at its end. */
const char *option_next(const struct options *options, enum option_id id,
			size_t *position);

static inline bool
option_given(const struct options *options, enum option_id id)
{
	return options->given & OPTION_BIT(id);
}

#endif
