/* ration.c - counts the lines of a minute. Owns nothing. */
#include "daemon/ration.h"

#define MINUTE_NS (60 * UINT64_C(1000000000))

bool
ration_take(struct ration *ration, uint64_t now_ns, unsigned most, unsigned *ret_withheld)
{
	*ret_withheld = 0;
	if (now_ns - ration->minute_ns >= MINUTE_NS) {
		if (ration->asked > most)
			*ret_withheld = ration->asked - most;
		ration->minute_ns = now_ns;
		ration->asked = 0;
	}
	return ration->asked++ < most;
}
