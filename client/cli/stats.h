/* stats.h - the counters of STATS as one line of JSON. */
#ifndef CLI_STATS_H
#define CLI_STATS_H

#include <stdio.h>

#include "client/brine.h"

/* {"daemon": {...}, "namespaces": {"web": {...}}} */
void stats_write_json(FILE *to, const struct brine_value *text);

#endif
