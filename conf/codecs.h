/* codecs.h - sets of codecs, as a section of the configuration names them. Pure. */
#ifndef CONF_CODECS_H
#define CONF_CODECS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The low bits of a value's codec say which it is; the others are the codec's own. */
#define CONF_CODECS 256

struct conf_codecs {
	uint64_t set[CONF_CODECS / 64]; /* by number */
	bool no_pickle;
};

/* Every codec. */
void conf_admit_all(struct conf_codecs *codecs);
/* Is this codec (32 bits, as it travels) among them? */
bool conf_admits(const struct conf_codecs *codecs, uint32_t codec);

/* The number of a codec that is named, or given as a number; -1: there is none such. */
int conf_find_codec(const char *word);

#define CONF_CODECS_TEXT_MAX 4096
/* The set (not no_pickle) as the file takes it; "" for every codec. */
void conf_format_codecs(const struct conf_codecs *codecs,
			char ret_text[static CONF_CODECS_TEXT_MAX]);

#endif
