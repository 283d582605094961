/* source.h - where the value of a put comes from: a file, standard input, or a text. */
#ifndef CLI_SOURCE_H
#define CLI_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "client/brine.h"

struct source {
	int fd;           /* -1: the text */
	const char *name; /* for messages; borrowed */
	const char *text;
	size_t text_len;
	uint64_t length; /* what a regular file should still give, or BRINE_UNKNOWN */
	bool ended;
};

/* Of a path; NULL and "-" are standard input. Returns 0 or -errno. */
int source_open(struct source *source, const char *path);
void source_text(struct source *source, const char *text);

/* Reads until size bytes are there, or the end (then `ended` is set), or, from a pipe, until nothing came
 * for wait_ms; -1: however long it takes. Returns the count or -errno. */
int64_t source_read(struct source *source, void *to, size_t size, int wait_ms);

void source_close(struct source *source);

#endif
