/* get.c - brine get: writes a value out, however long it is, in bounded memory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/command.h"
#include "client/cli/operand.h"
#include "client/cli/progress.h"
#include "client/cli/report.h"
#include "client/cli/show.h"
#include "client/cli/sink.h"
#include "client/cli/spool.h"

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
		.stale_ok = option_given(options, OPTION_STALE_OK),
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
	char text[SHOW_INTEGER_MAX];
	size_t len;
	int status =
		show_integer(getting->cli, getting->buffer, (size_t)count, text, &len);

	return status == EXIT_DONE ? write_out(getting, text, len) : status;
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
		if (!getting->open && !counter &&
		    show_garbles(getting->cli, getting->buffer, (size_t)count, more))
			return show_refuse_terminal(
				getting->cli,
				brine_download_meta(getting->download)->length);
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

/* Of a value that is looked at whole: as JSON, and one that had to be waited for. */
static int
get_whole(struct cli *cli, const struct operand_key *key, int result,
	  struct brine_value *value)
{
	int status;

	if (result == BRINE_MISS)
		return miss(cli);
	if (result < 0)
		return report_failure(cli, result);
	status = show_value(cli, key, value);
	brine_value_release(&value);
	return status;
}

static int
wait_for_it(struct cli *cli, const struct operand_key *key,
	    const struct brine_get_options *options)
{
	uint64_t wait_ms = cli->options.number[OPTION_WAIT];
	struct brine_lease_options wait = {
		.max_age_ms = options->max_age_ms,
		.stale_ok = options->stale_ok,
		.only_wait = 1,
		.wait_ms = wait_ms == UINT64_MAX ? 0 : wait_ms,
	};
	struct brine_value *value = NULL;
	struct brine_lease lease; /* none is granted to who only waits */
	int result = brine_get_or_lease(cli->brine, key->bytes, key->len, &wait, &value,
					&lease);

	return get_whole(cli, key, result, value);
}

/* In bounded memory. Returns BRINE_MISS with nothing reported, else BRINE_DONE and the exit status. */
static int
get_stream(struct cli *cli, const struct operand_key *key,
	   const struct brine_get_options *options, int *ret_status)
{
	struct getting getting = { .cli = cli, .last = '\n' };
	int result = brine_get_begin(cli->brine, key->bytes, key->len, options,
				     &getting.download);

	if (result == BRINE_MISS)
		return BRINE_MISS;
	if (result < 0) {
		*ret_status = report_failure(cli, result);
		return BRINE_DONE;
	}
	getting.buffer = malloc(GET_WHOLE);
	if (getting.buffer) {
		*ret_status = get_bytes(&getting);
	} else {
		report(cli, "out of memory");
		*ret_status = EXIT_OTHER;
	}
	free(getting.buffer);
	brine_get_end(&getting.download);
	return BRINE_DONE;
}

int
command_get(struct cli *cli)
{
	struct brine_get_options options = get_options(&cli->options);
	struct brine_value *value = NULL;
	struct operand_key key;
	int result, status = show_check(cli);

	if (status == EXIT_DONE)
		status = operand_key(cli, cli->operands[0], &key);
	if (status != EXIT_DONE)
		return status;
	if (!option_given(&cli->options, OPTION_JSON)) {
		if (get_stream(cli, &key, &options, &status) == BRINE_DONE)
			return status;
		return option_given(&cli->options, OPTION_WAIT)
			       ? wait_for_it(cli, &key, &options)
			       : miss(cli);
	}
	if (option_given(&cli->options, OPTION_WAIT))
		return wait_for_it(cli, &key, &options);
	result = brine_get(cli->brine, key.bytes, key.len, &options, &value);
	return get_whole(cli, &key, result, value);
}
