/* pulse.h - the last sign of life of a thread, which another one reads. Any thread. */
#ifndef DAEMON_PULSE_H
#define DAEMON_PULSE_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What happens between two beats may be one flush, or a thousand reads, of a disk that is slow or hangs for a
 * while. To end a daemon for that, again and again, would help nobody. */
#define PULSE_PATIENCE_NS (UINT64_C(300) * 1000000000)

struct pulse {
	_Atomic uint64_t beat_ns; /* CLOCK_MONOTONIC */
};

static inline void
pulse_beat(struct pulse *pulse, uint64_t now_ns)
{
	atomic_store_explicit(&pulse->beat_ns, now_ns, memory_order_relaxed);
}

static inline bool
pulse_lost(const struct pulse *pulse, uint64_t now_ns)
{
	uint64_t beat_ns = atomic_load_explicit(&pulse->beat_ns, memory_order_relaxed);

	return now_ns > beat_ns && now_ns - beat_ns > PULSE_PATIENCE_NS;
}

#endif
