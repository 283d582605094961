/* text.c - lines in memory. Owns nothing: the bytes go to whoever answers. */
#include "daemon/text.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

bool
text_make(struct text *text, size_t room)
{
	*text = (struct text){ .bytes = malloc(room), .room = room };
	return text->bytes;
}

void
text_add(struct text *text, const char *format, ...)
{
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(text->bytes + text->len, text->room - text->len, format,
			arguments);
	va_end(arguments);
	if (len > 0 && (size_t)len < text->room - text->len)
		text->len += (size_t)len;
}
