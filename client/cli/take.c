/* take.c - brine take: gets a value and removes it. */
#include <unistd.h>

#include "client/cli/command.h"
#include "client/cli/operand.h"
#include "client/cli/report.h"
#include "client/cli/show.h"

static int
miss(const struct cli *cli)
{
	return report_miss(cli, "no such object: %s", cli->operands[0]);
}

/* What could not be written belongs to the next one; nobody's newer value is replaced by it. */
static void
put_back(struct cli *cli, const struct operand_key *key, const struct brine_value *value)
{
	const struct brine_meta *meta = brine_value_meta(value);
	struct brine_put_options options = {
		.ttl_ms = meta->ttl_left_ms,
		.cost_us = meta->cost_us,
		.codec = meta->codec,
		.kind = (uint8_t)meta->kind,
		.condition = BRINE_IF_ABSENT,
		.ack = operand_ack(&cli->options),
	};
	int result = brine_put(cli->brine, key->bytes, key->len, brine_value_data(value),
			       brine_value_len(value), &options, NULL);

	if (result < 0)
		report(cli, "%s was taken, and is lost: %s", cli->operands[0],
		       brine_message(cli->brine));
	else
		report(cli, "%s was stored again, without its tags", cli->operands[0]);
}

/* A terminal is not to be shown what would garble it, and then nothing may be taken. */
static int
look_first(struct cli *cli, const struct operand_key *key)
{
	struct brine_value *value;
	int result, status = EXIT_DONE;

	if (option_given(&cli->options, OPTION_JSON) ||
	    cli->options.text[OPTION_OUTPUT] || !isatty(STDOUT_FILENO))
		return EXIT_DONE;
	result = brine_get(cli->brine, key->bytes, key->len, NULL, &value);
	if (result == BRINE_MISS)
		return miss(cli);
	if (result < 0)
		return report_failure(cli, result);
	if (brine_value_meta(value)->kind != BRINE_COUNTER &&
	    show_garbles(cli, brine_value_data(value), brine_value_len(value), false))
		status = show_refuse_terminal(cli, brine_value_len(value));
	brine_value_release(&value);
	return status;
}

int
command_take(struct cli *cli)
{
	struct brine_delete_options options = {
		.version = cli->options.number[OPTION_IF_VERSION],
		.ack = operand_ack(&cli->options),
	};
	struct brine_value *value;
	struct operand_key key;
	int result, status = show_check(cli);

	if (status == EXIT_DONE)
		status = operand_key(cli, cli->operands[0], &key);
	if (status == EXIT_DONE)
		status = look_first(cli, &key);
	if (status != EXIT_DONE)
		return status;
	result = brine_take(cli->brine, key.bytes, key.len, &options, &value);
	if (result == BRINE_MISS)
		return miss(cli);
	if (result < 0)
		return report_failure(cli, result);
	status = show_value(cli, &key, value);
	if (status != EXIT_DONE)
		put_back(cli, &key, value);
	brine_value_release(&value);
	return status;
}
