/* connect.c - one Unix socket, connected. Owns nothing; any thread. */
#include "client/connect.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define FOREVER_MS (24 * 3600 * 1000)

/* A path that does not fit goes through /proc/self/fd of its folder, which stays open meanwhile. */
static int
make_address(const char *path, struct sockaddr_un *address, int *ret_folder)
{
	const char *slash = strrchr(path, '/');
	char folder[PATH_MAX];
	int len;

	*ret_folder = -1;
	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	if (strlen(path) < sizeof(address->sun_path)) {
		memcpy(address->sun_path, path, strlen(path));
		return 0;
	}
	if (!slash || slash == path || (size_t)(slash - path) >= sizeof(folder))
		return ENAMETOOLONG;
	memcpy(folder, path, (size_t)(slash - path));
	folder[slash - path] = 0;
	*ret_folder = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (*ret_folder < 0)
		return errno;
	len = snprintf(address->sun_path, sizeof(address->sun_path), "/proc/self/fd/%d%s",
		       *ret_folder, slash);
	if (len < (int)sizeof(address->sun_path))
		return 0;
	close(*ret_folder);
	*ret_folder = -1;
	return ENAMETOOLONG;
}

static int
set_timeouts(int fd, int64_t timeout_ms)
{
	struct timeval wait;

	/* Never without any: it is what makes a signal end recv() even under SA_RESTART. */
	if (timeout_ms < 0 || timeout_ms > FOREVER_MS)
		timeout_ms = FOREVER_MS;
	wait.tv_sec = timeout_ms / 1000;
	wait.tv_usec = timeout_ms % 1000 * 1000;
	/* The first bounds connect(), the second spares a poll() before each recv(). */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) ||
	    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait)))
		return errno;
	return 0;
}

static int
connect_fd(int fd, const char *path, int64_t timeout_ms, uint32_t *ret_server_uid)
{
	struct sockaddr_un address;
	struct ucred peer;
	socklen_t len = sizeof(peer);
	int folder, error;

	error = timeout_ms ? set_timeouts(fd, timeout_ms) : 0;
	if (!error)
		error = make_address(path, &address, &folder);
	if (error)
		return error;
	if (connect(fd, (const struct sockaddr *)&address, sizeof(address)))
		error = errno;
	if (folder >= 0)
		close(folder);
	if (error)
		return error;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		return errno;
	*ret_server_uid = peer.uid;
	return 0;
}

int
connect_path(const char *path, int64_t timeout_ms, int *ret_fd, uint32_t *ret_server_uid)
{
	int at_once = timeout_ms ? 0 : SOCK_NONBLOCK;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | at_once, 0);
	int error;

	if (fd < 0)
		return errno;
	error = connect_fd(fd, path, timeout_ms, ret_server_uid);
	if (error) {
		close(fd);
		return error;
	}
	*ret_fd = fd;
	return 0;
}
