/* import.c - brine import: stores what brine export wrote. An object is stored whole, once its checksum is known to be
 * right, or not at all. */
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/archive.h"
#include "client/cli/codec.h"
#include "client/cli/command.h"
#include "client/cli/progress.h"
#include "client/cli/report.h"
#include "client/cli/units.h"

/* What is sent together: so many values, and of them so many bytes; one of more than a piece goes by itself. */
#define GROUP_MAX 128
#define GROUP_BYTES ((size_t)8 << 20)

struct importing {
	struct cli *cli;
	const char *name; /* of the namespace it goes to */
	struct source source;
	struct archive_reader reader;
	struct progress progress;
	bool check_only;
	bool own_file; /* nobody but this user could have written it */
	uint64_t stored, expired, kept, pickles, refused, lost;
	int refusal; /* the first error of those that were refused */
	/* The group that gathers. */
	size_t count;
	size_t bytes;
	struct brine_request requests[GROUP_MAX];
	struct brine_reply replies[GROUP_MAX];
	unsigned char keys[GROUP_MAX][BRINE_KEY_MAX];
	unsigned char values[GROUP_BYTES + 2 * ARCHIVE_PIECE_MAX];
};

static volatile sig_atomic_t interrupted;

static void
on_signal(int number)
{
	interrupted = number;
}

static void
heed_signals(void)
{
	static const int numbers[] = { SIGINT, SIGTERM, SIGHUP };
	struct sigaction action = { .sa_handler = on_signal };

	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaction(numbers[i], &action, NULL);
}

static uint64_t
wall_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

/* ---- whether an object is wanted */

/* What is loaded as code would be loaded as this user's own from now on: it has to be, by the word of a file that
 * nobody else could have written. */
static bool
is_trusted(const struct importing *importing, const struct archive_object *object)
{
	if (!codec_runs_code(object->codec) ||
	    option_given(&importing->cli->options, OPTION_PICKLES))
		return true;
	return importing->own_file && object->writer == brine_uid(importing->cli->brine);
}

/* Counts those that are not. */
static bool
wanted(struct importing *importing, const struct archive_object *object)
{
	if (object->expires_ms != BRINE_NEVER && object->expires_ms <= wall_ms()) {
		importing->expired++;
		return false;
	}
	if (is_trusted(importing, object))
		return true;
	importing->pickles++;
	return false;
}

static uint64_t
ttl_of(const struct archive_object *object)
{
	uint64_t now_ms = wall_ms();

	if (object->expires_ms == BRINE_NEVER)
		return BRINE_NEVER;
	return object->expires_ms > now_ms ? object->expires_ms - now_ms : 1;
}

static uint8_t
condition(const struct importing *importing)
{
	return option_given(&importing->cli->options, OPTION_IF_ABSENT) ? BRINE_IF_ABSENT
									: BRINE_ALWAYS;
}

/* ---- storing */

/* EXIT_DONE: the others may go on. */
static int
take_result(struct importing *importing, int result)
{
	if (result >= 0) {
		importing->stored++;
		return EXIT_DONE;
	}
	if (result == -BRINE_ERROR_EXISTS) {
		importing->kept++;
		return EXIT_DONE;
	}
	if (brine_error_class(result) != BRINE_REFUSAL)
		return report_failure(importing->cli, result);
	if (!importing->refused++)
		importing->refusal = result;
	/* What refuses one for its namespace refuses all. */
	if (result == -BRINE_ERROR_BAD_NAMESPACE || result == -BRINE_ERROR_FORBIDDEN)
		return report_failure(importing->cli, result);
	return EXIT_DONE;
}

static int
flush(struct importing *importing)
{
	int status = EXIT_DONE;

	if (importing->count)
		brine_many(importing->cli->brine, importing->requests, importing->count,
			   importing->replies);
	for (size_t i = 0; i < importing->count && status == EXIT_DONE; i++)
		status = take_result(importing, importing->replies[i].result);
	brine_replies_release(importing->replies, importing->count);
	importing->count = 0;
	importing->bytes = 0;
	return status;
}

/* Its value is the len bytes behind those that have gathered. */
static int
gather(struct importing *importing, const struct archive_object *object, size_t len)
{
	size_t i = importing->count++;

	memcpy(importing->keys[i], object->key, object->key_len);
	importing->requests[i] =
		(struct brine_request){ .command = BRINE_PUT,
					.namespace_name = importing->name,
					.key = importing->keys[i],
					.key_len = object->key_len,
					.value = importing->values + importing->bytes,
					.value_len = len,
					.ttl_ms = ttl_of(object),
					.cost_us = object->cost_us,
					.codec = object->codec,
					.kind = (uint8_t)object->kind,
					.condition = condition(importing),
					.stale_ms = object->stale_for_ms };
	importing->bytes += len;
	if (importing->count == GROUP_MAX || importing->bytes > GROUP_BYTES)
		return flush(importing);
	return EXIT_DONE;
}

