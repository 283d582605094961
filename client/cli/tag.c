/* tag.c - reads tags, and brine invalidate. Owns nothing. */
#include "client/cli/tag.h"

#include <stdio.h>
#include <string.h>

#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/operand.h"
#include "client/cli/report.h"

static int
add(const struct cli *cli, struct tags *tags, const char *text)
{
	size_t len = strlen(text);

	if (brine_tags_add(tags->bytes, &tags->len, text, len) == BRINE_DONE)
		return EXIT_DONE;
	if (len == 0 || len > 255)
		return report_usage(
			cli, "the tag '%.40s%s' has %zu bytes; it must have 1 to 255.",
			text, len > 40 ? "..." : "", len);
	return report_usage(cli, "too many tags, from '%s' on; 16 is the most.", text);
}

int
tag_options(const struct cli *cli, struct tags *ret_tags)
{
	size_t position = 0;
	const char *text;
	int status = EXIT_DONE;

	ret_tags->len = 0;
	while (status == EXIT_DONE &&
	       (text = option_next(&cli->options, OPTION_TAG, &position)))
		status = add(cli, ret_tags, text);
	return status;
}

int
command_invalidate(struct cli *cli)
{
	struct tags tags = { .len = 0 };
	struct json json;
	int result;

	for (size_t i = 0; i < cli->operand_count; i++) {
		int status = add(cli, &tags, cli->operands[i]);

		if (status != EXIT_DONE)
			return status;
	}
	result = brine_invalidate(cli->brine, tags.bytes, tags.len, NULL,
				  operand_ack(&cli->options));
	if (result < 0)
		return report_failure(cli, result);
	if (option_given(&cli->options, OPTION_JSON)) {
		json_begin(&json, stdout);
		json_number(&json, "invalidated_tags", cli->operand_count);
		json_end(&json);
	}
	return EXIT_DONE;
}
