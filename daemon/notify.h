/* notify.h - tells a service manager how the daemon fares (sd_notify(3)'s protocol). Does nothing where nobody asked
 * to be told. Any thread. */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

#include <stdint.h>

/* The longest message; what is longer is cut. */
#define NOTIFY_TEXT_MAX 1024
/* A manager that takes nothing is waited for so long at most. */
#define NOTIFY_WAIT_S 1
/* What notify_extend() asks for: as long as one flush of a slow disk may take. */
#define NOTIFY_PATIENCE_NS (UINT64_C(300) * 1000000000)

/* Lines as READY=1 or STATUS=..., as printf() writes them. */
__attribute__((format(printf, 1, 2))) void notify_send(const char *format, ...);

/* The same lines, and: the start, or the end, may take NOTIFY_PATIENCE_NS from now. */
void notify_extend(const char *state);

/* A reload begins; it ends with READY=1. */
void notify_reloading(void);

/* Feeds the watchdog, with a status for people. Never waits: it is said again soon. */
void notify_alive(const char *status);

/* After how long a silence the manager takes this process for hung; 0: it does not watch it. */
uint64_t notify_watchdog_ns(void);

#endif
