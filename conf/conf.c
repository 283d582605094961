/* conf.c - reads options from files and from name=value.
 * Borrows the struct conf it fills; opens, reads and closes the files it is told to. */
#include "conf/conf.h"

#include <dirent.h>
#include <errno.h>
#include <ini.h>
#include <stdlib.h>
#include <string.h>

/* A line of the file, its newline and NUL included. */
#define LINE_MAX_READ (CONF_PATH_MAX + 128)
#define BYTE_ORDER_MARK "\xef\xbb\xbf"

int
conf_set(struct conf *conf, const char *assignment, const char *origin,
	 struct conf_error *error)
{
	char name[64];
	const char *equals = strchr(assignment, '=');
	size_t len = equals ? (size_t)(equals - assignment) : 0;

	if (!equals) {
		snprintf(error->text, sizeof(error->text),
			 "%.200s: `%.128s' is not of the form name=value", origin,
			 assignment);
		return -1;
	}
	while (len && assignment[len - 1] == ' ')
		len--;
	/* a longer one is cut, and is no option either way */
	snprintf(name, sizeof(name), "%.*s", len < sizeof(name) ? (int)len : 63,
		 assignment);
	return conf_set_option(conf, name, equals + 1 + strspn(equals + 1, " "), origin,
			       error);
}

struct reading {
	struct conf *conf;
	FILE *stream;
	const char *name;
	unsigned line;
	struct conf_section section; /* that the line is in */
	bool failed;                 /* error holds why */
	struct conf_error *error;
};

static int
refuse_line(struct reading *reading, const char *why)
{
	if (!reading->failed)
		snprintf(reading->error->text, sizeof(reading->error->text),
			 "%.200s:%u: %s", reading->name, reading->line, why);
	reading->failed = true;
	return -1;
}

/* A line `[...]`. */
static void
open_section(struct reading *reading, const char *line)
{
	char why[CONF_WHY_MAX];

	if (conf_open_section(&reading->conf->tenants, line, &reading->section, why))
		refuse_line(reading, why);
}

/* Hands a line to inih (its fgets), which would otherwise cut a long line in two, take an
 * indented line for a part of the one before, and cut the names of sections. */
static char *
next_line(char *line, int size, void *arg)
{
	struct reading *reading = arg;
	size_t blank, len;

	if (reading->failed || !fgets(line, size, reading->stream))
		return NULL;
	reading->line++;
	len = strlen(line);
	if ((len == 0 || line[len - 1] != '\n') && !feof(reading->stream)) {
		refuse_line(reading, "the line is too long, or has a NUL byte in it");
		return NULL;
	}
	blank = strspn(line, " \t");
	if (reading->line == 1 && strncmp(line, BYTE_ORDER_MARK, 3) == 0)
		blank = 3;
	memmove(line, line + blank, len - blank + 1);
	if (line[0] == '[') {
		open_section(reading, line);
		strcpy(line, "\n");
	}
	return reading->failed ? NULL : line;
}

/* An ini_handler: 1 is success. */
static int
on_assignment(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *reading = arg;
	const struct conf_line line = { reading->name, reading->line };
	char origin[CONF_ORIGIN_MAX], why[CONF_WHY_MAX];

	(void)section; /* they are ours */
	if (reading->failed)
		return 0;
	if (reading->section.namespace || reading->section.user) {
		if (conf_set_in_section(&reading->conf->tenants, &reading->section, name,
					value, &line, why))
			refuse_line(reading, why);
		return !reading->failed;
	}
	snprintf(origin, sizeof(origin), "%.*s:%u", CONF_FILE_NAME_MAX, line.file,
		 line.number);
	if (conf_set_option(reading->conf, name, value, origin, reading->error))
		reading->failed = true;
	return !reading->failed;
}

int
conf_read_stream(struct conf *conf, FILE *stream, const char *name,
		 struct conf_error *error)
{
	struct reading reading = {
		.conf = conf, .stream = stream, .name = name, .error = error
	};
	int result;

	ini_max_line = LINE_MAX_READ;
	ini_allow_multiline = false;
	ini_allow_inline_comments = false;
	ini_stop_on_first_error = true;
	result = ini_parse_stream(next_line, &reading, on_assignment, &reading);
	if (result && !reading.failed)
		refuse_line(&reading, "not of the form name = value");
	if (ferror(stream) && !reading.failed)
		refuse_line(&reading, strerror(errno));
	return reading.failed ? -1 : 0;
}

int
conf_read_file(struct conf *conf, const char *path, struct conf_error *error)
{
	FILE *stream = fopen(path, "re");
	int result;

	if (!stream) {
		snprintf(error->text, sizeof(error->text), "%.300s: cannot be read: %s",
			 path, strerror(errno));
		return -1;
	}
	result = conf_read_stream(conf, stream, path, error);
	fclose(stream);
	return result;
}

static int
is_conf(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && strcmp(dot, ".conf") == 0;
}

int
conf_read_folder(struct conf *conf, const char *path, struct conf_error *error)
{
	char file[CONF_PATH_MAX];
	struct dirent **entries;
	int result = 0;
	int count = scandir(path, &entries, is_conf, alphasort);

	if (count < 0 && errno == ENOENT)
		return 0;
	if (count < 0) {
		snprintf(error->text, sizeof(error->text), "%.300s: cannot be read: %s",
			 path, strerror(errno));
		return -1;
	}
	for (int i = 0; i < count; i++) {
		if (!result) {
			snprintf(file, sizeof(file), "%s/%s", path, entries[i]->d_name);
			result = conf_read_file(conf, file, error);
		}
		free(entries[i]);
	}
	free(entries);
	return result;
}
