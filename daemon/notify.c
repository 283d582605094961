/* notify.c - datagrams to the socket in NOTIFY_SOCKET. Owns nothing; any thread. */
#include "daemon/notify.h"

#include <errno.h>
#include <inttypes.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "daemon/log.h"

#define NS_PER_US UINT64_C(1000)
/* A manager that wants to hear something less often does not want it. */
#define WATCHDOG_MAX_US (UINT64_C(365) * 24 * 60 * 60 * 1000000)

/* A whole number, its digits and nothing else. */
static bool
read_number(const char *text, uint64_t max, uint64_t *ret_number)
{
	char *end;
	unsigned long long number;

	if (!text || text[0] < '0' || text[0] > '9')
		return false;
	errno = 0;
	number = strtoull(text, &end, 10);
	if (*end || errno || number > max)
		return false;
	*ret_number = number;
	return true;
}

/* The address in NOTIFY_SOCKET, and its length; 0: nobody asked to be told. */
static socklen_t
find_manager(struct sockaddr_un *ret_address)
{
	const char *path = getenv("NOTIFY_SOCKET");
	size_t len = path ? strlen(path) : 0;

	if (!len || (path[0] != '/' && path[0] != '@'))
		return 0;
	if (len >= sizeof(ret_address->sun_path)) {
		log_warning("NOTIFY_SOCKET is too long: the service manager is told "
			    "nothing");
		return 0;
	}
	*ret_address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memcpy(ret_address->sun_path, path, len);
	if (path[0] == '@') /* an abstract name */
		ret_address->sun_path[0] = '\0';
	return (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
}

/* 0, or errno. */
static int
send_to(const struct sockaddr_un *address, socklen_t len, const char *state, int flags)
{
	const struct timeval wait = { .tv_sec = NOTIFY_WAIT_S };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), error = 0;

	if (fd < 0)
		return errno;
	if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait)) ||
	    sendto(fd, state, strlen(state), flags | MSG_NOSIGNAL,
		   (const struct sockaddr *)address, len) < 0)
		error = errno;
	close(fd);
	return error;
}

/* 0: told, or nobody asks; else errno. */
static int
tell(const char *state, int flags)
{
	struct sockaddr_un address;
	socklen_t len = find_manager(&address);

	return len ? send_to(&address, len, state, flags) : 0;
}

static void
say_untold(const char *state, int error)
{
	log_warning("cannot tell the service manager that %.*s: %s",
		    (int)strcspn(state, "\n"), state, strerror(error));
}

void
notify_wait(const char *state)
{
	int error = tell(state, 0);

	if (error)
		say_untold(state, error);
}

bool
notify_send(const char *state)
{
	int error = tell(state, MSG_DONTWAIT);

	if (error == EAGAIN)
		return false;
	if (error)
		say_untold(state, error);
	return true;
}

void
notify_alive(const char *status)
{
	char state[NOTIFY_TEXT_MAX];

	snprintf(state, sizeof(state), "WATCHDOG=1\nSTATUS=%s", status);
	if (!notify_send(state))
		say_untold(state, EAGAIN);
}

uint64_t
notify_watchdog_ns(void)
{
	const char *pid = getenv("WATCHDOG_PID"), *usec = getenv("WATCHDOG_USEC");
	uint64_t number, us;

	if (!usec)
		return 0;
	if (pid &&
	    (!read_number(pid, UINT32_MAX, &number) || number != (uint64_t)getpid()))
		return 0;
	if (!read_number(usec, WATCHDOG_MAX_US, &us)) {
		log_warning("WATCHDOG_USEC is no time: %s", usec);
		return 0;
	}
	return us * NS_PER_US;
}
