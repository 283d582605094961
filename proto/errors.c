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

	return at < 0 ? CLASS_OUTAGE : errors[at].class;
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
