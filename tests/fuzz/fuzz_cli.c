/* fuzz_cli.c - any bytes as arguments of the command line, as a key that somebody wrote, and as one to show. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/command.h"
#include "client/cli/keytext.h"
#include "client/cli/option.h"
#include "client/cli/units.h"
#include "client/cli/utf8.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

#define ARGUMENTS_MAX 64

static void
read_arguments(char *text)
{
	char *arguments[ARGUMENTS_MAX], error[OPTION_ERROR_MAX] = "";
	const char *operands[ARGUMENTS_MAX];
	struct options options;
	size_t count = 0, operand_count;

	for (char *argument; count < ARGUMENTS_MAX && (argument = strsep(&text, "\n"));)
		arguments[count++] = argument;
	if (option_parse(arguments, count, &options, operands, &operand_count, error)) {
		assert(error[0] != 0);
		return;
	}
	assert(operand_count <= count);
	for (size_t i = 0; i < operand_count; i++)
		command_meant(operands[i]);
}

/* What is shown as Python's literal, and is one, reads back as the same key. */
static void
show_key(const void *key, size_t len)
{
	char shown[KEYTEXT_MAX], why[KEYTEXT_WHY_MAX];
	struct brine_key room;
	const void *again;
	size_t again_len;

	for (int form = KEYTEXT_TEXT; form <= KEYTEXT_BASE64; form++) {
		size_t shown_len = keytext_show(key, len, (enum keytext_form)form, shown);

		assert(shown_len == strlen(shown) && utf8_valid(shown, shown_len));
	}
	assert(keytext_read(shown, KEYTEXT_BASE64, &room, &again, &again_len, why) == 0);
	assert(again_len == len && memcmp(again, key, len) == 0);
	keytext_show(key, len, KEYTEXT_PYTHON, shown);
	if (shown[0] == '<' || keytext_shortened(len))
		return;
	assert(keytext_read(shown, KEYTEXT_PYTHON, &room, &again, &again_len, why) == 0);
	assert(again_len == len && memcmp(again, key, len) == 0);
}

static void
read_key(const char *text)
{
	char why[KEYTEXT_WHY_MAX];
	struct brine_key room;
	const void *key;
	size_t len;

	for (int form = KEYTEXT_TEXT; form <= KEYTEXT_BASE64; form++) {
		why[0] = 0;
		if (keytext_read(text, (enum keytext_form)form, &room, &key, &len, why)) {
			assert(why[0] != 0);
			continue;
		}
		assert(brine_key_valid(key, len));
		show_key(key, len);
	}
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	char *text = malloc(len + 1);
	uint64_t us;

	if (!text)
		return 0;
	memcpy(text, bytes, len);
	text[len] = 0;
	if (brine_key_valid(bytes, len))
		show_key(bytes, len);
	read_key(text);
	duration_parse(text, &us);
	read_arguments(text);
	free(text);
	return 0;
}
