/* test_watch.c - who is told when the process at the other end has ended, on new kernels and on old ones. */
#include "tests/unit/unit.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "daemon/watch.h"

#define OPTION_PEERPIDFD 77

/* A connection whose other end a process of its own has made, and a child of that one has, too. */
struct peer {
	int fd;
	pid_t pid;
	int hand; /* closed: its child ends */
};

static void
be_peer(const struct sockaddr_un *address, socklen_t len, int hand)
{
	int fd = socket(AF_UNIX, SOCK_STREAM, 0);
	char byte;

	if (connect(fd, (const struct sockaddr *)address, len))
		_exit(1);
	if (fork() == 0) {
		while (read(hand, &byte, 1) > 0)
			;
		_exit(0);
	}
	pause();
	_exit(0);
}

static struct peer
peer_start(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(address);
	int listener = socket(AF_UNIX, SOCK_STREAM, 0), hand[2];
	struct peer peer;

	/* A name of the kernel's choice. */
	assert_int_equal(
		bind(listener, (struct sockaddr *)&address, sizeof(address.sun_family)),
		0);
	assert_int_equal(getsockname(listener, (struct sockaddr *)&address, &len), 0);
	assert_int_equal(listen(listener, 1), 0);
	assert_int_equal(pipe(hand), 0);
	peer.pid = fork();
	if (peer.pid == 0) {
		close(hand[1]);
		signal(SIGTERM, SIG_DFL);
		be_peer(&address, len, hand[0]);
	}
	close(hand[0]);
	peer.hand = hand[1];
	peer.fd = accept(listener, NULL, NULL);
	assert_true(peer.fd >= 0);
	close(listener);
	return peer;
}

static void
peer_done(const struct peer *peer)
{
	close(peer->hand);
	close(peer->fd);
}

static void
on_died(void *arg)
{
	++*(unsigned *)arg;
}

/* Ends the process while a child of it keeps the connection, and returns how often that was told. */
static unsigned
count_deaths(void)
{
	struct peer peer = peer_start();
	struct watch *watch;
	unsigned deaths = 0;
	uv_loop_t loop;

	assert_int_equal(uv_loop_init(&loop), 0);
	watch = watch_start(&loop, peer.fd, on_died, &deaths);
	assert_non_null(watch);
	uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(deaths, 0);
	assert_int_equal(kill(peer.pid, SIGKILL), 0);
	while (!deaths)
		uv_run(&loop, UV_RUN_ONCE);
	assert_int_equal(waitpid(peer.pid, NULL, 0), peer.pid);
	watch_stop(&watch);
	uv_run(&loop, UV_RUN_DEFAULT);
	assert_int_equal(uv_loop_close(&loop), 0);
	peer_done(&peer);
	return deaths;
}

static void
a_process_that_ends_is_noticed_though_a_child_has_its_connection(void **state)
{
	(void)state;
	assert_int_equal(count_deaths(), 1);
}

/* From now on the kernel does not know SO_PEERPIDFD, as those before 6.5. */
static int
be_old(void)
{
	struct sock_filter filter[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getsockopt, 0, 3),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, args[2])),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, OPTION_PEERPIDFD, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | ENOPROTOOPT),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { sizeof(filter) / sizeof(filter[0]), filter };

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return -1;
	return prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program);
}

static void
it_is_noticed_by_its_pid_where_the_kernel_gives_no_pidfd_of_a_socket(void **state)
{
	struct peer peer = peer_start();
	int status;
	pid_t pid;
	(void)state;

	pid = fork();
	if (pid == 0) {
		if (be_old())
			_exit(2);
		if (watch_descriptor_of_socket(peer.fd) != -1 || errno != ENOPROTOOPT)
			_exit(3);
		_exit(count_deaths() == 1 ? 0 : 4);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	kill(peer.pid, SIGKILL);
	waitpid(peer.pid, NULL, 0);
	peer_done(&peer);
	assert_int_equal(status, 0);
}

static void
one_that_has_ended_already_is_told_at_once(void **state)
{
	struct peer peer = peer_start();
	unsigned deaths = 0;
	uv_loop_t loop;
	(void)state;

	kill(peer.pid, SIGKILL);
	waitpid(peer.pid, NULL, 0);
	assert_int_equal(uv_loop_init(&loop), 0);
	if (watch_descriptor_of_socket(peer.fd) < 0) {
		assert_null(watch_start(&loop, peer.fd, on_died, &deaths));
		assert_int_equal(deaths, 1);
	}
	assert_int_equal(watch_descriptor_of_pid(peer.fd), -1);
	assert_int_equal(errno, ESRCH);
	uv_loop_close(&loop);
	peer_done(&peer);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_process_that_ends_is_noticed_though_a_child_has_its_connection),
		cmocka_unit_test(
			it_is_noticed_by_its_pid_where_the_kernel_gives_no_pidfd_of_a_socket),
		cmocka_unit_test(one_that_has_ended_already_is_told_at_once),
	};
	return unit_run(tests);
}
