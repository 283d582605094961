/* openmetrics.h - the figures of brine stats as OpenMetrics text, which node_exporter's textfile collector reads as
 * well. */
#ifndef CLI_OPENMETRICS_H
#define CLI_OPENMETRICS_H

#include <stdint.h>
#include <stdio.h>

#include "client/brine.h"

/* text as brine_stats() gives it; uid is that of the namespaces which have none in their scopes. Figures whose meaning
 * this release does not know are left out: their type cannot be guessed. Errors stay in the stream. */
void openmetrics_write(FILE *to, const struct brine_value *text, uint32_t uid);

#endif
