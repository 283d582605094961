/* log.h - one line per event on standard error, for the journal or for a terminal.
 *
 * A line says who, what failed, why, and what happens next. Text from outside may be passed as
 * it is: control bytes and broken UTF-8 arrive as \xNN, and a line has a bound. errno is kept,
 * so %m works and the caller's errno survives. Never allocates; any thread. */
#ifndef DAEMON_LOG_H
#define DAEMON_LOG_H

#include <stdint.h>

/* In the order of conf's log_level. */
enum log_level { LOG_ERROR, LOG_WARNING, LOG_INFO, LOG_DEBUG };

/* The longest line, prefix and newline included; what is longer ends in "...". */
#define LOG_LINE_MAX 2048

/* Lines above this level are dropped from now on. LOG_INFO before the first call. */
void log_set_level(enum log_level level);

__attribute__((format(printf, 2, 3))) void log_write(enum log_level level,
						     const char *format, ...);
/* What a line is about, for those who read the journal by fields: name=text, or of a text that is NULL the number. */
struct log_field {
	const char *name; /* as the journal wants it: BRINE_UID; NULL ends a list */
	const char *text;
	uint64_t number;
};

/* The same as log_write(). Where standard error is the journal, the fields go with it, as the journal's native protocol
 * has them; where that fails, and elsewhere, it is a plain line. */
__attribute__((format(printf, 3, 4))) void log_with(enum log_level level,
						    const struct log_field *fields,
						    const char *format, ...);

/* Where the journal listens, borrowed; NULL: where systemd has it. For tests. */
void log_use_journal(const char *path);

__attribute__((noreturn)) void log_check_failed(const char *condition, const char *file,
						int line);

#define log_error(...) log_write(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_write(LOG_WARNING, __VA_ARGS__)
#define log_info(...) log_write(LOG_INFO, __VA_ARGS__)
#define log_debug(...) log_write(LOG_DEBUG, __VA_ARGS__)

/* Our own bugs only: says where, and aborts. Never for bytes from a socket, a file or a caller. */
#define CHECK(condition)                                                                 \
	((condition) ? (void)0 : log_check_failed(#condition, __FILE__, __LINE__))

#endif
