/* texts.c - keeps texts in one piece of memory. Pure. */
#include "conf/texts.h"

#include <assert.h>
#include <string.h>

int
conf_keep_text(struct conf_texts *texts, const char *text, uint32_t *ret_at)
{
	uint32_t at = texts->end ? texts->end : 1; /* behind the empty one */
	size_t size = strlen(text) + 1;

	if (size == 1) {
		*ret_at = 0;
		return 0;
	}
	if (size > sizeof(texts->bytes) - at)
		return -1;
	memcpy(texts->bytes + at, text, size);
	texts->end = at + (uint32_t)size;
	*ret_at = at;
	return 0;
}

const char *
conf_text_at(const struct conf_texts *texts, uint32_t at)
{
	assert(at == 0 || at < texts->end);
	return texts->bytes + at;
}
