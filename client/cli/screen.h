/* screen.h - a terminal that is drawn on as a whole and given back as it was, on every way out: at the end, when a
 * signal ends the program, and while it is stopped. One at a time; the main thread. */
#ifndef CLI_SCREEN_H
#define CLI_SCREEN_H

#include <stdbool.h>
#include <stddef.h>

/* Standard input and output are the terminal. Returns 0 or -errno, having changed nothing. */
int screen_open(void);
void screen_close(void);

void screen_size(unsigned *ret_columns, unsigned *ret_rows);

/* Shows the text, whose lines end with SCREEN_LINE_END, from the upper left corner, and nothing else. False: the
 * terminal is gone. */
#define SCREEN_LINE_END                                                                  \
	"\r\n\033[K" /* not before its end: what stands in the last column would go */
bool screen_show(const char *text, size_t len);

enum screen_event {
	SCREEN_NOTHING, /* the time is over */
	SCREEN_CHANGED, /* its size, or it was stopped: draw again */
	SCREEN_QUIT,    /* q, or the terminal is gone */
	SCREEN_KEY,     /* any other */
};

/* Waits at most so long. */
enum screen_event screen_wait(int ms);

#endif
