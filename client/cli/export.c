/* export.c - brine export: every object of a namespace into one file, whole and as it was at some time meanwhile.
 *
 * It asks for pages of keys and then for their values: no read transaction of the daemon lives longer than one page or
 * one batch, whatever this end takes its time for. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/archive.h"
#include "client/cli/command.h"
#include "client/cli/progress.h"
#include "client/cli/report.h"
#include "client/cli/units.h"

/* What is asked for in one batch: so many values of at most so many bytes, and so many of them together. */
#define GROUP_MAX 256
#define GROUP_BYTES (UINT64_C(4) << 20)
#define SMALL_MAX (UINT64_C(64) << 10)

struct exporting {
	struct cli *cli;
	const char *name;
	struct sink sink;
	struct archive_writer writer;
	struct progress progress;
	uint64_t lost; /* values that could not be read whole */
	/* The group that gathers. */
	size_t count;
	uint64_t bytes;
	struct brine_request requests[GROUP_MAX];
	struct brine_reply replies[GROUP_MAX];
	unsigned char keys[GROUP_MAX][BRINE_KEY_MAX];
	unsigned char buffer[ARCHIVE_PIECE_MAX];
};

static uint64_t
wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static int
fail_to_write(const struct exporting *exporting, int result)
{
	report(exporting->cli, "cannot write %s: %s", exporting->sink.name,
	       strerror(-result));
	return EXIT_OTHER;
}

static struct archive_object
describe(const void *key, size_t key_len, const struct brine_meta *meta)
{
	struct archive_object object = {
		.key_len = key_len,
		.codec = meta->codec,
		.kind = meta->kind,
		.writer = meta->writer_uid,
		.length = meta->length,
		.cost_us = meta->cost_us,
		.expires_ms = BRINE_NEVER,
		.stale_for_ms = meta->stale_for_ms,
	};

	memcpy(object.key, key, key_len);
	if (meta->ttl_left_ms != BRINE_NEVER)
		object.expires_ms = wall_ms() + meta->ttl_left_ms;
	return object;
}

static int
write_small(struct exporting *exporting, const struct brine_request *request,
	    const struct brine_reply *reply)
{
	struct archive_object object =
		describe(request->key, request->key_len, &reply->meta);
	size_t len = brine_value_len(reply->value);
	int result = archive_object(&exporting->writer, &object);

	if (result == 0)
		result = archive_piece(&exporting->writer, brine_value_data(reply->value),
				       len);
	if (result == 0)
		result = archive_object_end(&exporting->writer, false);
	progress_add(&exporting->progress, len);
	return result ? fail_to_write(exporting, result) : EXIT_DONE;
}

/* Asks for what has gathered, and writes it. */
static int
flush(struct exporting *exporting)
{
	struct cli *cli = exporting->cli;
	uint64_t entry;
	int result, status = EXIT_DONE;

	if (!exporting->count)
		return EXIT_DONE;
	result = brine_batch(cli->brine, exporting->requests, exporting->count,
			     exporting->name, BRINE_ACK_DEFAULT, exporting->replies,
			     &entry);
	if (result < 0)
		status = report_failure(cli, result);
	for (size_t i = 0; status == EXIT_DONE && i < exporting->count; i++) {
		const struct brine_reply *reply = &exporting->replies[i];

		if (reply->result == BRINE_HIT && reply->value)
			status = write_small(exporting, &exporting->requests[i], reply);
		else if (reply->result < 0)
			exporting->lost++;
	}
	if (result >= 0)
		brine_replies_release(exporting->replies, exporting->count);
	exporting->count = 0;
	exporting->bytes = 0;
	return status;
}

static int
gather(struct exporting *exporting, const struct brine_entry *entry)
{
	size_t i = exporting->count++;

	memcpy(exporting->keys[i], entry->key, entry->key_len);
	exporting->requests[i] =
		(struct brine_request){ .command = BRINE_GET,
					.namespace_name = exporting->name,
					.key = exporting->keys[i],
					.key_len = entry->key_len,
					.quiet = 1 };
	exporting->bytes += entry->meta.length;
	if (exporting->count == GROUP_MAX || exporting->bytes >= GROUP_BYTES)
		return flush(exporting);
	return EXIT_DONE;
}

/* Piece by piece. Returns 0, -errno of the file, or (in *ret_failed) the daemon's error. */
static int
write_pieces(struct exporting *exporting, struct brine_download *download,
	     int64_t *ret_failed)
{
	int64_t count;
	int result = 0;

	while (result == 0 && (count = brine_get_read(download, exporting->buffer,
						      sizeof(exporting->buffer))) > 0) {
		result = archive_piece(&exporting->writer, exporting->buffer,
				       (size_t)count);
		progress_add(&exporting->progress, (size_t)count);
	}
	*ret_failed = result ? 0 : count;
	return result;
}

static int
write_large(struct exporting *exporting, const struct brine_entry *entry)
{
	const struct brine_get_options options = { .namespace_name = exporting->name,
						   .quiet = 1 };
	struct cli *cli = exporting->cli;
	struct brine_download *download;
	struct archive_object object;
	int64_t failed = 0;
	int result = brine_get_begin(cli->brine, entry->key, entry->key_len, &options,
				     &download);

	if (result == BRINE_MISS)
		return EXIT_DONE;
	if (result < 0)
		return report_failure(cli, result);
	object = describe(entry->key, entry->key_len, brine_download_meta(download));
	result = archive_object(&exporting->writer, &object);
	if (result == 0)
		result = write_pieces(exporting, download, &failed);
	brine_get_end(&download);
	if (result == 0)
		result = archive_object_end(&exporting->writer, failed < 0);
	if (result)
		return fail_to_write(exporting, result);
	/* It was evicted under our hands, or is damaged; the next one may be fine. */
	if (failed == -BRINE_ERROR_DAMAGED || failed == -BRINE_ERROR_NO_MEMORY)
		exporting->lost++;
	else if (failed < 0)
		return report_failure(cli, (int)failed);
	return EXIT_DONE;
}

