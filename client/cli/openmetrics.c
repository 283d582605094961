/* openmetrics.c - writes the figures of STATS as OpenMetrics text. Owns nothing.
 *
 * The samples of one family have to stand together, so the text is walked over once for each family; it has a megabyte
 * at most. Only the types gauge, counter and histogram are used: the textfile collector, which reads the older
 * Prometheus format, knows no others and takes UNIT and EOF for comments. It takes a counter for an untyped figure,
 * since the family is named without _total. */
#include "client/cli/openmetrics.h"

#include <inttypes.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/units.h"
#include "proto/latency.h"
#include "proto/slice.h"

/* Of the buckets of a latency every fourth has a line: one for each doubling. */
#define BUCKET_STEP 4

enum type { GAUGE, COUNTER, HISTOGRAM };

static const char *const type_names[] = {
	[GAUGE] = "gauge",
	[COUNTER] = "counter",
	[HISTOGRAM] = "histogram",
};

struct family {
	const char *name; /* "brine_" goes before it, the unit and "_total" behind it */
	enum type type;
	const char *unit; /* "" */
	uint64_t divisor; /* of the figure, to get the unit */
	const char *
		stat; /* its name in STATS; with a label what it begins with, and a histogram's what it ends with, too */
	const char *label; /* whose value is the rest of the name; NULL: it has none */
	const char *help;
};

#define US UINT64_C(1000000)

static const struct family of_daemon[] = {
	{ "uptime", GAUGE, "seconds", 1000, "uptime_ms", NULL,
	  "Time since the daemon started." },
	{ "connections", GAUGE, "", 1, "connections", NULL,
	  "Clients that are connected." },
	{ "connections_opened", COUNTER, "", 1, "connections_total", NULL,
	  "Connections since the start." },
	{ "connections_refused", COUNTER, "", 1, "connections_refused", NULL,
	  "Clients that were sent away." },
	{ "connections_dropped", COUNTER, "", 1, "connections_dropped", NULL,
	  "Clients that broke the protocol or did not read." },
	{ "requests", COUNTER, "", 1, "requests_", "command", "Requests by command." },
	{ "errors", COUNTER, "", 1, "errors_", "error", "Error answers by error." },
	{ "max_size", GAUGE, "bytes", 1, "max_size_bytes", NULL,
	  "The option max_size, or what it came to." },
	{ "used", GAUGE, "bytes", 1, "used_bytes", NULL,
	  "Pages of the store that are in use." },
	{ "limit", GAUGE, "bytes", 1, "limit_bytes", NULL,
	  "What may be in use before something is evicted." },
	{ "reclaimable", GAUGE, "bytes", 1, "reclaimable_bytes", NULL,
	  "Pages in use that nobody can reach any more." },
	{ "pending", GAUGE, "bytes", 1, "pending_bytes", NULL,
	  "Accepted changes that are not on the disk yet." },
	{ "parked_requests", GAUGE, "", 1, "parked_requests", NULL,
	  "Requests that wait." },
	{ "cold_reads", COUNTER, "", 1, "cold_reads", NULL,
	  "Look-ups that a reader thread did." },
	{ "refused_busy", COUNTER, "", 1, "refused_busy", NULL,
	  "Requests refused because too much waited." },
	{ "commits", COUNTER, "", 1, "commits", NULL, "Commits to the disk." },
	{ "committed_changes", COUNTER, "", 1, "committed_changes", NULL,
	  "Changes in them." },
	{ "evicted", COUNTER, "bytes", 1, "evicted_bytes", NULL,
	  "Bytes that were evicted for room." },
	{ "evicted_objects", COUNTER, "", 1, "evicted_objects", NULL,
	  "Objects that were evicted for room." },
	{ "expired_objects", COUNTER, "", 1, "expired_objects", NULL,
	  "Objects that were removed after their time." },
	{ "invalidated_objects", COUNTER, "", 1, "invalidated_objects", NULL,
	  "Objects that were removed for a tag." },
	{ "damaged_rows", COUNTER, "", 1, "damaged_rows", NULL,
	  "Rows that did not match their checksum." },
	{ "disk_full", COUNTER, "", 1, "disk_full", NULL, "Times the disk was full." },
	{ "request_duration", HISTOGRAM, "seconds", 1, "latency_", "kind",
	  "Time in the daemon until the answer: gets, changes in memory, what waited for the disk, scans." },
	{ "held", GAUGE, "bytes", 1, "held_bytes", NULL, "What this user holds." },
	{ "quota", GAUGE, "bytes", 1, "quota_bytes", NULL, "What this user may hold." },
};

