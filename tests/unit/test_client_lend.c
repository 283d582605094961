/* test_client_lend.c - what libbrine does for event loops besides the wire: a connection that is found and checked by
 * a handle and given away, and what a request that was sent again comes to. */
#include "tests/unit/unit.h"

#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "client/brine.h"
#include "tests/unit/fake.h"

static struct brine *
open_at(const char *path)
{
	struct brine_options options = { .socket = path };
	struct brine *brine;

	assert_int_equal(brine_open(&options, &brine), 0);
	return brine;
}

/* One request over fd with a wire, as an event loop runs it. */
static int
ask(int fd, const struct brine_request *request)
{
	struct brine_reply reply = { 0 };
	struct iovec pieces[2];
	struct brine_wire *wire;
	ssize_t bytes;
	int count, result;

	assert_int_equal(brine_wire_new(NULL, &wire), 0);
	assert_int_equal(brine_wire_request(wire, request, 7, 0), 0);
	while ((count = brine_wire_output(wire, pieces, 2))) {
		bytes = writev(fd, pieces, count);
		assert_true(bytes > 0);
		brine_wire_sent(wire, (size_t)bytes, 0);
	}
	while ((result = brine_wire_next(wire, &reply)) == 0) {
		struct pollfd readable = { .fd = fd, .events = POLLIN };

		assert_int_equal(poll(&readable, 1, 20000), 1);
		count = brine_wire_space(wire, pieces);
		bytes = readv(fd, pieces, count);
		assert_true(bytes > 0);
		assert_int_equal(brine_wire_received(wire, (size_t)bytes, 0), 0);
	}
	assert_int_equal(result, 1);
	assert_int_equal(reply.token, 7);
	brine_replies_release(&reply, 1);
	brine_wire_free(&wire);
	return reply.result;
}

static void
a_connection_that_was_given_away_is_nobodys_else_and_serves_a_wire(void **state)
{
	struct brine_request put = { .command = BRINE_PUT,
				     .key = "k",
				     .key_len = 1,
				     .value = "v",
				     .value_len = 1 };
	struct brine_request get = { .command = BRINE_GET, .key = "k", .key_len = 1 };
	struct brine *brine;
	struct fake fake;
	char where[256];
	int fd, other;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(fake.path);
	assert_int_equal(brine_where(brine, where, sizeof(where)), BRINE_MISS);
	assert_int_equal(brine_connect(brine, 0, &fd), BRINE_DONE);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(brine_where(brine, where, sizeof(where)), BRINE_HIT);
	assert_non_null(strstr(where, fake.path));
	assert_int_equal(ask(fd, &put), BRINE_DONE);
	/* The next one is another, and so is what the handle uses itself. */
	assert_int_equal(brine_connect(brine, 1, &other), BRINE_DONE);
	assert_int_equal(brine_meta(brine, "k", 1, NULL, NULL), BRINE_HIT);
	assert_int_equal(ask(other, &get), BRINE_HIT);
	assert_int_equal(atomic_load(&fake.connections), 3);
	brine_close(&brine);
	close(fd);
	close(other);
	fake_stop(&fake);
}

static void
a_full_queue_of_new_connections_is_not_waited_for_unless_the_caller_may(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char folder[] = "/tmp/brine-lend-XXXXXX";
	struct brine_options options = { .socket = address.sun_path, .timeout_ms = 20 };
	struct brine *brine;
	int fd, fds[8], count = 0, result;

	(void)state;
	assert_non_null(mkdtemp(folder));
	snprintf(address.sun_path, sizeof(address.sun_path), "%s/s", folder);
	assert_int_equal(bind(listener, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(brine_open(&options, &brine), 0);
	while ((result = brine_connect(brine, 0, &fd)) == BRINE_DONE) {
		assert_true(count < 8);
		fds[count++] = fd;
	}
	assert_int_equal(result, -BRINE_ERROR_BUSY);
	assert_int_equal(brine_connect(brine, 1, &fd), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), "queue"));
	while (count)
		close(fds[--count]);
	brine_close(&brine);
	close(listener);
	unlink(address.sun_path);
	rmdir(folder);
}

