/* errors.c - the list of errors.def as tables. Pure; any thread. */
#include "proto/errors.h"

#include <stddef.h>

static const struct {
	int number;
	enum error_class class;
	const char *name;
	const char *text;
} errors[] = {
#define E(name, number, class, text) { number, CLASS_##class, #name, text },
#include "proto/errors.def"
#undef E
};

#define UNKNOWN_TEXT "an error that this release does not know"

/* Where the ranges of errors.def begin. */
#define FIRST_REFUSAL 32
#define FIRST_CONDITION 64
#define FIRST_LOCAL 128

static int
find(int error)
{
	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++)
		if (errors[i].number == error)
			return (int)i;
	return -1;
}

enum error_class
error_class(int error)
{
	int at = find(error);

	if (at >= 0)
		return errors[at].class;
	if (error >= FIRST_REFUSAL && error < FIRST_CONDITION)
		return CLASS_REFUSAL;
	return error >= FIRST_CONDITION && error < FIRST_LOCAL ? CLASS_CONDITION
							       : CLASS_OUTAGE;
}

const char *
error_name(int error)
{
	int at = find(error);

	return at < 0 ? "UNKNOWN" : errors[at].name;
}

const char *
error_text(int error)
{
	int at = find(error);

	return at < 0 ? UNKNOWN_TEXT : errors[at].text;
}