/* The rest of a value whose first piece is in the buffer. The upload ends when the checksum is known. */
static enum archive_answer
feed(struct importing *importing, struct brine_upload *upload, size_t len,
     int *ret_result)
{
	enum archive_answer answer;

	*ret_result = brine_put_write(upload, importing->values, len);
	while ((answer = archive_read(&importing->reader, importing->values, &len)) ==
	       ARCHIVE_MORE) {
		progress_add(&importing->progress, len);
		/* After a refusal the rest is only read, for what follows it. */
		if (*ret_result >= 0)
			*ret_result = brine_put_write(upload, importing->values, len);
		if (interrupted)
			break;
	}
	return answer;
}

static enum archive_answer
store_large(struct importing *importing, const struct archive_object *object, size_t len,
	    int *ret_status)
{
	const struct brine_put_options options = { .namespace_name = importing->name,
						   .ttl_ms = ttl_of(object),
						   .cost_us = object->cost_us,
						   .codec = object->codec,
						   .kind = (uint8_t)object->kind,
						   .condition = condition(importing),
						   .stale_ms = object->stale_for_ms };
	struct brine_upload *upload = NULL;
	enum archive_answer answer = ARCHIVE_MORE;
	int result = brine_put_begin(importing->cli->brine, object->key, object->key_len,
				     BRINE_UNKNOWN, &options, &upload);

	if (result >= 0)
		answer = feed(importing, upload, len, &result);
	while (result < 0 && answer == ARCHIVE_MORE && !interrupted)
		answer = archive_read(&importing->reader, importing->values, &len);
	if (result >= 0 && answer == ARCHIVE_LAST)
		result = brine_put_finish(&upload, NULL);
	else
		brine_put_abort(&upload);
	if (result < 0 || answer == ARCHIVE_LAST)
		*ret_status = take_result(importing, result);
	return answer;
}

/* Reads over a value that is not wanted. */
static enum archive_answer
skip(struct importing *importing)
{
	enum archive_answer answer;
	size_t len;

	while ((answer = archive_read(&importing->reader, importing->values, &len)) ==
		       ARCHIVE_MORE &&
	       !interrupted)
		progress_add(&importing->progress, len);
	return answer;
}

/* Returns what its end was. */
static enum archive_answer
take_object(struct importing *importing, const struct archive_object *object,
	    int *ret_status)
{
	unsigned char *to = importing->values + importing->bytes;
	enum archive_answer answer;
	size_t len = 0, more = 0;

	if (importing->check_only || !wanted(importing, object))
		return skip(importing);
	answer = archive_read(&importing->reader, to, &len);
	progress_add(&importing->progress, len);
	if (answer == ARCHIVE_MORE && object->length > len) {
		/* The buffer is needed from its start, and the handle for the upload alone. */
		*ret_status = flush(importing);
		memmove(importing->values, to, len);
		if (*ret_status != EXIT_DONE)
			return answer;
		return store_large(importing, object, len, ret_status);
	}
	if (answer == ARCHIVE_MORE)
		answer = archive_read(&importing->reader, to + len, &more);
	if (answer == ARCHIVE_MORE)
		return ARCHIVE_WRONG; /* it is longer than it said */
	if (answer == ARCHIVE_LAST)
		*ret_status = gather(importing, object, len);
	return answer;
}

/* ---- the whole file */

static const char *
what_is_wrong(const struct importing *importing, enum archive_answer answer)
{
	switch (answer) {
	case ARCHIVE_CUT:
		return "the file is cut short";
	case ARCHIVE_OTHER:
		return "the file has a format of a later release";
	case ARCHIVE_FAILED:
		return strerror(importing->reader.error);
	case ARCHIVE_MEMORY:
		return "out of memory";
	default:
		return importing->reader.at <= 24 ? "this is no export of brine"
						  : "the file is damaged";
	}
}

static int
report_wrong(const struct importing *importing, enum archive_answer answer, bool first)
{
	char stored[UNITS_TEXT_MAX];

	number_show(importing->stored, stored);
	if (first || importing->check_only)
		report(importing->cli,
		       "%s: %s (near byte %" PRIu64 "); nothing was stored",
		       importing->source.name, what_is_wrong(importing, answer),
		       importing->reader.at);
	else
		report(importing->cli,
		       "%s: %s (near byte %" PRIu64
		       "); %s objects before that are stored, "
		       "the rest is not",
		       importing->source.name, what_is_wrong(importing, answer),
		       importing->reader.at, stored);
	return EXIT_OTHER;
}

/* Reads all of it, and stores it, or only looks whether it is whole. */
static int
read_all(struct importing *importing)
{
	struct archive_object object;
	enum archive_answer answer = archive_open(&importing->reader, &importing->source);
	int status = EXIT_DONE;

	if (answer != ARCHIVE_MORE)
		return report_wrong(importing, answer, true);
	if (!importing->name)
		importing->name = importing->reader.name;
	while (status == EXIT_DONE && !interrupted) {
		answer = archive_next(&importing->reader, &object);
		if (answer != ARCHIVE_MORE)
			break;
		answer = take_object(importing, &object, &status);
		importing->lost += answer == ARCHIVE_VOID;
		if (answer < ARCHIVE_VOID)
			break;
	}
	if (status == EXIT_DONE)
		status = flush(importing);
	if (status != EXIT_DONE || interrupted)
		return status;
	return answer == ARCHIVE_LAST ? EXIT_DONE
				      : report_wrong(importing, answer, false);
}

