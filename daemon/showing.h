/* showing.h - CONFIG: the options and sections in effect, and where each setting came from. Loop thread only. */
#ifndef DAEMON_SHOWING_H
#define DAEMON_SHOWING_H

#include "daemon/call.h"

/* Answers the request; who is no administrator is refused. */
void show_config(struct call *call);

#endif
