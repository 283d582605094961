/* connect.h - opens the socket of one place and asks the kernel who is behind it. */
#ifndef CLIENT_CONNECT_H
#define CLIENT_CONNECT_H

#include <stdint.h>
#include <sys/types.h>

/* Connects to path, of any length; waits for at most timeout_ms (negative: for ever; 0: not at all) for a full queue.
 * Returns 0, or an errno. EINTR: a signal came; try again. EAGAIN: the queue stayed full. */
int connect_path(const char *path, int64_t timeout_ms, int *ret_fd,
		 uint32_t *ret_server_uid);

#endif
