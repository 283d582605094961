/* toptable.c - draws the screen and the lines of brine top. Owns nothing.
 *
 *	brined 0.1.0, up for 3h12m, 12 connections            /run/brine/brine.sock
 *	12.3k requests/s, 92.1% hits; gets 99% within 12us; disk 99% within 2.1ms
 *	1.2G of 10G used, 12 evicted/s, 3.2s saved/s
 *
 *	NAMESPACE              REQ/S  HIT%    P50    P99 OBJECTS   HELD EVICT/S  SAVED
 *	web                    12.3k  92.1  3.1us   12us    1.2M   900M      12  3h12m */
#include "client/cli/toptable.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/units.h"

#define CELL_MAX UNITS_TEXT_MAX
#define NAME_LEAST 18
#define NAME_MOST 40
#define COLUMNS_LEAST 40
#define COLUMNS_MOST 512
/* Lines above the namespaces. */
#define HEAD_LINES 5

struct pair {
	const struct look_scope *now, *before;
	double seconds; /* between the two looks; 0: there is none before */
};

/* ---- cells */

static void
show_count(double count, char to[static CELL_MAX])
{
	static const char units[] = " kMGTPE";
	size_t i = 0;

	for (; count >= 999.5 && i < sizeof(units) - 2; i++)
		count /= 1000;
	if (i == 0)
		snprintf(to, CELL_MAX, count < 9.95 && count > 0 ? "%.1f" : "%.0f",
			 count);
	else
		snprintf(to, CELL_MAX, count < 99.95 ? "%.1f%c" : "%.0f%c", count,
			 units[i]);
}

static void
show_rate(const struct pair *pair, enum look_figure figure, char to[static CELL_MAX])
{
	if (pair->seconds > 0)
		show_count((double)look_since(pair->now, pair->before, figure) /
				   pair->seconds,
			   to);
	else
		snprintf(to, CELL_MAX, "-");
}

static void
show_ratio(const struct pair *pair, char to[static CELL_MAX])
{
	uint64_t hits = look_since(pair->now, pair->before, LOOK_HITS);
	uint64_t gets = hits + look_since(pair->now, pair->before, LOOK_MISSES);
	uint64_t per_mille = gets ? (uint64_t)((double)hits / (double)gets * 1000) : 0;

	if (gets) /* rounded down: 100.0 is all of them */
		snprintf(to, CELL_MAX, "%u.%u", (unsigned)per_mille / 10,
			 (unsigned)per_mille % 10);
	else
		snprintf(to, CELL_MAX, "-");
}

static void
show_within(const struct pair *pair, enum look_latency which, unsigned per_mille,
	    char to[static CELL_MAX])
{
	struct latency latency;

	look_latency_since(pair->now, pair->before, which, &latency);
	if (latency_count(&latency))
		nanoseconds_show(latency_within_ns(&latency, per_mille), to);
	else
		snprintf(to, CELL_MAX, "-");
}

static void
show_saved(const struct pair *pair, bool rate, char to[static CELL_MAX])
{
	uint64_t us = look_since(pair->now, rate ? pair->before : NULL, LOOK_SAVED_US);

	if (rate && pair->seconds <= 0)
		snprintf(to, CELL_MAX, "-");
	else
		duration_show(rate ? (uint64_t)((double)us / pair->seconds) : us, to);
}

enum cell_kind { RATE, RATIO, P50, P99, P999, COUNT, SIZE, SAVED, SAVED_RATE };

/* In the order in which they stand; `rank` is that in which they are given room. */
static const struct column {
	const char *title;
	const char *plain; /* its title in lines */
	enum cell_kind kind;
	enum look_figure figure;
	unsigned width; /* with the blank before it */
	unsigned rank;
} columns_of[] = {
	{ "REQ/S", "requests/s", RATE, LOOK_REQUESTS, 8, 0 },
	{ "HIT%", "hit%", RATIO, LOOK_HITS, 6, 1 },
	{ "MISS/S", "misses/s", RATE, LOOK_MISSES, 8, 10 },
	{ "PUT/S", "puts/s", RATE, LOOK_PUTS, 8, 9 },
	{ "WAIT/S", "waits/s", RATE, LOOK_WAITS, 8, 13 },
	{ "P50", "p50", P50, 0, 7, 3 },
	{ "P99", "p99", P99, 0, 7, 2 },
	{ "P99.9", "p99.9", P999, 0, 7, 11 },
	{ "OBJECTS", "objects", COUNT, LOOK_OBJECTS, 8, 6 },
	{ "HELD", "held", SIZE, LOOK_HELD, 6, 4 },
	{ "EVICT/S", "evicted/s", RATE, LOOK_EVICTED, 8, 5 },
	{ "EXPIRE/S", "expired/s", RATE, LOOK_EXPIRED, 9, 12 },
	{ "SAVED/S", "saved/s", SAVED_RATE, LOOK_SAVED_US, 9, 8 },
	{ "SAVED", "saved", SAVED, LOOK_SAVED_US, 8, 7 },
};
#define COLUMNS (sizeof(columns_of) / sizeof(columns_of[0]))

