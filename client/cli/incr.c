/* incr.c - brine incr: counts. */
#include <inttypes.h>
#include <stdio.h>

#include "client/cli/command.h"
#include "client/cli/operand.h"
#include "client/cli/report.h"
#include "client/cli/units.h"

static int
read_delta(struct cli *cli, int64_t *ret_delta)
{
	*ret_delta = 1;
	if (cli->operand_count < 2 || integer_parse(cli->operands[1], ret_delta) == 0)
		return EXIT_DONE;
	return report_usage(cli, "'%s' is no integer of 64 bits.", cli->operands[1]);
}

static int
report_incr(const struct cli *cli, int error)
{
	const char *key = cli->operands[0];

	if (error == -BRINE_ERROR_NOT_A_COUNTER)
		report(cli,
		       "the value of %s is no integer; `brine put --int -v 0 %s` makes it one",
		       key, key);
	else if (error == -BRINE_ERROR_OVERFLOW)
		report(cli,
		       "%s would pass what 64 bits hold, and stays as it is; `brine get %s` "
		       "shows it",
		       key, key);
	else
		return report_failure(cli, error);
	return EXIT_REFUSED;
}

int
command_incr(struct cli *cli)
{
	const struct options *given = &cli->options;
	struct brine_incr_options options = {
		.initial = (int64_t)given->number[OPTION_INITIAL],
		.ttl_ms = given->number[OPTION_TTL],
		.only_if_present = option_given(given, OPTION_IF_PRESENT),
		.ack = operand_ack(given),
	};
	struct operand_key key;
	struct json json;
	int64_t delta, value;
	int result, status = operand_key(cli, cli->operands[0], &key);

	if (status == EXIT_DONE)
		status = read_delta(cli, &delta);
	if (status != EXIT_DONE)
		return status;
	result = brine_incr(cli->brine, key.bytes, key.len, delta, &options, &value);
	if (result < 0)
		return report_incr(cli, result);
	if (!option_given(given, OPTION_JSON)) {
		printf("%" PRId64 "\n", value);
		return EXIT_DONE;
	}
	json_begin(&json, stdout);
	operand_write_key(&json, cli, key.bytes, key.len);
	json_integer(&json, "value", value);
	json_end(&json);
	return EXIT_DONE;
}
