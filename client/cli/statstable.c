/* statstable.c - draws the table of brine stats. Owns nothing.
 *
 *	namespace web
 *	  hits                   1,234  92% of 1,340 gets, 12 stale
 *	  misses                   106  80 absent, 20 expired, 6 invalidated
 *
 * Rows stand in tables below: a figure, and the figures that explain it. Those that are 0 explain nothing. */
#include "client/cli/statstable.h"

#include <stdbool.h>
#include <string.h>

#include "client/cli/units.h"

#define FIGURES_MAX 256
#define PARTS_MAX 8
#define NOTE_MAX 2048
#define NOTE_COLUMN 31
#define TABLE_WIDTH 80
#define NAME_SHOWN 48
#define VALUE_SHOWN 63
_Static_assert(VALUE_SHOWN >= UNITS_TEXT_MAX, "every number fits");

/* The lines of one scope. */
struct figures {
	struct brine_stat stats[FIGURES_MAX];
	bool shown[FIGURES_MAX];
	size_t count;
};

struct part {
	const char *
		name; /* ending with _: all that begin so, each with the rest of its name */
	const char *words; /* %s: its value; "": not shown, because the others tell it */
};

struct row {
	const char *label;
	const char *name; /* NULL: the sum of its parts */
	struct part parts[PARTS_MAX];
};

/* How long requests took, in the daemon: half of them no longer than the figure. */
#define TIME_ROW(label, name, words)                                                     \
	{                                                                                \
		label, "latency_" name "_p50_ns",                                        \
		{                                                                        \
			{ NULL, words }, { "latency_" name "_p99_ns", "99% within %s" }, \
				{ "latency_" name "_p999_ns", "99.9% within %s" },       \
				{ "latency_" name "_sum_ns", "" },                       \
			{                                                                \
				"latency_" name "_buckets", ""                           \
			}                                                                \
		}                                                                        \
	}

static const struct row of_namespace[] = {
	{ "objects",
	  "objects",
	  { { "value_bytes", "%s of values" }, { "charged_bytes", "%s charged" } } },
	{ "requests", "requests", { { NULL, "that named it, or an object in it" } } },
	{ "hits", "hits", { { "stale_hits", "%s stale" } } },
	{ "misses", NULL, { { "misses_", NULL } } },
	{ "waits", "waits", { { NULL, "for what another was computing" } } },
	{ "time saved", "saved_us", { { NULL, "of computation, by hits" } } },
	TIME_ROW("get time", "get", "for half of the gets"),
	{ "changes", NULL, { { "puts", "%s put" }, { "deletes", "%s deleted" } } },
	{ "removed",
	  NULL,
	  { { "evicted", "%s evicted for room" },
	    { "evicted_", NULL },
	    { "expired", "%s expired" },
	    { "invalidated", "%s invalidated" },
	    { "flushed", "%s flushed" } } },
};

