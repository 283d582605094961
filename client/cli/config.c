/* config.c - brine config: the options and sections of the daemon that runs, and where each setting came from. */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "client/cli/command.h"
#include "client/cli/json.h"
#include "client/cli/report.h"

#define WORDS 5
#define NAME_WIDTH 16
#define VALUE_WIDTH 24
#define GAP 2
#define SCREEN 80

/* One line: the option, its value, what that comes to ("": just that), `live` or `start`, where it came from. */
struct setting {
	const char *
		section; /* what stands between the brackets before the name; empty: it is an option */
	size_t section_len;
	const char *words[WORDS];
	size_t lens[WORDS];
};
enum word { NAME, VALUE, EFFECT, WHEN, ORIGIN };

/* `[namespace /models] quota` is the quota of the section. */
static void
split_section(struct setting *setting)
{
	const char *name = setting->words[NAME];
	size_t len = setting->lens[NAME];
	const char *end = len && name[0] == '[' ? memchr(name, ']', len) : NULL;
	size_t before = end ? (size_t)(end - name) + 2 : 0;

	if (!end || before > len)
		return;
	setting->section = name + 1;
	setting->section_len = before - 3;
	setting->words[NAME] += before;
	setting->lens[NAME] -= before;
}

/* The next line of the text, from *position on. Words of a later release behind the known ones are passed over. */
static bool
next_setting(const struct brine_value *text, size_t *position,
	     struct setting *ret_setting)
{
	const char *at = (const char *)brine_value_data(text) + *position;
	const char *end = (const char *)brine_value_data(text) + brine_value_len(text);
	const char *line_end = at < end ? memchr(at, '\n', (size_t)(end - at)) : NULL;
	struct setting setting = { .section = "" };

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
	split_section(&setting);
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

/* How much of a list goes onto this line: up to a blank, as far as there is one. */
static size_t
fitting(const char *text, size_t len)
{
	size_t most = SCREEN - NAME_WIDTH - GAP, at = most;

	if (len <= most)
		return len;
	while (at && text[at] != ' ')
		at--;
	return at ? at : len;
}

/* Of several lines if it must be; what stands behind it then has a line of its own. Returns the width it has there. */
static size_t
write_value(const char *text, size_t len, size_t behind)
{
	size_t part;

	if (len <= VALUE_WIDTH || NAME_WIDTH + GAP + len + GAP + behind <= SCREEN) {
		printf("%.*s", (int)len, text);
		return len;
	}
	for (;;) {
		part = fitting(text, len);
		printf("%.*s\n", (int)part, text);
		if (part == len)
			break;
		text += part + 1;
		len -= part + 1;
		printf("%*s", NAME_WIDTH + GAP, "");
	}
	printf("%*s", NAME_WIDTH + GAP, "");
	return 0;
}

static void
write_line(const struct setting *setting)
{
	enum word shown = setting->lens[EFFECT] ? EFFECT : VALUE;
	bool empty = setting->lens[shown] == 0;
	size_t width;

	printf("%-*.*s  ", NAME_WIDTH, (int)setting->lens[NAME], setting->words[NAME]);
	width = write_value(empty ? "-" : setting->words[shown],
			    empty ? 1 : setting->lens[shown], setting->lens[ORIGIN]);
	printf("%*s  %.*s%s\n", width < VALUE_WIDTH ? (int)(VALUE_WIDTH - width) : 0, "",
	       (int)setting->lens[ORIGIN], setting->words[ORIGIN],
	       is(setting, WHEN, "start") ? "  (changes with the next start)" : "");
}

static bool
same_section(const struct setting *setting, const struct setting *other)
{
	return setting->section_len == other->section_len &&
	       memcmp(setting->section, other->section, setting->section_len) == 0;
}

/* As the file has them: the options, then section by section. */
static void
write_table(const struct brine_value *text)
{
	struct setting setting, before = { .section = "" };
	size_t position = 0;

	while (next_setting(text, &position, &setting)) {
		if (!same_section(&setting, &before))
			printf("\n[%.*s]\n", (int)setting.section_len, setting.section);
		write_line(&setting);
		before = setting;
	}
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

static void
write_options(struct json *json, const struct brine_value *text)
{
	struct setting setting;
	size_t position = 0;

	while (next_setting(text, &position, &setting))
		if (!setting.section_len)
			write_json(json, &setting);
}

/* The sections whose heads begin like this, by the name behind it; each is an object like that of the options. */
static void
write_sections(struct json *json, const struct brine_value *text, const char *member,
	       const char *head)
{
	struct setting setting, before = { .section = "" };
	size_t position = 0, len = strlen(head);

	json_open(json, member, strlen(member));
	while (next_setting(text, &position, &setting)) {
		if (setting.section_len <= len || memcmp(setting.section, head, len) != 0)
			continue;
		if (!same_section(&setting, &before)) {
			if (before.section_len)
				json_close(json);
			json_open(json, setting.section + len, setting.section_len - len);
		}
		write_json(json, &setting);
		before = setting;
	}
	if (before.section_len)
		json_close(json);
	json_close(json);
}

int
command_config(struct cli *cli)
{
	struct brine_value *text;
	struct json json;
	int result = brine_config(cli->brine, &text);

	if (result < 0)
		return report_failure(cli, result);
	if (option_given(&cli->options, OPTION_JSON)) {
		json_begin(&json, stdout);
		write_options(&json, text);
		write_sections(&json, text, "namespaces", "namespace ");
		write_sections(&json, text, "users", "user ");
		json_end(&json);
	} else {
		write_table(text);
	}
	brine_value_release(&text);
	return EXIT_DONE;
}
