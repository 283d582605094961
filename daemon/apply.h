/* apply.h - turns accepted changes into rows. Writer thread only. */
#ifndef DAEMON_APPLY_H
#define DAEMON_APPLY_H

#include "daemon/arrival.h"
#include "daemon/change.h"
#include "daemon/object.h"

/* Applies one change. STORE_HIT; STORE_MISS if it was void (a touch of what is gone); or an error. */
int apply_change(struct arrivals *arrivals, struct objects *objects,
		 struct change *change);

/* Pages of the change's own value, and one for its row. */
uint64_t apply_estimate(const struct change *change);

#endif
