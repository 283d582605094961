/* conf.h - the daemon's options: one table, its defaults, its limits, its file.
 *
 * Never prints: a function that fails returns -1 and leaves one sentence in *error, with the
 * value, what is allowed, and where it stood. On failure the option keeps its old value.
 * No thread of its own and no state; whoever holds a struct conf owns it. */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "conf/account.h"
#include "conf/tenants.h"

#define CONF_PATH_MAX 4096
/* A value as text, its NUL included. */
#define CONF_TEXT_MAX CONF_PATH_MAX

/* A group by its name, looked up when it was read. */
struct conf_group {
	char name[ACCOUNT_NAME_MAX + 1]; /* "": none */
	uint32_t gid;
};

/* Where a value stood: "default", "--set", "/etc/brine/brined.conf:12"; a longer one is cut. */
#define CONF_ORIGIN_MAX 256

enum {
#define O(name, type, initial, min, max, zero, reload, help) CONF_OPTION_##name,
#include "conf/options.def"
#undef O
	CONF_OPTIONS
};

/* One member per option; durations end in _ns, percentages in _percent. */
struct conf {
#define CONF_SIZE(name) uint64_t name;
#define CONF_DURATION(name) uint64_t name##_ns;
#define CONF_PERCENT(name) unsigned name##_percent;
#define CONF_COUNT(name) unsigned name;
#define CONF_PATH(name) char name[CONF_PATH_MAX];
#define CONF_LEVEL(name) unsigned name;
#define CONF_GROUP(name) struct conf_group name;
#define O(name, type, initial, min, max, zero, reload, help) CONF_##type(name)
#include "conf/options.def"
#undef O
#undef CONF_SIZE
#undef CONF_DURATION
#undef CONF_PERCENT
#undef CONF_COUNT
#undef CONF_PATH
#undef CONF_LEVEL
#undef CONF_GROUP
	char origins[CONF_OPTIONS][CONF_ORIGIN_MAX]; /* in the order of the table */
	struct conf_tenants tenants;                 /* the sections */
};

struct conf_error {
	char text[512];
};

/* An option and its value, for printing. */
struct conf_item {
	const char *name;
	const char *value; /* as conf_set() takes it; borrowed during the callback */
	const char *initial;
	const char *origin;  /* where the value stood; borrowed like it */
	const char *allowed; /* "64M to 64T, or 0 (automatic)"; borrowed like value */
	const char *help;
	bool live; /* a running daemon takes a new value */
};

void conf_defaults(struct conf *ret_conf);

/* Takes "name=value", or the two apart. origin says where that stood: "--set",
 * "/etc/brine/brined.conf:12". */
int conf_set(struct conf *conf, const char *assignment, const char *origin,
	     struct conf_error *error);

int conf_set_option(struct conf *conf, const char *name, const char *value,
		    const char *origin, struct conf_error *error);

/* Takes every line of a file, the later one winning, in sections too. It stops at the first error. A missing file
 * is an error. conf_read_folder() takes the *.conf of a folder in the order of their names, and
 * nothing from a folder that is not there; conf_read_stream() is for text from elsewhere. */
int conf_read_file(struct conf *conf, const char *path, struct conf_error *error);
int conf_read_folder(struct conf *conf, const char *path, struct conf_error *error);
int conf_read_stream(struct conf *conf, FILE *stream, const char *name,
		     struct conf_error *error);

/* Do the options fit together? After the last of them was set. */
int conf_check(const struct conf *conf, struct conf_error *error);

/* Calls back for each option, in the order of the table. */
void conf_each(const struct conf *conf,
	       void (*each)(const struct conf_item *item, void *arg), void *arg);

/* Calls back for each option that differs in `to`, with its new value: item->live says whether
 * a running daemon can take it. */
void conf_reload_diff(const struct conf *from, const struct conf *to,
		      void (*changed)(const struct conf_item *item, void *arg),
		      void *arg);

/* The forms of values. They refuse signs, blanks, fractions, trailing bytes and overflow. */
int conf_parse_size(const char *text, uint64_t *ret_bytes);
int conf_parse_duration(const char *text, uint64_t *ret_ns);

#define CONF_NUMBER_MAX 64
/* The shortest text that parses to the same value. */
void conf_format_size(uint64_t bytes, char ret_text[static CONF_NUMBER_MAX]);
void conf_format_duration(uint64_t ns, char ret_text[static CONF_NUMBER_MAX]);

#endif
