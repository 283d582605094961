/* script.c - reads the name of a class of __main__ in a pickle. Owns nothing. */
#include "client/python/script.h"

#include <string.h>

#define LOOK_AT 1024

/* Pickle's opcodes: a short text and its length, MEMOIZE after each text, STACK_GLOBAL of module and name. */
static const char module[] = "\x8c\x08__main__\x94\x8c";
static const char end[] = "\x94\x93";
#define MODULE_LEN (sizeof(module) - 1)
#define END_LEN (sizeof(end) - 1)

const char *
script_name(const char *pickle, size_t len, size_t *ret_len)
{
	const char *stop = pickle + (len < LOOK_AT ? len : LOOK_AT);
	const char *at = pickle;

	while ((at = memmem(at, (size_t)(stop - at), module, MODULE_LEN))) {
		const char *name = at + MODULE_LEN + 1;
		size_t name_len;

		if (name > stop)
			return NULL;
		name_len = (unsigned char)name[-1];
		if ((size_t)(stop - name) >= name_len + END_LEN &&
		    memcmp(name + name_len, end, END_LEN) == 0) {
			*ret_len = name_len;
			return name;
		}
		at = name;
	}
	return NULL;
}
