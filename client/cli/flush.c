/* flush.c - brine flush and brine sync: what concerns a whole namespace, or the whole daemon. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/report.h"

/* Is it wanted? Only a person can be asked; a script has thought about it. */
static bool
confirmed(const struct cli *cli)
{
	char answer[16];

	if (option_given(&cli->options, OPTION_YES) || !isatty(STDIN_FILENO) ||
	    !isatty(STDERR_FILENO))
		return true;
	fprintf(stderr, "Remove every object of namespace %s? [y/N] ",
		report_namespace(cli));
	if (!fgets(answer, sizeof(answer), stdin))
		return false;
	return strcmp(answer, "y\n") == 0 || strcmp(answer, "Y\n") == 0 ||
	       strcmp(answer, "yes\n") == 0;
}

int
command_flush(struct cli *cli)
{
	const char *name = report_namespace(cli);
	struct json json;
	int result;

	if (!confirmed(cli)) {
		report(cli, "nothing was removed");
		return EXIT_OTHER;
	}
	result = brine_flush(cli->brine, NULL);
	if (result < 0)
		return report_failure(cli, result);
	if (option_given(&cli->options, OPTION_JSON)) {
		json_begin(&json, stdout);
		json_string(&json, "flushed", name, strlen(name));
		json_end(&json);
	}
	return EXIT_DONE;
}

int
command_sync(struct cli *cli)
{
	struct json json;
	int result = brine_sync(cli->brine);

	if (result < 0)
		return report_failure(cli, result);
	if (option_given(&cli->options, OPTION_JSON)) {
		json_begin(&json, stdout);
		json_bool(&json, "synced", true);
		json_end(&json);
	}
	return EXIT_DONE;
}
