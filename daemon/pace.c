/* pace.c - feedback from the disk. Pure; owns nothing. */
#include "daemon/pace.h"

#define TIMELY_START 1024
#define FIXED_RISE 256

void
pace_init(struct pace *pace, uint64_t most_pages)
{
	*pace = (struct pace){ .most_pages = most_pages,
			       .size_pages = most_pages,
			       .timely_pages = TIMELY_START,
			       .fixed_ns = PACE_COMMIT_NS };
}

uint64_t
pace_pages(const struct pace *pace)
{
	return pace->timely_pages < pace->size_pages ? pace->timely_pages
						     : pace->size_pages;
}

void
pace_learn(struct pace *pace, uint64_t pages, uint64_t took_ns)
{
	uint64_t growing_ns;

	if (took_ns < pace->fixed_ns)
		pace->fixed_ns = took_ns;
	else
		pace->fixed_ns += (took_ns - pace->fixed_ns) / FIXED_RISE;
	growing_ns = took_ns - pace->fixed_ns;
	if (growing_ns > PACE_COMMIT_NS && pace->timely_pages > PACE_PAGES_MIN)
		pace->timely_pages = pace->timely_pages / 4 * 3;
	else if (growing_ns < PACE_COMMIT_NS / 2 && pages >= pace_pages(pace) / 4 * 3 &&
		 pace->timely_pages < pace->most_pages)
		pace->timely_pages += pace->timely_pages / 4;
	pace->size_pages = 2 * pace->size_pages < pace->most_pages ? 2 * pace->size_pages
								   : pace->most_pages;
}

void
pace_failed(struct pace *pace)
{
	pace->size_pages = pace->size_pages / 2 > PACE_PAGES_MIN ? pace->size_pages / 2
								 : PACE_PAGES_MIN;
}
