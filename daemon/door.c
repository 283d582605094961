/* door.c - accepts clients. Owns the polls, their timer and a spare descriptor. Loop thread only. */
#include "daemon/door.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <string.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/log.h"

/* Clients that are accepted before the others have their turn. */
#define ACCEPTS_MAX 64
#define SAY_AGAIN_NS (60 * UINT64_C(1000000000))
#define REST_MS 100

static int
open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* Returns 0: one was let in; or why not. */
static int
let_in(struct door *door, const struct listener *listener)
{
	uint32_t uid;
	int fd;

	if (listener_accept(listener, &fd, &uid))
		return errno;
	conns_add(door->conns, fd, uid);
	return 0;
}

/* Accepts one with the spare descriptor and closes it. Returns 0, or why it could not. */
static int
send_away(struct door *door, const struct listener *listener)
{
	uint32_t uid;
	int fd, why;

	if (door->spare_fd < 0)
		return EMFILE;
	close(door->spare_fd);
	door->spare_fd = -1;
	why = listener_accept(listener, &fd, &uid) ? errno : 0;
	if (!why)
		close(fd);
	return why;
}

static bool
somebody_waits(const struct listener *listener)
{
	struct pollfd queue = { .fd = listener->fd, .events = POLLIN };

	return poll(&queue, 1, 0) > 0;
}

static void
say_no_descriptor(struct door *door)
{
	uint64_t now_ns = clock_mono_ns();

	if (now_ns < door->descriptors_said_ns)
		return;
	door->descriptors_said_ns = now_ns + SAY_AGAIN_NS;
	log_warning(
		"no descriptor is left for a client, and nobody is idle: closing new ones "
		"at once; raise LimitNOFILE or ulimit -n (said once a minute)");
}

/* There is no descriptor for one more client, if there is one: the longest idle one goes, or this one. Returns 0:
 * it was let in or sent away; EAGAIN: nobody waits; or why neither could be. */
static int
make_descriptor(struct door *door, const struct listener *listener)
{
	int why;

	if (!somebody_waits(listener))
		return EAGAIN;
	if (conns_drop_idle(door->conns)) {
		why = let_in(door, listener);
	} else {
		say_no_descriptor(door);
		why = send_away(door, listener);
	}
	if (door->spare_fd < 0) /* also when it could not be had the last time */
		door->spare_fd = open_spare();
	return why;
}

static void rest(struct door *door, int why);

static void
on_listening(uv_poll_t *poll, int status, int events)
{
	struct door *door = poll->data;
	const struct listener *listener = &door->listeners[poll - door->polls];

	(void)status;
	(void)events;
	for (int i = 0; i < ACCEPTS_MAX; i++) {
		int why = let_in(door, listener);

		if (why == EMFILE || why == ENFILE)
			why = make_descriptor(door, listener);
		if (why == EAGAIN)
			return;
		if (why && why != ECONNABORTED && why != EINTR) {
			rest(door, why);
			return;
		}
	}
}

static int
listen_to_all(struct door *door)
{
	int result = 0;

	for (unsigned i = 0; !result && i < door->count; i++)
		result = uv_poll_start(&door->polls[i], UV_READABLE, on_listening);
	return result;
}

static void
on_rested(uv_timer_t *timer)
{
	/* It has listened to them before. */
	CHECK(!listen_to_all(timer->data));
}

/* The kernel has nothing to let anybody in with. Who waits would wake the loop again and again; so it does not
 * listen for a moment. */
static void
rest(struct door *door, int why)
{
	uint64_t now_ns = clock_mono_ns();

	for (unsigned i = 0; i < door->count; i++)
		uv_poll_stop(&door->polls[i]);
	uv_timer_start(&door->rest, on_rested, REST_MS, 0);
	if (now_ns < door->rest_said_ns)
		return;
	door->rest_said_ns = now_ns + SAY_AGAIN_NS;
	log_warning(
		"no client can be let in: %s; those who are connected are served, and it is "
		"tried again every %d ms (said once a minute)",
		strerror(why), REST_MS);
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
	uv_timer_init(loop, &door->rest);
	door->rest.data = door;
	for (unsigned i = 0; !result && i < door->count; i++) {
		result = uv_poll_init(loop, &door->polls[i], door->listeners[i].fd);
		door->polls[i].data = door;
	}
	return result ? result : listen_to_all(door);
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
	uv_close((uv_handle_t *)&door->rest, NULL);
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
