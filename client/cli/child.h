/* child.h - runs a command, passes on what it writes and what signals come, and tells how it ended. */
#ifndef CLI_CHILD_H
#define CLI_CHILD_H

#include <stdbool.h>
#include <stddef.h>

struct child_plan {
	const char *path;
	const char *const *arguments; /* end with NULL */
	int input;                    /* its standard input; borrowed */
	/* Called with each piece that it wrote to standard output (1) or error (2), once that was passed on. */
	void (*wrote)(void *arg, int stream, const void *bytes, size_t len);
	/* Called when a signal came that ends programs, before it is passed on; perhaps several times. */
	void (*signalled)(void *arg);
	void *arg;
};

struct child_end {
	int status;     /* as shells have it: 128 and the number for a signal */
	bool by_signal; /* that ended it */
	bool signalled; /* one came to this program */
	int output_error; /* what it wrote could not be passed on: -errno, of the first failure; else 0 */
	int failed_stream;
};

/* Runs it to its end, and to the end of what it wrote: a program that it left behind and that still holds its output
 * is waited for, unless a signal came. Returns 0, or -errno: it could not be started. */
int child_run(const struct child_plan *plan, struct child_end *ret_end);

#endif
