/* figures.h - a histogram of durations, exact to 1 %, of a fixed size. Any thread; owns nothing. */
#ifndef BENCH_FIGURES_H
#define BENCH_FIGURES_H

#include <stdint.h>

/* 2^6 steps to each doubling, up to 2^40 ns. */
#define FIGURES_STEP_BITS 6
#define FIGURES_DOUBLINGS 40
#define FIGURES_BUCKETS (FIGURES_DOUBLINGS << FIGURES_STEP_BITS)

struct figures {
	uint64_t count;
	uint64_t sum_ns;
	uint64_t max_ns;
	uint32_t buckets[FIGURES_BUCKETS];
};

uint64_t figures_now_ns(void);
void figures_add(struct figures *figures, uint64_t ns);
/* The duration that `share` (0 to 1) of all are not above; 0 without any. */
uint64_t figures_at(const struct figures *figures, double share);

#endif
