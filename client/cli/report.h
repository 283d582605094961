/* report.h - what the command line says on standard error: who, what, why, what to do. */
#ifndef CLI_REPORT_H
#define CLI_REPORT_H

#include "client/cli/cli.h"

/* "brine: get: ..." in one line; what a terminal might obey is replaced. */
void report(const struct cli *cli, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* The same, and where to read more. Returns EXIT_USAGE. */
int report_usage(const struct cli *cli, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* A negative result of a call with cli->brine, in the handle's own words. Returns its exit status. */
int report_failure(const struct cli *cli, int error);

/* The same for one key of several, in general words. */
int report_key_failure(const struct cli *cli, const char *key, int error);

/* A miss, which only a person at a terminal is told. Returns EXIT_MISS. */
int report_miss(const struct cli *cli, const char *format, ...)
	__attribute__((format(printf, 2, 3)));

/* That the name of the command's namespace can be none. Returns EXIT_USAGE. */
int report_bad_namespace(const struct cli *cli);

int report_exit_status(int error);

/* The name of the namespace that the command works in; borrowed. */
const char *report_namespace(const struct cli *cli);

/* May progress and other remarks be shown to a person? */
bool report_to_person(const struct cli *cli);

#endif
