/* texts.h - room for texts of any length, side by side, that are named by where they begin. Plain data without pointers: a
 * copy is a copy. */
#ifndef CONF_TEXTS_H
#define CONF_TEXTS_H

#include <stdint.h>

/* All of them, their NULs included. */
#define CONF_TEXTS_SIZE (128 * 1024)

struct conf_texts {
	uint32_t end; /* all zero: there is none yet */
	char bytes[CONF_TEXTS_SIZE];
};

/* Keeps a copy until the whole is cleared. Returns 0, or -1: there is no room. */
int conf_keep_text(struct conf_texts *texts, const char *text, uint32_t *ret_at);

/* At 0 stands "". */
const char *conf_text_at(const struct conf_texts *texts, uint32_t at);

#endif
