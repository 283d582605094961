/* clock.h - the only place where the daemon reads a clock.
 *
 * Three clocks of the system, and daemon time: the time that objects are stamped with. Daemon
 * time never goes back: not when the system clock does, and not over a restart. All functions
 * may be called from any thread, except clock_use(), clock_start(), clock_tick() and clock_turn_us(). */
#ifndef DAEMON_CLOCK_H
#define DAEMON_CLOCK_H

#include <stdint.h>

/* A stored time further ahead of the system clock than this is a mistake of the past. */
#define CLOCK_STORED_AHEAD_MAX_MS (24 * 60 * 60 * UINT64_C(1000))

/* Where the readings come from; a test puts its own here. */
struct clock_source {
	uint64_t (*mono_ns)(void);
	uint64_t (*boot_us)(void);
	uint64_t (*wall_us)(void);
};

/* What daemon time was anchored to. */
enum clock_anchor {
	CLOCK_SYSTEM,         /* the system clock: it is the later one */
	CLOCK_STORED,         /* the stored time: the system clock is behind it */
	CLOCK_STORED_IGNORED, /* the system clock: the stored time is over a day ahead; log it */
};

/* Reads from *source from now on, which is borrowed for good; NULL restores the system's
 * clocks. Before any other thread runs. */
void clock_use(const struct clock_source *source);

/* For leases, timeouts and delays: CLOCK_MONOTONIC. */
uint64_t clock_mono_ns(void);
/* Time since boot, sleep included: CLOCK_BOOTTIME. */
uint64_t clock_boot_ms(void);
/* What the system believes the time to be, since 1970: CLOCK_REALTIME. */
uint64_t clock_wall_us(void);

/* Anchors daemon time. stored_ms is the time kept with the last commit, 0 if there is none.
 * Once, before any other thread runs. */
enum clock_anchor clock_start(uint64_t stored_ms);

/* Follows a forward step of the system clock. Loop thread only, about once a turn or second. */
void clock_tick(void);
/* The same, when the last time was more than CLOCK_TURN_NS ago; mono_ns was just read. Returns daemon time,
 * up to that old: reading three clocks for each of many short turns takes longer than all else in them. Loop
 * thread only. */
#define CLOCK_TURN_NS UINT64_C(200000)
uint64_t clock_turn_us(uint64_t mono_ns);

/* Daemon time since 1970. */
uint64_t clock_now_us(void);
uint64_t clock_now_ms(void);

#endif
