/* log.c - writes one line per event to standard error.
 * Owns nothing but the level. Any thread: a line is composed on the stack and written at once. */
#include "daemon/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static _Atomic enum log_level highest = LOG_INFO;

static const char *const names[] = {
	[LOG_ERROR] = "error",
	[LOG_WARNING] = "warning",
	[LOG_INFO] = "info",
	[LOG_DEBUG] = "debug",
};
/* The same as syslog priorities, which the journal reads from the start of a line. */
static const int priorities[] = {
	[LOG_ERROR] = 3,
	[LOG_WARNING] = 4,
	[LOG_INFO] = 6,
	[LOG_DEBUG] = 7,
};

/* Room is kept for "...\n", so that the end of a cut line can always be written. */
struct line {
	char bytes[LOG_LINE_MAX];
	size_t len;
	bool cut;
};
#define LINE_ROOM (LOG_LINE_MAX - 4)

void
log_set_level(enum log_level level)
{
	atomic_store_explicit(&highest, level, memory_order_relaxed);
}

/* Is standard error the journal's stream? A child that redirected it still has the variable, so
 * systemd names device and inode. */
static bool
to_journal(void)
{
	const char *text = getenv("JOURNAL_STREAM");
	unsigned long long device, inode;
	struct stat status;

	return text && sscanf(text, "%llu:%llu", &device, &inode) == 2 &&
	       fstat(STDERR_FILENO, &status) == 0 && status.st_dev == device &&
	       status.st_ino == inode;
}

static void
begin(struct line *line, enum log_level level)
{
	struct timespec now;
	struct tm utc;
	size_t len;

	line->cut = false;
	if (to_journal()) {
		line->len = (size_t)snprintf(line->bytes, LINE_ROOM, "<%d>",
					     priorities[level]);
		return;
	}
	clock_gettime(CLOCK_REALTIME, &now);
	gmtime_r(&now.tv_sec, &utc);
	len = strftime(line->bytes, LINE_ROOM, "%Y-%m-%dT%H:%M:%S", &utc);
	len += (size_t)snprintf(line->bytes + len, LINE_ROOM - len,
				".%03ldZ %s: ", now.tv_nsec / 1000000, names[level]);
	line->len = len;
}

/* Bytes of the UTF-8 character at text that a terminal may see; 0 if it may not. */
static size_t
printable(const unsigned char *text)
{
	size_t len = text[0] < 0x80   ? 1
		     : text[0] < 0xc2 ? 0
		     : text[0] < 0xe0 ? 2
		     : text[0] < 0xf0 ? 3
		     : text[0] < 0xf5 ? 4
				      : 0;

	for (size_t i = 1; i < len; i++)
		if ((text[i] & 0xc0) != 0x80) /* also the ending NUL */
			return 0;
	if (len == 1)
		return text[0] >= 0x20 && text[0] != 0x7f;
	if (len == 2 && text[0] == 0xc2 && text[1] < 0xa0) /* C1 controls */
		return 0;
	if (len == 3 && ((text[0] == 0xe0 && text[1] < 0xa0) ||
			 (text[0] == 0xed && text[1] >= 0xa0))) /* overlong; surrogates */
		return 0;
	if (len == 4 &&
	    ((text[0] == 0xf0 && text[1] < 0x90) ||
	     (text[0] == 0xf4 && text[1] >= 0x90))) /* overlong; past the end */
		return 0;
	return len;
}

static void
put(struct line *line, const void *bytes, size_t len)
{
	if (line->cut || len > LINE_ROOM - line->len) {
		line->cut = true;
		return;
	}
	memcpy(line->bytes + line->len, bytes, len);
	line->len += len;
}

static void
put_text(struct line *line, const char *text)
{
	const unsigned char *next = (const unsigned char *)text;
	char hex[5];

	while (*next && !line->cut) {
		size_t len = printable(next);

		if (len) {
			put(line, next, len);
			next += len;
		} else {
			snprintf(hex, sizeof(hex), "\\x%02x", *next);
			put(line, hex, 4);
			next++;
		}
	}
}

static void
end(struct line *line)
{
	if (line->cut) {
		memcpy(line->bytes + line->len, "...", 3);
		line->len += 3;
	}
	line->bytes[line->len++] = '\n';
	while (write(STDERR_FILENO, line->bytes, line->len) < 0 && errno == EINTR)
		;
}

void
log_write(enum log_level level, const char *format, ...)
{
	char text[LOG_LINE_MAX];
	struct line line;
	va_list arguments;
	int saved = errno;
	int len;

	if (level > atomic_load_explicit(&highest, memory_order_relaxed))
		return;
	va_start(arguments, format);
	len = vsnprintf(text, sizeof(text), format, arguments);
	va_end(arguments);
	begin(&line, level);
	put_text(&line, len < 0 ? format : text);
	line.cut = line.cut || len >= (int)sizeof(text);
	end(&line);
	errno = saved;
}

void
log_check_failed(const char *condition, const char *file, int line)
{
	log_write(LOG_ERROR, "%s:%d: CHECK(%s) failed: a bug in Brine; aborting", file,
		  line, condition);
	abort();
}
