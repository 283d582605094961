/* suggest.h - what did the user mean? Pure. */
#ifndef CLI_SUGGEST_H
#define CLI_SUGGEST_H

#include <stddef.h>

/* Longer words are nobody's slip of the finger. */
#define SUGGEST_WORD_MAX 32

/* The candidate that is nearest to word and near enough to be what was meant, or NULL. */
const char *suggest(const char *word, const char *const *candidates, size_t count);

#endif
