/* gather.h - the answers of a batch, gathered into one reply. PROTOCOL.md, "BATCH". Loop thread only. */
#ifndef DAEMON_GATHER_H
#define DAEMON_GATHER_H

#include "daemon/session.h"

struct gather;

/* For `count` answers to the request `id`. NULL: no memory. */
struct gather *gather_new(struct session *session, uint32_t id, size_t count);
/* Where the answer of this entry goes when it comes later; or the answer itself, when it came at once. */
struct later gather_later(struct gather *gather, size_t entry);
void gather_now(struct gather *gather, size_t entry, const struct answer *answer);
/* All have been asked: the reply leaves as soon as all have answered. Takes it. */
void gather_end(struct gather **gather);

#endif
