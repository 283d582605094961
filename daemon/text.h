/* text.h - lines that an answer is made of, in memory of a bounded size. Any thread. */
#ifndef DAEMON_TEXT_H
#define DAEMON_TEXT_H

#include <stdbool.h>
#include <stddef.h>

struct text {
	char *bytes; /* malloc()ed: whoever has the text frees them */
	size_t len;
	size_t room;
};

/* False: no memory. */
bool text_make(struct text *text, size_t room);

/* Adds what printf() would write, or nothing where there is no room for all of it. */
__attribute__((format(printf, 2, 3))) void text_add(struct text *text, const char *format,
						    ...);

#endif
