/* test_log.c - what arrives on standard error. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/ration.h"

/* Standard error is a pipe between capture_begin() and capture_end(). */
static int pipe_ends[2], real_stderr;
static char captured[65536];

static void
capture_begin(void)
{
	assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
	real_stderr = dup(STDERR_FILENO);
	assert_int_equal(dup2(pipe_ends[1], STDERR_FILENO), STDERR_FILENO);
}

static const char *
capture_end(void)
{
	ssize_t len;

	dup2(real_stderr, STDERR_FILENO);
	close(real_stderr);
	close(pipe_ends[1]);
	len = read(pipe_ends[0], captured, sizeof(captured) - 1);
	close(pipe_ends[0]);
	captured[len < 0 ? 0 : len] = '\0';
	return captured;
}

static int
fresh(void **state)
{
	(void)state;
	unsetenv("JOURNAL_STREAM");
	log_set_level(LOG_INFO);
	return 0;
}

/* The text after "2026-01-02T03:04:05.678Z ". */
static const char *
after_time(const char *line)
{
	static const char shape[] = "0000-00-00T00:00:00.000Z ";

	for (size_t i = 0; i < sizeof(shape) - 1; i++)
		if (shape[i] == '0')
			assert_in_range(line[i], '0', '9');
		else
			assert_int_equal(line[i], shape[i]);
	return line + sizeof(shape) - 1;
}

static void
a_line_has_time_and_level(void **state)
{
	(void)state;
	capture_begin();
	log_warning("conn %d: frame of %d MiB", 41, 9);
	assert_string_equal(after_time(capture_end()),
			    "warning: conn 41: frame of 9 MiB\n");
}

static void
lines_above_the_level_are_dropped(void **state)
{
	(void)state;
	capture_begin();
	log_debug("not seen");
	log_set_level(LOG_ERROR);
	log_warning("nor this");
	log_error("this");
	assert_string_equal(after_time(capture_end()), "error: this\n");
}

