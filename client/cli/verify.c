/* verify.c - brine verify: has every row of a namespace read, and its checksum compared, at a stated rate.
 *
 * A page of keys has the records' checksums compared, with the values that are in them; longer values are read for their
 * chunks'. Nobody needs the bytes, so they are dropped as they come. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/keytext.h"
#include "client/cli/operand.h"
#include "client/cli/progress.h"
#include "client/cli/report.h"
#include "client/cli/units.h"

#define RATE_DEFAULT (UINT64_C(64) << 20)
#define RATE_LEAST (UINT64_C(64) << 10)
/* No record has a value of this length in it. */
#define APART_MIN 1024
/* What a record takes besides its key and value, about. */
#define RECORD_BYTES 100
#define BLOCK (64 << 10)
/* Keys that are named; of the rest the number is told. */
#define NAMED_MAX 100

struct verifying {
	struct cli *cli;
	const char *name;
	uint64_t rate; /* bytes a second */
	uint64_t began_us;
	uint64_t bytes;
	uint64_t objects;
	uint64_t damaged;    /* values whose chunks are */
	uint64_t unreadable; /* rows that are: whose they were is not known */
	struct progress progress;
	unsigned char block[BLOCK];
};

static uint64_t
clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

/* Waits until so many bytes were due. */
static void
pace(struct verifying *verifying, uint64_t bytes)
{
	uint64_t due_us, now_us = clock_us();
	struct timespec pause;

	verifying->bytes += bytes;
	progress_add(&verifying->progress, bytes);
	due_us = verifying->began_us +
		 (uint64_t)((double)verifying->bytes / (double)verifying->rate * 1e6);
	if (due_us <= now_us)
		return;
	pause.tv_sec = (time_t)((due_us - now_us) / 1000000);
	pause.tv_nsec = (long)((due_us - now_us) % 1000000) * 1000;
	nanosleep(&pause, NULL);
}

static void
name_damaged(struct verifying *verifying, const struct brine_entry *entry)
{
	char shown[KEYTEXT_MAX];

	progress_end(&verifying->progress);
	if (verifying->damaged++ >= NAMED_MAX)
		return;
	keytext_show(entry->key, entry->key_len,
		     (enum keytext_form)operand_form(&verifying->cli->options), shown);
	report(verifying->cli, "damaged: %s", shown);
}

/* Was it removed or replaced since its key was listed? Then it is no damage. */
static bool
is_there_still(const struct verifying *verifying, const struct brine_entry *entry)
{
	struct brine_meta meta;

	return brine_meta(verifying->cli->brine, entry->key, entry->key_len,
			  verifying->name, &meta) == BRINE_HIT &&
	       meta.version == entry->meta.version;
}

static int
read_value(struct verifying *verifying, const struct brine_entry *entry)
{
	const struct brine_get_options options = { .namespace_name = verifying->name,
						   .quiet = 1 };
	struct cli *cli = verifying->cli;
	struct brine_download *download;
	int64_t count = 0;
	int result = brine_get_begin(cli->brine, entry->key, entry->key_len, &options,
				     &download);

	if (result == BRINE_HIT) {
		while ((count = brine_get_read(download, verifying->block, BLOCK)) > 0)
			pace(verifying, (uint64_t)count);
		brine_get_end(&download);
	}
	if (result < 0 && result != -BRINE_ERROR_DAMAGED)
		return report_failure(cli, result);
	if (result == BRINE_HIT && count == 0)
		return EXIT_DONE;
	if (result == BRINE_HIT && count < 0 && count != -BRINE_ERROR_DAMAGED)
		return report_failure(cli, (int)count);
	if (is_there_still(verifying, entry))
		name_damaged(verifying, entry);
	return EXIT_DONE;
}

static int
read_all(struct verifying *verifying, struct brine_scan *scan)
{
	struct brine_entry entry;
	int result, status = EXIT_DONE;

	while (status == EXIT_DONE &&
	       (result = brine_scan_next(scan, &entry)) == BRINE_HIT) {
		verifying->objects++;
		if (entry.meta.length < APART_MIN)
			pace(verifying, RECORD_BYTES + entry.key_len + entry.meta.length);
		else
			status = read_value(verifying, &entry);
	}
	verifying->unreadable = brine_scan_damaged(scan);
	if (status != EXIT_DONE)
		return status;
	return result < 0 ? report_failure(verifying->cli, result) : EXIT_DONE;
}

static int
say_what_it_came_to(const struct verifying *verifying)
{
	bool sound = !verifying->damaged && !verifying->unreadable;
	char objects[UNITS_TEXT_MAX], bytes[UNITS_TEXT_MAX];
	struct json json;

	number_show(verifying->objects, objects);
	size_show(verifying->bytes, bytes);
	if (option_given(&verifying->cli->options, OPTION_JSON)) {
		json_begin(&json, stdout);
		json_number(&json, "objects", verifying->objects);
		json_number(&json, "bytes", verifying->bytes);
		json_number(&json, "damaged_values", verifying->damaged);
		json_number(&json, "damaged_rows", verifying->unreadable);
		json_end(&json);
	} else if (sound) {
		printf("%s objects, %s: all sound\n", objects, bytes);
	} else {
		printf("%s objects, %s: %llu damaged values, %llu damaged rows whose keys "
		       "cannot be read\n",
		       objects, bytes, (unsigned long long)verifying->damaged,
		       (unsigned long long)verifying->unreadable);
	}
	return sound ? EXIT_DONE : EXIT_OTHER;
}

static int
verify(struct verifying *verifying)
{
	const struct brine_scan_options options = { .namespace_name = verifying->name };
	struct brine_scan *scan;
	int status, result = brine_scan_begin(verifying->cli->brine, &options, &scan);

	if (result < 0)
		return report_failure(verifying->cli, result);
	verifying->began_us = clock_us();
	progress_begin(&verifying->progress, report_to_person(verifying->cli),
		       BRINE_UNKNOWN);
	status = read_all(verifying, scan);
	progress_end(&verifying->progress);
	brine_scan_end(&scan);
	return status == EXIT_DONE ? say_what_it_came_to(verifying) : status;
}

int
command_verify(struct cli *cli)
{
	const char *rate = cli->options.text[OPTION_RATE];
	struct verifying *verifying;
	int status;

	if (cli->operand_count && option_given(&cli->options, OPTION_NAMESPACE))
		return report_usage(
			cli, "the namespace is named twice: by --namespace and '%s'.",
			cli->operands[0]);
	verifying = calloc(1, sizeof(*verifying));
	if (!verifying) {
		report(cli, "out of memory");
		return EXIT_OTHER;
	}
	verifying->cli = cli;
	verifying->name = cli->operand_count ? cli->operands[0] : report_namespace(cli);
	verifying->rate = RATE_DEFAULT;
	if (rate && (size_parse(rate, &verifying->rate) || verifying->rate < RATE_LEAST))
		status = report_usage(
			cli, "--rate %s: a size of at least 64K, such as 10M.", rate);
	else
		status = verify(verifying);
	free(verifying);
	return status;
}
