/* operand.c - reads keys for all commands, and writes keys and metadata as JSON. Owns nothing. */
#include "client/cli/operand.h"

#include <string.h>

#include "client/cli/codec.h"
#include "client/cli/keytext.h"
#include "client/cli/report.h"

int
operand_form(const struct options *options)
{
	return option_given(options, OPTION_KEY_AS) ? (int)options->number[OPTION_KEY_AS]
						    : KEYTEXT_TEXT;
}

int
operand_key(const struct cli *cli, const char *written, struct operand_key *ret_key)
{
	char why[KEYTEXT_WHY_MAX];

	if (keytext_read(written, (enum keytext_form)operand_form(&cli->options),
			 &ret_key->room, &ret_key->bytes, &ret_key->len, why))
		return report_usage(cli, "key '%s': %s.", written, why);
	return EXIT_DONE;
}

uint8_t
operand_ack(const struct options *options)
{
	if (!option_given(options, OPTION_ACK))
		return BRINE_ACK_DEFAULT;
	return options->number[OPTION_ACK] ? BRINE_ACK_DISK : BRINE_ACK_MEMORY;
}

void
operand_write_key(struct json *json, const struct cli *cli, const void *key, size_t len)
{
	char text[KEYTEXT_MAX];
	const char *type = keytext_type(key, len);
	int form = operand_form(&cli->options);

	if (form == KEYTEXT_TEXT && !keytext_shortened(len) &&
	    strcmp(type, "text") == 0) {
		json_string(json, "key", key, len);
		json_string(json, "type", type, strlen(type));
		return;
	}
	json_string(json, "key", text,
		    keytext_show(key, len, (enum keytext_form)form, text));
	json_string(json, "type", type, strlen(type));
	json_base64(json, "raw", key, len);
	if (keytext_shortened(len))
		json_bool(json, "shortened", true);
}

static void
write_time_left(struct json *json, uint64_t ms)
{
	if (ms == BRINE_NEVER)
		json_null(json, "ttl_left_ms");
	else
		json_number(json, "ttl_left_ms", ms);
}

void
operand_write_meta(struct json *json, const struct brine_meta *meta, bool entry)
{
	char codec[CODEC_TEXT_MAX];

	codec_show(meta->codec, codec);
	json_number(json, "length", meta->length);
	json_string(json, "kind", meta->kind == BRINE_COUNTER ? "counter" : "blob",
		    meta->kind == BRINE_COUNTER ? 7 : 4);
	json_string(json, "codec", codec, strlen(codec));
	json_number(json, "codec_number", meta->codec);
	json_number(json, "version", meta->version);
	if (!entry)
		json_number(json, "age_ms", meta->age_ms);
	write_time_left(json, meta->ttl_left_ms);
	if (meta->stale_ms)
		json_number(json, "stale_ms", meta->stale_ms);
	if (meta->writer_uid != BRINE_NOBODY)
		json_number(json, "writer_uid", meta->writer_uid);
	if (!entry && meta->cost_us)
		json_number(json, "cost_us", meta->cost_us);
}
