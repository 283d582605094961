/* listener.c - sockets at paths. Owns its descriptors and the paths that it made. Loop thread only. */
#include "daemon/listener.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#define BACKLOG 4096
#define FIRST_ADOPTED 3

__attribute__((format(printf, 2, 3))) static int
fail(char error[static LISTENER_ERROR_MAX], const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	vsnprintf(error, LISTENER_ERROR_MAX, format, arguments);
	va_end(arguments);
	return -1;
}

/* The address of a path. One that is too long goes through the descriptor of its folder, in *ret_folder,
 * which the caller closes (-1: there is none). Returns 0 or -1 with errno. */
static int
address_of(const char *path, struct sockaddr_un *ret_address, int *ret_folder)
{
	const char *name = strrchr(path, '/');
	char folder[LISTENER_PATH_MAX];
	int len;

	*ret_folder = -1;
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) < sizeof(ret_address->sun_path)) {
		strcpy(ret_address->sun_path, path);
		return 0;
	}
	if (!name) {
		errno = ENAMETOOLONG;
		return -1;
	}
	snprintf(folder, sizeof(folder), "%.*s", (int)(name - path), path);
	*ret_folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_folder < 0)
		return -1;
	len = snprintf(ret_address->sun_path, sizeof(ret_address->sun_path),
		       "/proc/self/fd/%d%s", *ret_folder, name);
	if (len < (int)sizeof(ret_address->sun_path))
		return 0;
	close(*ret_folder);
	*ret_folder = -1;
	errno = ENAMETOOLONG;
	return -1;
}

static int
new_socket(void)
{
	return socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
}

/* Does somebody listen there? A full queue means yes. */
static bool
alive(const struct sockaddr_un *address)
{
	int fd = new_socket();
	int result;

	if (fd < 0)
		return true;
	result = connect(fd, (const struct sockaddr *)address, sizeof(*address));
	if (result && errno != ECONNREFUSED && errno != ENOENT)
		result = 0;
	close(fd);
	return result == 0;
}

/* Makes way at the path. */
static int
clear(const char *path, const struct sockaddr_un *address,
      char error[static LISTENER_ERROR_MAX])
{
	struct stat info;

	if (lstat(path, &info))
		return errno == ENOENT ? 0 : fail(error, "cannot listen at %s: %m", path);
	if (!S_ISSOCK(info.st_mode))
		return fail(error,
			    "cannot listen at %s: there is a file that is no socket",
			    path);
	if (alive(address))
		return fail(error, "cannot listen at %s: another program listens there",
			    path);
	if (unlink(path) && errno != ENOENT)
		return fail(error, "cannot remove the old socket %s: %m", path);
	return 0;
}

static int
bind_at(struct listener *listener, const struct sockaddr_un *address,
	char error[static LISTENER_ERROR_MAX])
{
	struct stat info;

	listener->fd = new_socket();
	if (listener->fd < 0)
		return fail(error, "cannot make a socket: %m");
	/* The mode of the descriptor becomes that of the path, so there is no moment at which others
	 * could connect. */
	if (fchmod(listener->fd, 0600) ||
	    bind(listener->fd, (const struct sockaddr *)address, sizeof(*address)))
		return fail(error, "cannot listen at %s: %m", listener->path);
	if (listen(listener->fd, BACKLOG) || lstat(listener->path, &info))
		return fail(error, "cannot listen at %s: %m", listener->path);
	listener->device = info.st_dev;
	listener->inode = info.st_ino;
	return 0;
}

int
listener_open(struct listener *listener, const char *path,
	      char error[static LISTENER_ERROR_MAX])
{
	struct sockaddr_un address;
	int folder, result;

	*listener = (struct listener){ .fd = -1 };
	if (strlen(path) >= sizeof(listener->path))
		return fail(error, "the socket's path is too long: %s", path);
	strcpy(listener->path, path);
	if (address_of(path, &address, &folder))
		return fail(error, "cannot listen at %s: %m", path);
	result = clear(path, &address, error);
	if (!result)
		result = bind_at(listener, &address, error);
	if (result && listener->fd >= 0) {
		close(listener->fd);
		listener->fd = -1;
	}
	if (folder >= 0)
		close(folder);
	return result;
}

