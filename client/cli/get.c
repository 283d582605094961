/* get.c - brine get: writes a value out, however long it is, in bounded memory. */
#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/operand.h"
#include "client/cli/progress.h"
#include "client/cli/report.h"
#include "client/cli/sink.h"
#include "client/cli/spool.h"
#include "client/cli/units.h"
#include "client/cli/utf8.h"

/* A value up to here is looked at whole before the first byte of it is written. */
#define GET_WHOLE (1u << 20)
/* A daemon does not wait long for a client that stops reading: after so long a pause of our own reader the rest
 * is fetched into a file. */
#define GET_PATIENCE_MS 2000

struct getting {
	struct cli *cli;
	struct brine_download *download;
	char *buffer; /* GET_WHOLE */
	struct sink sink;
	bool open; /* the sink */
	char last; /* byte that was written */
};

static struct brine_get_options
get_options(const struct options *options)
{
	/* Rounded up, as 0 would be any age. */
	return (struct brine_get_options){
		.max_age_ms = options->number[OPTION_MAX_AGE] / 1000 +
			      (options->number[OPTION_MAX_AGE] % 1000 != 0),
	};
}

static int
miss(const struct cli *cli)
{
	return report_miss(cli, "no such object: %s", cli->operands[0]);
}

static int
report_sink(const struct getting *getting, int error)
{
	report(getting->cli, "cannot write to %s: %s", getting->sink.name,
	       strerror(-error));
	return EXIT_OTHER;
}

static int
open_sink(struct getting *getting)
{
	const char *path = getting->cli->options.text[OPTION_OUTPUT];
	int result;

	if (getting->open)
		return EXIT_DONE;
	result = sink_open(&getting->sink, path);
	if (result) {
		getting->sink.name = path;
		return report_sink(getting, result);
	}
	getting->open = true;
	return EXIT_DONE;
}

static int
write_out(struct getting *getting, const void *bytes, size_t len)
{
	int result = sink_write(&getting->sink, bytes, len);

	if (len)
		getting->last = ((const char *)bytes)[len - 1];
	return result ? report_sink(getting, result) : EXIT_DONE;
}

/* A prompt stands on a line of its own; a pipe and a file get the value and nothing else. */
static int
finish(struct getting *getting)
{
	int result;

	if (getting->sink.fd == STDOUT_FILENO && getting->last != '\n' &&
	    isatty(STDOUT_FILENO))
		sink_write(&getting->sink, "\n", 1);
	result = sink_finish(&getting->sink);
	return result ? report_sink(getting, result) : EXIT_DONE;
}

/* Fills the buffer. Returns the count, less than its size only at the end, or a negative error. */
static int64_t
read_some(struct getting *getting)
{
	int64_t have = 0, count;

	do {
		count = brine_get_read(getting->download, getting->buffer + have,
				       GET_WHOLE - (size_t)have);
		if (count < 0)
			return count;
		have += count;
	} while (count && have < GET_WHOLE);
	return have;
}

/* Bytes that fail their checksum are no value: as long as none was written, that is a miss. */
static int
report_read(const struct getting *getting, int64_t error)
{
	if (error == -BRINE_ERROR_DAMAGED && !getting->open)
		return miss(getting->cli);
	return report_failure(getting->cli, (int)error);
}

static int
write_integer(struct getting *getting, int64_t count)
{
	uint64_t bits;
	char text[24];
	int len;

	if (count != sizeof(bits)) {
		report(getting->cli,
		       "an integer of %" PRId64 " bytes, not 8: what stored it?", count);
		return EXIT_OTHER;
	}
	memcpy(&bits, getting->buffer, sizeof(bits));
	len = snprintf(text, sizeof(text), "%" PRId64, (int64_t)le64toh(bits));
	return write_out(getting, text, (size_t)len);
}

/* Writes out what the spool holds. Overwrites the buffer. */
static int
empty_spool(struct getting *getting, const struct spool *spool)
{
	uint64_t position = 0;
	int64_t count;
	int status;

	while ((count = spool_read(spool, position, getting->buffer, GET_WHOLE)) > 0) {
		status = write_out(getting, getting->buffer, (size_t)count);
		if (status != EXIT_DONE)
			return status;
		position += (uint64_t)count;
	}
	if (count == 0)
		return EXIT_DONE;
	report(getting->cli, "cannot read a temporary file: %s", strerror((int)-count));
	return EXIT_OTHER;
}

/* The spool is full: what it holds goes out, then what it could not take. */
static int
give_up_spool(struct getting *getting, const struct spool *spool, size_t len)
{
	char *rest = malloc(len);
	int status;

	if (!rest) {
		report(getting->cli, "out of memory");
		return EXIT_OTHER;
	}
	memcpy(rest, getting->buffer, len);
	status = empty_spool(getting, spool);
	if (status == EXIT_DONE)
		status = write_out(getting, rest, len);
	free(rest);
	return status;
}

/* Fetches the rest of the value into the spool, as long as that takes it, and lets the daemon go. The buffer
 * holds len bytes that were not written. *ret_more says that there is more to fetch. */
static int
copy_by_spool(struct getting *getting, size_t len, bool *ret_more,
	      struct progress *progress)
{
	bool more = *ret_more;
	struct spool spool;
	int status;

	if (spool_open(&spool))
		return write_out(getting, getting->buffer, len);
	while (spool_add(&spool, getting->buffer, len) == 0) {
		int64_t count = more ? read_some(getting) : 0;

		if (count < 0) {
			spool_close(&spool);
			return report_read(getting, count);
		}
		progress_add(progress, (size_t)count);
		if (count == 0) {
			*ret_more = false;
			brine_get_end(&getting->download);
			brine_close(&getting->cli->brine);
			progress_end(progress);
			status = empty_spool(getting, &spool);
			spool_close(&spool);
			return status;
		}
		more = count == GET_WHOLE;
		len = (size_t)count;
	}
	*ret_more = more;
	status = give_up_spool(getting, &spool, len);
	spool_close(&spool);
	return status;
}

