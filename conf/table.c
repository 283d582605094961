/* table.c - the option table at work: values, names, limits. Pure. */
#include "conf/conf.h"

#include <assert.h>
#include <stddef.h>
#include <string.h>

enum type { SIZE, DURATION, PERCENT, COUNT, PATH, LEVEL, GROUP };
enum reload { START, LIVE };

struct option {
	const char *name;
	enum type type;
	size_t offset; /* in struct conf */
	const char *initial, *min, *max;
	const char *zero; /* what 0 means outside of min and max, or NULL */
	enum reload reload;
	const char *help;
};

#define CONF_SIZE(name) name
#define CONF_DURATION(name) name##_ns
#define CONF_PERCENT(name) name##_percent
#define CONF_COUNT(name) name
#define CONF_PATH(name) name
#define CONF_LEVEL(name) name
#define CONF_GROUP(name) name
static const struct option options[] = {
#define O(name, type, initial, min, max, zero, reload, help)                             \
	{                                                                                \
		#name,   type,   offsetof(struct conf, CONF_##type(name)),               \
		initial, min,    max,                                                    \
		zero,    reload, help                                                    \
	},
#include "conf/options.def"
#undef O
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define NAME_MAX_SHOWN 64
#define VALUE_MAX_SHOWN 100
#define ALLOWED_MAX 96

static const char *const levels[] = { "error", "warning", "info", "debug" };

static const char *const looks_like[] = {
	[SIZE] = "a size, such as 64M or 2G",
	[DURATION] = "a duration, such as 5ms, 90s or 1h30m",
	[PERCENT] = "a percentage, such as 5",
	[COUNT] = "a number",
	[PATH] = "an absolute path",
	[LEVEL] = "one of error, warning, info, debug",
	[GROUP] = "a group of this machine",
};

/* ---- values */

/* All types but PATH and GROUP are held as a number while they are judged. */
static int
parse_number(enum type type, const char *text, uint64_t *ret_number)
{
	char digits[8];
	size_t len = strlen(text);

	switch (type) {
	case SIZE:
		return conf_parse_size(text, ret_number);
	case DURATION:
		return conf_parse_duration(text, ret_number);
	case PERCENT:
		if (len == 0 || len >= sizeof(digits))
			return -1;
		memcpy(digits, text, len + 1);
		if (digits[len - 1] == '%')
			digits[len - 1] = '\0';
		text = digits;
		/* fall through */
	case COUNT:
		/* a size in bytes is a plain number; its letters are no part of a count */
		if (text[strspn(text, "0123456789")] != '\0')
			return -1;
		return conf_parse_size(text, ret_number);
	case LEVEL:
		for (size_t i = 0; i < COUNT_OF(levels); i++)
			if (strcmp(text, levels[i]) == 0) {
				*ret_number = i;
				return 0;
			}
		return -1;
	case PATH:
	case GROUP:
		break;
	}
	return -1;
}

static bool
in_range(const struct option *option, uint64_t number)
{
	uint64_t min = 0, max = UINT64_MAX;

	if (option->type == LEVEL || (number == 0 && option->zero))
		return true;
	parse_number(option->type, option->min, &min);
	parse_number(option->type, option->max, &max);
	return number >= min && number <= max;
}

static void
store(const struct option *option, struct conf *conf, uint64_t number)
{
	void *member = (char *)conf + option->offset;

	if (option->type == SIZE || option->type == DURATION)
		*(uint64_t *)member = number;
	else
		*(unsigned *)member = (unsigned)number; /* the range of the table fits */
}

static uint64_t
load(const struct option *option, const struct conf *conf)
{
	const void *member = (const char *)conf + option->offset;

	if (option->type == SIZE || option->type == DURATION)
		return *(const uint64_t *)member;
	return *(const unsigned *)member;
}

static void
describe_allowed(const struct option *option, char ret_text[static ALLOWED_MAX])
{
	if (option->type == PATH || option->type == LEVEL || option->type == GROUP)
		snprintf(ret_text, ALLOWED_MAX, "%s", looks_like[option->type]);
	else
		snprintf(ret_text, ALLOWED_MAX, "%s to %s%s%s%s", option->min,
			 option->max, option->zero ? ", or 0 (" : "",
			 option->zero ? option->zero : "", option->zero ? ")" : "");
}

static void
format_value(const struct option *option, const struct conf *conf,
	     char ret_text[static CONF_TEXT_MAX])
{
	const void *member = (const char *)conf + option->offset;
	uint64_t number = 0;

	if (option->type != PATH && option->type != GROUP)
		number = load(option, conf);
	switch (option->type) {
	case SIZE:
		conf_format_size(number, ret_text);
		break;
	case DURATION:
		conf_format_duration(number, ret_text);
		break;
	case PERCENT:
	case COUNT:
		snprintf(ret_text, CONF_TEXT_MAX, "%u", (unsigned)number);
		break;
	case LEVEL:
		snprintf(ret_text, CONF_TEXT_MAX, "%s", levels[number]);
		break;
	case PATH:
		snprintf(ret_text, CONF_TEXT_MAX, "%s", (const char *)member);
		break;
	case GROUP:
		snprintf(ret_text, CONF_TEXT_MAX, "%s",
			 ((const struct conf_group *)member)->name);
		break;
	}
}

/* ---- names */

static const struct option *
find(const char *name)
{
	for (size_t i = 0; i < COUNT_OF(options); i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

/* Edits (a letter added, removed or replaced) between two names of bounded length. */
static size_t
distance(const char *a, const char *b)
{
	size_t a_len = strlen(a);
	size_t b_len = strlen(b);
	size_t row[NAME_MAX_SHOWN + 1];

	for (size_t j = 0; j <= b_len; j++)
		row[j] = j;
	for (size_t i = 1; i <= a_len; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= b_len; j++) {
			size_t above = row[j];
			size_t best = diagonal + (a[i - 1] != b[j - 1]);

			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			diagonal = above;
			row[j] = best;
		}
	}
	return row[b_len];
}

/* The option that was probably meant, or NULL. */
static const char *
nearest(const char *name)
{
	size_t len = strlen(name);
	const char *found = NULL;
	/* as many edits as this make another word of it */
	size_t best = len / 2 < 4 ? len / 2 + 1 : 4;

	if (len > NAME_MAX_SHOWN)
		return NULL;
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		size_t edits = distance(name, options[i].name);

		if (edits < best) {
			best = edits;
			found = options[i].name;
		}
	}
	return found;
}

/* ---- setting */

static int
refuse_name(const char *name, const char *origin, struct conf_error *error)
{
	const char *meant = nearest(name);

	snprintf(error->text, sizeof(error->text),
		 "%.200s: there is no option `%.*s'%s%s%s", origin, NAME_MAX_SHOWN, name,
		 meant ? "; did you mean " : "", meant ? meant : "", meant ? "?" : "");
	return -1;
}

static int
refuse_value(const struct option *option, const char *value, const char *origin,
	     const char *why, struct conf_error *error)
{
	snprintf(error->text, sizeof(error->text), "%.160s: %s: `%.*s' is %s", origin,
		 option->name, VALUE_MAX_SHOWN, value, why);
	return -1;
}

static int
set_path(const struct option *option, struct conf *conf, const char *value,
	 const char *origin, struct conf_error *error)
{
	size_t len = strlen(value);

	if (len && value[0] != '/')
		return refuse_value(option, value, origin, "not an absolute path", error);
	if (len >= CONF_PATH_MAX)
		return refuse_value(option, value, origin,
				    "the start of a path over 4095 bytes", error);
	memcpy((char *)conf + option->offset, value, len + 1);
	return 0;
}

static int
set_group(const struct option *option, struct conf *conf, const char *value,
	  const char *origin, struct conf_error *error)
{
	struct conf_group *member = (void *)((char *)conf + option->offset);
	char why[ALLOWED_MAX * 2];
	uint32_t gid = 0;

	if (value[0] && account_group(value, &gid, why, sizeof(why))) {
		snprintf(error->text, sizeof(error->text), "%.160s: %s: %s", origin,
			 option->name, why);
		return -1;
	}
	/* A longer name is no group's. */
	snprintf(member->name, sizeof(member->name), "%s", value);
	member->gid = gid;
	return 0;
}

static int
take_value(const struct option *option, struct conf *conf, const char *value,
	   const char *origin, struct conf_error *error)
{
	char allowed[ALLOWED_MAX], why[ALLOWED_MAX + 32];
	uint64_t number;

	if (option->type == PATH)
		return set_path(option, conf, value, origin, error);
	if (option->type == GROUP)
		return set_group(option, conf, value, origin, error);
	describe_allowed(option, allowed);
	if (parse_number(option->type, value, &number)) {
		snprintf(why, sizeof(why), "not %s", looks_like[option->type]);
		return refuse_value(option, value, origin, why, error);
	}
	if (!in_range(option, number)) {
		snprintf(why, sizeof(why), "out of range: allowed is %s", allowed);
		return refuse_value(option, value, origin, why, error);
	}
	store(option, conf, number);
	return 0;
}

static int
set_value(const struct option *option, struct conf *conf, const char *value,
	  const char *origin, struct conf_error *error)
{
	if (take_value(option, conf, value, origin, error))
		return -1;
	snprintf(conf->origins[option - options], CONF_ORIGIN_MAX, "%s", origin);
	return 0;
}

void
conf_defaults(struct conf *ret_conf)
{
	struct conf_error error;

	memset(ret_conf, 0, sizeof(*ret_conf));
	for (size_t i = 0; i < COUNT_OF(options); i++) {
		int failed = set_value(&options[i], ret_conf, options[i].initial,
				       "default", &error);

		assert(!failed); /* the table contradicts itself */
		(void)failed;
	}
}

int
conf_set_option(struct conf *conf, const char *name, const char *value,
		const char *origin, struct conf_error *error)
{
	const struct option *option = find(name);

	if (!option)
		return refuse_name(name, origin, error);
	return set_value(option, conf, value, origin, error);
}

int
conf_check(const struct conf *conf, struct conf_error *error)
{
	char value[CONF_NUMBER_MAX], size[CONF_NUMBER_MAX];
	const char *unusable = conf_find_unusable(&conf->tenants);

	if (unusable) {
		snprintf(error->text, sizeof(error->text),
			 "[namespace %s] has neither readers nor writers: nobody could "
			 "use it",
			 unusable);
		return -1;
	}
	if (!conf->max_size || conf->max_value <= conf->max_size)
		return 0;
	conf_format_size(conf->max_value, value);
	conf_format_size(conf->max_size, size);
	snprintf(
		error->text, sizeof(error->text),
		"max_value is %s, more than max_size, which is %s: such a value could never fit",
		value, size);
	return -1;
}

/* ---- showing */

static void
show(const struct option *option, const struct conf *conf,
     void (*each)(const struct conf_item *item, void *arg), void *arg)
{
	char value[CONF_TEXT_MAX], allowed[ALLOWED_MAX];
	struct conf_item item = {
		.name = option->name,
		.value = value,
		.initial = option->initial,
		.origin = conf->origins[option - options],
		.allowed = allowed,
		.help = option->help,
		.live = option->reload == LIVE,
	};

	format_value(option, conf, value);
	describe_allowed(option, allowed);
	each(&item, arg);
}

void
conf_each(const struct conf *conf, void (*each)(const struct conf_item *item, void *arg),
	  void *arg)
{
	for (size_t i = 0; i < COUNT_OF(options); i++)
		show(&options[i], conf, each, arg);
}

void
conf_reload_diff(const struct conf *from, const struct conf *to,
		 void (*changed)(const struct conf_item *item, void *arg), void *arg)
{
	char old[CONF_TEXT_MAX], new[CONF_TEXT_MAX];

	for (size_t i = 0; i < COUNT_OF(options); i++) {
		format_value(&options[i], from, old);
		format_value(&options[i], to, new);
		if (strcmp(old, new) != 0)
			show(&options[i], to, changed, arg);
	}
}
