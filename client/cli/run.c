/* run.c - brine run: runs a command once, and afterwards replays what it wrote and how it ended.
 *
 * The cache may be away, full or broken: the command runs all the same, and what cannot be kept is said. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "client/cli/child.h"
#include "client/cli/command.h"
#include "client/cli/executable.h"
#include "client/cli/report.h"
#include "client/cli/runkey.h"
#include "client/cli/runstore.h"
#include "client/cli/sink.h"
#include "client/cli/source.h"
#include "client/cli/tag.h"
#include "client/cli/transcript.h"
#include "client/cli/units.h"

#define RUN_TTL_MS (UINT64_C(3600) * 1000)
/* How often an answer that is of no use is asked for again. */
#define RUN_TRIES 4
#define BLOCK 65536
/* Who computes, for what the command itself runs with `brine run`: in hexadecimal. */
#define HOLDER_VARIABLE "BRINE_HOLDER"

struct run {
	struct cli *cli;
	const char **arguments; /* end with NULL */
	char path[PATH_MAX];
	struct spool input; /* standard input, kept; fd -1: none */
	uint8_t input_digest[BLAKE2B_DIGEST];
	struct tags tags;
	struct runkey_subject subject;
	struct runkey key;
	uint64_t max_value; /* the daemon's */
	struct brine_lease lease;
	struct transcript *transcript; /* NULL once it is not to be kept */
	struct child_end end;
	uint64_t took_us;
	bool quiet;
};

/* ---- a run that is not kept */

static void
say_not_kept(const struct run *run, const char *why)
{
	if (!run->quiet)
		report(run->cli, "not kept: %s", why);
}

