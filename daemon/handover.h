/* handover.h - asks the daemon that serves a directory already to make room for this one. Before the loop runs. */
#ifndef DAEMON_HANDOVER_H
#define DAEMON_HANDOVER_H

#include <stdint.h>

enum handover {
	HANDOVER_NOBODY,  /* nobody listens there, or nobody who answers */
	HANDOVER_LEAVING, /* it leaves and listens no more; its lock will be free soon */
	HANDOVER_STAYS,   /* it is as new as this one, or its user's own, or refuses */
};

/* Above every release. */
#define HANDOVER_ANY_RELEASE UINT32_MAX

/* Asks at the socket path as a daemon of this release; release is written as in the field RELEASE. Waits for at
 * most a second. */
enum handover handover_ask(const char *path, uint32_t release);

#endif
