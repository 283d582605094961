/* watch.h - tells when the process at the other end of a socket has ended, also where a child of it keeps
 * the socket open. Loop thread only. */
#ifndef DAEMON_WATCH_H
#define DAEMON_WATCH_H

#include <stdbool.h>

#include <uv.h>

struct watch;

/* Calls died(arg) once, from the loop, when the process that connected has ended (also when it has already).
 * NULL: that cannot be known here (its pid is of another namespace, no descriptor is left); the socket alone
 * has to do then. Borrows loop until watch_stop(). */
struct watch *watch_start(uv_loop_t *loop, int socket, void (*died)(void *arg),
			  void *arg);
/* NULL is fine; leaves NULL. */
void watch_stop(struct watch **watch);

/* A descriptor of the process that connected, which is readable when it has ended; or -1 with errno (ESRCH: it
 * has ended already). From the socket itself (Linux 6.5), or by its pid, which a later process may have
 * been given in between. */
int watch_descriptor_of_socket(int socket);
int watch_descriptor_of_pid(int socket);

#endif