static const struct family of_namespace[] = {
	{ "namespace_objects", GAUGE, "", 1, "objects", NULL,
	  "Objects in the namespace." },
	{ "namespace_values", GAUGE, "bytes", 1, "value_bytes", NULL,
	  "Length of their values." },
	{ "namespace_held", GAUGE, "bytes", 1, "held_bytes", NULL,
	  "Bytes of rows that it holds." },
	{ "namespace_charged", GAUGE, "bytes", 1, "charged_bytes", NULL,
	  "Bytes that it is charged for." },
	{ "namespace_requests", COUNTER, "", 1, "requests", NULL,
	  "Requests that named the namespace." },
	{ "namespace_hits", COUNTER, "", 1, "hits", NULL, "Gets that found a value." },
	{ "namespace_stale_hits", COUNTER, "", 1, "stale_hits", NULL,
	  "Of these, those that found a stale one." },
	{ "namespace_misses", COUNTER, "", 1, "misses_", "reason",
	  "Gets that found none, by reason." },
	{ "namespace_waits", COUNTER, "", 1, "waits", NULL,
	  "Gets that waited for what another was computing." },
	{ "namespace_saved", COUNTER, "seconds", US, "saved_us", NULL,
	  "Computation that hits saved." },
	{ "namespace_puts", COUNTER, "", 1, "puts", NULL, "Values that were stored." },
	{ "namespace_deletes", COUNTER, "", 1, "deletes", NULL,
	  "Objects that were deleted." },
	{ "namespace_evicted", COUNTER, "", 1, "evicted", NULL,
	  "Objects that were evicted for room." },
	{ "namespace_expired", COUNTER, "", 1, "expired", NULL,
	  "Objects that were removed after their time." },
	{ "namespace_invalidated", COUNTER, "", 1, "invalidated", NULL,
	  "Objects that were removed for a tag." },
	{ "namespace_flushed", COUNTER, "", 1, "flushed", NULL,
	  "Objects that were flushed." },
	{ "namespace_request_duration", HISTOGRAM, "seconds", 1, "latency_", "kind",
	  "Time in the daemon until the answer to a get." },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define BUCKETS_END "_buckets"

static bool
begins(struct slice text, const char *with)
{
	size_t len = strlen(with);

	return text.len >= len && memcmp(text.data, with, len) == 0;
}

static bool
ends(struct slice text, const char *with)
{
	size_t len = strlen(with);

	return text.len >= len &&
	       memcmp((const char *)text.data + text.len - len, with, len) == 0;
}

static struct slice
cut(struct slice text, size_t front, size_t back)
{
	return slice((const char *)text.data + front, text.len - front - back);
}

/* Is it the family's, and what is its label's value? */
static bool
belongs(const struct family *family, const struct brine_stat *stat,
	struct slice *ret_label)
{
	struct slice name = slice(stat->name, stat->name_len);
	size_t front = strlen(family->stat), back = 0;

	if (!family->label)
		return name.len == front && begins(name, family->stat);
	if (family->type == HISTOGRAM) {
		if (!ends(name, BUCKETS_END))
			return false;
		back = strlen(BUCKETS_END);
	}
	if (!begins(name, family->stat) || name.len <= front + back)
		return false;
	*ret_label = cut(name, front, back);
	return true;
}

/* What stands between quotes: of a daemon's text everything but what would end it may stand there. */
static void
write_label(FILE *to, const char *name, struct slice value, bool *first)
{
	const char *text = value.data;

	fprintf(to, "%s%s=\"", *first ? "{" : ",", name);
	*first = false;
	for (size_t i = 0; i < value.len; i++) {
		if (text[i] == '\\' || text[i] == '"')
			fputc('\\', to);
		if (text[i] == '\n')
			fputs("\\n", to);
		else
			fputc(text[i], to);
	}
	fputc('"', to);
}

/* "1000:web", "web" of the caller's own, "/models" of nobody's. */
static void
write_scope(FILE *to, struct slice scope, uint32_t uid, bool *first)
{
	const char *colon = memchr(scope.data, ':', scope.len);
	char own[16];

	snprintf(own, sizeof(own), "%" PRIu32, uid);
	if (colon) {
		size_t len = (size_t)(colon - (const char *)scope.data);

		write_label(to, "uid", slice(scope.data, len), first);
		scope = cut(scope, len + 1, 0);
	} else if (!begins(scope, "/")) {
		write_label(to, "uid", slice_text(own), first);
	}
	write_label(to, "namespace", scope, first);
}

struct sample {
	const struct family *family;
	struct slice scope;
	struct slice label;
	uint32_t uid;
};

/* "brine_errors_total{error="busy"" and, with le, one more; the caller ends the line. */
static void
write_name(FILE *to, const struct sample *sample, const char *suffix, const char *le)
{
	const struct family *family = sample->family;
	bool first = true;

	fprintf(to, "brine_%s%s%s%s", family->name, *family->unit ? "_" : "",
		family->unit, suffix);
	if (sample->scope.len)
		write_scope(to, sample->scope, sample->uid, &first);
	if (family->label)
		write_label(to, family->label, sample->label, &first);
	if (le)
		write_label(to, "le", slice_text(le), &first);
	fputs(first ? " " : "} ", to);
}

static void
write_number(FILE *to, uint64_t number, uint64_t divisor)
{
	if (divisor == 1)
		fprintf(to, "%" PRIu64 "\n", number);
	else
		fprintf(to, "%.9g\n", (double)number / (double)divisor);
}

static void
write_histogram(FILE *to, const struct sample *sample, struct slice value,
		uint64_t sum_ns)
{
	struct latency latency;
	uint64_t below = 0;
	char le[32];

	if (latency_read(value, &latency))
		return;
	for (unsigned i = 0; i + 1 < LATENCY_BUCKETS; i++) {
		below += latency.counts[i];
		if (i % BUCKET_STEP)
			continue;
		snprintf(le, sizeof(le), "%.9g", (double)latency_bound_ns(i) / 1e9);
		write_name(to, sample, "_bucket", le);
		write_number(to, below, 1);
	}
	write_name(to, sample, "_bucket", "+Inf");
	write_number(to, latency_count(&latency), 1);
	write_name(to, sample, "_count", NULL);
	write_number(to, latency_count(&latency), 1);
	write_name(to, sample, "_sum", NULL);
	write_number(to, sum_ns, 1000000000);
}

static void
begin_family(FILE *to, const struct family *family)
{
	const char *line = *family->unit ? "_" : "";

	fprintf(to, "# TYPE brine_%s%s%s %s\n", family->name, line, family->unit,
		type_names[family->type]);
	if (*family->unit)
		fprintf(to, "# UNIT brine_%s_%s %s\n", family->name, family->unit,
			family->unit);
	fprintf(to, "# HELP brine_%s%s%s %s\n", family->name, line, family->unit,
		family->help);
}

static void
write_family(FILE *to, const struct brine_value *text, const struct family *family,
	     bool of_spaces, uint32_t uid)
{
	struct sample sample = { .family = family, .uid = uid };
	struct brine_stat stat;
	size_t position = 0;
	uint64_t number, sum = 0;
	bool begun = false;

	while (brine_stats_next(text, &position, &stat) == BRINE_HIT) {
		struct slice name = slice(stat.name, stat.name_len);
		bool whole = counted_parse(stat.value, stat.value_len, &number) == 0;

		/* A histogram's sum stands on the line before its buckets. */
		if (ends(name, "_sum_ns"))
			sum = whole ? number : 0;
		if ((stat.scope_len > 0) != of_spaces ||
		    !belongs(family, &stat, &sample.label) ||
		    (!whole && family->type != HISTOGRAM))
			continue;
		sample.scope = slice(stat.scope, stat.scope_len);
		if (!begun)
			begin_family(to, family);
		begun = true;
		if (family->type == HISTOGRAM) {
			write_histogram(to, &sample, slice(stat.value, stat.value_len),
					sum);
			continue;
		}
		write_name(to, &sample, family->type == COUNTER ? "_total" : "", NULL);
		write_number(to, number, family->divisor);
	}
}

/* What would be of the type info, which the textfile collector refuses. */
static void
write_build(FILE *to, const struct brine_value *text)
{
	struct brine_stat stat;
	size_t position = 0;
	bool first = true;

	while (brine_stats_next(text, &position, &stat) == BRINE_HIT) {
		if (stat.scope_len ||
		    !slice_equal(slice(stat.name, stat.name_len), slice_text("release")))
			continue;
		fputs("# TYPE brine_release gauge\n"
		      "# HELP brine_release Always 1; the label says which release runs.\n"
		      "brine_release",
		      to);
		write_label(to, "release", slice(stat.value, stat.value_len), &first);
		fputs("} 1\n", to);
		return;
	}
}

void
openmetrics_write(FILE *to, const struct brine_value *text, uint32_t uid)
{
	write_build(to, text);
	for (size_t i = 0; i < COUNT_OF(of_daemon); i++)
		write_family(to, text, &of_daemon[i], false, uid);
	for (size_t i = 0; i < COUNT_OF(of_namespace); i++)
		write_family(to, text, &of_namespace[i], true, uid);
	fputs("# EOF\n", to);
}
