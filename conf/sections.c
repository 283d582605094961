/* sections.c - prints the settings of sections as the file takes them. */
#include "conf/sections.h"

#include <stdio.h>
#include <string.h>

#include "conf/conf.h"

_Static_assert(CONF_WORDS_MAX >= CONF_CODECS_TEXT_MAX, "codecs fit where lists do");

/* What a value is that says there is none. A list may well be 0: root. */
#define NONE_MEMBERS ""
#define NONE_SIZE "0"
#define NONE_DURATION "0"
#define NONE_CODECS ""
#define NONE_SWITCH ""

static const struct {
	const char *name, *initial, *none;
} settings[] = {
#define K(section, name, type, initial, allowed, help) { #name, initial, NONE_##type },
#include "conf/sections.def"
#undef K
};

static void
format_namespace(const struct conf_namespace *namespace, unsigned number,
		 const char *words, char to[static CONF_WORDS_MAX])
{
	switch (number) {
	case CONF_NAMESPACE_quota:
		conf_format_size(namespace->quota, to);
		break;
	case CONF_NAMESPACE_default_ttl:
		conf_format_duration(namespace->default_ttl_ns, to);
		break;
	case CONF_NAMESPACE_max_value:
		conf_format_size(namespace->max_value, to);
		break;
	case CONF_NAMESPACE_codecs:
		conf_format_codecs(&namespace->codecs, to);
		break;
	case CONF_NAMESPACE_allow_pickle:
		strcpy(to, namespace->codecs.no_pickle ? "no" : "yes");
		break;
	default: /* readers and writers: they are kept as numbers, but were given as words */
		snprintf(to, CONF_WORDS_MAX, "%s", words);
	}
}

static void
format_origin(const struct conf_tenants *tenants, const struct conf_said *said,
	      char to[static CONF_ORIGIN_MAX])
{
	if (said->line)
		snprintf(to, CONF_ORIGIN_MAX, "%s:%u",
			 conf_text_at(&tenants->texts, said->file), (unsigned)said->line);
	else
		strcpy(to, "default");
}

/* Fills in what the table and the file say, for a value that is formatted already. */
static void
complete(struct conf_setting *setting, unsigned number)
{
	bool none = strcmp(setting->value, settings[number].none) == 0;

	setting->name = settings[number].name;
	setting->effect = none ? settings[number].initial : "";
}

static void
show_namespace(const struct conf_tenants *tenants, unsigned place,
	       void (*each)(const struct conf_setting *, void *), void *arg)
{
	const struct conf_namespace *namespace = &tenants->namespaces[place];
	char value[CONF_WORDS_MAX], origin[CONF_ORIGIN_MAX];

	for (unsigned number = 0; number < CONF_USER_quota; number++) {
		const struct conf_said *said = &tenants->namespaces_said[place][number];
		struct conf_setting setting = { .kind = "namespace",
						.section = namespace->name,
						.value = value,
						.origin = origin };

		format_namespace(namespace, number,
				 conf_text_at(&tenants->texts, said->words), value);
		format_origin(tenants, said, origin);
		complete(&setting, number);
		each(&setting, arg);
	}
}

static void
show_user(const struct conf_tenants *tenants, unsigned place,
	  void (*each)(const struct conf_setting *, void *), void *arg)
{
	const struct conf_said *said = &tenants->users_said[place];
	char value[CONF_NUMBER_MAX], origin[CONF_ORIGIN_MAX];
	struct conf_setting setting = {
		.kind = "user",
		.section = conf_text_at(&tenants->texts, tenants->user_names[place]),
		.value = value,
		.origin = origin,
	};

	conf_format_size(tenants->users[place].quota, value);
	format_origin(tenants, said, origin);
	complete(&setting, CONF_USER_quota);
	each(&setting, arg);
}

void
conf_each_setting(const struct conf_tenants *tenants,
		  void (*each)(const struct conf_setting *setting, void *arg), void *arg)
{
	for (unsigned i = 0; i < tenants->namespace_count; i++)
		show_namespace(tenants, i, each, arg);
	for (unsigned i = 0; i < tenants->user_count; i++)
		show_user(tenants, i, each, arg);
}
