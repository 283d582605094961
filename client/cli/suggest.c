/* suggest.c - finds the word that a mistyped one is nearest to. Pure. */
#include "client/cli/suggest.h"

#include <stdbool.h>
#include <string.h>

static unsigned
least(unsigned a, unsigned b)
{
	return a < b ? a : b;
}

/* How many letters must be put in, left out, replaced or swapped with their neighbour to make b of a
 * (the optimal string alignment distance). Both are shorter than SUGGEST_WORD_MAX. */
static unsigned
distance(const char *a, const char *b)
{
	unsigned rows[3][SUGGEST_WORD_MAX];
	unsigned *before = rows[0], *above = rows[1], *row = rows[2], *spare;
	size_t width = strlen(b);

	for (size_t j = 0; j <= width; j++)
		above[j] = (unsigned)j;
	for (size_t i = 1; a[i - 1]; i++) {
		row[0] = (unsigned)i;
		for (size_t j = 1; j <= width; j++) {
			row[j] = least(least(above[j], row[j - 1]) + 1,
				       above[j - 1] + (a[i - 1] != b[j - 1]));
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] &&
			    a[i - 2] == b[j - 1])
				row[j] = least(row[j], before[j - 2] + 1);
		}
		spare = before;
		before = above;
		above = row;
		row = spare;
	}
	return above[width];
}

static bool
starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

const char *
suggest(const char *word, const char *const *candidates, size_t count)
{
	size_t len = strlen(word);
	unsigned best = len < 3 ? 1 : len < 6 ? 2 : 3;
	const char *found = NULL;

	if (len < 2 || len >= SUGGEST_WORD_MAX)
		return NULL;
	for (size_t i = 0; i < count; i++) {
		unsigned far;

		if (strlen(candidates[i]) >= SUGGEST_WORD_MAX)
			continue;
		/* What was begun and not finished is nearer than any slip. */
		far = starts_with(candidates[i], word) ? 0
						       : distance(word, candidates[i]);
		if (far < best || (far == best && !found && far < len)) {
			best = far;
			found = candidates[i];
		}
	}
	return found;
}
