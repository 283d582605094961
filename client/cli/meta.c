/* meta.c - brine meta: everything about an object but its value. */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "client/cli/codec.h"
#include "client/cli/command.h"
#include "client/cli/keytext.h"
#include "client/cli/operand.h"
#include "client/cli/report.h"
#include "client/cli/units.h"

static void
write_line(const char *name, const char *value)
{
	printf("%-9s  %s\n", name, value);
}

static void
write_size(uint64_t length)
{
	char size[UNITS_TEXT_MAX], exact[UNITS_TEXT_MAX], text[80];

	size_show(length, size);
	number_show(length, exact);
	if (length < 1024)
		snprintf(text, sizeof(text), "%s %s", exact,
			 length == 1 ? "byte" : "bytes");
	else
		snprintf(text, sizeof(text), "%s (%s bytes)", size, exact);
	write_line("size", text);
}

static void
write_codec(const struct brine_meta *meta)
{
	char codec[CODEC_TEXT_MAX], text[CODEC_TEXT_MAX + 16];

	codec_show_long(meta->codec, codec);
	snprintf(text, sizeof(text), "%s%s", codec,
		 meta->kind == BRINE_COUNTER ? " (counter)" : "");
	write_line("codec", text);
}

static void
write_times(const struct brine_meta *meta)
{
	char age[UNITS_TEXT_MAX], left[UNITS_TEXT_MAX], text[64];

	milliseconds_show(meta->age_ms, age);
	write_line("age", age);
	if (meta->ttl_left_ms == BRINE_NEVER) {
		write_line("expires", "never");
		return;
	}
	milliseconds_show(meta->ttl_left_ms, left);
	snprintf(text, sizeof(text), "in %s", left);
	write_line("expires", text);
}

static void
write_people(const struct cli *cli, const struct operand_key *key,
	     const struct brine_meta *meta)
{
	char shown[KEYTEXT_MAX], text[64];
	int form = operand_form(&cli->options);

	keytext_show(key->bytes, key->len, (enum keytext_form)form, shown);
	write_line("key", shown);
	write_size(meta->length);
	write_codec(meta);
	snprintf(text, sizeof(text), "%llu", (unsigned long long)meta->version);
	write_line("version", text);
	write_times(meta);
	if (meta->writer_uid != BRINE_NOBODY) {
		snprintf(text, sizeof(text), "uid %u%s", (unsigned)meta->writer_uid,
			 meta->writer_uid == geteuid() ? " (you)" : "");
		write_line("writer", text);
	}
	if (meta->cost_us) {
		duration_show(meta->cost_us, text);
		write_line("cost", text);
	}
}

int
command_meta(struct cli *cli)
{
	struct brine_meta meta;
	struct operand_key key;
	struct json json;
	int result = operand_key(cli, cli->operands[0], &key);

	if (result != EXIT_DONE)
		return result;
	result = brine_meta(cli->brine, key.bytes, key.len, NULL, &meta);
	if (result == BRINE_MISS)
		return report_miss(cli, "no such object: %s", cli->operands[0]);
	if (result < 0)
		return report_failure(cli, result);
	if (!option_given(&cli->options, OPTION_JSON)) {
		write_people(cli, &key, &meta);
		return EXIT_DONE;
	}
	json_begin(&json, stdout);
	operand_write_key(&json, cli, key.bytes, key.len);
	operand_write_meta(&json, &meta, false);
	json_end(&json);
	return EXIT_DONE;
}
