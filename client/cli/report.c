/* report.c - writes what went wrong to standard error. Owns nothing. */
#include "client/cli/report.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/command.h"
#include "client/cli/utf8.h"

/* Longer texts are cut. */
#define REPORT_MAX 2048

/* Texts may hold anything: keys, paths, the words of a daemon. */
static void
make_showable(char *text)
{
	size_t len = strlen(text), size;
	uint32_t character;

	for (char *at = text; len; at += size, len -= size) {
		size = utf8_read(at, len, &character);
		if (size && utf8_shows(character))
			continue;
		size = size ? size : 1;
		memset(at, '?', size);
	}
}

static void
write_line(const struct cli *cli, const char *format, va_list list)
{
	char text[REPORT_MAX];

	vsnprintf(text, sizeof(text), format, list);
	make_showable(text);
	if (cli->command)
		fprintf(stderr, "brine: %s: %s\n", cli->command->name, text);
	else
		fprintf(stderr, "brine: %s\n", text);
}

void
report(const struct cli *cli, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	write_line(cli, format, list);
	va_end(list);
}

int
report_usage(const struct cli *cli, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	write_line(cli, format, list);
	va_end(list);
	fprintf(stderr, "See: brine %s%s--help\n", cli->command ? cli->command->name : "",
		cli->command ? " " : "");
	return EXIT_USAGE;
}

int
report_miss(const struct cli *cli, const char *format, ...)
{
	va_list list;

	if (!report_to_person(cli))
		return EXIT_MISS;
	va_start(list, format);
	write_line(cli, format, list);
	va_end(list);
	return EXIT_MISS;
}

bool
report_to_person(const struct cli *cli)
{
	return !option_given(&cli->options, OPTION_QUIET) && isatty(STDERR_FILENO);
}

int
report_exit_status(int error)
{
	switch (-error) {
	case BRINE_ERROR_ABSENT:
	case BRINE_ERROR_EXISTS:
	case BRINE_ERROR_CHANGED:
		return EXIT_MISS;
	case BRINE_ERROR_BAD_KEY:
	case BRINE_ERROR_BAD_ARGUMENT:
		return EXIT_USAGE;
	case BRINE_ERROR_SHUTTING_DOWN:
	case BRINE_ERROR_UNREACHABLE:
	case BRINE_ERROR_TIMED_OUT:
	case BRINE_ERROR_CUT_OFF:
	case BRINE_ERROR_BAD_PEER:
	case BRINE_ERROR_DISABLED:
		return EXIT_UNREACHABLE;
	case BRINE_ERROR_DISK_FULL:
	case BRINE_ERROR_BUSY:
	case BRINE_ERROR_TOO_LARGE:
	case BRINE_ERROR_BAD_NAMESPACE:
	case BRINE_ERROR_FORBIDDEN:
	case BRINE_ERROR_TOO_MANY:
	case BRINE_ERROR_NOT_A_COUNTER:
	case BRINE_ERROR_NOT_ADMITTED:
	case BRINE_ERROR_OVERFLOW:
	case BRINE_ERROR_NOT_TRUSTED:
		return EXIT_REFUSED;
	default:
		return EXIT_OTHER;
	}
}

/* The library says which request it was ("PUT: ..."), and we which command. */
static const char *
message_of(const struct cli *cli, int error)
{
	const char *message = cli->brine ? brine_message(cli->brine) : "";
	size_t len = strspn(message, "ABCDEFGHIJKLMNOPQRSTUVWXYZ");

	if (len && strncmp(message + len, ": ", 2) == 0)
		message += len + 2;
	return *message ? message : brine_error_text(error);
}

const char *
report_namespace(const struct cli *cli)
{
	const char *environment = getenv("BRINE_NAMESPACE");

	if (option_given(&cli->options, OPTION_NAMESPACE))
		return cli->options.text[OPTION_NAMESPACE];
	return environment && *environment ? environment : "default";
}

int
report_bad_namespace(const struct cli *cli)
{
	report(cli,
	       "'%s' names no namespace: 1 to 64 letters, digits, _ . and - do, the first "
	       "a letter, a digit or _",
	       report_namespace(cli));
	return EXIT_USAGE;
}

/* Of a path, and of a shared namespace, the daemon has more to say. */
static bool
is_bad_name(const struct cli *cli, int error)
{
	return error == -BRINE_ERROR_BAD_NAMESPACE && !strchr(report_namespace(cli), '/');
}

int
report_failure(const struct cli *cli, int error)
{
	const char *message = message_of(cli, error);
	int status = report_exit_status(error);

	if (status == EXIT_MISS)
		return report_miss(cli, "%s", message);
	if (is_bad_name(cli, error))
		report_bad_namespace(cli);
	else
		report(cli, "%s", message);
	return status;
}

int
report_key_failure(const struct cli *cli, const char *key, int error)
{
	if (report_exit_status(error) == EXIT_MISS)
		return report_miss(cli, "%s: %s", key, brine_error_text(error));
	if (is_bad_name(cli, error))
		report_bad_namespace(cli);
	else
		report(cli, "%s: %s", key, brine_error_text(error));
	return report_exit_status(error);
}
