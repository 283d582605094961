/* toptable.h - draws what came between two looks at the figures, for brine top. Pure. */
#ifndef CLI_TOPTABLE_H
#define CLI_TOPTABLE_H

#include <stdio.h>

#include "client/cli/look.h"

/* A screen of so many columns and rows, each line ended by `end`; namespaces that find no place are counted in its
 * last line. before may be NULL: then there are no rates yet. where is the socket, for the first line. */
void toptable_draw(FILE *to, const struct look *now, const struct look *before,
		   const char *where, unsigned columns, unsigned rows, const char *end);

/* The same without a screen: a line for the daemon and one for each namespace, behind the time of day; and the line
 * that says what their columns are. */
void toptable_write_head(FILE *to);
void toptable_write_lines(FILE *to, const struct look *now, const struct look *before,
			  const char *time);

#endif
