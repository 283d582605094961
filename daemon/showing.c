/* showing.c - writes the lines of CONFIG. Owns the text until the outbox has it. */
#include "daemon/showing.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "daemon/cache.h"

/* Each option has a value, an effect and an origin of bounded length. */
#define TEXT_MAX (CONF_OPTIONS * (2 * CONF_TEXT_MAX + CONF_ORIGIN_MAX + 128))

struct showing {
	const struct sessions *all;
	char *text;
	size_t len;
};

/* A tab or a line end in a path would be one of ours. */
static void
add(struct showing *showing, const char *word, char end)
{
	for (; *word; word++)
		showing->text[showing->len++] =
			(unsigned char)*word < ' ' || *word == 0x7f ? '?' : *word;
	showing->text[showing->len++] = end;
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

void
show_config(struct call *call)
{
	struct session *session = call->session;
	const struct message header = { 0 };
	struct showing showing = { .all = session->all };

	if (!session_admin(session)) {
		call_refuse(call, ERROR_FORBIDDEN, 0,
			    "the configuration is shown to administrators alone: root, "
			    "the daemon's own user, and members of its admin_group");
		return;
	}
	showing.text = session->all->conf ? malloc(TEXT_MAX) : NULL;
	if (!showing.text) {
		call_refuse(call, ERROR_NO_MEMORY, 0, NULL);
		return;
	}
	conf_each(session->all->conf, show_item, &showing);
	outbox_value(&session->outbox, call->frame->id, &header,
		     slice(showing.text, showing.len), showing.text, NULL);
}
