/* renew.h - an older daemon that makes room is replaced by the one that this library would start. */
#ifndef CLIENT_RENEW_H
#define CLIENT_RENEW_H

#include "client/handle.h"

/* After an answer, with nothing outstanding. Where the daemon is this user's own, of an older release than this
 * library, and makes room, starts the other one, once for each daemon. That one asks for the place; the old one
 * then says GOAWAY on this connection. Waits for that for at most a second; when nothing comes of it, the old
 * one goes on serving. */
void renew_daemon(struct brine *brine);

#endif
