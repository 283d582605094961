/* config.c - brine config: the options of the daemon that runs, and where each came from. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/report.h"

#define WORDS 5
#define VALUE_WIDTH 24

/* One line: the option, its value, what that comes to ("": just that), `live` or `start`, where it came from. */
struct setting {
	const char *words[WORDS];
	size_t lens[WORDS];
};
enum word { NAME, VALUE, EFFECT, WHEN, ORIGIN };

/* The next line of the text, from *position on. Words of a later release behind the known ones are passed over. */
static bool
next_setting(const struct brine_value *text, size_t *position,
	     struct setting *ret_setting)
{
	const char *at = (const char *)brine_value_data(text) + *position;
	const char *end = (const char *)brine_value_data(text) + brine_value_len(text);
	const char *line_end = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
	struct setting setting = { .words = { 0 } };

	if (!line_end)
		return false;
	for (size_t i = 0; i < WORDS; i++) {
		const char *stop = memchr(at, '\t', (size_t)(line_end - at));

		if (!stop)
			stop = line_end;
		setting.words[i] = at;
		setting.lens[i] = (size_t)(stop - at);
		at = stop < line_end ? stop + 1 : line_end;
	}
	*position = (size_t)(line_end + 1 - (const char *)brine_value_data(text));
	*ret_setting = setting;
	return true;
}

static bool
is(const struct setting *setting, enum word word, const char *text)
{
	return setting->lens[word] == strlen(text) &&
	       memcmp(setting->words[word], text, setting->lens[word]) == 0;
}

static void
write_line(const struct setting *setting)
{
	enum word shown = setting->lens[EFFECT] ? EFFECT : VALUE;
	int len = (int)setting->lens[shown];

	printf("%-16.*s  %.*s", (int)setting->lens[NAME], setting->words[NAME],
	       len ? len : 1, len ? setting->words[shown] : "-");
	printf("%*s  %.*s%s\n", len < VALUE_WIDTH ? VALUE_WIDTH - (len ? len : 1) : 0, "",
	       (int)setting->lens[ORIGIN], setting->words[ORIGIN],
	       is(setting, WHEN, "start") ? "  (changes with the next start)" : "");
}

static void
write_json(struct json *json, const struct setting *setting)
{
	json_open(json, setting->words[NAME], setting->lens[NAME]);
	json_string(json, "value", setting->words[VALUE], setting->lens[VALUE]);
	if (setting->lens[EFFECT])
		json_string(json, "effect", setting->words[EFFECT],
			    setting->lens[EFFECT]);
	json_string(json, "origin", setting->words[ORIGIN], setting->lens[ORIGIN]);
	json_bool(json, "live", !is(setting, WHEN, "start"));
	json_close(json);
}

int
command_config(struct cli *cli)
{
	bool as_json = option_given(&cli->options, OPTION_JSON);
	struct brine_value *text;
	struct setting setting;
	size_t position = 0;
	struct json json;
	int result = brine_config(cli->brine, &text);

	if (result < 0)
		return report_failure(cli, result);
	if (as_json)
		json_begin(&json, stdout);
	while (next_setting(text, &position, &setting)) {
		if (as_json)
			write_json(&json, &setting);
		else
			write_line(&setting);
	}
	if (as_json)
		json_end(&json);
	brine_value_release(&text);
	return EXIT_DONE;
}
