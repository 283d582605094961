/* manager.h - a service manager that listens: NOTIFY_SOCKET names a socket of the test's. Include after unit.h. */
#ifndef TESTS_UNIT_FAKE_MANAGER_H
#define TESTS_UNIT_FAKE_MANAGER_H

#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

struct manager {
	int fd;
	char said[2048]; /* the last message */
};

/* An abstract name of the kernel's choice. */
static inline void
manager_open(struct manager *manager)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(address);
	char name[sizeof(address.sun_path) + 1];
	size_t name_len;

	manager->fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(manager->fd, (struct sockaddr *)&address,
			      sizeof(address.sun_family)),
			 0);
	assert_int_equal(getsockname(manager->fd, (struct sockaddr *)&address, &len), 0);
	name_len = len - offsetof(struct sockaddr_un, sun_path);
	memcpy(name, address.sun_path, name_len);
	name[0] = '@';
	name[name_len] = '\0';
	setenv("NOTIFY_SOCKET", name, 1);
}

static inline void
manager_close(struct manager *manager)
{
	close(manager->fd);
	unsetenv("NOTIFY_SOCKET");
}

/* Takes the next message; false: there is none. */
static inline bool
manager_hears(struct manager *manager)
{
	ssize_t len = recv(manager->fd, manager->said, sizeof(manager->said) - 1, 0);

	manager->said[len < 0 ? 0 : len] = '\0';
	return len >= 0;
}

#endif
