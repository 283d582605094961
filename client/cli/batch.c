/* batch.c - brine del and brine touch: one request for each of many keys, many in flight. */
#include <stdio.h>
#include <stdlib.h>

#include "client/cli/command.h"
#include "client/cli/operand.h"
#include "client/cli/report.h"

#define BATCH_MAX 128

struct batch {
	struct cli *cli;
	struct brine_request model; /* what all of them share */
	struct operand_key keys[BATCH_MAX];
	struct brine_request requests[BATCH_MAX];
	struct brine_reply replies[BATCH_MAX];
	uint64_t done, missing;
	int status; /* the worst so far */
};

static void
note(struct batch *batch, int status)
{
	if (status > batch->status)
		batch->status = status;
}

static void
look_at(struct batch *batch, const char *written, int result)
{
	if (result == BRINE_DONE) {
		batch->done++;
	} else if (result == BRINE_MISS) {
		batch->missing++;
		note(batch, report_miss(batch->cli, "no such object: %s", written));
	} else {
		note(batch, report_key_failure(batch->cli, written, result));
	}
}

static void
run_some(struct batch *batch, const char *const *written, size_t count)
{
	int result;

	for (size_t i = 0; i < count; i++) {
		batch->requests[i] = batch->model;
		batch->requests[i].key = batch->keys[i].bytes;
		batch->requests[i].key_len = batch->keys[i].len;
	}
	result = brine_many(batch->cli->brine, batch->requests, count, batch->replies);
	/* One sentence for what ended the connection; what was answered before counts. */
	if (result < 0)
		note(batch, report_failure(batch->cli, result));
	for (size_t i = 0; i < count; i++)
		if (result >= 0 || batch->replies[i].result != result)
			look_at(batch, written[i], batch->replies[i].result);
	brine_replies_release(batch->replies, count);
}

/* A key that cannot be read stops everything before anything is done. */
static int
check_keys(struct cli *cli)
{
	struct operand_key key;

	for (size_t i = 0; i < cli->operand_count; i++)
		if (operand_key(cli, cli->operands[i], &key) != EXIT_DONE)
			return EXIT_USAGE;
	return EXIT_DONE;
}

static void
run_all(struct batch *batch)
{
	struct cli *cli = batch->cli;

	for (size_t at = 0; at < cli->operand_count; at += BATCH_MAX) {
		size_t count = cli->operand_count - at;

		count = count < BATCH_MAX ? count : BATCH_MAX;
		for (size_t i = 0; i < count; i++)
			operand_key(cli, cli->operands[at + i], &batch->keys[i]);
		run_some(batch, cli->operands + at, count);
		if (batch->status == EXIT_UNREACHABLE)
			break;
	}
}

static int
run(struct cli *cli, const struct brine_request *model, const char *name)
{
	struct batch *batch;
	struct json json;
	int status = check_keys(cli);

	if (status != EXIT_DONE)
		return status;
	batch = calloc(1, sizeof(*batch));
	if (!batch) {
		report(cli, "out of memory");
		return EXIT_OTHER;
	}
	batch->cli = cli;
	batch->model = *model;
	run_all(batch);
	if (option_given(&cli->options, OPTION_JSON)) {
		json_begin(&json, stdout);
		json_number(&json, name, batch->done);
		json_number(&json, "missing", batch->missing);
		json_end(&json);
	}
	status = batch->status;
	free(batch);
	return status;
}

int
command_del(struct cli *cli)
{
	struct brine_request model = {
		.command = BRINE_DELETE,
		.version = cli->options.number[OPTION_IF_VERSION],
		.ack = operand_ack(&cli->options),
	};

	if (option_given(&cli->options, OPTION_IF_VERSION) && cli->operand_count > 1)
		return report_usage(cli, "--if-version goes with one key, not with %zu.",
				    cli->operand_count);
	return run(cli, &model, "deleted");
}

int
command_touch(struct cli *cli)
{
	struct brine_request model = {
		.command = BRINE_TOUCH,
		.ttl_ms = cli->options.number[OPTION_TTL],
		.ack = operand_ack(&cli->options),
	};

	if (!option_given(&cli->options, OPTION_TTL))
		return report_usage(cli,
				    "say how long from now: --ttl 10m, or --ttl never.");
	return run(cli, &model, "touched");
}