static void
an_absent_daemon_is_told_and_looked_for_each_time(void **state)
{
	struct brine *brine;
	struct fake fake;
	char path[128];
	int fd;

	(void)state;
	fake_start(&fake, NULL, NULL);
	snprintf(path, sizeof(path), "%s/other.sock", fake.folder);
	brine = open_at(path);
	assert_int_equal(brine_connect(brine, 0, &fd), -BRINE_ERROR_UNREACHABLE);
	assert_non_null(strstr(brine_message(brine), path));
	assert_int_equal(rename(fake.path, path), 0);
	assert_int_equal(brine_connect(brine, 0, &fd), BRINE_DONE);
	close(fd);
	assert_int_equal(rename(path, fake.path), 0);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_fork_and_another_effective_uid_are_told_once(void **state)
{
	struct brine *brine;
	struct fake fake;
	int status, fd;
	pid_t pid;

	(void)state;
	fake_start(&fake, NULL, NULL);
	brine = open_at(fake.path);
	assert_int_equal(brine_connect(brine, 0, &fd), BRINE_DONE);
	assert_int_equal(brine_moved(brine), 0);
	pid = fork();
	if (pid == 0) {
		int good = brine_moved(brine) == 1 && brine_moved(brine) == 0;

		if (geteuid() == 0)
			good = good && seteuid(12345) == 0 && brine_moved(brine) == 1 &&
			       brine_moved(brine) == 0 && brine_uid(brine) == 12345;
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(brine_moved(brine), 0);
	close(fd);
	brine_close(&brine);
	fake_stop(&fake);
}

static void
a_daemon_that_is_not_to_be_trusted_is_not_connected_and_switched_off_none_is(void **state)
{
	struct brine *brine;
	struct fake fake;
	int status, fd;
	pid_t pid;

	(void)state;
	setenv("BRINE_DISABLE", "1", 1);
	brine = open_at("/nowhere");
	unsetenv("BRINE_DISABLE");
	assert_int_equal(brine_connect(brine, 1, &fd), -BRINE_ERROR_DISABLED);
	brine_close(&brine);
	if (geteuid() != 0)
		skip();
	/* The daemon is the child's: it listens under another uid. */
	pid = fork();
	if (pid == 0) {
		int good = setresuid(23456, 23456, 0) == 0;

		fake_start(&fake, NULL, NULL);
		good = good && seteuid(0) == 0 && setresuid(12345, 12345, 0) == 0 &&
		       seteuid(0) == 0;
		brine = open_at(fake.path);
		good = good && seteuid(12345) == 0 && brine_moved(brine) == 1;
		good = good && seteuid(0) == 0 && chmod(fake.folder, 0777) == 0 &&
		       chmod(fake.path, 0666) == 0 && seteuid(12345) == 0;
		good = good && brine_connect(brine, 1, &fd) == -BRINE_ERROR_NOT_TRUSTED &&
		       strstr(brine_message(brine), "23456");
		good = good && seteuid(0) == 0;
		fake_stop(&fake);
		_exit(good ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void
what_was_sent_again_comes_to_what_is_certain(void **state)
{
	static const unsigned char token[BRINE_TOKEN_SIZE];
	struct brine_request get = { .command = BRINE_GET };
	struct brine_request put = { .command = BRINE_PUT };
	struct brine_request publish = { .command = BRINE_PUT, .token = token };

	(void)state;
	assert_int_equal(brine_request_after_cut(&get, -BRINE_ERROR_UNREACHABLE),
			 -BRINE_ERROR_UNREACHABLE);
	assert_int_equal(brine_request_after_cut(&get, BRINE_MISS), BRINE_MISS);
	assert_int_equal(brine_request_after_cut(&put, BRINE_DONE), BRINE_DONE);
	assert_int_equal(brine_request_after_cut(&put, -BRINE_ERROR_TOO_LARGE),
			 -BRINE_ERROR_TOO_LARGE);
	assert_int_equal(brine_request_after_cut(&put, -BRINE_ERROR_UNREACHABLE),
			 -BRINE_ERROR_CUT_OFF);
	assert_int_equal(brine_request_after_cut(&put, -BRINE_ERROR_DISK_FULL),
			 -BRINE_ERROR_CUT_OFF);
	assert_int_equal(brine_request_after_cut(&put, -BRINE_ERROR_OLD_TOKEN),
			 -BRINE_ERROR_OLD_TOKEN);
	assert_int_equal(brine_request_after_cut(&publish, -BRINE_ERROR_OLD_TOKEN),
			 -BRINE_ERROR_CUT_OFF);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_connection_that_was_given_away_is_nobodys_else_and_serves_a_wire),
		cmocka_unit_test(
			a_full_queue_of_new_connections_is_not_waited_for_unless_the_caller_may),
		cmocka_unit_test(an_absent_daemon_is_told_and_looked_for_each_time),
		cmocka_unit_test(a_fork_and_another_effective_uid_are_told_once),
		cmocka_unit_test(
			a_daemon_that_is_not_to_be_trusted_is_not_connected_and_switched_off_none_is),
		cmocka_unit_test(what_was_sent_again_comes_to_what_is_certain),
	};

	return unit_run(tests);
}