static int
write_block(struct getting *getting, size_t len, bool *ret_more,
	    struct progress *progress)
{
	size_t written = 0;
	int result;

	/* A file takes what it is given. */
	if (getting->sink.fd != STDOUT_FILENO)
		return write_out(getting, getting->buffer, len);
	result = sink_write_within(&getting->sink, getting->buffer, len, GET_PATIENCE_MS,
				   &written);
	if (result)
		return report_sink(getting, result);
	if (len)
		getting->last = getting->buffer[len - 1];
	if (written == len)
		return EXIT_DONE;
	memmove(getting->buffer, getting->buffer + written, len - written);
	return copy_by_spool(getting, len - written, ret_more, progress);
}

/* Is the value one that would garble the terminal on which it was to appear? -o - says that it may. The buffer
 * holds its first len bytes. */
static bool
garbles(const struct getting *getting, size_t len)
{
	size_t cut = len == GET_WHOLE ? 3 : 0; /* the last character may go on */

	if (getting->cli->options.text[OPTION_OUTPUT] || !isatty(STDOUT_FILENO))
		return false;
	if (memchr(getting->buffer, 0, len))
		return true;
	for (size_t left = 0; left <= cut; left++)
		if (utf8_valid(getting->buffer, len - left))
			return false;
	return true;
}

static int
refuse_terminal(const struct getting *getting)
{
	char size[UNITS_TEXT_MAX];

	size_show(brine_download_meta(getting->download)->length, size);
	report(getting->cli,
	       "the value (%s) is no text, and would garble the terminal; -o FILE writes it "
	       "to a file, and a pipe takes it as it is (so does -o -)",
	       size);
	return EXIT_OTHER;
}

static int
copy(struct getting *getting, struct progress *progress)
{
	bool counter = brine_download_meta(getting->download)->kind == BRINE_COUNTER;
	bool more = true;
	int status = EXIT_DONE;

	while (status == EXIT_DONE && more) {
		int64_t count = read_some(getting);

		if (count < 0)
			return report_read(getting, count);
		more = count == GET_WHOLE;
		progress_add(progress, (size_t)count);
		if (!getting->open && !counter && garbles(getting, (size_t)count))
			return refuse_terminal(getting);
		status = open_sink(getting);
		if (status != EXIT_DONE)
			break;
		status = counter ? write_integer(getting, count)
				 : write_block(getting, (size_t)count, &more, progress);
	}
	return status;
}

static int
get_bytes(struct getting *getting)
{
	struct cli *cli = getting->cli;
	const struct brine_meta *meta = brine_download_meta(getting->download);
	bool shown = report_to_person(cli) &&
		     (cli->options.text[OPTION_OUTPUT] || !isatty(STDOUT_FILENO));
	struct progress progress;
	int status;

	progress_begin(&progress, shown, meta->length);
	status = copy(getting, &progress);
	progress_end(&progress);
	if (status == EXIT_DONE)
		status = finish(getting);
	if (status != EXIT_DONE && getting->open)
		sink_abandon(&getting->sink);
	return status;
}

/* "value" of a text or an integer, "value_base64" of other bytes. */
static void
write_json(const struct cli *cli, const struct operand_key *key,
	   const struct brine_value *value)
{
	const struct brine_meta *meta = brine_value_meta(value);
	const void *bytes = brine_value_data(value);
	size_t len = brine_value_len(value);
	struct json json;
	uint64_t bits;

	json_begin(&json, stdout);
	operand_write_key(&json, cli, key->bytes, key->len);
	operand_write_meta(&json, meta, false);
	if (meta->kind == BRINE_COUNTER && len == sizeof(bits)) {
		memcpy(&bits, bytes, sizeof(bits));
		json_integer(&json, "value", (int64_t)le64toh(bits));
	} else if (utf8_valid(bytes, len)) {
		json_string(&json, "value", bytes, len);
	} else {
		json_base64(&json, "value_base64", bytes, len);
	}
	json_end(&json);
}

static int
get_json(struct cli *cli, const struct operand_key *key,
	 const struct brine_get_options *options)
{
	struct brine_value *value;
	int result = brine_get(cli->brine, key->bytes, key->len, options, &value);

	if (result == BRINE_MISS)
		return miss(cli);
	if (result < 0)
		return report_failure(cli, result);
	write_json(cli, key, value);
	brine_value_release(&value);
	return EXIT_DONE;
}

int
command_get(struct cli *cli)
{
	struct brine_get_options options = get_options(&cli->options);
	struct getting getting = { .cli = cli, .last = '\n' };
	struct operand_key key;
	int status = operand_key(cli, cli->operands[0], &key);
	int result;

	if (status != EXIT_DONE)
		return status;
	if (option_given(&cli->options, OPTION_JSON)) {
		if (option_given(&cli->options, OPTION_OUTPUT))
			return report_usage(cli,
					    "--json and --output exclude each other.");
		return get_json(cli, &key, &options);
	}
	result = brine_get_begin(cli->brine, key.bytes, key.len, &options,
				 &getting.download);
	if (result == BRINE_MISS)
		return miss(cli);
	if (result < 0)
		return report_failure(cli, result);
	getting.buffer = malloc(GET_WHOLE);
	if (getting.buffer)
		status = get_bytes(&getting);
	else
		report(cli, "out of memory");
	status = getting.buffer ? status : EXIT_OTHER;
	free(getting.buffer);
	brine_get_end(&getting.download);
	return status;
}
