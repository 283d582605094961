/* exchange.h - requests in, replies out: what happens on one connection. Loop thread only. */
#ifndef DAEMON_EXCHANGE_H
#define DAEMON_EXCHANGE_H

#include "daemon/conn.h"

/* Takes fd. NULL: no memory, and fd is closed. */
struct conn *exchange_open(struct conns *all, int fd, uint32_t uid);

/* After everything that may have changed something: sends, goes on with requests that had to wait for
 * that, closes what has ended, and says what to wait for. */
void exchange_settle(struct conn *conn);

#endif
