/* stats.c - brine stats: the counters of the daemon and of the caller's namespaces. */
#include <stdio.h>
#include <string.h>

#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/report.h"
#include "client/cli/units.h"

#define NAME_MAX_SHOWN 63
#define VALUE_MAX_SHOWN 63
_Static_assert(VALUE_MAX_SHOWN >= UNITS_TEXT_MAX, "every number fits");

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

/* Is it a number that JSON takes as it stands, and which one if it is whole? */
static bool
is_number(const struct brine_stat *stat, uint64_t *ret_whole, bool *ret_is_whole)
{
	char text[24];

	if (!stat->value_len || stat->value_len >= sizeof(text))
		return false;
	memcpy(text, stat->value, stat->value_len);
	text[stat->value_len] = 0;
	*ret_is_whole = number_parse(text, ret_whole) == 0;
	if (text[0] == '0' && text[1] && text[1] != '.')
		return false;
	if (*ret_is_whole)
		return true;
	return strspn(text, "0123456789") && text[strspn(text, "0123456789")] == '.' &&
	       text[stat->value_len - 1] != '.' &&
	       strspn(text, "0123456789.") == stat->value_len &&
	       strchr(text, '.') == strrchr(text, '.');
}

/* Units stand in names; a person sees them in the value instead. */
static const struct unit {
	const char *suffix;
	void (*show)(uint64_t number, char *to);
} units[] = {
	{ "_ms", milliseconds_show },
	{ "_us", duration_show },
	{ "_bytes", size_show },
};

/* The unit that the name ends with, or NULL. */
static const struct unit *
unit_of(const struct brine_stat *stat)
{
	for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
		size_t len = strlen(units[i].suffix);

		if (stat->name_len > len &&
		    memcmp(stat->name + stat->name_len - len, units[i].suffix, len) == 0)
			return &units[i];
	}
	return NULL;
}

static void
write_row(const struct brine_stat *stat)
{
	char name[NAME_MAX_SHOWN + 1], value[VALUE_MAX_SHOWN + 1];
	const struct unit *unit = unit_of(stat);
	size_t len = stat->name_len;
	uint64_t number;
	bool whole;

	if (!is_number(stat, &number, &whole) || !whole) {
		unit = NULL;
		snprintf(value, sizeof(value), "%.*s", (int)stat->value_len, stat->value);
	} else if (unit) {
		unit->show(number, value);
		len -= strlen(unit->suffix);
	} else {
		number_show(number, value);
	}
	snprintf(name, sizeof(name), "%.*s", (int)len, stat->name);
	for (char *at = name; *at; at++)
		if (*at == '_')
			*at = ' ';
	printf("  %-28s %14s\n", name, value);
}

static void
write_table(const struct brine_value *text)
{
	struct brine_stat stat, before = { .scope = "" };
	size_t position = 0;
	bool first = true;

	while (brine_stats_next(text, &position, &stat) == BRINE_HIT) {
		if (first || !same_scope(&stat, &before)) {
			if (!first)
				putchar('\n');
			if (stat.scope_len)
				printf("namespace %.*s\n", (int)stat.scope_len,
				       stat.scope);
			else
				puts("daemon");
		}
		write_row(&stat);
		before = stat;
		first = false;
	}
}

static void
write_value(struct json *json, const struct brine_stat *stat)
{
	char name[256];
	uint64_t number;
	bool whole;

	if (is_number(stat, &number, &whole)) {
		json_raw(json, stat->name, stat->name_len, stat->value, stat->value_len);
		return;
	}
	snprintf(name, sizeof(name), "%.*s", (int)stat->name_len, stat->name);
	json_string(json, name, stat->value, stat->value_len);
}

/* {"daemon": {...}, "namespaces": {"web": {...}}}; the daemon's own come first. */
static void
write_json(const struct brine_value *text)
{
	struct brine_stat stat, before = { .scope = "" };
	size_t position = 0;
	bool spaces = false;
	struct json json;

	json_begin(&json, stdout);
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

int
command_stats(struct cli *cli)
{
	struct brine_value *text;
	int result = brine_stats(cli->brine, &text);

	if (result < 0)
		return report_failure(cli, result);
	if (option_given(&cli->options, OPTION_JSON))
		write_json(text);
	else
		write_table(text);
	brine_value_release(&text);
	return EXIT_DONE;
}
