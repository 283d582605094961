/* intake.h - reads a connection's socket, cuts frames, has them carried out. Loop thread only.
 *
 * Whole frames are carried out where they were received; only what is incomplete or must wait is copied
 * into the connection's own buffer. Any of these may close the connection: conn->fd tells. */
#ifndef DAEMON_INTAKE_H
#define DAEMON_INTAKE_H

#include "daemon/conn.h"

/* One read, and the requests that it completes. */
void intake_read(struct conn *conn);

/* Does the unit at the front of the connection's buffer wait to be carried out? */
bool intake_holds_unit(const struct conn *conn);
/* Goes on with what is in the buffer. */
void intake_go_on(struct conn *conn);

/* Makes room for the rest of the unit at the front, or lets the connection wait for it. */
void intake_reserve(struct conn *conn);

#endif