static void
show_cell(const struct column *column, const struct pair *pair, char to[static CELL_MAX])
{
	switch (column->kind) {
	case RATE:
		show_rate(pair, column->figure, to);
		break;
	case RATIO:
		show_ratio(pair, to);
		break;
	case P50:
		show_within(pair, LOOK_GET, 500, to);
		break;
	case P99:
		show_within(pair, LOOK_GET, 990, to);
		break;
	case P999:
		show_within(pair, LOOK_GET, 999, to);
		break;
	case COUNT:
		if (pair->now->figures[column->figure] < 1000)
			snprintf(to, CELL_MAX, "%u",
				 (unsigned)pair->now->figures[column->figure]);
		else
			show_count((double)pair->now->figures[column->figure], to);
		break;
	case SIZE:
		size_show(pair->now->figures[column->figure], to);
		break;
	case SAVED:
		show_saved(pair, false, to);
		break;
	case SAVED_RATE:
		show_saved(pair, true, to);
		break;
	}
}

/* ---- pairs */

static struct pair
pair_daemon(const struct look *now, const struct look *before)
{
	struct pair pair = { .now = &now->daemon };

	/* Figures that began anew are no rates. */
	if (before && now->at_us > before->at_us &&
	    now->daemon.figures[LOOK_UPTIME_MS] >=
		    before->daemon.figures[LOOK_UPTIME_MS]) {
		pair.before = &before->daemon;
		pair.seconds = (double)(now->at_us - before->at_us) / 1e6;
	}
	return pair;
}

static struct pair
pair_scope(const struct pair *daemon, const struct look *before,
	   const struct look_scope *scope)
{
	struct pair pair = { .now = scope, .seconds = daemon->seconds };

	if (daemon->seconds > 0)
		pair.before = look_find(before, scope->name);
	return pair;
}

/* ---- the screen */

/* Which columns find room beside the name. Returns the width that is left for it. */
static unsigned
choose_columns(unsigned width, bool ret_shown[static COLUMNS])
{
	unsigned left = width;

	for (size_t i = 0; i < COLUMNS; i++)
		ret_shown[i] = false;
	for (unsigned rank = 0; rank < COLUMNS; rank++)
		for (size_t i = 0; i < COLUMNS; i++) {
			if (columns_of[i].rank != rank)
				continue;
			if (left < NAME_LEAST + columns_of[i].width)
				return left < NAME_MOST ? left : NAME_MOST;
			left -= columns_of[i].width;
			ret_shown[i] = true;
		}
	return left < NAME_MOST ? left : NAME_MOST;
}

/* Left in a field of that width, cut with a mark; names are plain ASCII, and what is not is replaced. */
static void
write_name(FILE *to, const char *name, unsigned width)
{
	size_t len = strlen(name), shown = len <= width ? len : width - 1;

	for (size_t i = 0; i < shown; i++)
		fputc(name[i] > 0x20 && name[i] < 0x7f ? name[i] : '?', to);
	if (len > width)
		fputc('>', to);
	else
		fprintf(to, "%*s", (int)(width - len), "");
}

static void
write_row(FILE *to, const struct pair *pair, const bool shown[static COLUMNS],
	  unsigned name_width)
{
	char cell[CELL_MAX];

	write_name(to, pair->now->name, name_width);
	for (size_t i = 0; i < COLUMNS; i++) {
		if (!shown[i])
			continue;
		show_cell(&columns_of[i], pair, cell);
		fprintf(to, "%*s", (int)columns_of[i].width,
			strlen(cell) < columns_of[i].width ? cell : "many");
	}
}

static void
write_titles(FILE *to, const bool shown[static COLUMNS], unsigned name_width)
{
	fprintf(to, "%-*s", (int)name_width, "NAMESPACE");
	for (size_t i = 0; i < COLUMNS; i++)
		if (shown[i])
			fprintf(to, "%*s", (int)columns_of[i].width, columns_of[i].title);
}

/* One line, cut at the width. */
__attribute__((format(printf, 4, 5))) static void
write_line(FILE *to, unsigned width, const char *end, const char *format, ...)
{
	char line[COLUMNS_MOST + 1];
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(line, sizeof(line), format, arguments);
	va_end(arguments);
	fprintf(to, "%.*s%s", (int)width, line, end);
}

