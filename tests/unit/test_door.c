/* test_door.c - who knocks while the kernel has nothing to let them in with. */
#include "tests/unit/unit.h"

#include "tests/unit/fake/cache.c"
#include "tests/unit/fake/peer.h"

#include <sys/syscall.h>
#include <sys/un.h>

#include "daemon/door.h"

/* Rounds of events that a loop makes which has work all the time. */
#define ROUNDS 200

static int accept_fails; /* with this error; 0: it does not */
static unsigned accepts;

/* The C library's, as the daemon calls it. */
int
accept4(int fd, __SOCKADDR_ARG address, socklen_t *restrict len, int flags)
{
	accepts++;
	if (!accept_fails)
		return (int)syscall(SYS_accept4, fd, address.__sockaddr__, len, flags);
	errno = accept_fails;
	return -1;
}

struct house {
	struct world world;
	struct door door;
	struct listener listener;
	char folder[64];
	char path[80];
};

static void
house_open(struct house *house)
{
	char error[LISTENER_ERROR_MAX];

	accept_fails = 0;
	world_open(&house->world, NULL);
	log_set_level(LOG_ERROR);
	strcpy(house->folder, "/tmp/brine-unit-XXXXXX");
	assert_non_null(mkdtemp(house->folder));
	snprintf(house->path, sizeof(house->path), "%s/brine.sock", house->folder);
	assert_int_equal(listener_open(&house->listener, house->path, error), 0);
	door_init(&house->door, &house->listener, 1);
	assert_int_equal(door_open(&house->door, &house->world.loop, house->world.conns),
			 0);
}

static void
house_close(struct house *house)
{
	door_close(&house->door);
	world_close(&house->world);
	door_done(&house->door);
	rmdir(house->folder);
}

static int
knock(const struct house *house)
{
	int fd = listener_connect(house->path);

	assert_true(fd >= 0);
	return fd;
}

static void
rounds(struct house *house)
{
	accepts = 0;
	for (int i = 0; i < ROUNDS; i++)
		world_turn(&house->world);
}

/* Sleeps until something happens, as the daemon does. */
static void
wait_for_clients(struct house *house, unsigned count)
{
	while (conns_count(house->world.conns) < count) {
		uv_run(&house->world.loop, UV_RUN_ONCE);
		conns_turn(house->world.conns);
	}
}

static void
a_kernel_that_cannot_let_a_client_in_is_asked_again_in_a_moment(void **state)
{
	static const int errors[] = { ENFILE, EMFILE, ENOMEM, ENOBUFS, EPERM };
	struct house house;
	(void)state;

	for (size_t i = 0; i < sizeof(errors) / sizeof(errors[0]); i++) {
		int fd;

		house_open(&house);
		accept_fails = errors[i];
		fd = knock(&house);
		rounds(&house);
		assert_true(accepts > 0);
		assert_true(accepts < ROUNDS / 10);
		accept_fails = 0;
		wait_for_clients(&house, 1);
		close(fd);
		house_close(&house);
	}
}

static void
a_door_that_rests_can_be_closed(void **state)
{
	struct house house;
	int fd;
	(void)state;

	house_open(&house);
	accept_fails = ENOMEM;
	fd = knock(&house);
	rounds(&house);
	close(fd);
	house_close(&house);
}

static void
who_is_let_in_with_the_last_descriptor_sends_nobody_idle_away(void **state)
{
	struct house house;
	int first, second;
	(void)state;

	house_open(&house);
	first = knock(&house);
	wait_for_clients(&house, 1);
	/* With no descriptor left the kernel says so before it looks who waits: here, nobody. */
	accept_fails = EMFILE;
	house.door.polls[0].poll_cb(&house.door.polls[0], 0, UV_READABLE);
	assert_int_equal(conns_count(house.world.conns), 1);
	accept_fails = 0;
	second = knock(&house);
	wait_for_clients(&house, 2);
	close(first);
	close(second);
	house_close(&house);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_kernel_that_cannot_let_a_client_in_is_asked_again_in_a_moment),
		cmocka_unit_test(a_door_that_rests_can_be_closed),
		cmocka_unit_test(
			who_is_let_in_with_the_last_descriptor_sends_nobody_idle_away),
	};

	return unit_run(tests);
}
