/* json.c - writes JSON. Borrows the stream. */
#include "client/cli/json.h"

#include <inttypes.h>
#include <string.h>

#include "client/cli/base64.h"
#include "client/cli/utf8.h"

static void
write_character(FILE *to, uint32_t character, const char *bytes, size_t size)
{
	static const char named[] = "\"\"\\\\\bb\ff\nn\rr\tt";

	for (const char *name = named; character < 0x80 && *name; name += 2)
		if ((uint32_t)*name == character) {
			fprintf(to, "\\%c", name[1]);
			return;
		}
	if (utf8_shows(character))
		fwrite(bytes, 1, size, to);
	else
		fprintf(to, "\\u%04" PRIx32, character);
}

static void
write_string(FILE *to, const char *text, size_t len)
{
	uint32_t character;
	size_t size;

	fputc('"', to);
	for (; len; text += size, len -= size) {
		size = utf8_read(text, len, &character);
		if (size) {
			write_character(to, character, text, size);
		} else {
			fputs("\\ufffd", to);
			size = 1;
		}
	}
	fputc('"', to);
}

static void
write_name(struct json *json, const char *name, size_t len)
{
	if (json->comma)
		fputs(", ", json->to);
	json->comma = true;
	write_string(json->to, name, len);
	fputs(": ", json->to);
}

void
json_begin(struct json *json, FILE *to)
{
	json->to = to;
	json->comma = false;
	fputc('{', to);
}

void
json_end(struct json *json)
{
	fputs("}\n", json->to);
}

void
json_string(struct json *json, const char *name, const void *text, size_t len)
{
	write_name(json, name, strlen(name));
	write_string(json->to, text, len);
}

void
json_number(struct json *json, const char *name, uint64_t number)
{
	write_name(json, name, strlen(name));
	fprintf(json->to, "%" PRIu64, number);
}

void
json_integer(struct json *json, const char *name, int64_t number)
{
	write_name(json, name, strlen(name));
	fprintf(json->to, "%" PRId64, number);
}

void
json_bool(struct json *json, const char *name, bool value)
{
	write_name(json, name, strlen(name));
	fputs(value ? "true" : "false", json->to);
}

void
json_null(struct json *json, const char *name)
{
	write_name(json, name, strlen(name));
	fputs("null", json->to);
}

void
json_base64(struct json *json, const char *name, const void *bytes, size_t len)
{
	char letters[BASE64_SIZE(3072)];
	const uint8_t *from = bytes;

	write_name(json, name, strlen(name));
	fputc('"', json->to);
	while (len) {
		size_t part = len < 3072 ? len : 3072;

		fwrite(letters, 1, base64_encode(from, part, letters), json->to);
		from += part;
		len -= part;
	}
	fputc('"', json->to);
}

void
json_raw(struct json *json, const char *name, size_t name_len, const char *value,
	 size_t len)
{
	write_name(json, name, name_len);
	fwrite(value, 1, len, json->to);
}

void
json_open(struct json *json, const char *name, size_t name_len)
{
	write_name(json, name, name_len);
	fputc('{', json->to);
	json->comma = false;
}

void
json_close(struct json *json)
{
	fputc('}', json->to);
	json->comma = true;
}
