/* keytext.h - keys as people write and read them, in three forms. Pure.
 *
 *	text    a text as it stands; on the way out, one that would not show well is written as in Python,
 *	        and so is every typed key
 *	python  every key as Python writes it: 'a', b'a', 1, 1.5, True, None, (1, 'a')
 *	base64  the encoded key, which is the only form that a shortened key can be given in */
#ifndef CLI_KEYTEXT_H
#define CLI_KEYTEXT_H

#include <stdbool.h>
#include <stddef.h>

#include "client/brine.h"

/* As in the table of options. */
enum keytext_form {
	KEYTEXT_TEXT,
	KEYTEXT_PYTHON,
	KEYTEXT_BASE64,
};

/* Of what is shown, the NUL included: four letters for a byte, and what stands around them. */
#define KEYTEXT_MAX (4 * BRINE_KEY_MAX + 128)

/* Shows an encoded key; returns the length. */
size_t keytext_show(const void *key, size_t len, enum keytext_form form,
		    char to[static KEYTEXT_MAX]);

/* "text", "bytes", "int", "float", "bool", "none", "tuple", "call", or "unknown" */
const char *keytext_type(const void *key, size_t len);

static inline bool
keytext_shortened(size_t len)
{
	return len == BRINE_KEY_MAX;
}

#define KEYTEXT_WHY_MAX 160

/* Encodes a key that somebody wrote. *ret_key borrows key or written. Returns 0, or -1 with the reason in
 * why. */
int keytext_read(const char *written, enum keytext_form form, struct brine_key *key,
		 const void **ret_key, size_t *ret_len, char why[static KEYTEXT_WHY_MAX]);

/* The same for the beginning that keys must share: with base64 too it is a text. */
int keytext_read_prefix(const char *written, enum keytext_form form,
			struct brine_key *key, const void **ret_prefix, size_t *ret_len,
			char why[static KEYTEXT_WHY_MAX]);

#endif
