/* codec.c - numbers of codecs and their names. Pure. */
#include "client/cli/codec.h"

#include <assert.h>
#include <stdbool.h>
#include <stdio.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))
#define PICKLE 1
#define CLOUDPICKLE 5

static const char *const names[] = { "bytes", "pickle",      "text",   "msgpack",
				     "json",  "cloudpickle", "integer" };

uint32_t
codec_of_choice(uint64_t choice)
{
	/* bytes|text|json|msgpack|pickle */
	static const uint32_t numbers[] = { 0, 2, 4, 3, PICKLE };

	assert(choice < COUNT_OF(numbers));
	return numbers[choice];
}

bool
codec_runs_code(uint32_t codec)
{
	uint32_t id = codec & 0xff;

	return id == PICKLE || id == CLOUDPICKLE || id >= COUNT_OF(names);
}

void
codec_show(uint32_t codec, char to[static CODEC_TEXT_MAX])
{
	uint32_t id = codec & 0xff;

	if (id < COUNT_OF(names))
		snprintf(to, CODEC_TEXT_MAX, "%s", names[id]);
	else
		snprintf(to, CODEC_TEXT_MAX, "codec %u", (unsigned)id);
}

void
codec_show_long(uint32_t codec, char to[static CODEC_TEXT_MAX])
{
	uint32_t id = codec & 0xff, rest = codec >> 8;
	bool pickle = id == PICKLE || id == CLOUDPICKLE;

	if (pickle && rest)
		snprintf(to, CODEC_TEXT_MAX, "%s %u (Python %u.%u)", names[id],
			 rest & 0xff, rest >> 8 & 0xff, rest >> 16);
	else
		codec_show(codec, to);
}
