/* test_client_streams.c - values in pieces, and many requests at once, against the tests' own daemon. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/brine.h"
#include "proto/errors.h"
#include "tests/unit/fake.h"

#define LARGE ((size_t)2 * FRAME_SEGMENT_MAX + 4321)

static struct brine *
open_at(const struct fake *fake)
{
	struct brine_options options = { .socket = fake->path };
	struct brine *brine;

	assert_int_equal(brine_open(&options, &brine), 0);
	return brine;
}

static unsigned char *
make_bytes(size_t len)
{
	unsigned char *bytes = malloc(len);

	for (size_t i = 0; i < len; i++)
		bytes[i] = (unsigned char)(i * 2654435761u >> 11);
	return bytes;
}

static void
expect(struct brine *brine, const char *key, const void *bytes, size_t len)
{
	struct brine_value *value;

	if (brine_get(brine, key, strlen(key), NULL, &value) != BRINE_HIT)
		fail_msg("get %s: %s", key, brine_message(brine));
	assert_int_equal(brine_value_len(value), len);
	assert_memory_equal(brine_value_data(value), bytes, len);
	brine_value_release(&value);
}

static void
a_value_goes_up_in_pieces_of_any_size(void **state)
{
	static const size_t pieces[] = { 1000, 1u << 20, 3u << 20 };
	unsigned char *bytes = make_bytes(LARGE);
	struct brine_upload *upload;
	struct fake fake;
	struct brine *brine;
	uint64_t version;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(&fake);
	for (size_t i = 0; i < 3; i++) {
		uint64_t length = i == 1 ? BRINE_UNKNOWN : LARGE;

		assert_int_equal(brine_put_begin(brine, "k", 1, length, NULL, &upload),
				 0);
		for (size_t at = 0; at < LARGE; at += pieces[i]) {
			size_t some = LARGE - at < pieces[i] ? LARGE - at : pieces[i];

			assert_int_equal(brine_put_write(upload, bytes + at, some), 0);
		}
		assert_int_equal(brine_put_finish(&upload, &version), BRINE_DONE);
		assert_int_equal(version, i + 1);
		assert_null(upload);
		expect(brine, "k", bytes, LARGE);
	}
	assert_int_equal(brine_put_begin(brine, "k", 1, 0, NULL, &upload), 0);
	assert_int_equal(brine_put_finish(&upload, NULL), BRINE_DONE);
	expect(brine, "k", "", 0);
	assert_int_equal(atomic_load(&fake.connections), 1);
	brine_close(&brine);
	fake_stop(&fake);
	free(bytes);
}

static void
an_aborted_upload_stores_nothing_and_keeps_the_connection(void **state)
{
	struct brine_upload *upload;
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(&fake);
	assert_int_equal(brine_put(brine, "k", 1, "old", 3, NULL, NULL), 0);
	assert_int_equal(brine_put_begin(brine, "k", 1, BRINE_UNKNOWN, NULL, &upload), 0);
	assert_int_equal(brine_put_write(upload, "new", 3), 0);
	brine_put_abort(&upload);
	assert_null(upload);
	assert_int_equal(brine_put_begin(brine, "k", 1, BRINE_UNKNOWN, NULL, &upload), 0);
	brine_put_abort(&upload); /* before its first byte */
	assert_int_equal(brine_put_begin(brine, "k", 1, 5, NULL, &upload), 0);
	assert_int_equal(brine_put_write(upload, "123456", 6), -BRINE_ERROR_BAD_ARGUMENT);
	assert_int_equal(brine_put_write(upload, "1234", 4), 0);
	assert_int_equal(brine_put_finish(&upload, NULL), -BRINE_ERROR_BAD_ARGUMENT);
	assert_null(upload);
	expect(brine, "k", "old", 3);
	assert_int_equal(atomic_load(&fake.connections), 1);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_handle_with_a_stream_serves_nothing_else(void **state)
{
	struct brine_download *download;
	struct brine_upload *upload, *second;
	struct brine_value *value;
	struct fake fake;
	struct brine *brine;
	char byte;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(&fake);
	assert_int_equal(brine_put_begin(brine, "k", 1, BRINE_UNKNOWN, NULL, &upload), 0);
	assert_int_equal(brine_get(brine, "k", 1, NULL, &value),
			 -BRINE_ERROR_BAD_ARGUMENT);
	assert_int_equal(brine_put_begin(brine, "k", 1, 1, NULL, &second),
			 -BRINE_ERROR_BAD_ARGUMENT);
	assert_int_equal(brine_put_write(upload, "ab", 2), 0);
	assert_int_equal(brine_put_finish(&upload, NULL), 0);
	assert_int_equal(brine_get_begin(brine, "k", 1, NULL, &download), BRINE_HIT);
	assert_int_equal(brine_ping(brine, NULL), -BRINE_ERROR_BAD_ARGUMENT);
	assert_int_equal(brine_get_read(download, &byte, 1), 1);
	assert_int_equal(byte, 'a');
	brine_get_end(&download);
	expect(brine, "k", "ab", 2);
	assert_int_equal(atomic_load(&fake.connections), 1);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_value_comes_down_in_pieces_of_any_size(void **state)
{
	static const size_t pieces[] = { 777, 1u << 20, 4u << 20 };
	unsigned char *bytes = make_bytes(LARGE), *got = malloc(4u << 20);
	struct brine_download *download;
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(&fake);
	assert_int_equal(brine_get_begin(brine, "k", 1, NULL, &download), BRINE_MISS);
	assert_int_equal(brine_put(brine, "k", 1, bytes, LARGE, NULL, NULL), 0);
	for (size_t i = 0; i < 3; i++) {
		size_t have = 0;
		int64_t some;

		assert_int_equal(brine_get_begin(brine, "k", 1, NULL, &download),
				 BRINE_HIT);
		assert_int_equal(brine_download_meta(download)->length, LARGE);
		while ((some = brine_get_read(download, got, pieces[i])) > 0) {
			assert_true(have + (size_t)some == LARGE ||
				    (size_t)some == pieces[i]);
			assert_memory_equal(got, bytes + have, (size_t)some);
			have += (size_t)some;
		}
		assert_int_equal(some, 0);
		assert_int_equal(have, LARGE);
		brine_get_end(&download);
		assert_null(download);
	}
	assert_int_equal(atomic_load(&fake.connections), 1);
	brine_close(&brine);
	fake_stop(&fake);
	free(bytes);
	free(got);
}

static void
a_download_left_early_costs_at_most_the_connection(void **state)
{
	unsigned char *bytes = make_bytes(LARGE);
	struct brine_download *download;
	struct fake fake;
	struct brine *brine;
	char some[100];

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(&fake);
	assert_int_equal(brine_put(brine, "large", 5, bytes, LARGE, NULL, NULL), 0);
	assert_int_equal(brine_put(brine, "small", 5, bytes, 10000, NULL, NULL), 0);
	assert_int_equal(brine_get_begin(brine, "small", 5, NULL, &download), BRINE_HIT);
	assert_int_equal(brine_get_read(download, some, 100), 100);
	brine_get_end(&download);
	assert_int_equal(brine_put(brine, "k", 1, "v", 1, NULL, NULL), 0);
	assert_int_equal(atomic_load(&fake.connections), 1);
	assert_int_equal(brine_get_begin(brine, "large", 5, NULL, &download), BRINE_HIT);
	assert_int_equal(brine_get_read(download, some, 100), 100);
	assert_memory_equal(some, bytes, 100);
	brine_get_end(&download);
	expect(brine, "k", "v", 1);
	assert_int_equal(atomic_load(&fake.connections), 2);
	brine_close(&brine);
	fake_stop(&fake);
	free(bytes);
}

static enum fake_does
half_a_value(struct fake *fake, const struct fake_request *request)
{
	static const uint8_t abort_word[FRAME_WORD_SIZE] = { ERROR_DAMAGED, 0, 0, 0xc0 };
	uint8_t head[FRAME_PREAMBLE_SIZE + 64];
	struct frame frame = { .version = 1,
			       .kind = FRAME_REPLY,
			       .id = request->frame.id,
			       .first = { .mark = FRAME_MORE, .len = 4 } };
	struct message message = { 0 };

	if (request->frame.kind != COMMAND_GET)
		return FAKE_ANSWERS;
	MESSAGE_SET(&message, LENGTH, length, 1000000);
	frame.header_len =
		(uint32_t)message_encode(&message, head + FRAME_PREAMBLE_SIZE, 64);
	frame_write(head, &frame);
	fake_send(request, head, FRAME_PREAMBLE_SIZE + frame.header_len);
	fake_send(request, "half", 4);
	if (atomic_fetch_add(&fake->stage, 1))
		return FAKE_CLOSES;
	fake_send(request, abort_word, sizeof(abort_word));
	return FAKE_DOES_NOT;
}

static void
a_download_that_breaks_off_never_looks_complete(void **state)
{
	struct brine_download *download;
	struct brine_value *value;
	struct fake fake;
	struct brine *brine;
	char some[100];

	(void)state;
	fake_start(&fake, NULL, half_a_value);
	brine = open_at(&fake);
	assert_int_equal(brine_get_begin(brine, "k", 1, NULL, &download), BRINE_HIT);
	assert_int_equal(brine_get_read(download, some, 100), -BRINE_ERROR_DAMAGED);
	assert_int_equal(brine_get_read(download, some, 100), -BRINE_ERROR_DAMAGED);
	brine_get_end(&download);
	assert_int_equal(brine_ping(brine, NULL), 0);
	assert_int_equal(atomic_load(&fake.connections), 1);
	assert_int_equal(brine_get_begin(brine, "k", 1, NULL, &download), BRINE_HIT);
	assert_int_equal(brine_get_read(download, some, 4), 4);
	assert_int_equal(brine_get_read(download, some, 100), -BRINE_ERROR_CUT_OFF);
	brine_get_end(&download);
	assert_int_equal(brine_get(brine, "k", 1, NULL, &value), -BRINE_ERROR_CUT_OFF);
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
refuse_puts(struct fake *fake, const struct fake_request *request)
{
	(void)fake;
	if (request->frame.kind != COMMAND_PUT)
		return FAKE_ANSWERS;
	fake_error(request, request->aborted ? ERROR_ABORTED : ERROR_TOO_LARGE);
	return FAKE_DOES_NOT;
}

static void
a_refused_upload_reports_it_and_the_handle_goes_on(void **state)
{
	struct brine_upload *upload;
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, refuse_puts);
	brine = open_at(&fake);
	assert_int_equal(brine_put_begin(brine, "k", 1, 3, NULL, &upload), 0);
	assert_int_equal(brine_put_write(upload, "abc", 3), 0);
	assert_int_equal(brine_put_finish(&upload, NULL), -BRINE_ERROR_TOO_LARGE);
	assert_non_null(strstr(brine_message(brine), "TOO_LARGE"));
	assert_non_null(strstr(brine_message(brine), "this one has 3 bytes"));
	assert_int_equal(brine_put(brine, "k", 1, "abcd", 4, NULL, NULL),
			 -BRINE_ERROR_TOO_LARGE);
	assert_non_null(strstr(brine_message(brine), "this one has 4 bytes"));
	assert_int_equal(brine_ping(brine, NULL), 0);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
an_upload_in_a_forked_child_sends_nothing(void **state)
{
	struct brine_upload *upload;
	struct fake fake;
	struct brine *brine;
	int status;
	pid_t pid;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(&fake);
	assert_int_equal(brine_put_begin(brine, "k", 1, BRINE_UNKNOWN, NULL, &upload), 0);
	assert_int_equal(brine_put_write(upload, "abc", 3), 0);
	pid = fork();
	if (pid == 0) {
		int good = brine_put_write(upload, "child", 5) == -BRINE_ERROR_CUT_OFF;

		brine_put_abort(&upload);
		good = good &&
		       brine_ping(brine, NULL) == 0; /* on a connection of its own */
		brine_close(&brine);
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(brine_put_write(upload, "def", 3), 0);
	assert_int_equal(brine_put_finish(&upload, NULL), 0);
	expect(brine, "k", "abcdef", 6);
	brine_close(&brine);
	fake_stop(&fake);
}

/* ---- descriptors */

static int
file_of(const void *bytes, size_t len)
{
	int fd = memfd_create("source", MFD_CLOEXEC);

	assert_int_equal(write(fd, bytes, len), len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	return fd;
}

static void
a_file_goes_in_and_comes_out_whole(void **state)
{
	static const size_t sizes[] = { 0, 1, 5000, 1u << 20, (1u << 20) + 1, LARGE };
	unsigned char *bytes = make_bytes(LARGE), *got = malloc(LARGE);
	struct brine_meta meta;
	struct fake fake;
	struct brine *brine;
	int fd, out;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(&fake);
	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		fd = file_of(bytes, sizes[i]);
		out = memfd_create("sink", MFD_CLOEXEC);
		assert_int_equal(brine_put_fd(brine, "k", 1, fd, NULL, NULL), BRINE_DONE);
		assert_int_equal(brine_get_fd(brine, "k", 1, out, NULL, &meta),
				 BRINE_HIT);
		assert_int_equal(meta.length, sizes[i]);
		assert_int_equal(lseek(out, 0, SEEK_CUR), sizes[i]);
		assert_int_equal(pread(out, got, LARGE, 0), sizes[i]);
		assert_memory_equal(got, bytes, sizes[i]);
		close(fd);
		close(out);
	}
	assert_int_equal(brine_get_fd(brine, "absent", 6, -1, NULL, NULL), BRINE_MISS);
	assert_int_equal(atomic_load(&fake.connections), 1);
	brine_close(&brine);
	fake_stop(&fake);
	free(bytes);
	free(got);
}

static void
a_pipe_is_stored_to_its_end(void **state)
{
	unsigned char *bytes = make_bytes(LARGE);
	struct fake fake;
	struct brine *brine;
	int ends[2], status;
	pid_t pid;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(&fake);
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		for (size_t at = 0; at < LARGE;) {
			ssize_t some = write(ends[1], bytes + at, LARGE - at);

			if (some <= 0)
				_exit(1);
			at += (size_t)some;
		}
		_exit(0);
	}
	close(ends[1]);
	assert_int_equal(brine_put_fd(brine, "k", 1, ends[0], NULL, NULL), BRINE_DONE);
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	expect(brine, "k", bytes, LARGE);
	brine_close(&brine);
	fake_stop(&fake);
	free(bytes);
}

static void
a_source_or_sink_that_fails_is_named(void **state)
{
	unsigned char *bytes = make_bytes(LARGE);
	struct fake fake;
	struct brine *brine;
	int closed = open("/dev/null", O_WRONLY), full = open("/dev/full", O_WRONLY);

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(&fake);
	assert_int_equal(brine_put_fd(brine, "k", 1, closed, NULL, NULL),
			 -BRINE_ERROR_SOURCE_FAILED);
	assert_non_null(strstr(brine_message(brine), "Bad file descriptor"));
	assert_int_equal(brine_put(brine, "k", 1, bytes, LARGE, NULL, NULL), 0);
	assert_int_equal(brine_get_fd(brine, "k", 1, full, NULL, NULL),
			 -BRINE_ERROR_SINK_FAILED);
	assert_non_null(strstr(brine_message(brine), "No space"));
	expect(brine, "k", bytes, LARGE);
	close(closed);
	close(full);
	brine_close(&brine);
	fake_stop(&fake);
	free(bytes);
}

/* ---- descriptors that keep us waiting */

/* What the next poll() of this descriptor alone does first; -1 makes it interrupted by a signal. */
static struct {
	int fd;
	int (*act)(void);
} at_poll = { .fd = -1 };

int
poll(struct pollfd *fds, nfds_t count, int timeout_ms)
{
	struct timespec limit = { .tv_sec = timeout_ms / 1000,
				  .tv_nsec = timeout_ms % 1000 * 1000000 };
	struct pollfd *volatile asked = fds; /* which glibc's header calls write-only */

	if (count == 1 && asked->fd == at_poll.fd) {
		at_poll.fd = -1;
		if (at_poll.act()) {
			errno = EINTR;
			return -1;
		}
	}
	return ppoll(fds, count, timeout_ms < 0 ? NULL : &limit, NULL);
}

static int pipe_ends[2];

static int
interrupt_it(void)
{
	return -1;
}

static int
write_all_of_it(void)
{
	assert_int_equal(write(pipe_ends[1], "late", 4), 4);
	close(pipe_ends[1]);
	return 0;
}

static int
read_some_of_it(void)
{
	char bytes[8192];

	assert_int_equal(read(pipe_ends[0], bytes, sizeof(bytes)), sizeof(bytes));
	return 0;
}

static int
yes(void *arg)
{
	(void)arg;
	return 1;
}

static void
a_signal_ends_the_wait_for_a_silent_source(void **state)
{
	struct fake fake;
	struct brine_options options = { .socket = fake.path, .interrupted = yes };
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, NULL);
	assert_int_equal(brine_open(&options, &brine), 0);
	assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
	at_poll.fd = pipe_ends[0];
	at_poll.act = interrupt_it;
	assert_int_equal(brine_put_fd(brine, "k", 1, pipe_ends[0], NULL, NULL),
			 -BRINE_ERROR_INTERRUPTED);
	assert_int_equal(brine_get_fd(brine, "k", 1, -1, NULL, NULL), BRINE_MISS);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_signal_ends_the_wait_for_the_rest_of_a_large_source(void **state)
{
	unsigned char *bytes = make_bytes(FRAME_SEGMENT_MAX);
	struct fake fake;
	struct brine_options options = { .socket = fake.path, .interrupted = yes };
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, NULL);
	assert_int_equal(brine_open(&options, &brine), 0);
	assert_int_equal(pipe2(pipe_ends, O_CLOEXEC), 0);
	assert_true(fcntl(pipe_ends[1], F_SETPIPE_SZ, FRAME_SEGMENT_MAX) > 0);
	assert_int_equal(write(pipe_ends[1], bytes, FRAME_SEGMENT_MAX),
			 FRAME_SEGMENT_MAX);
	at_poll.fd = pipe_ends[0];
	at_poll.act = interrupt_it;
	alarm(20); /* missed, the signal leaves a read() that never ends */
	assert_int_equal(brine_put_fd(brine, "k", 1, pipe_ends[0], NULL, NULL),
			 -BRINE_ERROR_INTERRUPTED);
	alarm(0);
	assert_int_equal(brine_get_fd(brine, "k", 1, -1, NULL, NULL), BRINE_MISS);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	brine_close(&brine);
	fake_stop(&fake);
	free(bytes);
}

static void
a_source_that_does_not_block_is_waited_for(void **state)
{
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(&fake);
	assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
	at_poll.fd = pipe_ends[0];
	at_poll.act = write_all_of_it;
	assert_int_equal(brine_put_fd(brine, "k", 1, pipe_ends[0], NULL, NULL),
			 BRINE_DONE);
	expect(brine, "k", "late", 4);
	close(pipe_ends[0]);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_sink_that_does_not_block_is_waited_for(void **state)
{
	unsigned char *bytes = make_bytes(16384);
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(&fake);
	assert_int_equal(brine_put(brine, "k", 1, bytes, 8192, NULL, NULL), BRINE_DONE);
	assert_int_equal(pipe2(pipe_ends, O_CLOEXEC | O_NONBLOCK), 0);
	while (write(pipe_ends[1], bytes, 16384) > 0)
		;
	at_poll.fd = pipe_ends[1];
	at_poll.act = read_some_of_it;
	assert_int_equal(brine_get_fd(brine, "k", 1, pipe_ends[1], NULL, NULL),
			 BRINE_HIT);
	close(pipe_ends[0]);
	close(pipe_ends[1]);
	brine_close(&brine);
	fake_stop(&fake);
	free(bytes);
}

/* ---- many */

#define MANY 2000

static void
many_requests_get_their_own_answers(void **state)
{
	struct brine_request *requests = calloc(MANY, sizeof(*requests));
	struct brine_reply *replies = calloc(MANY, sizeof(*replies));
	struct fake fake;
	struct brine *brine;
	char keys[MANY][8], *large = calloc(1, 1u << 20);

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(&fake);
	/* Large puts and their gets in one call: nobody may wait for the other for ever. */
	for (size_t i = 0; i < 20; i++) {
		sprintf(keys[i], "k%zu", i % 10);
		requests[i] =
			(struct brine_request){ .command = i < 10 ? BRINE_PUT : BRINE_GET,
						.key = keys[i],
						.key_len = strlen(keys[i]),
						.value = large,
						.value_len = (1u << 20) - i };
	}
	assert_int_equal(brine_many(brine, requests, 20, replies), 0);
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(replies[i].result, BRINE_DONE);
		assert_int_equal(replies[i].token, i);
		if (i >= 10)
			assert_int_equal(brine_value_len(replies[i].value),
					 (1u << 20) - (i - 10));
	}
	brine_replies_release(replies, 20);
	for (size_t i = 0; i < MANY; i++) {
		sprintf(keys[i], "k%zu", i % 20);
		requests[i] =
			(struct brine_request){ .command = BRINE_META,
						.key = keys[i],
						.key_len =
							i == 77 ? 0 : strlen(keys[i]) };
	}
	assert_int_equal(brine_many(brine, requests, MANY, replies), 0);
	for (size_t i = 0; i < MANY; i++)
		assert_int_equal(replies[i].result, i == 77       ? -BRINE_ERROR_BAD_KEY
						    : i % 20 < 10 ? BRINE_HIT
								  : BRINE_MISS);
	assert_int_equal(atomic_load(&fake.connections), 1);
	brine_close(&brine);
	fake_stop(&fake);
	free(requests);
	free(replies);
	free(large);
}

static enum fake_does
close_after_ten(struct fake *fake, const struct fake_request *request)
{
	(void)request;
	return atomic_fetch_add(&fake->stage, 1) == 10 ? FAKE_CLOSES : FAKE_ANSWERS;
}

static void
many_go_on_after_a_broken_connection_but_for_what_must_not_be_repeated(void **state)
{
	struct brine_request requests[30];
	struct brine_reply replies[30];
	struct fake fake;
	struct brine *brine;
	char keys[30][8];

	(void)state;
	fake_start(&fake, NULL, close_after_ten);
	brine = open_at(&fake);
	for (size_t i = 0; i < 30; i++) {
		sprintf(keys[i], "k%zu", i);
		requests[i] =
			(struct brine_request){ .command = BRINE_PUT,
						.key = keys[i],
						.key_len = strlen(keys[i]),
						.value = "v",
						.value_len = 1,
						.condition =
							i == 10 ? BRINE_IF_ABSENT : 0 };
	}
	assert_int_equal(brine_many(brine, requests, 30, replies), -BRINE_ERROR_CUT_OFF);
	for (size_t i = 0; i < 30; i++)
		assert_int_equal(replies[i].result,
				 i == 10 ? -BRINE_ERROR_CUT_OFF : BRINE_DONE);
	assert_int_equal(atomic_load(&fake.connections), 2);
	expect(brine, "k29", "v", 1);
	brine_close(&brine);
	fake_stop(&fake);
}

static enum fake_does
goaway_always(struct fake *fake, const struct fake_request *request)
{
	(void)fake;
	fake_goaway(request, 0);
	return FAKE_CLOSES;
}

static void
many_give_up_on_a_daemon_that_always_goes_away(void **state)
{
	struct brine_request requests[3] = { { .command = BRINE_PING },
					     { .command = BRINE_PING },
					     { .command = BRINE_PING } };
	struct brine_reply replies[3];
	struct fake fake;
	struct brine *brine;

	(void)state;
	fake_start(&fake, NULL, goaway_always);
	brine = open_at(&fake);
	assert_int_equal(brine_many(brine, requests, 3, replies),
			 -BRINE_ERROR_SHUTTING_DOWN);
	for (size_t i = 0; i < 3; i++)
		assert_int_equal(replies[i].result, -BRINE_ERROR_SHUTTING_DOWN);
	brine_close(&brine);
	fake_stop(&fake);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_value_goes_up_in_pieces_of_any_size),
		cmocka_unit_test(
			an_aborted_upload_stores_nothing_and_keeps_the_connection),
		cmocka_unit_test(a_handle_with_a_stream_serves_nothing_else),
		cmocka_unit_test(a_value_comes_down_in_pieces_of_any_size),
		cmocka_unit_test(a_download_left_early_costs_at_most_the_connection),
		cmocka_unit_test(a_download_that_breaks_off_never_looks_complete),
		cmocka_unit_test(a_refused_upload_reports_it_and_the_handle_goes_on),
		cmocka_unit_test(an_upload_in_a_forked_child_sends_nothing),
		cmocka_unit_test(a_file_goes_in_and_comes_out_whole),
		cmocka_unit_test(a_pipe_is_stored_to_its_end),
		cmocka_unit_test(a_source_or_sink_that_fails_is_named),
		cmocka_unit_test(a_signal_ends_the_wait_for_a_silent_source),
		cmocka_unit_test(a_signal_ends_the_wait_for_the_rest_of_a_large_source),
		cmocka_unit_test(a_source_that_does_not_block_is_waited_for),
		cmocka_unit_test(a_sink_that_does_not_block_is_waited_for),
		cmocka_unit_test(many_requests_get_their_own_answers),
		cmocka_unit_test(
			many_go_on_after_a_broken_connection_but_for_what_must_not_be_repeated),
		cmocka_unit_test(many_give_up_on_a_daemon_that_always_goes_away),
	};

	return unit_run(tests);
}
