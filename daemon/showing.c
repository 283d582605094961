/* showing.c - writes the lines of CONFIG. Owns the text until the outbox has it; as long as that may be is what
 * conf/ bounds: all settings of all sections, one and a half MiB if somebody is out for it. */
#include "daemon/showing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/sections.h"
#include "daemon/cache.h"

struct showing {
	const struct sessions *all;
	FILE *to;
};

/* A tab or a line end in a path would be one of ours. */
static void
add(struct showing *showing, const char *word, char end)
{
	for (; *word; word++)
		putc((unsigned char)*word < ' ' || *word == 0x7f ? '?' : *word,
		     showing->to);
	putc(end, showing->to);
}

/* What the option comes to, where that is not its value: the rest is "". */
static void
find_effect(const struct showing *showing, const char *name,
	    char to[static CONF_TEXT_MAX])
{
	const struct cache *cache = showing->all->cache;
	char size[CONF_NUMBER_MAX];
	const char *why;

	to[0] = 0;
	if (strcmp(name, "max_size") == 0) {
		conf_format_size(cache_max_size(cache, &why), size);
		snprintf(to, CONF_TEXT_MAX, "%s (%s)", size, why);
	} else if (strcmp(name, "max_value") == 0) {
		conf_format_size(cache_max_value(cache), to);
	} else if (strcmp(name, "data") == 0) {
		snprintf(to, CONF_TEXT_MAX, "%s", showing->all->data);
	}
}

static void
show_item(const struct conf_item *item, void *arg)
{
	char effect[CONF_TEXT_MAX];
	struct showing *showing = arg;

	find_effect(showing, item->name, effect);
	add(showing, item->name, '\t');
	add(showing, item->value, '\t');
	add(showing, effect, '\t');
	add(showing, item->live ? "live" : "start", '\t');
	add(showing, item->origin, '\n');
}

static void
show_setting(const struct conf_setting *setting, void *arg)
{
	struct showing *showing = arg;

	putc('[', showing->to);
	add(showing, setting->kind, ' ');
	add(showing, setting->section, ']');
	putc(' ', showing->to);
	add(showing, setting->name, '\t');
	add(showing, setting->value, '\t');
	add(showing, setting->effect, '\t');
	add(showing, "live", '\t');
	add(showing, setting->origin, '\n');
}

/* Returns the text, malloc()ed, or NULL. */
static char *
write_lines(const struct sessions *all, size_t *ret_len)
{
	char *text = NULL;
	struct showing showing = { .all = all, .to = open_memstream(&text, ret_len) };
	bool failed;

	if (!showing.to)
		return NULL;
	conf_each(all->conf, show_item, &showing);
	conf_each_setting(&all->conf->tenants, show_setting, &showing);
	failed = ferror(showing.to);
	if (fclose(showing.to) || failed) {
		free(text);
		return NULL;
	}
	return text;
}

void
show_config(struct call *call)
{
	struct session *session = call->session;
	const struct message header = { 0 };
	char *text;
	size_t len;

	if (!session_admin(session)) {
		call_refuse(call, ERROR_FORBIDDEN, 0,
			    "the configuration is shown to administrators alone: root, "
			    "the daemon's own user, and members of its admin_group");
		return;
	}
	text = session->all->conf ? write_lines(session->all, &len) : NULL;
	if (!text) {
		call_refuse(call, ERROR_NO_MEMORY, 0, NULL);
		return;
	}
	outbox_body(&session->outbox, call->frame->id, &header, (uint8_t *)text, len);
}
