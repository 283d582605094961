/* keys.c - brine keys: lists the keys of a namespace as they come. */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/codec.h"
#include "client/cli/command.h"
#include "client/cli/keytext.h"
#include "client/cli/operand.h"
#include "client/cli/report.h"
#include "client/cli/units.h"

#define LONG_COLUMNS "%7s  %-8s  %-11s  %6s  "

static void
write_long(const struct brine_meta *meta)
{
	char size[UNITS_TEXT_MAX], left[UNITS_TEXT_MAX], codec[CODEC_TEXT_MAX],
		writer[16] = "?";

	size_show(meta->length, size);
	milliseconds_show(meta->ttl_left_ms, left);
	codec_show(meta->codec, codec);
	if (meta->writer_uid != BRINE_NOBODY)
		snprintf(writer, sizeof(writer), "%u", (unsigned)meta->writer_uid);
	printf(LONG_COLUMNS, size, left, codec, writer);
}

static void
write_json(const struct cli *cli, const struct brine_entry *entry)
{
	struct json json;

	json_begin(&json, stdout);
	operand_write_key(&json, cli, entry->key, entry->key_len);
	operand_write_meta(&json, &entry->meta, true);
	json_end(&json);
}

static void
write_entry(const struct cli *cli, const struct brine_entry *entry)
{
	const struct options *options = &cli->options;
	char shown[KEYTEXT_MAX];

	if (option_given(options, OPTION_JSON)) {
		write_json(cli, entry);
		return;
	}
	if (option_given(options, OPTION_LONG))
		write_long(&entry->meta);
	if (option_given(options, OPTION_NUL) && !option_given(options, OPTION_KEY_AS)) {
		fwrite(entry->key, 1, entry->key_len, stdout);
		putchar(0);
		return;
	}
	keytext_show(entry->key, entry->key_len, (enum keytext_form)operand_form(options),
		     shown);
	fputs(shown, stdout);
	/* base64 is the whole key as the daemon has it, and what xargs passes on. */
	if (entry->shortened && operand_form(options) != KEYTEXT_BASE64)
		fputs(" (shortened)", stdout);
	putchar(option_given(options, OPTION_NUL) ? 0 : '\n');
}

static int
list(struct cli *cli, struct brine_scan *scan)
{
	uint64_t left = BRINE_NEVER;
	struct brine_entry entry;
	int result = BRINE_HIT;

	if (option_given(&cli->options, OPTION_LIMIT))
		left = cli->options.number[OPTION_LIMIT];
	for (; left; left--) {
		result = brine_scan_next(scan, &entry);
		if (result != BRINE_HIT)
			break;
		write_entry(cli, &entry);
		if (ferror(stdout))
			break; /* main() reports it */
	}
	if (result >= 0)
		return EXIT_DONE;
	fflush(stdout);
	return report_failure(cli, result);
}

int
command_keys(struct cli *cli)
{
	const char *written = cli->operand_count ? cli->operands[0] : "";
	struct brine_scan_options options = { 0 };
	char why[KEYTEXT_WHY_MAX];
	struct brine_scan *scan;
	struct brine_key room;
	int status, result;

	if (keytext_read_prefix(written, (enum keytext_form)operand_form(&cli->options),
				&room, &options.prefix, &options.prefix_len, why))
		return report_usage(cli, "prefix '%s': %s.", written, why);
	if (option_given(&cli->options, OPTION_LIMIT) &&
	    cli->options.number[OPTION_LIMIT] < 1000)
		options.page = (uint32_t)cli->options.number[OPTION_LIMIT];
	result = brine_scan_begin(cli->brine, &options, &scan);
	if (result < 0)
		return report_failure(cli, result);
	if (option_given(&cli->options, OPTION_LONG) &&
	    !option_given(&cli->options, OPTION_JSON) && isatty(STDOUT_FILENO))
		printf(LONG_COLUMNS "%s\n", "SIZE", "EXPIRES", "CODEC", "WRITER", "KEY");
	status = list(cli, scan);
	brine_scan_end(&scan);
	return status;
}