static void
write_summary(FILE *to, const struct look *now, const struct pair *pair,
	      const char *where, unsigned width, const char *end)
{
	const uint64_t *figures = now->daemon.figures;
	bool whole = *now->release; /* the daemon's own figures are an administrator's */
	char a[CELL_MAX], b[CELL_MAX], c[CELL_MAX], d[CELL_MAX];

	milliseconds_show(figures[LOOK_UPTIME_MS], a);
	if (whole)
		write_line(to, width, end, "brined %s, up for %s, %u connections; %s",
			   now->release, a, (unsigned)figures[LOOK_CONNECTIONS], where);
	else
		write_line(to, width, end, "%zu namespaces; %s", now->count, where);
	if (!whole) {
		size_show(figures[LOOK_HELD], a);
		size_show(figures[LOOK_LIMIT], b);
		write_line(to, width, end, "%s of %s held", a, b);
		write_line(to, width, end, "%s", "");
		return;
	}
	show_rate(pair, LOOK_REQUESTS, a);
	show_ratio(pair, b);
	show_within(pair, LOOK_GET, 990, c);
	show_within(pair, LOOK_DISK, 990, d);
	write_line(to, width, end,
		   "%s requests/s, %s%% hits; 99%%: gets within %s, disk within %s", a, b,
		   c, d);
	size_show(figures[LOOK_USED], a);
	size_show(figures[LOOK_LIMIT], b);
	show_rate(pair, LOOK_EVICTED, c);
	show_rate(pair, LOOK_EXPIRED, d);
	write_line(to, width, end, "%s of %s used, %s evicted/s, %s expired/s", a, b, c,
		   d);
}

/* The busiest first; then by name, so that rows which rest keep their places. */
static int
compare(const void *a, const void *b)
{
	const struct pair *one = a, *other = b;
	uint64_t ones = look_since(one->now, one->before, LOOK_REQUESTS);
	uint64_t others = look_since(other->now, other->before, LOOK_REQUESTS);

	if (ones != others)
		return ones < others ? 1 : -1;
	return strcmp(one->now->name, other->now->name);
}

/* NULL: there are none, or no memory. */
static struct pair *
sort_pairs(const struct look *now, const struct look *before, const struct pair *daemon)
{
	struct pair *pairs = calloc(now->count + 1, sizeof(*pairs));

	for (size_t i = 0; pairs && i < now->count; i++)
		pairs[i] = pair_scope(daemon, before, &now->scopes[i]);
	if (pairs)
		qsort(pairs, now->count, sizeof(*pairs), compare);
	return pairs;
}

void
toptable_draw(FILE *to, const struct look *now, const struct look *before,
	      const char *where, unsigned columns, unsigned rows, const char *end)
{
	struct pair daemon = pair_daemon(now, before);
	struct pair *pairs = sort_pairs(now, before, &daemon);
	size_t room = rows > HEAD_LINES + 1 ? rows - HEAD_LINES - 1 : 0;
	size_t count = now->count < room ? now->count : room;
	bool shown[COLUMNS];
	unsigned name_width, width = columns;

	if (width < COLUMNS_LEAST)
		width = COLUMNS_LEAST;
	if (width > COLUMNS_MOST)
		width = COLUMNS_MOST;
	name_width = choose_columns(width, shown);
	write_summary(to, now, &daemon, where, width, end);
	fputs(end, to);
	write_titles(to, shown, name_width);
	fputs(end, to);
	for (size_t i = 0; pairs && i < count; i++) {
		write_row(to, &pairs[i], shown, name_width);
		fputs(end, to);
	}
	if (now->count + now->left_out > count)
		write_line(to, width, "", "and %zu more",
			   now->count + now->left_out - count);
	free(pairs);
}

/* ---- lines */

void
toptable_write_head(FILE *to)
{
	fprintf(to, "%-20s  %-20s", "time", "namespace");
	for (size_t i = 0; i < COLUMNS; i++)
		fprintf(to, "  %10s", columns_of[i].plain);
	fputc('\n', to);
}

static void
write_plain(FILE *to, const struct pair *pair, const char *name, const char *time)
{
	char cell[CELL_MAX];

	fprintf(to, "%-20s  ", time);
	write_name(to, name, 20);
	for (size_t i = 0; i < COLUMNS; i++) {
		show_cell(&columns_of[i], pair, cell);
		fprintf(to, "  %10s", cell);
	}
	fputc('\n', to);
}

void
toptable_write_lines(FILE *to, const struct look *now, const struct look *before,
		     const char *time)
{
	struct pair daemon = pair_daemon(now, before);
	struct pair *pairs = sort_pairs(now, before, &daemon);

	if (*now->release)
		write_plain(to, &daemon, "(daemon)", time);
	for (size_t i = 0; pairs && i < now->count; i++)
		write_plain(to, &pairs[i], pairs[i].now->name, time);
	free(pairs);
}