static int
write_all(struct exporting *exporting, struct brine_scan *scan)
{
	struct brine_entry entry;
	int result, status = EXIT_DONE;

	while (status == EXIT_DONE &&
	       (result = brine_scan_next(scan, &entry)) == BRINE_HIT) {
		if (entry.meta.length <= SMALL_MAX)
			status = gather(exporting, &entry);
		else
			status = write_large(exporting, &entry);
	}
	if (status != EXIT_DONE)
		return status;
	if (result < 0)
		return report_failure(exporting->cli, result);
	return flush(exporting);
}

/* What the values of the namespace come to, as STATS has it; only for the progress. */
static uint64_t
total_bytes(const struct exporting *exporting)
{
	struct brine_value *text;
	struct brine_stat stat;
	size_t position = 0;
	char number[24];
	uint64_t total = BRINE_UNKNOWN;

	if (!report_to_person(exporting->cli) ||
	    brine_stats(exporting->cli->brine, &text) < 0)
		return BRINE_UNKNOWN;
	while (brine_stats_next(text, &position, &stat) == BRINE_HIT) {
		if (stat.scope_len != strlen(exporting->name) ||
		    memcmp(stat.scope, exporting->name, stat.scope_len) != 0 ||
		    stat.name_len != 11 || memcmp(stat.name, "value_bytes", 11) != 0 ||
		    stat.value_len >= sizeof(number))
			continue;
		memcpy(number, stat.value, stat.value_len);
		number[stat.value_len] = 0;
		if (number_parse(number, &total) != 0)
			total = BRINE_UNKNOWN;
	}
	brine_value_release(&text);
	return total;
}

static int
write_file(struct exporting *exporting, struct brine_scan *scan)
{
	int status, result = archive_begin(&exporting->writer, &exporting->sink,
					   exporting->name, wall_ms());

	if (result)
		return fail_to_write(exporting, result);
	progress_begin(&exporting->progress, report_to_person(exporting->cli),
		       total_bytes(exporting));
	status = write_all(exporting, scan);
	progress_end(&exporting->progress);
	if (status != EXIT_DONE)
		return status;
	result = archive_end(&exporting->writer);
	if (result == 0)
		result = sink_finish(&exporting->sink);
	return result ? fail_to_write(exporting, result) : EXIT_DONE;
}

static int
say_what_it_came_to(const struct exporting *exporting)
{
	char objects[UNITS_TEXT_MAX], bytes[UNITS_TEXT_MAX];

	number_show(exporting->writer.objects, objects);
	size_show(exporting->writer.bytes, bytes);
	if (report_to_person(exporting->cli))
		report(exporting->cli, "%s objects of %s, %s of values", objects,
		       exporting->name, bytes);
	if (!exporting->lost)
		return EXIT_DONE;
	number_show(exporting->lost, objects);
	report(exporting->cli,
	       "%s objects could not be read and are not in %s: they were removed meanwhile, "
	       "or are damaged; `brine verify` tells",
	       objects, exporting->sink.name);
	return EXIT_DONE;
}

static int export(struct exporting *exporting)
{
	const char *path = exporting->cli->options.text[OPTION_OUTPUT];
	const struct brine_scan_options options = { .namespace_name = exporting->name };
	struct brine_scan *scan;
	int status, result = sink_open(&exporting->sink, path);

	if (result < 0) {
		report(exporting->cli, "cannot write %s: %s", path, strerror(-result));
		return EXIT_OTHER;
	}
	result = brine_scan_begin(exporting->cli->brine, &options, &scan);
	if (result < 0) {
		sink_abandon(&exporting->sink);
		return report_failure(exporting->cli, result);
	}
	status = write_file(exporting, scan);
	brine_scan_end(&scan);
	archive_writer_done(&exporting->writer);
	sink_abandon(&exporting->sink);
	return status == EXIT_DONE ? say_what_it_came_to(exporting) : status;
}

int
command_export(struct cli *cli)
{
	const char *path = cli->options.text[OPTION_OUTPUT];
	struct exporting *exporting;
	int status;

	if (cli->operand_count && option_given(&cli->options, OPTION_NAMESPACE))
		return report_usage(
			cli, "the namespace is named twice: by --namespace and '%s'.",
			cli->operands[0]);
	if ((!path || strcmp(path, "-") == 0) && isatty(STDOUT_FILENO))
		return report_usage(
			cli, "an export is no text for a terminal: name a file with "
			     "-o, or redirect it.");
	exporting = calloc(1, sizeof(*exporting));
	if (!exporting) {
		report(cli, "out of memory");
		return EXIT_OTHER;
	}
	exporting->cli = cli;
	exporting->name = cli->operand_count ? cli->operands[0] : report_namespace(cli);
	if (strlen(exporting->name) == 0 || strlen(exporting->name) > ARCHIVE_NAME_MAX)
		status = report_usage(cli, "'%s' names no namespace.", exporting->name);
	else
		status = export(exporting);
	free(exporting);
	return status;
}
