/* listener.h - a Unix socket that clients connect to. Loop thread only. */
#ifndef DAEMON_LISTENER_H
#define DAEMON_LISTENER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define LISTENER_PATH_MAX 4096
#define LISTENER_ERROR_MAX 1024
/* How many sockets a service manager may hand over. */
#define LISTENER_ADOPTED_MAX 4

struct listener {
	int fd;       /* -1: closed */
	bool adopted; /* from a service manager: its path is not ours to remove */
	dev_t device; /* of the path that we made */
	ino_t inode;
	char path[LISTENER_PATH_MAX];
};

/* Binds and listens, mode 0600; a path of any length. What a dead daemon left there is replaced; a socket
 * on which somebody listens is not. Returns 0, or -1 with a sentence. */
int listener_open(struct listener *listener, const char *path,
		  char error[static LISTENER_ERROR_MAX]);

/* Connects to who listens at the path. Returns a non-blocking descriptor, or -1 with errno. */
int listener_connect(const char *path);

/* Does somebody listen at the path? */
bool listener_alive(const char *path);

/* Takes the sockets that LISTEN_FDS of this process names, and removes the variables. Returns how many,
 * or -1 with a sentence. */
int listener_adopt(struct listener listeners[static LISTENER_ADOPTED_MAX],
		   char error[static LISTENER_ERROR_MAX]);

/* Accepts one client: a non-blocking descriptor and the uid that the kernel gives it. Returns 0, or -1
 * with errno (EAGAIN: nobody waits). */
int listener_accept(const struct listener *listener, int *ret_fd, uint32_t *ret_uid);

/* Nobody connects any more; who did is still accepted. The path is removed, if it is still ours. Nothing of
 * this happens to an adopted socket: it is for the next daemon. */
void listener_refuse(const struct listener *listener);
void listener_close(struct listener *listener);

#endif
