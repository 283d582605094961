/* notify.h - tells a service manager how the daemon fares (sd_notify(3)'s protocol). */
#ifndef DAEMON_NOTIFY_H
#define DAEMON_NOTIFY_H

/* "READY=1", "STOPPING=1"... Does nothing where nobody asked to be told. */
void notify_send(const char *state);

#endif