static void
the_journal_gets_priorities(void **state)
{
	struct stat status;
	char stream[64];

	(void)state;
	log_set_level(LOG_DEBUG);
	capture_begin();
	fstat(STDERR_FILENO, &status);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
		 (unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	log_error("one");
	log_warning("two");
	log_info("three");
	log_debug("four");
	assert_string_equal(capture_end(), "<3>one\n<4>two\n<6>three\n<7>four\n");
}

static void
name_stream(void)
{
	struct stat status;
	char stream[64];

	fstat(STDERR_FILENO, &status);
	snprintf(stream, sizeof(stream), "%llu:%llu", (unsigned long long)status.st_dev,
		 (unsigned long long)status.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
}

static const struct log_field fields[] = { { "BRINE_UID", NULL, 1000 },
					   { "BRINE_ERROR", "FORBIDDEN\nMESSAGE=x", 0 },
					   { NULL, NULL, 0 } };

static void
the_journal_gets_fields_in_one_datagram(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	char folder[] = "/tmp/brine-log-XXXXXX", datagram[LOG_LINE_MAX + 1];
	static char text[LOG_LINE_MAX * 2];
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	ssize_t len;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/socket", folder);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	log_use_journal(address.sun_path);
	capture_begin();
	name_stream();
	log_with(LOG_WARNING, fields, "refused uid %d", 1000);
	memset(text, 'x', sizeof(text) - 1);
	log_with(LOG_WARNING, fields, "%s", text);
	assert_string_equal(capture_end(), "");
	len = recv(fd, datagram, sizeof(datagram) - 1, MSG_DONTWAIT);
	assert_true(len > 0);
	datagram[len] = '\0';
	assert_string_equal(datagram, "PRIORITY=4\nSYSLOG_IDENTIFIER=brined\n"
				      "BRINE_UID=1000\n"
				      "BRINE_ERROR=FORBIDDEN\\x0aMESSAGE=x\n"
				      "MESSAGE=refused uid 1000\n");
	assert_in_range(recv(fd, datagram, sizeof(datagram), MSG_DONTWAIT), 100,
			LOG_LINE_MAX);
	log_use_journal(NULL);
	close(fd);
	unlink(address.sun_path);
	rmdir(folder);
}

static void
fields_are_left_out_where_no_journal_takes_them(void **state)
{
	(void)state;
	log_use_journal("/nowhere/socket");
	capture_begin();
	name_stream();
	log_with(LOG_WARNING, fields, "refused uid %d", 1000);
	assert_string_equal(capture_end(), "<4>refused uid 1000\n");
	unsetenv("JOURNAL_STREAM");
	capture_begin();
	log_with(LOG_WARNING, fields, "refused uid %d", 1000);
	assert_string_equal(after_time(capture_end()), "warning: refused uid 1000\n");
	log_use_journal(NULL);
}

static void
so_many_lines_a_minute_and_then_how_many_there_were(void **state)
{
	const uint64_t minute_ns = 60 * UINT64_C(1000000000);
	struct ration ration = { 0 };
	unsigned withheld;

	(void)state;
	for (unsigned minute = 5; minute < 7; minute++) {
		for (unsigned i = 0; i < 10; i++) {
			bool may = ration_take(&ration, minute * minute_ns + i, 3,
					       &withheld);

			assert_int_equal(may, i < 3);
			assert_int_equal(withheld, minute == 6 && i == 0 ? 7 : 0);
		}
	}
}

static void
another_stream_of_the_journal_is_not_ours(void **state)
{
	(void)state;
	setenv("JOURNAL_STREAM", "1:1", 1);
	capture_begin();
	log_info("plain");
	assert_string_equal(after_time(capture_end()), "info: plain\n");
}

static void
control_bytes_and_broken_utf8_are_escaped(void **state)
{
	(void)state;
	capture_begin();
	log_info("key %s", "a\nb\x1b[1m\x7f\xff");
	assert_string_equal(after_time(capture_end()),
			    "info: key a\\x0ab\\x1b[1m\\x7f\\xff\n");
	capture_begin();
	log_info("%s", "gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80");
	assert_string_equal(after_time(capture_end()),
			    "info: gr\xc3\xbc\xc3\x9f \xe2\x82\xac \xf0\x9f\x98\x80\n");
	capture_begin();
	/* a C1 control, overlong forms, a surrogate, a cut character */
	log_info("%s",
		 "\xc2\x9b \xc0\x8a \xe0\x80\x8a \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82");
	assert_string_equal(after_time(capture_end()),
			    "info: \\xc2\\x9b \\xc0\\x8a \\xe0\\x80\\x8a \\xed\\xa0\\x80 "
			    "\\xf4\\x90\\x80\\x80 \\xe2\\x82\n");
}

static void
a_long_line_is_cut_with_dots(void **state)
{
	static char text[LOG_LINE_MAX * 2];
	const char *line;
	size_t len;

	(void)state;
	for (size_t used = LOG_LINE_MAX - 40; used < sizeof(text) - 1; used += 7) {
		memset(text, used % 2 ? '\n' : 'x', used);
		text[used] = '\0';
		capture_begin();
		log_info("%s", text);
		line = capture_end();
		len = strlen(line);
		assert_in_range(len, LOG_LINE_MAX - 40, LOG_LINE_MAX);
		assert_ptr_equal(strchr(line, '\n'), line + len - 1);
		if (used > LOG_LINE_MAX)
			assert_memory_equal(line + len - 4, "...\n", 4);
	}
}

static void
errno_is_kept(void **state)
{
	(void)state;
	capture_begin();
	errno = ENOSPC;
	log_error("store: %m");
	assert_int_equal(errno, ENOSPC);
	assert_string_equal(after_time(capture_end()),
			    "error: store: No space left on device\n");
}

static void
a_closed_standard_error_is_survived(void **state)
{
	(void)state;
	capture_begin();
	close(STDERR_FILENO);
	log_error("into nothing");
	assert_string_equal(capture_end(), "");
}

static void
a_failed_check_says_where_and_aborts(void **state)
{
	int status;
	pid_t child;

	(void)state;
	capture_begin();
	child = fork();
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		CHECK(1 == 1);
		CHECK(1 == 2);
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_non_null(strstr(capture_end(), "test_log.c:"));
	assert_non_null(strstr(captured, "CHECK(1 == 2) failed"));
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fresh, fresh)
		TEST(a_line_has_time_and_level),
		TEST(lines_above_the_level_are_dropped),
		TEST(the_journal_gets_priorities),
		TEST(the_journal_gets_fields_in_one_datagram),
		TEST(fields_are_left_out_where_no_journal_takes_them),
		TEST(so_many_lines_a_minute_and_then_how_many_there_were),
		TEST(another_stream_of_the_journal_is_not_ours),
		TEST(control_bytes_and_broken_utf8_are_escaped),
		TEST(a_long_line_is_cut_with_dots),
		TEST(errno_is_kept),
		TEST(a_closed_standard_error_is_survived),
		TEST(a_failed_check_says_where_and_aborts),
	};
	return unit_run(tests);
}
