/* notify.h - tells a service manager how the daemon fares (sd_notify(3)'s protocol). Does nothing where nobody asked
 * to be told. Any thread. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

/* The longest message. */
#define NOTIFY_TEXT_MAX 1024
/* How long notify_wait() waits for a manager that takes nothing. */
#define NOTIFY_WAIT_S 1
/* A line that asks for five minutes from now, for the start or the end: as long as one flush of a slow disk may take. */
#define NOTIFY_PATIENCE "\nEXTEND_TIMEOUT_USEC=300000000"

/* Tells it a state: lines as READY=1 or STATUS=... Never waits. False: the manager takes nothing just now, and it should
 * be said again later. What cannot be told at all is logged, and true. */
bool notify_send(const char *state);

/* The same, but waits, and logs it when that was in vain. For the start, when nobody else waits for this process. */
void notify_wait(const char *state);

/* Feeds the watchdog, with a status for people. Never waits: it is said again soon. */
void notify_alive(const char *status);

/* After how long a silence the manager takes this process for hung; 0: it does not watch it. */
uint64_t notify_watchdog_ns(void);

#endif