static const struct row of_daemon[] = {
	{ "connections",
	  "connections",
	  { { "connections_total", "%s since its start" },
	    { "connections_refused", "%s refused" },
	    { "connections_dropped", "%s dropped" } } },
	{ "requests", NULL, { { "requests_", NULL } } },
	{ "errors", NULL, { { "errors_", NULL } } },
	{ "gets",
	  "gets",
	  { { "hits", "%s hit" },
	    { "misses", "%s missed" },
	    { "cold_reads", "%s read from the disk" },
	    { "scans", "%s scans" } } },
	{ "changes",
	  NULL,
	  { { "puts", "%s put" },
	    { "deletes", "%s deleted" },
	    { "touches", "%s touched" },
	    { "flushes", "%s flushed" },
	    { "invalidations", "%s invalidated" } } },
	TIME_ROW("get time", "get", "for half of the gets"),
	TIME_ROW("put time", "put", "for half of the changes that are in memory"),
	TIME_ROW("disk time", "disk", "for half of what waited for the disk"),
	TIME_ROW("scan time", "scan", "for half of the pages and figures"),
	{ "room used",
	  "used_bytes",
	  { { "limit_bytes", "of %s" },
	    { "max_size_bytes", "max_size %s" },
	    { "max_size_why", "which is %s" },
	    { "max_value_bytes", "max_value %s" },
	    { "reclaimable_bytes", "%s to be reclaimed" },
	    { "reclaimed_bytes", "%s reclaimed so far" },
	    { "leaf_bytes_per_1000_of_rows", "%s bytes on pages for 1,000 of rows" } } },
	{ "commits",
	  "commits",
	  { { "committed_changes", "of %s changes" },
	    { "longest_commit_us", "the longest took %s" },
	    { "longest_unflushed_us", "a change waited %s at most" } } },
	{ "removed",
	  NULL,
	  { { "evicted_objects", "%s evicted for room" },
	    { "evicted_bytes", "%s with them" },
	    { "expired_objects", "%s expired" },
	    { "invalidated_objects", "%s invalidated" } } },
	{ "waiting",
	  "parked_requests",
	  { { NULL, "requests parked" },
	    { "pending_bytes", "%s not on the disk yet" } } },
	{ "trouble",
	  NULL,
	  { { "damaged_rows", "%s damaged rows" },
	    { "map_full", "%s times no room in the file" },
	    { "disk_full", "%s times the disk was full" },
	    { "refused_busy", "%s requests refused, too busy" } } },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* Units stand in names; a person sees them in the value instead. */
static const struct unit {
	const char *suffix;
	void (*show)(uint64_t number, char *to);
} units[] = {
	{ "_ms", milliseconds_show },
	{ "_us", duration_show },
	{ "_ns", nanoseconds_show },
	{ "_bytes", size_show },
};

/* The unit that the name ends with, or NULL. */
static const struct unit *
unit_of(const struct brine_stat *stat)
{
	for (size_t i = 0; i < COUNT_OF(units); i++) {
		size_t len = strlen(units[i].suffix);

		if (stat->name_len > len &&
		    memcmp(stat->name + stat->name_len - len, units[i].suffix, len) == 0)
			return &units[i];
	}
	return NULL;
}

static void
show_value(const struct brine_stat *stat, char to[static VALUE_SHOWN + 1])
{
	const struct unit *unit = unit_of(stat);
	uint64_t number;

	if (counted_parse(stat->value, stat->value_len, &number))
		snprintf(to, VALUE_SHOWN + 1, "%.*s", (int)stat->value_len, stat->value);
	else if (unit)
		unit->show(number, to);
	else
		number_show(number, to);
}

static void
show_name(const char *name, size_t len, char to[static NAME_SHOWN + 1])
{
	snprintf(to, NAME_SHOWN + 1, "%.*s", (int)len, name);
	for (char *at = to; *at; at++)
		if (*at == '_')
			*at = ' ';
}

static size_t
find(const struct figures *figures, const char *name)
{
	size_t i = 0;

	while (i < figures->count &&
	       (figures->stats[i].name_len != strlen(name) ||
		memcmp(figures->stats[i].name, name, strlen(name)) != 0))
		i++;
	return i;
}

/* Marks it as shown. Returns NULL if it was not said. */
static const struct brine_stat *
take(struct figures *figures, const char *name)
{
	size_t i = find(figures, name);

	if (i == figures->count)
		return NULL;
	figures->shown[i] = true;
	return &figures->stats[i];
}

static uint64_t
number_of(const struct figures *figures, const char *name)
{
	size_t i = find(figures, name);
	uint64_t number;

	return i < figures->count &&
			       counted_parse(figures->stats[i].value,
					     figures->stats[i].value_len, &number) == 0
		       ? number
		       : 0;
}

struct note {
	char text[NOTE_MAX];
	size_t len;
	uint64_t sum; /* of the parts */
	bool any;     /* part was said, be it 0 */
};

static void
add_words(struct note *note, const char *words, const char *value)
{
	const char *place = strstr(words, "%s");
	int before = place ? (int)(place - words) : (int)strlen(words);
	int len = snprintf(note->text + note->len, NOTE_MAX - note->len, "%s%.*s%s%s",
			   note->len ? ", " : "", before, words, place ? value : "",
			   place ? place + 2 : "");

	note->len += (size_t)len;
	if (note->len >= NOTE_MAX)
		note->len = NOTE_MAX - 1;
}

static void
add_figure(struct note *note, const struct brine_stat *stat, const char *words)
{
	char value[VALUE_SHOWN + 1];
	uint64_t number;

	note->any = true;
	if (!*words)
		return;
	if (counted_parse(stat->value, stat->value_len, &number) == 0) {
		/* Sizes and times go with what is counted. */
		note->sum += unit_of(stat) ? 0 : number;
		if (number == 0)
			return;
	}
	show_value(stat, value);
	add_words(note, words, value);
}

/* "80 absent, 20 expired" of what begins with "misses_" */
static void
add_family(struct note *note, struct figures *figures, const char *prefix)
{
	size_t len = strlen(prefix);

	for (size_t i = 0; i < figures->count; i++) {
		const struct brine_stat *stat = &figures->stats[i];
		char name[NAME_SHOWN + 1], words[NAME_SHOWN + 8];

		if (figures->shown[i] || stat->name_len <= len ||
		    memcmp(stat->name, prefix, len) != 0)
			continue;
		figures->shown[i] = true;
		show_name(stat->name + len, stat->name_len - len, name);
		snprintf(words, sizeof(words), "%%s %s", name);
		add_figure(note, stat, words);
	}
}

static void
add_parts(struct note *note, struct figures *figures, const struct row *row)
{
	for (size_t i = 0; i < PARTS_MAX; i++) {
		const struct part *part = &row->parts[i];
		const struct brine_stat *stat;

		if (!part->name && part->words && number_of(figures, row->name))
			add_words(note, part->words, "");
		if (!part->name)
			continue;
		if (!part->words) {
			add_family(note, figures, part->name);
			continue;
		}
		stat = take(figures, part->name);
		if (stat)
			add_figure(note, stat, part->words);
	}
}

/* What part of the gets hit; rounded down, so that 100% means all. */
static void
add_ratio(struct note *note, const struct figures *figures)
{
	char gets[UNITS_TEXT_MAX], words[64];
	uint64_t hits = number_of(figures, "hits"), all = hits, number;

	for (size_t i = 0; i < figures->count; i++)
		if (figures->stats[i].name_len > 7 &&
		    memcmp(figures->stats[i].name, "misses_", 7) == 0 &&
		    counted_parse(figures->stats[i].value, figures->stats[i].value_len,
				  &number) == 0)
			all += number;
	if (!all)
		return;
	number_show(all, gets);
	snprintf(words, sizeof(words), "%u%% of %s gets",
		 (unsigned)((double)hits * 100 / (double)all), gets);
	add_words(note, words, "");
}

/* Behind the at letters of a line. Parts stay on one line. */
static void
write_note(FILE *to, const char *text, size_t at)
{
	bool first = true;

	while (*text) {
		const char *end = strstr(text, ", ");
		size_t len = end ? (size_t)(end - text) + 1 : strlen(text);

		if (at > NOTE_COLUMN && at + 2 + len > TABLE_WIDTH) {
			fprintf(to, "\n%*s", NOTE_COLUMN, "");
			at = NOTE_COLUMN;
		} else {
			at += (size_t)fprintf(to, first ? "  " : " ");
		}
		first = false;
		fwrite(text, 1, len, to);
		at += len;
		text += len + (end != NULL);
	}
}

static void
write_row(FILE *to, const char *label, const char *value, const char *note)
{
	int len = fprintf(to, "  %-11s %15s", label, value);

	write_note(to, note, (size_t)len);
	fputc('\n', to);
}

static void
draw(FILE *to, struct figures *figures, const struct row *row)
{
	const struct brine_stat *stat = row->name ? take(figures, row->name) : NULL;
	struct note note = { .text = "" };
	char value[VALUE_SHOWN + 1];

	if (row->name && !stat)
		return;
	if (strcmp(row->label, "hits") == 0)
		add_ratio(&note, figures);
	add_parts(&note, figures, row);
	if (!stat && !note.any)
		return;
	if (stat)
		show_value(stat, value);
	else
		number_show(note.sum, value);
	write_row(to, row->label, value, note.text);
}

/* "  leaf bytes per 1000 of rows       1,000" */
static void
draw_rest(FILE *to, const struct figures *figures)
{
	for (size_t i = 0; i < figures->count; i++) {
		const struct brine_stat *stat = &figures->stats[i];
		const struct unit *unit = unit_of(stat);
		char name[NAME_SHOWN + 1], value[VALUE_SHOWN + 1];
		uint64_t number;
		bool cut =
			unit && counted_parse(stat->value, stat->value_len, &number) == 0;

		if (figures->shown[i])
			continue;
		show_name(stat->name, stat->name_len - (cut ? strlen(unit->suffix) : 0),
			  name);
		show_value(stat, value);
		if (strlen(name) + strlen(value) < NOTE_COLUMN - 4)
			fprintf(to, "  %s%*s\n", name,
				NOTE_COLUMN - 4 - (int)strlen(name), value);
		else
			fprintf(to, "  %s  %s\n", name, value);
	}
}

static void
draw_namespace(FILE *to, struct figures *figures)
{
	const struct brine_stat *first = &figures->stats[0];

	fprintf(to, "namespace %.*s\n", (int)first->scope_len, first->scope);
	for (size_t i = 0; i < COUNT_OF(of_namespace); i++)
		draw(to, figures, &of_namespace[i]);
	draw_rest(to, figures);
	fputc('\n', to);
}

static void
draw_daemon(FILE *to, struct figures *figures)
{
	const struct brine_stat *release = take(figures, "release");
	const struct brine_stat *uptime = take(figures, "uptime_ms");
	char value[VALUE_SHOWN + 1];

	fputs("daemon", to);
	if (release) {
		show_value(release, value);
		fprintf(to, " %s", value);
	}
	if (uptime) {
		show_value(uptime, value);
		fprintf(to, ", up for %s", value);
	}
	fputc('\n', to);
	for (size_t i = 0; i < COUNT_OF(of_daemon); i++)
		draw(to, figures, &of_daemon[i]);
	draw_rest(to, figures);
}

static bool
same_scope(const struct brine_stat *a, const struct brine_stat *b)
{
	return a->scope_len == b->scope_len &&
	       memcmp(a->scope, b->scope, a->scope_len) == 0;
}

/* The next lines that have one scope; false at the end. */
static bool
gather(const struct brine_value *text, size_t *position, struct figures *figures)
{
	struct brine_stat stat;
	size_t next = *position;

	figures->count = 0;
	while (brine_stats_next(text, &next, &stat) == BRINE_HIT &&
	       figures->count < FIGURES_MAX &&
	       (!figures->count || same_scope(&stat, &figures->stats[0]))) {
		figures->shown[figures->count] = false;
		figures->stats[figures->count++] = stat;
		*position = next;
	}
	return figures->count;
}

void
statstable_write(FILE *to, const struct brine_value *text)
{
	struct figures figures;
	size_t position = 0;

	while (gather(text, &position, &figures))
		if (figures.stats[0].scope_len)
			draw_namespace(to, &figures);
	position = 0;
	while (gather(text, &position, &figures))
		if (!figures.stats[0].scope_len)
			draw_daemon(to, &figures);
}