int
listener_connect(const char *path)
{
	struct sockaddr_un address;
	int folder, fd, error = 0;

	if (address_of(path, &address, &folder))
		return -1;
	fd = new_socket();
	if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		error = errno;
	if (folder >= 0)
		close(folder);
	if (!error)
		return fd;
	if (fd >= 0)
		close(fd);
	errno = error;
	return -1;
}

bool
listener_alive(const char *path)
{
	struct sockaddr_un address;
	int folder;
	bool result;

	if (access(path, F_OK) || address_of(path, &address, &folder))
		return false;
	result = alive(&address);
	if (folder >= 0)
		close(folder);
	return result;
}

/* ---- sockets from a service manager */

static bool
listens(int fd)
{
	int domain = 0, type = 0, accepting = 0;
	socklen_t len = sizeof(int);

	return !getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &domain, &len) &&
	       !getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) &&
	       !getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &accepting, &len) &&
	       domain == AF_UNIX && type == SOCK_STREAM && accepting;
}

static void
name_of(int fd, char ret_path[static LISTENER_PATH_MAX])
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	socklen_t len = sizeof(address);

	if (getsockname(fd, (struct sockaddr *)&address, &len) || !address.sun_path[0])
		strcpy(ret_path, "(a socket without a path)");
	else
		snprintf(ret_path, LISTENER_PATH_MAX, "%.*s",
			 (int)sizeof(address.sun_path), address.sun_path);
}

/* A whole number, its digits and nothing else; -1: it is none. */
static long
read_number(const char *text)
{
	char *end;
	long number;

	if (!text || text[0] < '0' || text[0] > '9')
		return -1;
	errno = 0;
	number = strtol(text, &end, 10);
	return *end || errno ? -1 : number;
}

/* How many sockets the variables promise to this process; they are for no other. Returns -1 with a sentence. */
static int
count_promised(char error[static LISTENER_ERROR_MAX])
{
	const char *pid = getenv("LISTEN_PID"), *count = getenv("LISTEN_FDS");
	bool ours = pid && count && read_number(pid) == getpid();
	long number = ours ? read_number(count) : 0;
	int result = (int)number;

	if (number < 0 || number > LISTENER_ADOPTED_MAX)
		result = fail(error,
			      "LISTEN_FDS is %s, but at most %d sockets can be taken",
			      count, LISTENER_ADOPTED_MAX);
	unsetenv("LISTEN_PID");
	unsetenv("LISTEN_FDS");
	unsetenv("LISTEN_FDNAMES");
	return result;
}

int
listener_adopt(struct listener listeners[static LISTENER_ADOPTED_MAX],
	       char error[static LISTENER_ERROR_MAX])
{
	int number = count_promised(error);

	for (int i = 0; i < number; i++) {
		int fd = FIRST_ADOPTED + i;

		if (!listens(fd))
			return fail(error,
				    "descriptor %d of LISTEN_FDS is no listening Unix "
				    "stream socket (ListenStream= in the socket unit)",
				    fd);
		if (fcntl(fd, F_SETFD, FD_CLOEXEC) || fcntl(fd, F_SETFL, O_NONBLOCK))
			return fail(error, "descriptor %d of LISTEN_FDS: %m", fd);
		listeners[i] = (struct listener){ .fd = fd, .adopted = true };
		name_of(fd, listeners[i].path);
	}
	return number;
}

/* ---- use */

int
listener_accept(const struct listener *listener, int *ret_fd, uint32_t *ret_uid)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int fd = accept4(listener->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return -1;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len)) {
		close(fd);
		errno = ECONNABORTED;
		return -1;
	}
	*ret_fd = fd;
	*ret_uid = peer.uid;
	return 0;
}

static void
unlink_own(const struct listener *listener)
{
	struct stat info;

	if (listener->fd < 0 || listener->adopted || lstat(listener->path, &info))
		return;
	if (info.st_dev == listener->device && info.st_ino == listener->inode)
		unlink(listener->path);
}

void
listener_refuse(const struct listener *listener)
{
	unlink_own(listener);
	/* Who found the path before it went is refused by the kernel. An adopted socket is not ours alone. */
	if (listener->fd >= 0 && !listener->adopted)
		shutdown(listener->fd, SHUT_RD);
}

void
listener_close(struct listener *listener)
{
	if (listener->fd < 0)
		return;
	unlink_own(listener);
	close(listener->fd);
	listener->fd = -1;
}
