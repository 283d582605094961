/* fuzz_conf.c - any bytes as a configuration file, then each line of them as --set. */
#include <assert.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "conf/conf.h"
#include "conf/sections.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
set_again(const struct conf_item *item, void *arg)
{
	struct conf_error error;

	/* What was accepted is in range, and is printed so that it is accepted again. */
	assert(conf_set_option(arg, item->name, item->value, "again", &error) == 0);
}

/* Of any section there is a text for everything. */
static void
read_setting(const struct conf_setting *setting, void *arg)
{
	(void)arg;
	assert(*setting->kind && *setting->section && *setting->name && *setting->origin);
	assert(*setting->value || *setting->effect);
}

static void
expect_sound(const struct conf *conf)
{
	static struct conf again;

	conf_defaults(&again);
	conf_each(conf, set_again, &again);
	conf_each_setting(&conf->tenants, read_setting, NULL);
	assert(again.max_size == conf->max_size);
	assert(again.commit_delay_ns == conf->commit_delay_ns);
	assert(strcmp(again.data, conf->data) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct conf conf;
	struct conf_error error = { "" };
	char *text = malloc(len + 1);
	FILE *stream;

	if (!text)
		return 0;
	memcpy(text, bytes, len);
	text[len] = '\0';
	conf_defaults(&conf);
	stream = fmemopen(text, len + 1, "r");
	if (stream) {
		if (conf_read_stream(&conf, stream, "fuzz", &error))
			assert(error.text[0] != '\0');
		fclose(stream);
		expect_sound(&conf);
	}
	for (char *rest = text, *line; (line = strsep(&rest, "\n"));)
		if (conf_set(&conf, line, "--set", &error))
			assert(error.text[0] != '\0');
	expect_sound(&conf);
	free(text);
	return 0;
}
