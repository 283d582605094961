/* scrub.c - asks for one page of VERIFY after the other, and adds up what they found. Owns the page at hand. */
#include "client/cli/scrub.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/json.h"
#include "client/cli/pace.h"
#include "client/cli/report.h"
#include "client/cli/units.h"

/* Namespaces whose wrong figures are told; of the rest the number. */
#define TOLD_MAX 100

/* What the lines without a scope count, and how a person is told; ROWS, BYTES and NOT_COUNTED are no fault. */
enum total {
	ROWS,
	BYTES,
	DAMAGED,
	MISPLACED,
	INCOMPLETE,
	UNOWNED,
	NOT_COUNTED,
	TOTALS,
};

static const struct {
	const char *name;
	const char *fault; /* NULL: it is none */
} totals[TOTALS] = {
	[ROWS] = { "rows", NULL },
	[BYTES] = { "bytes", NULL },
	[DAMAGED] = { "damaged", "damaged rows" },
	[MISPLACED] = { "misplaced", "rows in others' places" },
	[INCOMPLETE] = { "incomplete", "long values with a part missing" },
	[UNOWNED] = { "unowned", "rows of no namespace" },
	[NOT_COUNTED] = { "not_counted", NULL },
};

struct scrubbing {
	struct cli *cli;
	struct pace pace;
	uint64_t found[TOTALS];
	uint64_t wrong; /* figures of namespaces */
};

/* "12 TAB 11" */
static void
tell_wrong(struct scrubbing *scrubbing, const struct brine_stat *stat)
{
	const char *tab = memchr(stat->value, '\t', stat->value_len);
	const char *end = stat->value + stat->value_len;

	if (!tab)
		return;
	progress_end(&scrubbing->pace.progress);
	if (scrubbing->wrong++ >= TOLD_MAX)
		return;
	report(scrubbing->cli, "%.*s: %.*s of %.*s are recorded, %.*s are there",
	       (int)stat->scope_len, stat->scope, (int)(tab - stat->value), stat->value,
	       (int)stat->name_len, stat->name, (int)(end - tab - 1), tab + 1);
}

static void
add_line(struct scrubbing *scrubbing, const struct brine_stat *stat)
{
	uint64_t number;

	if (stat->scope_len) {
		tell_wrong(scrubbing, stat);
		return;
	}
	for (unsigned i = 0; i < TOTALS; i++)
		if (stat->name_len == strlen(totals[i].name) &&
		    memcmp(stat->name, totals[i].name, stat->name_len) == 0 &&
		    counted_parse(stat->value, stat->value_len, &number) == 0)
			scrubbing->found[i] += number;
}

static void
add_page(struct scrubbing *scrubbing, const struct brine_value *page)
{
	uint64_t before = scrubbing->found[BYTES];
	struct brine_stat stat;
	size_t position = 0;

	while (brine_stats_next(page, &position, &stat) == BRINE_HIT)
		add_line(scrubbing, &stat);
	pace_add(&scrubbing->pace, scrubbing->found[BYTES] - before);
}

static uint64_t
count_faults(const struct scrubbing *scrubbing)
{
	uint64_t faults = scrubbing->wrong;

	for (unsigned i = 0; i < TOTALS; i++)
		if (totals[i].fault)
			faults += scrubbing->found[i];
	return faults;
}

static void
say_faults(const struct scrubbing *scrubbing)
{
	char number[UNITS_TEXT_MAX];
	const char *before = ":";

	for (unsigned i = 0; i < TOTALS; i++) {
		if (!totals[i].fault || !scrubbing->found[i])
			continue;
		number_show(scrubbing->found[i], number);
		printf("%s %s %s", before, number, totals[i].fault);
		before = ",";
	}
	if (scrubbing->wrong) {
		number_show(scrubbing->wrong, number);
		printf("%s %s wrong figures of namespaces", before, number);
	}
	printf("\n");
}

static int
say_what_it_came_to(const struct scrubbing *scrubbing)
{
	bool sound = count_faults(scrubbing) == 0;
	char rows[UNITS_TEXT_MAX], bytes[UNITS_TEXT_MAX];
	struct json json;

	number_show(scrubbing->found[ROWS], rows);
	size_show(scrubbing->found[BYTES], bytes);
	if (option_given(&scrubbing->cli->options, OPTION_JSON)) {
		json_begin(&json, stdout);
		for (unsigned i = 0; i < TOTALS; i++)
			json_number(&json, totals[i].name, scrubbing->found[i]);
		json_number(&json, "wrong_figures", scrubbing->wrong);
		json_end(&json);
	} else {
		printf("the whole store, %s rows, %s", rows, bytes);
		if (sound)
			printf(": all sound\n");
		else
			say_faults(scrubbing);
	}
	return sound ? EXIT_DONE : EXIT_OTHER;
}

int
scrub(struct cli *cli, uint64_t rate)
{
	struct scrubbing scrubbing = { .cli = cli };
	struct brine_place place = { .cursor_len = 0 };
	struct brine_value *page;
	int result;

	pace_begin(&scrubbing.pace, rate, report_to_person(cli));
	do {
		result = brine_verify(cli->brine, &place, &page);
		if (result >= 0) {
			add_page(&scrubbing, page);
			brine_value_release(&page);
		}
	} while (result == BRINE_HIT);
	progress_end(&scrubbing.pace.progress);
	if (result == -BRINE_ERROR_FORBIDDEN || result == -BRINE_ERROR_UNSUPPORTED)
		return SCRUB_NOT_FOR_ME;
	return result < 0 ? report_failure(cli, result) : say_what_it_came_to(&scrubbing);
}
