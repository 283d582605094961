/* put.c - brine put: stores a value, however long it is, in bounded memory. */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/codec.h"
#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/operand.h"
#include "client/cli/progress.h"
#include "client/cli/report.h"
#include "client/cli/source.h"
#include "client/cli/tag.h"
#include "client/cli/units.h"

/* Up to here a value goes in one request, which may be sent again; a longer one is a stream. */
#define PUT_WHOLE (1u << 20)
/* Longer than that no daemon shall hear nothing while the source is silent. */
#define PUT_SILENCE_MS 5000
#define INTEGER_TEXT_MAX 64

struct putting {
	struct cli *cli;
	struct operand_key key;
	struct brine_put_options options;
	struct tags tags;
	struct source source;
	char *buffer;    /* PUT_WHOLE */
	uint64_t length; /* of what was read */
	uint64_t version;
	uint64_t max_value; /* the daemon's */
};

static int
count_conditions(const struct options *options)
{
	return option_given(options, OPTION_IF_ABSENT) +
	       option_given(options, OPTION_IF_PRESENT) +
	       option_given(options, OPTION_IF_VERSION);
}

static int
check_options(struct cli *cli)
{
	const struct options *options = &cli->options;

	if (count_conditions(options) > 1)
		return report_usage(cli, "--if-absent, --if-present and --if-version "
					 "exclude each other.");
	if (option_given(options, OPTION_VALUE) && cli->operand_count > 1)
		return report_usage(cli,
				    "the value comes from --value or from %s, not both.",
				    cli->operands[1]);
	if (option_given(options, OPTION_INT) && option_given(options, OPTION_CODEC))
		return report_usage(cli, "--int and --codec exclude each other.");
	if (option_given(options, OPTION_STALE_FOR) &&
	    (!option_given(options, OPTION_TTL) ||
	     options->number[OPTION_TTL] == UINT64_MAX))
		return report_usage(cli, "--stale counts from the end of a time to live: "
					 "it needs --ttl as well.");
	return EXIT_DONE;
}

static struct brine_put_options
put_options(const struct options *options)
{
	struct brine_put_options to = {
		.ttl_ms = options->number[OPTION_TTL],
		.cost_us = options->number[OPTION_COST],
		.version = options->number[OPTION_IF_VERSION],
		.stale_ms = options->number[OPTION_STALE_FOR] / 1000 +
			    (options->number[OPTION_STALE_FOR] % 1000 != 0),
		.ack = operand_ack(options),
	};

	if (option_given(options, OPTION_CODEC))
		to.codec = codec_of_choice(options->number[OPTION_CODEC]);
	if (option_given(options, OPTION_IF_ABSENT))
		to.condition = BRINE_IF_ABSENT;
	else if (option_given(options, OPTION_IF_PRESENT))
		to.condition = BRINE_IF_PRESENT;
	else if (option_given(options, OPTION_IF_VERSION))
		to.condition = BRINE_IF_VERSION;
	return to;
}

/* Who writes `brine put logo.png` learns how to. */
static void
ask_value(const struct cli *cli)
{
	const char *key = cli->operands[0];

	if (cli->operand_count == 1 && access(key, F_OK) == 0)
		report(cli,
		       "%s is the key; what the file holds is stored by: brine put KEY %s",
		       key, key);
	fputs("Type the value, and end it with Ctrl-D on a line of its own.\n", stderr);
}

/* Who writes `brine put greeting hello` learns how to. */
static int
open_source(struct putting *putting)
{
	struct cli *cli = putting->cli;
	const char *path = cli->operand_count > 1 ? cli->operands[1] : NULL;
	int result;

	if (option_given(&cli->options, OPTION_VALUE)) {
		source_text(&putting->source, cli->options.text[OPTION_VALUE]);
		return EXIT_DONE;
	}
	result = source_open(&putting->source, path);
	if (result == -ENOENT) {
		report(cli,
		       "there is no file '%s'. To store that text itself: brine put %s "
		       "--value '%s'",
		       path, cli->operands[0], path);
		return EXIT_OTHER;
	}
	if (result) {
		report(cli, "cannot read %s: %s", path ? path : "standard input",
		       strerror(-result));
		return EXIT_OTHER;
	}
	if (putting->source.fd == STDIN_FILENO && isatty(STDIN_FILENO) &&
	    report_to_person(cli))
		ask_value(cli);
	return EXIT_DONE;
}

static int
report_source(struct putting *putting, int64_t error)
{
	report(putting->cli, "cannot read %s: %s; nothing was stored",
	       putting->source.name, strerror((int)-error));
	return EXIT_OTHER;
}

/* A value that is too large is told with its size and the limit. */
static int
report_put(struct putting *putting, int error)
{
	bool known = putting->source.length != BRINE_UNKNOWN;
	uint64_t length = known ? putting->source.length : putting->length;
	char size[UNITS_TEXT_MAX], most[UNITS_TEXT_MAX];

	if (error != -BRINE_ERROR_TOO_LARGE || length <= putting->max_value)
		return report_failure(putting->cli, error);
	number_show(length, size);
	number_show(putting->max_value, most);
	report(putting->cli,
	       "the value has %s%s bytes, and this daemon takes at most %s (max_value); nothing "
	       "was stored",
	       known ? "" : "at least ", size, most);
	return EXIT_REFUSED;
}

