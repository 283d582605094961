/* log.c - writes one line per event to standard error.
 * Owns nothing but the level. Any thread: a line is composed on the stack and written at once. */
#include "daemon/log.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
/* A journal that does not read is not waited for. */
#define JOURNAL_FLAGS (MSG_NOSIGNAL | MSG_DONTWAIT)

static _Atomic enum log_level highest = LOG_INFO;
static const char *journal_path = JOURNAL_SOCKET;

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

/* ---- the journal's own protocol: lines of NAME=text in one datagram */

void
log_use_journal(const char *path)
{
	journal_path = path ? path : JOURNAL_SOCKET;
}

static void
put_field(struct line *line, const struct log_field *field)
{
	char number[24];

	snprintf(number, sizeof(number), "%" PRIu64, field->number);
	put(line, field->name, strlen(field->name));
	put(line, "=", 1);
	put_text(line, field->text ? field->text : number);
	put(line, "\n", 1);
}

static bool
send_to_journal(const struct line *line)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t len = strlen(journal_path);
	ssize_t sent = -1;
	int fd;

	if (len >= sizeof(address.sun_path))
		return false;
	memcpy(address.sun_path, journal_path, len + 1);
	fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return false;
	sent = sendto(fd, line->bytes, line->len, JOURNAL_FLAGS,
		      (const struct sockaddr *)&address, sizeof(address));
	close(fd);
	return sent == (ssize_t)line->len;
}

/* Fields first: they are short, and the text is what may be cut. */
static bool
write_fields(enum log_level level, const struct log_field *fields, const char *text)
{
	struct line line = { .len = 0 };

	put_field(&line,
		  &(struct log_field){ "PRIORITY", NULL, (uint64_t)priorities[level] });
	put_field(&line, &(struct log_field){ "SYSLOG_IDENTIFIER", "brined", 0 });
	for (; fields->name; fields++)
		put_field(&line, fields);
	put(&line, "MESSAGE=", 8);
	if (line.cut)
		return false;
	put_text(&line, text);
	if (line.cut)
		memcpy(line.bytes + line.len, "...", 3);
	line.len += line.cut ? 3 : 0;
	line.bytes[line.len++] = '\n';
	return send_to_journal(&line);
}

static void
write_text(enum log_level level, const char *text, bool cut)
{
	struct line line;

	begin(&line, level);
	put_text(&line, text);
	line.cut = line.cut || cut;
	end(&line);
}

static bool
left_out(enum log_level level)
{
	return level > atomic_load_explicit(&highest, memory_order_relaxed);
}

/* fields: NULL for a line that has none. */
__attribute__((format(printf, 3, 0))) static void
write_line(enum log_level level, const struct log_field *fields, const char *format,
	   va_list arguments)
{
	char buffer[LOG_LINE_MAX];
	int saved = errno;
	int len = vsnprintf(buffer, sizeof(buffer), format, arguments);
	const char *text = len < 0 ? format : buffer;

	if (!fields || !to_journal() || !write_fields(level, fields, text))
		write_text(level, text, len >= (int)sizeof(buffer));
	errno = saved;
}

void
log_with(enum log_level level, const struct log_field *fields, const char *format, ...)
{
	va_list arguments;

	if (left_out(level))
		return;
	va_start(arguments, format);
	write_line(level, fields, format, arguments);
	va_end(arguments);
}

void
log_write(enum log_level level, const char *format, ...)
{
	va_list arguments;

	if (left_out(level))
		return;
	va_start(arguments, format);
	write_line(level, NULL, format, arguments);
	va_end(arguments);
}

void
log_check_failed(const char *condition, const char *file, int line)
{
	log_write(LOG_ERROR, "%s:%d: CHECK(%s) failed: a bug in Brine; aborting", file,
		  line, condition);
	abort();
}
