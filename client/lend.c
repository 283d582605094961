/* lend.c - for event loops: a connection that is found and checked by a handle, and given away. Owns nothing. One thread
 * at a time. */
#include <fcntl.h>
#include <unistd.h>

#include "client/calls.h"
#include "client/find.h"
#include "client/link.h"

/* Returns the socket, or an error. */
static int
find_socket(struct brine *brine, bool may_wait)
{
	bool absent;
	int error, fd;

	brine->hasty = !may_wait;
	error = find_daemon(brine, &absent);
	brine->hasty = false;
	if (error)
		return error;
	fd = brine->fd;
	brine->fd = -1;
	link_close(brine); /* the wire that was made for it */
	return fd;
}

int
brine_connect(struct brine *brine, int may_wait, int *ret_fd)
{
	int error, fd;

	if (brine->env.disabled)
		return call_disabled(brine);
	handle_look(brine);
	error = link_idle(brine);
	if (error)
		return error;
	link_close(brine);
	brine->lent = false;
	fd = find_socket(brine, may_wait);
	if (fd < 0)
		return fd;
	if (fcntl(fd, F_SETFL, O_NONBLOCK)) {
		close(fd);
		return handle_fail(brine, BRINE_ERROR_UNREACHABLE,
				   "the socket of %s cannot be used", brine->place.path);
	}
	brine->lent = true;
	*ret_fd = fd;
	return BRINE_DONE;
}

int
brine_moved(struct brine *brine)
{
	return handle_look(brine);
}
