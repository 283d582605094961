/* stats.c - brine stats: the counters of the daemon and of the caller's namespaces. */
#include "client/cli/stats.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/openmetrics.h"
#include "client/cli/report.h"
#include "client/cli/sink.h"
#include "client/cli/statstable.h"
#include "client/cli/units.h"

static bool
same(const char *a, size_t a_len, const char *b, size_t b_len)
{
	return a_len == b_len && memcmp(a, b, a_len) == 0;
}

static bool
same_scope(const struct brine_stat *a, const struct brine_stat *b)
{
	return same(a->scope, a->scope_len, b->scope, b->scope_len);
}

/* Is it a number that JSON takes as it stands? */
static bool
is_number(const struct brine_stat *stat)
{
	char text[24];
	uint64_t whole;

	if (!stat->value_len || stat->value_len >= sizeof(text))
		return false;
	memcpy(text, stat->value, stat->value_len);
	text[stat->value_len] = 0;
	if (text[0] == '0' && text[1] && text[1] != '.')
		return false;
	if (number_parse(text, &whole) == 0)
		return true;
	return strspn(text, "0123456789") && text[strspn(text, "0123456789")] == '.' &&
	       text[stat->value_len - 1] != '.' &&
	       strspn(text, "0123456789.") == stat->value_len &&
	       strchr(text, '.') == strrchr(text, '.');
}

static void
write_value(struct json *json, const struct brine_stat *stat)
{
	char name[256];

	if (is_number(stat)) {
		json_raw(json, stat->name, stat->name_len, stat->value, stat->value_len);
		return;
	}
	snprintf(name, sizeof(name), "%.*s", (int)stat->name_len, stat->name);
	json_string(json, name, stat->value, stat->value_len);
}

/* {"daemon": {...}, "namespaces": {"web": {...}}}; the daemon's own come first. */
void
stats_write_json(FILE *to, const struct brine_value *text)
{
	struct brine_stat stat, before = { .scope = "" };
	size_t position = 0;
	bool spaces = false;
	struct json json;

	json_begin(&json, to);
	json_open(&json, "daemon", 6);
	while (brine_stats_next(text, &position, &stat) == BRINE_HIT) {
		if (!same_scope(&stat, &before)) {
			json_close(&json);
			if (!spaces)
				json_open(&json, "namespaces", 10);
			spaces = true;
			json_open(&json, stat.scope, stat.scope_len);
		}
		write_value(&json, &stat);
		before = stat;
	}
	json_close(&json);
	if (spaces)
		json_close(&json);
	json_end(&json);
}

enum format { FORMAT_TABLE, FORMAT_JSON, FORMAT_OPENMETRICS };

static enum format
format_of(const struct options *options)
{
	if (option_given(options, OPTION_FORMAT))
		return (enum format)options->number[OPTION_FORMAT];
	return option_given(options, OPTION_JSON) ? FORMAT_JSON : FORMAT_TABLE;
}

static void
write_text(FILE *to, const struct cli *cli, const struct brine_value *text)
{
	switch (format_of(&cli->options)) {
	case FORMAT_TABLE:
		statstable_write(to, text);
		break;
	case FORMAT_JSON:
		stats_write_json(to, text);
		break;
	case FORMAT_OPENMETRICS:
		openmetrics_write(to, text, brine_uid(cli->brine));
		break;
	}
}

/* A collector may look at any moment: it finds all of it, or the file before. */
static int
replace_file(const struct cli *cli, const char *path, const struct brine_value *text)
{
	struct sink sink;
	char *bytes = NULL;
	size_t len = 0;
	FILE *to = open_memstream(&bytes, &len);
	int result = to ? 0 : -ENOMEM;

	if (to) {
		write_text(to, cli, text);
		if (fclose(to) != 0)
			result = -ENOMEM;
	}
	if (result == 0)
		result = sink_open(&sink, path);
	if (result == 0) {
		result = sink_write(&sink, bytes, len);
		if (result == 0)
			result = sink_finish(&sink);
		sink_abandon(&sink);
	}
	free(bytes);
	if (result == 0)
		return EXIT_DONE;
	report(cli, "cannot write %s: %s", path, strerror(-result));
	return EXIT_OTHER;
}

int
command_stats(struct cli *cli)
{
	const char *path = cli->options.text[OPTION_OUTPUT];
	struct brine_value *text;
	int result, status = EXIT_DONE;

	if (option_given(&cli->options, OPTION_JSON) &&
	    format_of(&cli->options) != FORMAT_JSON)
		return report_usage(cli, "--json and --format %s exclude each other.",
				    cli->options.text[OPTION_FORMAT]);
	result = brine_stats(cli->brine, &text);
	if (result < 0)
		return report_failure(cli, result);
	if (path && strcmp(path, "-") != 0)
		status = replace_file(cli, path, text);
	else
		write_text(stdout, cli, text);
	brine_value_release(&text);
	return status;
}
