/* clock.c - the system's clocks, and daemon time above them.
 * Daemon time is CLOCK_BOOTTIME plus an offset that only grows: that is all of its state. */
#include "daemon/clock.h"

#include <assert.h>
#include <stdatomic.h>
#include <stddef.h>
#include <time.h>

static uint64_t
read_ns(clockid_t id)
{
	struct timespec now;
	int failed = clock_gettime(id, &now);

	assert(!failed);
	(void)failed;
	if (now.tv_sec < 0) /* a system clock before 1970 */
		return 0;
	return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static uint64_t
system_mono_ns(void)
{
	return read_ns(CLOCK_MONOTONIC);
}

static uint64_t
system_boot_us(void)
{
	return read_ns(CLOCK_BOOTTIME) / 1000;
}

static uint64_t
system_wall_us(void)
{
	return read_ns(CLOCK_REALTIME) / 1000;
}

static const struct clock_source system_source = {
	.mono_ns = system_mono_ns,
	.boot_us = system_boot_us,
	.wall_us = system_wall_us,
};

static const struct clock_source *source = &system_source;
/* Daemon time minus boot time, modulo 2^64. Written by one thread, read by all. */
static _Atomic uint64_t offset_us;
/* The loop's: daemon time at the last tick, and when by the monotonic clock that is too old. */
static uint64_t tick_us;
static uint64_t tick_until_ns;

void
clock_use(const struct clock_source *other)
{
	source = other ? other : &system_source;
	tick_until_ns = 0;
}

uint64_t
clock_mono_ns(void)
{
	return source->mono_ns();
}

uint64_t
clock_boot_ms(void)
{
	return source->boot_us() / 1000;
}

uint64_t
clock_wall_us(void)
{
	return source->wall_us();
}

enum clock_anchor
clock_start(uint64_t stored_ms)
{
	uint64_t wall_us = clock_wall_us();
	uint64_t wall_ms = wall_us / 1000;
	uint64_t anchor_us = wall_us;
	enum clock_anchor anchor = CLOCK_SYSTEM;

	if (stored_ms > wall_ms && stored_ms - wall_ms > CLOCK_STORED_AHEAD_MAX_MS) {
		anchor = CLOCK_STORED_IGNORED;
	} else if (stored_ms > wall_ms) {
		anchor = CLOCK_STORED;
		anchor_us = stored_ms * 1000;
	}
	atomic_store_explicit(&offset_us, anchor_us - source->boot_us(),
			      memory_order_relaxed);
	tick_until_ns = 0;
	return anchor;
}

void
clock_tick(void)
{
	uint64_t wall_us = clock_wall_us();
	uint64_t boot_us = source->boot_us();
	uint64_t offset = atomic_load_explicit(&offset_us, memory_order_relaxed);

	if (wall_us > boot_us + offset) {
		offset = wall_us - boot_us;
		atomic_store_explicit(&offset_us, offset, memory_order_relaxed);
	}
	tick_us = boot_us + offset;
}

uint64_t
clock_turn_us(uint64_t mono_ns)
{
	if (mono_ns >= tick_until_ns) {
		clock_tick();
		tick_until_ns = mono_ns + CLOCK_TURN_NS;
	}
	return tick_us;
}

uint64_t
clock_now_us(void)
{
	return source->boot_us() + atomic_load_explicit(&offset_us, memory_order_relaxed);
}

uint64_t
clock_now_ms(void)
{
	return clock_now_us() / 1000;
}
