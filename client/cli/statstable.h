/* statstable.h - STATS for people, on 80 columns: what belongs together in one row, with its parts in words. */
#ifndef CLI_STATSTABLE_H
#define CLI_STATSTABLE_H

#include <stdio.h>

#include "client/brine.h"

/* The namespaces first, then the daemon. What this program does not know, as a newer daemon may say it, is shown as
 * it stands. */
void statstable_write(FILE *to, const struct brine_value *text);

#endif
