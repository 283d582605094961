/* verify.c - brine verify: has every row read, and its checksum compared, at a stated rate. All of the store, for who
 * administers it (scrub.c); or of the caller's own namespaces, or the one that is named:
 *
 * A page of keys has the records' checksums compared, with the values that are in them; longer values are read for their
 * chunks'. Nobody needs the bytes, so they are dropped as they come. */
#include <stdlib.h>
#include <string.h>

#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/keytext.h"
#include "client/cli/operand.h"
#include "client/cli/pace.h"
#include "client/cli/report.h"
#include "client/cli/scrub.h"
#include "client/cli/units.h"
#include "proto/key.h"

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
	const char *name; /* of the namespace at hand */
	struct pace pace;
	uint64_t objects;
	uint64_t damaged;    /* values whose chunks are */
	uint64_t unreadable; /* rows that are: whose they were is not known */
	unsigned char block[BLOCK];
};

static void
name_damaged(struct verifying *verifying, const struct brine_entry *entry)
{
	char shown[KEYTEXT_MAX];

	progress_end(&verifying->pace.progress);
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
			pace_add(&verifying->pace, (uint64_t)count);
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
			pace_add(&verifying->pace,
				 RECORD_BYTES + entry.key_len + entry.meta.length);
		else
			status = read_value(verifying, &entry);
	}
	verifying->unreadable += brine_scan_damaged(scan);
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
	size_show(verifying->pace.bytes, bytes);
	if (option_given(&verifying->cli->options, OPTION_JSON)) {
		json_begin(&json, stdout);
		json_number(&json, "objects", verifying->objects);
		json_number(&json, "bytes", verifying->pace.bytes);
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
verify_namespace(struct verifying *verifying, const char *name)
{
	const struct brine_scan_options options = { .namespace_name = name };
	struct brine_scan *scan;
	int status, result = brine_scan_begin(verifying->cli->brine, &options, &scan);

	if (result < 0)
		return report_failure(verifying->cli, result);
	verifying->name = name;
	status = read_all(verifying, scan);
	brine_scan_end(&scan);
	return status;
}

/* Another namespace of the caller's than the last? Then its name, of which STATS has several lines. Shared ones are not
 * the caller's. */
static bool
begins_own(const struct brine_stat *stat, char name[static NAMESPACE_NAME_MAX + 1])
{
	if (!stat->scope_len || stat->scope_len > NAMESPACE_NAME_MAX ||
	    stat->scope[0] == '/' || memchr(stat->scope, ':', stat->scope_len) ||
	    (strlen(name) == stat->scope_len &&
	     memcmp(stat->scope, name, stat->scope_len) == 0))
		return false;
	memcpy(name, stat->scope, stat->scope_len);
	name[stat->scope_len] = 0;
	return true;
}

static int
verify_own(struct verifying *verifying)
{
	char name[NAMESPACE_NAME_MAX + 1] = "";
	struct brine_value *text;
	struct brine_stat stat;
	size_t position = 0;
	int status = EXIT_DONE, result = brine_stats(verifying->cli->brine, &text);

	if (result < 0)
		return report_failure(verifying->cli, result);
	while (status == EXIT_DONE &&
	       brine_stats_next(text, &position, &stat) == BRINE_HIT)
		if (begins_own(&stat, name))
			status = verify_namespace(verifying, name);
	brine_value_release(&text);
	return status;
}

/* name NULL: all that the caller may see. */
static int
verify(struct cli *cli, const char *name, uint64_t rate)
{
	struct verifying *verifying;
	int status = name ? SCRUB_NOT_FOR_ME : scrub(cli, rate);

	if (status != SCRUB_NOT_FOR_ME)
		return status;
	verifying = calloc(1, sizeof(*verifying));
	if (!verifying) {
		report(cli, "out of memory");
		return EXIT_OTHER;
	}
	verifying->cli = cli;
	pace_begin(&verifying->pace, rate, report_to_person(cli));
	status = name ? verify_namespace(verifying, name) : verify_own(verifying);
	progress_end(&verifying->pace.progress);
	if (status == EXIT_DONE)
		status = say_what_it_came_to(verifying);
	free(verifying);
	return status;
}

int
command_verify(struct cli *cli)
{
	const char *rate_text = cli->options.text[OPTION_RATE];
	const char *environment = getenv("BRINE_NAMESPACE"), *name = NULL;
	uint64_t rate = RATE_DEFAULT;

	if (cli->operand_count && option_given(&cli->options, OPTION_NAMESPACE))
		return report_usage(
			cli, "the namespace is named twice: by --namespace and '%s'.",
			cli->operands[0]);
	if (rate_text && (size_parse(rate_text, &rate) || rate < RATE_LEAST))
		return report_usage(cli,
				    "--rate %s: a size of at least 64K, such as 10M.",
				    rate_text);
	if (cli->operand_count)
		name = cli->operands[0];
	else if (option_given(&cli->options, OPTION_NAMESPACE) ||
		 (environment && *environment))
		name = report_namespace(cli);
	return verify(cli, name, rate);
}
