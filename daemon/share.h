/* share.h - what one of many may have of something that has an end. Pure arithmetic. */
#ifndef DAEMON_SHARE_H
#define DAEMON_SHARE_H

#include <stdbool.h>
#include <stddef.h>

/* Of `most`, `used` are taken: are `more` left? */
static inline bool
share_fits(size_t used, size_t most, size_t more)
{
	return used <= most && more <= most - used;
}

/* May one who has `own` of the `used` have `more`? At most half of what the others leave: whoever comes next finds
 * something. */
static inline bool
share_allows(size_t own, size_t used, size_t most, size_t more)
{
	size_t others = used > own ? used - own : 0;

	return share_fits(used, most, more) && own + more <= (most - others + 1) / 2;
}

#endif