static void
say_count(const struct importing *importing, uint64_t count, const char *what)
{
	char number[UNITS_TEXT_MAX];

	if (!count)
		return;
	number_show(count, number);
	report(importing->cli, "%s objects %s", number, what);
}

/* What this user may want to know; and, always, what of the file is not stored. */
static int
say_what_it_came_to(const struct importing *importing)
{
	if (report_to_person(importing->cli)) {
		say_count(importing, importing->stored, "stored");
		say_count(importing, importing->kept, "were there already");
	}
	say_count(importing, importing->expired, "have expired meanwhile; not stored");
	say_count(importing, importing->lost, "were not exported whole; not stored");
	say_count(
		importing, importing->pickles,
		"run code when they are loaded, and another user wrote them or this file; "
		"not stored (--pickles stores them as yours)");
	if (importing->refused) {
		say_count(importing, importing->refused,
			  "were refused; the first because:");
		report(importing->cli, "%s", brine_error_text(importing->refusal));
	}
	return importing->refused || importing->pickles ? EXIT_REFUSED : EXIT_DONE;
}

static void
say_interrupted(const struct importing *importing)
{
	char stored[UNITS_TEXT_MAX];

	number_show(importing->stored, stored);
	report(importing->cli, "interrupted: %s objects are stored, the rest is not",
	       stored);
	signal(interrupted, SIG_DFL);
	raise(interrupted);
}

/* A file can be looked at before anything of it is stored. */
static int
check_first(struct importing *importing)
{
	off_t start = lseek(importing->source.fd, 0, SEEK_CUR);
	int status;

	if (importing->source.length == BRINE_UNKNOWN || start < 0)
		return EXIT_DONE;
	importing->check_only = true;
	progress_begin(&importing->progress, report_to_person(importing->cli),
		       importing->source.length);
	status = read_all(importing);
	progress_end(&importing->progress);
	importing->check_only = false;
	importing->name = option_given(&importing->cli->options, OPTION_NAMESPACE)
				  ? importing->name
				  : NULL;
	importing->lost = 0;
	importing->source.ended = false;
	archive_reader_done(&importing->reader);
	if (status == EXIT_DONE && lseek(importing->source.fd, start, SEEK_SET) < 0) {
		report(importing->cli, "cannot read %s again: %s", importing->source.name,
		       strerror(errno));
		return EXIT_OTHER;
	}
	return status;
}

static int
import(struct importing *importing)
{
	struct cli *cli = importing->cli;
	int result, status;

	progress_begin(&importing->progress, report_to_person(cli),
		       importing->source.length);
	status = read_all(importing);
	progress_end(&importing->progress);
	archive_reader_done(&importing->reader);
	if (importing->check_only)
		return status;
	/* What was stored is to stay, also if the machine goes down now. */
	result = importing->stored ? brine_sync(cli->brine) : BRINE_DONE;
	if (interrupted)
		say_interrupted(importing);
	if (status == EXIT_DONE && result < 0)
		return report_failure(cli, result);
	return status == EXIT_DONE ? say_what_it_came_to(importing) : status;
}

static bool
is_own(const struct importing *importing)
{
	struct stat status;

	return fstat(importing->source.fd, &status) == 0 && S_ISREG(status.st_mode) &&
	       status.st_uid == geteuid() && !(status.st_mode & (S_IWGRP | S_IWOTH));
}

int
command_import(struct cli *cli)
{
	const char *path = cli->operand_count ? cli->operands[0] : NULL;
	struct importing *importing;
	int result, status;

	if (!path && isatty(STDIN_FILENO))
		return report_usage(cli, "name a file, or redirect one.");
	importing = calloc(1, sizeof(*importing));
	if (!importing) {
		report(cli, "out of memory");
		return EXIT_OTHER;
	}
	importing->cli = cli;
	result = source_open(&importing->source, path);
	if (result < 0) {
		report(cli, "cannot read %s: %s", path ? path : "standard input",
		       strerror(-result));
		free(importing);
		return EXIT_OTHER;
	}
	heed_signals();
	if (option_given(&cli->options, OPTION_NAMESPACE))
		importing->name = cli->options.text[OPTION_NAMESPACE];
	importing->own_file = is_own(importing);
	importing->check_only = option_given(&cli->options, OPTION_CHECK);
	status = importing->check_only ? EXIT_DONE : check_first(importing);
	if (status == EXIT_DONE && !interrupted)
		status = import(importing);
	else if (interrupted)
		say_interrupted(importing);
	source_close(&importing->source);
	free(importing);
	return status;
}
