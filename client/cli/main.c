/* main.c - the `brine` command: reads the arguments, opens the handle, runs one command. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/command.h"
#include "client/cli/help.h"
#include "client/cli/report.h"

/* Half done is worse than late. */
#define LONG_TIMEOUT_MS 30000

/* Where one of the three standard descriptors is closed, the next open() would take its number, and values
 * would be written into a socket. Opened the wrong way round, so that using it fails as it should. */
static void
fill_descriptors(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF)
			open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY);
}

/* A full disk may be told as late as here. */
static int
finish_output(const struct cli *cli, int status)
{
	int failed = ferror(stdout), error = errno;

	if (fflush(stdout) != 0 && !failed) {
		failed = 1;
		error = errno;
	}
	if (!failed && close(STDOUT_FILENO) != 0 && errno != EBADF) {
		failed = 1;
		error = errno;
	}
	if (!failed)
		return status;
	report(cli, "cannot write to standard output: %s", strerror(error));
	return EXIT_OTHER;
}

static int
open_handle(struct cli *cli)
{
	static const int autostart[] = {
		[COMMAND_WAKES] = BRINE_START_STORED,
		[COMMAND_STARTS] = BRINE_START,
	};
	const struct options *options = &cli->options;
	struct brine_options to = {
		.socket = options->text[OPTION_SOCKET],
		.namespace_name = options->text[OPTION_NAMESPACE],
		.autostart = autostart[cli->command->starts],
		.trust_server_uid = option_given(options, OPTION_TRUST_UID),
		.server_uid = (uint32_t)options->number[OPTION_TRUST_UID],
	};
	int result;

	if (to.socket && !*to.socket)
		return report_usage(cli, "--socket needs a path; this one is empty.");
	if (options->number[OPTION_TRUST_UID] > UINT32_MAX)
		return report_usage(cli, "--trust-uid %s: not a uid.",
				    options->text[OPTION_TRUST_UID]);
	if (option_given(options, OPTION_TIMEOUT))
		to.timeout_ms = options->number[OPTION_TIMEOUT] > INT64_MAX
					? -1
					: (int64_t)options->number[OPTION_TIMEOUT];
	else if (command_is_long(cli->command))
		to.timeout_ms = LONG_TIMEOUT_MS;
	result = brine_open(&to, &cli->brine);
	if (result == 0)
		return EXIT_DONE;
	if (result != -BRINE_ERROR_BAD_ARGUMENT)
		return report_failure(cli, result);
	if (!to.socket || strlen(to.socket) < PATH_MAX)
		return report_bad_namespace(cli);
	return report_usage(cli, "the socket has to be a path shorter than 4,096 bytes.");
}

static int
check_operands(const struct cli *cli)
{
	const struct command *command = cli->command;
	enum option_id foreign = option_foreign(&cli->options, command->options);

	if (foreign != OPTION_COUNT)
		return report_usage(cli, "--%s is not an option of %s.",
				    option_table[foreign].name, command->name);
	if (cli->operand_count < command->min)
		return report_usage(cli, "a %.*s is missing.",
				    (int)strcspn(command->operands, " ."),
				    command->operands);
	if (cli->operand_count > command->max)
		return report_usage(cli, "too many operands, from '%s' on.",
				    cli->operands[command->max]);
	return EXIT_DONE;
}

static int
run_command(struct cli *cli)
{
	int status = check_operands(cli);

	if (status != EXIT_DONE)
		return status;
	if (cli->command->starts == COMMAND_ALONE)
		return cli->command->run(cli);
	status = open_handle(cli);
	if (status != EXIT_DONE)
		return status;
	status = cli->command->run(cli);
	brine_close(&cli->brine);
	return status;
}

/* The first operand names the command, and the rest are its own. */
static int
choose(struct cli *cli, const char *const *operands, size_t count)
{
	if (option_given(&cli->options, OPTION_VERSION)) {
		printf("brine %s\n", brine_version());
		return EXIT_DONE;
	}
	if (!count) {
		help_all(option_given(&cli->options, OPTION_HELP) ? stdout : stderr);
		return option_given(&cli->options, OPTION_HELP) ? EXIT_DONE : EXIT_USAGE;
	}
	cli->command = command_find(operands[0]);
	if (!cli->command)
		return help_unknown(cli, operands[0]);
	cli->operands = operands + 1;
	cli->operand_count = count - 1;
	if (!option_given(&cli->options, OPTION_HELP))
		return run_command(cli);
	help_command(stdout, cli->command);
	return EXIT_DONE;
}

/* An argument that cannot be read still stands behind a command, whose help is the one to see. */
static int
refuse_arguments(struct cli *cli, char *const *arguments, const char *error)
{
	for (; !cli->command && *arguments; arguments++)
		cli->command = command_find(*arguments);
	return report_usage(cli, "%s", error);
}

int
main(int argc, char **argv)
{
	const char **operands = calloc(argc > 0 ? (size_t)argc : 1, sizeof(*operands));
	char error[OPTION_ERROR_MAX];
	struct cli cli = { 0 };
	size_t count = 0;
	int status;

	fill_descriptors();
	/* Whoever reads our output may stop when he has enough; that is no failure to speak of. */
	signal(SIGPIPE, SIG_DFL);
	if (!operands) {
		report(&cli, "out of memory");
		return EXIT_OTHER;
	}
	if (argc > 1 && option_parse(argv + 1, (size_t)argc - 1, &cli.options, operands,
				     &count, error))
		status = refuse_arguments(&cli, argv + 1, error);
	else
		status = choose(&cli, operands, count);
	free(operands);
	return finish_output(&cli, status);
}