static int
open_null(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

static int
report_start(const struct run *run, int error)
{
	const char *name = run->arguments[0];

	if (error == -ENOENT)
		report(run->cli, "%s: command not found", name);
	else
		report(run->cli, "cannot run %s: %s", name, strerror(-error));
	return executable_status(error);
}

/* The command takes the place of this program. */
static int
run_plainly(struct run *run)
{
	int input = run->input.fd;

	if (input < 0 && !option_given(&run->cli->options, OPTION_STDIN))
		input = open_null();
	if (input >= 0)
		dup2(input, STDIN_FILENO);
	return report_start(run, executable_run(run->path, run->arguments));
}

/* ---- what is kept */

static int
write_piece(void *arg, int stream, const void *bytes, size_t len)
{
	struct sink sink = { .fd = stream };

	(void)arg;
	return sink_write(&sink, bytes, len);
}

/* Returns the exit status of the command, or -1 with nothing written: this is of no use. */
static int
replay(struct run *run, const struct brine_value *value)
{
	struct cli *cli = run->cli;
	struct hoard pieces;
	int status;
	char age[UNITS_TEXT_MAX];
	int result = runstore_load(cli->brine, &run->key, value, &status, &pieces);

	if (result < 0)
		return -1;
	if (status != 0 && !option_given(&cli->options, OPTION_KEEP_FAILURES)) {
		hoard_close(&pieces);
		return -1;
	}
	milliseconds_show(brine_value_meta(value)->age_ms, age);
	if (report_to_person(cli))
		report(cli, "replayed from %s ago; --refresh runs it anew", age);
	result = transcript_walk(&pieces, write_piece, NULL);
	hoard_close(&pieces);
	if (result == 0)
		return status;
	report(cli, "cannot write what was kept: %s", strerror(-result));
	return EXIT_OTHER;
}

/* ---- keeping it */

static void
release(struct run *run, enum brine_give_up why)
{
	const struct operand_key *key = &run->key.key;

	if (run->lease.state == BRINE_LEASE_GRANTED)
		brine_release(run->cli->brine, key->bytes, key->len, NULL,
			      run->lease.token, why);
	run->lease.state = BRINE_LEASE_NONE;
}

static struct brine_put_options
put_options(const struct run *run)
{
	const struct options *given = &run->cli->options;

	return (struct brine_put_options){
		.ttl_ms = option_given(given, OPTION_TTL) ? given->number[OPTION_TTL]
							  : RUN_TTL_MS,
		.cost_us = run->took_us,
		.tags = run->tags.bytes,
		.tags_len = run->tags.len,
		.token =
			run->lease.state == BRINE_LEASE_GRANTED ? run->lease.token : NULL,
	};
}

/* That the key was changed meanwhile, by an invalidation perhaps, is as it should be. */
static void
publish(struct run *run)
{
	struct brine_put_options options = put_options(run);
	int result = runstore_put(run->cli->brine, &run->key, &run->transcript->hoard,
				  run->end.status, &options);

	if (result >= 0) {
		run->lease.state = BRINE_LEASE_NONE;
		return;
	}
	if (result == -BRINE_ERROR_OLD_TOKEN) {
		if (report_to_person(run->cli))
			say_not_kept(run, "it was invalidated, or the daemon ended, "
					  "while the command ran");
	} else {
		say_not_kept(run, *brine_message(run->cli->brine)
					  ? brine_message(run->cli->brine)
					  : brine_error_text(result));
	}
	release(run, BRINE_CANNOT_BE_KEPT);
}

/* ---- running it */

static void
drop(struct run *run)
{
	if (run->transcript)
		transcript_close(run->transcript);
	free(run->transcript);
	run->transcript = NULL;
}

/* The others need not wait for what will not be there. */
static void
refuse_transcript(struct run *run, int error)
{
	char limit[UNITS_TEXT_MAX], why[160];

	size_show(run->max_value, limit);
	if (error == -EFBIG)
		snprintf(why, sizeof(why),
			 "the output is larger than this daemon takes (max_value, %s)",
			 limit);
	else
		snprintf(why, sizeof(why), "no room for a copy of the output: %s",
			 strerror(-error));
	say_not_kept(run, why);
	drop(run);
	release(run, BRINE_CANNOT_BE_KEPT);
}

static void
on_wrote(void *arg, int stream, const void *bytes, size_t len)
{
	struct run *run = arg;
	int result = 0;

	if (run->transcript)
		result = transcript_add(run->transcript, stream, bytes, len);
	if (result)
		refuse_transcript(run, result);
}

static void
on_signalled(void *arg)
{
	struct run *run = arg;

	drop(run);
	release(run, BRINE_FAILED);
}

static uint64_t
clock_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void
open_transcript(struct run *run)
{
	int result = -ENOMEM;

	run->transcript = malloc(sizeof(*run->transcript));
	if (run->transcript)
		result = transcript_open(run->transcript, run->max_value);
	if (result == 0)
		return;
	free(run->transcript);
	run->transcript = NULL;
	refuse_transcript(run, result);
}

/* Decides whether what is there now may be kept, and does it. */
static void
keep(struct run *run)
{
	bool failures = option_given(&run->cli->options, OPTION_KEEP_FAILURES);
	int result = run->transcript ? transcript_finish(run->transcript) : 0;

	if (result)
		refuse_transcript(run, result);
	if (!run->transcript)
		return;
	if (run->end.output_error || run->end.by_signal ||
	    (run->end.status != 0 && !failures)) {
		release(run, BRINE_FAILED);
	} else if (runkey_changed(run->cli, &run->key)) {
		say_not_kept(run, "a file of --file changed while the command ran");
		release(run, BRINE_FAILED);
	} else {
		publish(run);
	}
}

static int
compute(struct run *run)
{
	int input = run->input.fd >= 0 ? run->input.fd : open_null();
	const struct child_plan plan = {
		.path = run->path,
		.arguments = run->arguments,
		.input = input,
		.wrote = on_wrote,
		.signalled = on_signalled,
		.arg = run,
	};
	uint64_t began_us = clock_us();
	int result;

	open_transcript(run);
	result = input < 0 ? -errno : child_run(&plan, &run->end);
	run->took_us = clock_us() - began_us;
	if (result == 0)
		keep(run);
	drop(run);
	release(run, BRINE_FAILED);
	if (input >= 0 && input != run->input.fd)
		close(input);
	if (result)
		return report_start(run, result);
	if (!run->end.output_error)
		return run->end.status;
	report(run->cli, "cannot write to standard %s: %s",
	       run->end.failed_stream == 1 ? "output" : "error",
	       strerror(-run->end.output_error));
	return EXIT_OTHER;
}

/* ---- looking for it */

/* The number that this computation and all that it runs have in common. */
static uint64_t
find_holder(void)
{
	const char *given = getenv(HOLDER_VARIABLE);
	uint64_t holder = given ? strtoull(given, NULL, 16) : 0;
	char text[17];

	if (holder)
		return holder;
	if (getrandom(&holder, sizeof(holder), 0) != sizeof(holder) || !holder)
		return 0;
	snprintf(text, sizeof(text), "%016" PRIx64, holder);
	setenv(HOLDER_VARIABLE, text, 1);
	return holder;
}

static struct brine_lease_options
lease_options(const struct run *run)
{
	const struct options *given = &run->cli->options;
	uint64_t max_age_us = given->number[OPTION_MAX_AGE];

	return (struct brine_lease_options){
		.max_age_ms = max_age_us / 1000 + (max_age_us % 1000 != 0),
		.holder = find_holder(),
	};
}

/* Runs it whatever is kept, and without waiting for a run that began earlier. */
static int
refresh(struct run *run)
{
	struct brine_lease_options options = lease_options(run);
	const struct operand_key *key = &run->key.key;
	struct brine *brine = run->cli->brine;
	struct brine_value *value;
	struct brine_meta meta;

	if (brine_meta(brine, key->bytes, key->len, NULL, &meta) == BRINE_HIT)
		options.not_version = meta.version;
	options.wait_ms = BRINE_NO_WAIT;
	if (brine_get_or_lease(brine, key->bytes, key->len, &options, &value,
			       &run->lease) == BRINE_HIT)
		brine_value_release(&value);
	return compute(run);
}

static int
replay_or_compute(struct run *run)
{
	struct brine_lease_options options = lease_options(run);
	const struct operand_key *key = &run->key.key;
	struct brine *brine = run->cli->brine;
	struct brine_value *value;

	for (int tries = 0; tries < RUN_TRIES; tries++) {
		int result = brine_get_or_lease(brine, key->bytes, key->len, &options,
						&value, &run->lease);

		if (result < 0) {
			say_not_kept(run, brine_message(brine));
			return run_plainly(run);
		}
		if (result == BRINE_MISS)
			break;
		result = replay(run, value);
		/* One that is of no use is absent. */
		options.not_version = brine_value_meta(value)->version;
		brine_value_release(&value);
		if (result >= 0)
			return result;
	}
	return compute(run);
}

/* ---- what is to be run */

static int
keep_input(struct run *run)
{
	struct blake2b hash;
	struct source source;
	char *buffer = malloc(BLOCK);
	int64_t count = 0;
	int result = buffer ? source_open(&source, NULL) : -ENOMEM;

	if (result == 0)
		result = spool_open(&run->input);
	blake2b_begin(&hash);
	while (result == 0 && (count = source_read(&source, buffer, BLOCK, -1)) > 0) {
		blake2b_add(&hash, buffer, (size_t)count);
		result = spool_add(&run->input, buffer, (size_t)count);
	}
	free(buffer);
	if (result == 0 && count < 0)
		result = (int)count;
	if (result) {
		report(run->cli,
		       "cannot keep standard input for the command: %s; it was not run",
		       strerror(-result));
		return EXIT_OTHER;
	}
	blake2b_end(&hash, run->input_digest);
	run->subject.input = run->input_digest;
	return EXIT_DONE;
}

/* Is there a daemon that could keep it? Says why not, unless the user switched it off. */
static bool
can_be_kept(struct run *run)
{
	const char *unknown = runkey_unknown(&run->subject);
	struct brine_daemon daemon;
	char why[200];
	int result;

	if (unknown) {
		snprintf(
			why, sizeof(why),
			"%.80s is a pipe, and what it will give is not known; name a file, "
			"or use --stdin",
			unknown);
		say_not_kept(run, why);
		return false;
	}
	result = brine_ping(run->cli->brine, &daemon);
	if (result < 0 && result != -BRINE_ERROR_DISABLED)
		say_not_kept(run, brine_message(run->cli->brine));
	if (result < 0)
		return false;
	run->max_value = daemon.max_value;
	return true;
}

static int
prepare(struct run *run)
{
	struct cli *cli = run->cli;
	int result, status = tag_options(cli, &run->tags);

	if (status == EXIT_DONE && option_given(&cli->options, OPTION_JSON))
		status = report_usage(cli, "it writes what the command writes; there is "
					   "no --json of that.");
	if (status != EXIT_DONE)
		return status;
	run->arguments = calloc(cli->operand_count + 1, sizeof(*run->arguments));
	if (!run->arguments) {
		report(cli, "out of memory");
		return EXIT_OTHER;
	}
	memcpy(run->arguments, cli->operands,
	       cli->operand_count * sizeof(*run->arguments));
	result = executable_find(run->arguments[0], run->path);
	if (result)
		return report_start(run, result);
	run->subject.path = run->path;
	run->subject.arguments = run->arguments;
	return EXIT_DONE;
}

static int
run_it(struct run *run)
{
	const struct options *given = &run->cli->options;
	int status = EXIT_DONE;

	if (!can_be_kept(run))
		return run_plainly(run);
	if (option_given(given, OPTION_STDIN))
		status = keep_input(run);
	if (status == EXIT_DONE)
		status = runkey_make(run->cli, &run->subject, &run->key);
	if (status != EXIT_DONE)
		return status;
	return option_given(given, OPTION_REFRESH) ? refresh(run)
						   : replay_or_compute(run);
}

int
command_run(struct cli *cli)
{
	struct run run = {
		.cli = cli,
		.input.fd = -1,
		.quiet = option_given(&cli->options, OPTION_QUIET),
	};
	int status = prepare(&run);

	if (status == EXIT_DONE)
		status = run_it(&run);
	if (run.input.fd >= 0)
		spool_close(&run.input);
	free(run.arguments);
	return status;
}
