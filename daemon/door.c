/* door.c - accepts clients. Owns the polls and a spare descriptor. Loop thread only. */
#include "daemon/door.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/log.h"

/* Clients that are accepted before the others have their turn. */
#define ACCEPTS_MAX 64
#define SAY_AGAIN_NS (60 * UINT64_C(1000000000))

static int
open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* There is no descriptor for one more client: the longest idle one goes, or this one. */
static void
make_descriptor(struct door *door, const struct listener *listener)
{
	uint64_t now_ns = clock_mono_ns();
	bool dropped = conns_drop_idle(door->conns);
	uint32_t uid;
	int fd;

	if (!dropped && door->spare_fd >= 0) {
		close(door->spare_fd);
		door->spare_fd = -1;
		if (!listener_accept(listener, &fd, &uid))
			close(fd);
	}
	if (door->spare_fd < 0) /* also when it could not be had the last time */
		door->spare_fd = open_spare();
	if (dropped || now_ns < door->descriptors_said_ns)
		return;
	door->descriptors_said_ns = now_ns + SAY_AGAIN_NS;
	log_warning(
		"no descriptor is left for a client, and nobody is idle: closing new ones "
		"at once; raise LimitNOFILE or ulimit -n (said once a minute)");
}

static void
on_listening(uv_poll_t *poll, int status, int events)
{
	struct door *door = poll->data;
	const struct listener *listener = &door->listeners[poll - door->polls];
	uint32_t uid;
	int fd;

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		if (!listener_accept(listener, &fd, &uid))
			conns_add(door->conns, fd, uid);
		else if (errno == EMFILE || errno == ENFILE)
			make_descriptor(door, listener);
		else if (errno != ECONNABORTED && errno != EINTR)
			return;
	}
}

void
door_init(struct door *door, struct listener *listeners, unsigned count)
{
	CHECK(count <= DOOR_LISTENERS_MAX);
	*door = (struct door){ .listeners = listeners,
			       .count = count,
			       .spare_fd = open_spare() };
}

int
door_open(struct door *door, uv_loop_t *loop, struct conns *conns)
{
	int result = 0;

	door->conns = conns;
	for (unsigned i = 0; !result && i < door->count; i++) {
		uv_poll_t *poll = &door->polls[i];

		result = uv_poll_init(loop, poll, door->listeners[i].fd);
		poll->data = door;
		if (!result)
			result = uv_poll_start(poll, UV_READABLE, on_listening);
	}
	return result;
}

static void
drain(struct door *door, const struct listener *listener)
{
	uint32_t uid;
	int fd;

	while (!listener_accept(listener, &fd, &uid))
		conns_add(door->conns, fd, uid);
}

void
door_close(struct door *door)
{
	conns_refuse(door->conns);
	for (unsigned i = 0; i < door->count; i++) {
		struct listener *listener = &door->listeners[i];

		listener_refuse(listener);
		if (!listener->adopted)
			drain(door, listener);
		uv_close((uv_handle_t *)&door->polls[i], NULL);
		listener_close(listener);
	}
}

void
door_done(struct door *door)
{
	for (unsigned i = 0; i < door->count; i++)
		listener_close(&door->listeners[i]);
	if (door->spare_fd >= 0)
		close(door->spare_fd);
	door->spare_fd = -1;
}
