/* show.c - shows values to people, files and programs. Owns nothing but the sink that it opens. */
#include "client/cli/show.h"

#include <endian.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "client/cli/report.h"
#include "client/cli/sink.h"
#include "client/cli/units.h"
#include "client/cli/utf8.h"

bool
show_garbles(const struct cli *cli, const void *bytes, size_t len, bool more)
{
	size_t cut = more && len >= 3 ? 3 : 0; /* the last character may go on */

	if (cli->options.text[OPTION_OUTPUT] || !isatty(STDOUT_FILENO))
		return false;
	if (memchr(bytes, 0, len))
		return true;
	for (size_t left = 0; left <= cut; left++)
		if (utf8_valid(bytes, len - left))
			return false;
	return true;
}

int
show_refuse_terminal(const struct cli *cli, uint64_t length)
{
	char size[UNITS_TEXT_MAX];

	size_show(length, size);
	report(cli,
	       "the value (%s) is no text, and would garble the terminal; -o FILE writes it "
	       "to a file, and a pipe takes it as it is (so does -o -)",
	       size);
	return EXIT_OTHER;
}

int
show_integer(const struct cli *cli, const void *bytes, size_t len,
	     char to[static SHOW_INTEGER_MAX], size_t *ret_len)
{
	uint64_t bits;

	if (len != sizeof(bits)) {
		report(cli, "an integer of %zu bytes, not 8: what stored it?", len);
		return EXIT_OTHER;
	}
	memcpy(&bits, bytes, sizeof(bits));
	*ret_len = (size_t)snprintf(to, SHOW_INTEGER_MAX, "%" PRId64,
				    (int64_t)le64toh(bits));
	return EXIT_DONE;
}

/* "value" of a text or an integer, "value_base64" of other bytes. */
static void
write_json(const struct cli *cli, const struct operand_key *key,
	   const struct brine_value *value)
{
	const struct brine_meta *meta = brine_value_meta(value);
	const void *bytes = brine_value_data(value);
	size_t len = brine_value_len(value);
	struct json json;
	uint64_t bits;

	json_begin(&json, stdout);
	operand_write_key(&json, cli, key->bytes, key->len);
	operand_write_meta(&json, meta, false);
	if (meta->kind == BRINE_COUNTER && len == sizeof(bits)) {
		memcpy(&bits, bytes, sizeof(bits));
		json_integer(&json, "value", (int64_t)le64toh(bits));
	} else if (utf8_valid(bytes, len)) {
		json_string(&json, "value", bytes, len);
	} else {
		json_base64(&json, "value_base64", bytes, len);
	}
	json_end(&json);
}

static int
report_sink(const struct cli *cli, const char *name, int error)
{
	report(cli, "cannot write to %s: %s", name, strerror(-error));
	return EXIT_OTHER;
}

/* A prompt stands on a line of its own; a pipe and a file get the value and nothing else. */
static int
write_bytes(const struct cli *cli, const char *bytes, size_t len)
{
	const char *path = cli->options.text[OPTION_OUTPUT];
	struct sink sink;
	int result = sink_open(&sink, path);

	if (result)
		return report_sink(cli, path, result);
	result = sink_write(&sink, bytes, len);
	if (result == 0 && sink.fd == STDOUT_FILENO && len && bytes[len - 1] != '\n' &&
	    isatty(STDOUT_FILENO))
		result = sink_write(&sink, "\n", 1);
	if (result == 0)
		result = sink_finish(&sink);
	if (result == 0)
		return EXIT_DONE;
	sink_abandon(&sink);
	return report_sink(cli, sink.name, result);
}

int
show_value(const struct cli *cli, const struct operand_key *key,
	   const struct brine_value *value)
{
	const void *bytes = brine_value_data(value);
	size_t len = brine_value_len(value);
	char text[SHOW_INTEGER_MAX];
	int status;

	if (option_given(&cli->options, OPTION_JSON)) {
		write_json(cli, key, value);
		return EXIT_DONE;
	}
	if (brine_value_meta(value)->kind == BRINE_COUNTER) {
		status = show_integer(cli, bytes, len, text, &len);
		return status == EXIT_DONE ? write_bytes(cli, text, len) : status;
	}
	if (show_garbles(cli, bytes, len, false))
		return show_refuse_terminal(cli, len);
	return write_bytes(cli, bytes, len);
}

int
show_check(const struct cli *cli)
{
	if (option_given(&cli->options, OPTION_JSON) &&
	    option_given(&cli->options, OPTION_OUTPUT))
		return report_usage(cli, "--json and --output exclude each other.");
	return EXIT_DONE;
}