/* Asked beforehand, as it cannot be asked while a value is on its way. */
static int
ask_limit(struct putting *putting)
{
	struct brine_daemon daemon;
	int result = brine_ping(putting->cli->brine, &daemon);

	if (result < 0 && result != -BRINE_ERROR_DISABLED)
		return report_failure(putting->cli, result);
	putting->max_value = result < 0 ? UINT64_MAX : daemon.max_value;
	return EXIT_DONE;
}

/* Sends the rest of the source, of which the first len bytes are in the buffer. */
static int
feed(struct putting *putting, struct brine_upload *upload, size_t len,
     struct progress *progress)
{
	struct source *source = &putting->source;

	for (;;) {
		int64_t count;
		int result;

		putting->length += len;
		if (putting->length > source->length) {
			report(putting->cli,
			       "%s grew while it was read; nothing was stored. Pipe it in "
			       "to store what there is.",
			       source->name);
			return EXIT_OTHER;
		}
		result = brine_put_write(upload, putting->buffer, len);
		if (result < 0)
			return report_put(putting, result);
		progress_add(progress, len);
		if (source->ended)
			break;
		count = source_read(source, putting->buffer, PUT_WHOLE, PUT_SILENCE_MS);
		if (count < 0)
			return report_source(putting, count);
		len = (size_t)count;
	}
	/* An unknown length is longer than any. */
	if (source->length == BRINE_UNKNOWN || putting->length == source->length)
		return EXIT_DONE;
	report(putting->cli, "%s shrank while it was read; nothing was stored",
	       source->name);
	return EXIT_OTHER;
}

static int
put_stream(struct putting *putting, size_t len)
{
	struct cli *cli = putting->cli;
	struct brine_upload *upload;
	struct progress progress;
	int result, status = ask_limit(putting);

	if (status != EXIT_DONE)
		return status;
	result = brine_put_begin(cli->brine, putting->key.bytes, putting->key.len,
				 putting->source.length, &putting->options, &upload);
	if (result < 0)
		return report_put(putting, result);
	progress_begin(&progress, report_to_person(cli), putting->source.length);
	status = feed(putting, upload, len, &progress);
	progress_end(&progress);
	if (status != EXIT_DONE) {
		brine_put_abort(&upload);
		return status;
	}
	result = brine_put_finish(&upload, &putting->version);
	return result < 0 ? report_put(putting, result) : EXIT_DONE;
}

static int
put_whole(struct putting *putting, const void *value, size_t len)
{
	struct cli *cli = putting->cli;
	int result = brine_put(cli->brine, putting->key.bytes, putting->key.len, value,
			       len, &putting->options, &putting->version);

	putting->length = len;
	return result < 0 ? report_failure(cli, result) : EXIT_DONE;
}

static int
put_integer(struct putting *putting)
{
	char text[INTEGER_TEXT_MAX + 1];
	int64_t count, integer;

	count = source_read(&putting->source, text, INTEGER_TEXT_MAX, -1);
	if (count < 0)
		return report_source(putting, count);
	text[count] = 0;
	if (!putting->source.ended || strlen(text) != (size_t)count ||
	    integer_parse(text, &integer)) {
		return report_usage(putting->cli,
				    "--int: %s is no integer of 64 bits%s%s.",
				    putting->source.name, *text ? ": " : "", text);
	}
	putting->options.kind = BRINE_COUNTER;
	putting->options.codec = CODEC_INTEGER;
	integer = (int64_t)htole64((uint64_t)integer);
	return put_whole(putting, &integer, sizeof(integer));
}

static int
put_bytes(struct putting *putting)
{
	int64_t count = source_read(&putting->source, putting->buffer, PUT_WHOLE, -1);

	if (count < 0)
		return report_source(putting, count);
	if (putting->source.ended)
		return put_whole(putting, putting->buffer, (size_t)count);
	return put_stream(putting, (size_t)count);
}

static void
write_answer(const struct putting *putting)
{
	struct json json;

	if (!option_given(&putting->cli->options, OPTION_JSON))
		return;
	json_begin(&json, stdout);
	operand_write_key(&json, putting->cli, putting->key.bytes, putting->key.len);
	json_number(&json, "length", putting->length);
	json_number(&json, "version", putting->version);
	json_end(&json);
}

int
command_put(struct cli *cli)
{
	struct putting putting = { .cli = cli, .options = put_options(&cli->options) };
	int status = check_options(cli);

	if (status == EXIT_DONE)
		status = operand_key(cli, cli->operands[0], &putting.key);
	if (status == EXIT_DONE)
		status = tag_options(cli, &putting.tags);
	if (status == EXIT_DONE)
		status = open_source(&putting);
	if (status != EXIT_DONE)
		return status;
	putting.options.tags = putting.tags.bytes;
	putting.options.tags_len = putting.tags.len;
	putting.buffer = malloc(PUT_WHOLE);
	if (!putting.buffer) {
		report(cli, "out of memory");
		status = EXIT_OTHER;
	} else {
		status = option_given(&cli->options, OPTION_INT) ? put_integer(&putting)
								 : put_bytes(&putting);
	}
	if (status == EXIT_DONE)
		write_answer(&putting);
	free(putting.buffer);
	source_close(&putting.source);
	return status;
}
