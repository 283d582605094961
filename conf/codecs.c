/* codecs.c - the names of codecs, and which of them are admitted. Pure. */
#include "conf/codecs.h"

#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

/* PROTOCOL.md, "Codecs", by id; what comes after them is not registered. */
static const char *const codecs[] = { "bytes", "pickle",      "text",   "msgpack",
				      "json",  "cloudpickle", "integer" };
#define CODEC_PICKLE 1
#define CODEC_CLOUDPICKLE 5

static bool
is_set(const struct conf_codecs *admitted, unsigned id)
{
	return admitted->set[id / 64] >> id % 64 & 1;
}

void
conf_admit_all(struct conf_codecs *admitted)
{
	memset(admitted->set, 0xff, sizeof(admitted->set));
	admitted->no_pickle = false;
}

bool
conf_admits(const struct conf_codecs *admitted, uint32_t codec)
{
	unsigned id = codec % CONF_CODECS;

	/* Clients take what is not registered for pickle. */
	if (admitted->no_pickle &&
	    (id == CODEC_PICKLE || id == CODEC_CLOUDPICKLE || id >= COUNT_OF(codecs)))
		return false;
	return is_set(admitted, id);
}

int
conf_find_codec(const char *word)
{
	size_t digits = strspn(word, "0123456789");
	unsigned id = 0;

	for (size_t i = 0; i < COUNT_OF(codecs); i++)
		if (strcmp(word, codecs[i]) == 0)
			return (int)i;
	if (!digits || digits > 3 || word[digits])
		return -1;
	for (size_t i = 0; i < digits; i++)
		id = id * 10 + (unsigned)(word[i] - '0');
	return id < CONF_CODECS ? (int)id : -1;
}

void
conf_format_codecs(const struct conf_codecs *admitted,
		   char ret_text[static CONF_CODECS_TEXT_MAX])
{
	unsigned count = 0;
	size_t len = 0;

	ret_text[0] = '\0';
	for (unsigned id = 0; id < CONF_CODECS; id++) {
		const char *before = count ? ", " : "";

		if (!is_set(admitted, id))
			continue;
		if (id < COUNT_OF(codecs))
			len += (size_t)snprintf(ret_text + len,
						CONF_CODECS_TEXT_MAX - len, "%s%s",
						before, codecs[id]);
		else
			len += (size_t)snprintf(ret_text + len,
						CONF_CODECS_TEXT_MAX - len, "%s%u",
						before, id);
		count++;
	}
	if (count == CONF_CODECS)
		ret_text[0] = '\0';
}
