/* sink.h - where the value of a get goes: standard output, or a file that changes only once all arrived. */
#ifndef CLI_SINK_H
#define CLI_SINK_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct sink {
	int fd;
	const char *name; /* for messages; borrowed */
	const char *path; /* the file to replace in the end; NULL: written in place */
	char folder[PATH_MAX];         /* of path */
	char temporary[PATH_MAX + 32]; /* "" while the new file has no name */
};

/* path NULL or "-" is standard output. Returns 0 or -errno, having changed nothing. */
int sink_open(struct sink *sink, const char *path);

/* Writes all of it. Returns 0 or -errno. */
int sink_write(struct sink *sink, const void *bytes, size_t len);

/* The same, but gives up when the receiver takes its time: *ret_written says how much of it was written. */
int sink_write_within(struct sink *sink, const void *bytes, size_t len, unsigned ms,
		      size_t *ret_written);

/* The value is complete. Returns 0 or -errno; then the file is as it was. */
int sink_finish(struct sink *sink);

/* It is not. After sink_finish() there is nothing to do. */
void sink_abandon(struct sink *sink);

#endif
