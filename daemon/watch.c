/* watch.c - one pidfd for one socket. Owns the descriptor. Loop thread only. */
#include "daemon/watch.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/socket.h of 6.5; Debian 12's headers are older. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

struct watch {
	uv_poll_t poll;
	int fd;
	void (*died)(void *arg);
	void *arg;
};

int
watch_descriptor_of_socket(int socket)
{
	int fd = -1;
	socklen_t len = sizeof(fd);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERPIDFD, &fd, &len)) {
		/* What a process that was reaped gives. */
		if (errno == EINVAL || errno == ENODATA)
			errno = ESRCH;
		return -1;
	}
	fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

int
watch_descriptor_of_pid(int socket)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (getsockopt(socket, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return -1;
	if (peer.pid == 0) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_pidfd_open, peer.pid, 0);
}

static void
on_closed(uv_handle_t *handle)
{
	free(handle->data);
}

static void
on_end(uv_poll_t *poll, int status, int events)
{
	struct watch *watch = poll->data;

	(void)status;
	(void)events;
	uv_poll_stop(poll);
	watch->died(watch->arg);
}

struct watch *
watch_start(uv_loop_t *loop, int socket, void (*died)(void *arg), void *arg)
{
	struct watch *watch;
	int fd = watch_descriptor_of_socket(socket);

	if (fd < 0 && errno == ENOPROTOOPT)
		fd = watch_descriptor_of_pid(socket);
	if (fd < 0) {
		if (errno == ESRCH)
			died(arg);
		return NULL;
	}
	watch = malloc(sizeof(*watch));
	if (!watch || uv_poll_init(loop, &watch->poll, fd)) {
		free(watch);
		close(fd);
		return NULL;
	}
	watch->poll.data = watch;
	watch->fd = fd;
	watch->died = died;
	watch->arg = arg;
	uv_poll_start(&watch->poll, UV_READABLE, on_end);
	return watch;
}

void
watch_stop(struct watch **watch)
{
	struct watch *gone = *watch;

	if (!gone)
		return;
	*watch = NULL;
	uv_close((uv_handle_t *)&gone->poll, on_closed);
	close(gone->fd);
}
