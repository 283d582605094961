/* help.c - writes help from the tables of commands and options. Owns nothing. */
#include "client/cli/help.h"

#include <string.h>

#include "client/cli/report.h"

#define HELP_WIDTH 80
#define HELP_INDENT 2
#define HELP_COLUMN 26

/* Writes text from the column on, in lines that end within HELP_WIDTH; the first starts at `at`. */
static void
write_wrapped(FILE *to, const char *text, size_t at, size_t column)
{
	if (at + 2 > column) {
		fputc('\n', to);
		at = 0;
	}
	fprintf(to, "%*s", (int)(column - at), "");
	at = column;
	while (*text) {
		size_t len = strcspn(text, " ");

		if (at > column && at + 1 + len > HELP_WIDTH) {
			fprintf(to, "\n%*s", (int)column, "");
			at = column;
		} else if (at > column) {
			fputc(' ', to);
			at++;
		}
		fwrite(text, 1, len, to);
		at += len;
		text += len + (text[len] == ' ');
	}
	fputc('\n', to);
}

static void
write_option(FILE *to, const struct option *option)
{
	char left[64];
	int len = HELP_INDENT;

	if (option->letter)
		len += snprintf(left, sizeof(left), "-%c, ", option->letter);
	else
		len += snprintf(left, sizeof(left), "    ");
	snprintf(left + 4, sizeof(left) - 4, "--%s%s%s", option->name,
		 option->argument && option->form != OPTION_PAUSE ? " " : "",
		 option->argument ? option->argument : "");
	len = fprintf(to, "%*s%s", HELP_INDENT, "", left);
	write_wrapped(to, option->help, (size_t)len, HELP_COLUMN);
}

static void
write_options(FILE *to, const char *title, uint64_t options)
{
	if (!options)
		return;
	fprintf(to, "\n%s\n", title);
	for (size_t i = 0; i < OPTION_COUNT; i++)
		if (options & OPTION_BIT(i))
			write_option(to, &option_table[i]);
}

void
help_all(FILE *to)
{
	fputs("Usage: brine [OPTION]... COMMAND [OPERAND]...\n"
	      "\n"
	      "Brine keeps what programs computed: values under keys, shared by all programs\n"
	      "of this machine, there again after a crash and a reboot.\n"
	      "\n"
	      "Commands:\n",
	      to);
	for (size_t i = 0; i < COMMAND_COUNT; i++) {
		const struct command *command = &command_table[i];
		int len = fprintf(to, "%*s%s %s", HELP_INDENT, "", command->name,
				  command->operands);

		write_wrapped(to, command->help, (size_t)len, HELP_COLUMN);
	}
	write_options(to, "Options of every command:", OPTION_COMMON);
	fputs("\n"
	      "Examples:\n"
	      "  echo hello | brine put greeting --ttl 10m\n"
	      "  brine get greeting\n"
	      "  brine keys --long\n"
	      "\n"
	      "Options may stand before and behind operands; -- ends them.\n"
	      "Exit status: 0 done or hit, 1 miss, 2 usage, 3 no daemon, 4 refused, 5 other.\n"
	      "`brine help COMMAND` says more about a command, brine(1) all of it.\n",
	      to);
}

void
help_command(FILE *to, const struct command *command)
{
	fprintf(to, "Usage: brine %s%s%s%s\n\n", command->name,
		command->options ? " [OPTION]..." : "", *command->operands ? " " : "",
		command->operands);
	fprintf(to, "%c%s.\n\n%s", command->help[0] - 'a' + 'A', command->help + 1,
		command->more);
	write_options(to, "Options:", command->options);
	if (command->starts != COMMAND_ALONE)
		write_options(to, "Options of every command:", OPTION_COMMON);
}

int
help_unknown(const struct cli *cli, const char *name)
{
	const char *advice = command_advice(name);
	const struct command *meant = command_meant(name);

	if (advice)
		return report_usage(cli, "there is no command %s: %s.", name, advice);
	if (meant)
		return report_usage(cli, "there is no command %s; did you mean %s?", name,
				    meant->name);
	return report_usage(cli, "there is no command %s.", name);
}

int
command_help(struct cli *cli)
{
	const struct command *command;

	if (!cli->operand_count) {
		help_all(stdout);
		return EXIT_DONE;
	}
	command = command_find(cli->operands[0]);
	if (command) {
		help_command(stdout, command);
		return EXIT_DONE;
	}
	return help_unknown(cli, cli->operands[0]);
}
