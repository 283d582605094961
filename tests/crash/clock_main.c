/* clock_main.c - the daemon, whose clocks a test sets: they run on from three offsets in a file that both
 * have mapped. The machine's clocks stay as they are.
 *
 *	BRINE_TEST_CLOCK=FILE clock_main [what brined takes]
 *
 * FILE holds three signed numbers of 64 bits: nanoseconds to add to CLOCK_MONOTONIC, microseconds to add to
 * CLOCK_BOOTTIME and to CLOCK_REALTIME. A fourth that is not 0 stops them: then the three are what they show. */
#include <fcntl.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>

#include "daemon/clock.h"

/* daemon/main.c, compiled with this name for its main(). */
int brined_main(int argc, char **argv);

static struct {
	_Atomic int64_t mono_ns;
	_Atomic int64_t boot_us;
	_Atomic int64_t wall_us;
	_Atomic int64_t stopped;
} * offsets;

static int64_t
read_ns(clockid_t id)
{
	struct timespec now;

	if (offsets->stopped)
		return 0;
	clock_gettime(id, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

static uint64_t
mono_ns(void)
{
	return (uint64_t)(read_ns(CLOCK_MONOTONIC) + offsets->mono_ns);
}

static uint64_t
boot_us(void)
{
	return (uint64_t)(read_ns(CLOCK_BOOTTIME) / 1000 + offsets->boot_us);
}

static uint64_t
wall_us(void)
{
	return (uint64_t)(read_ns(CLOCK_REALTIME) / 1000 + offsets->wall_us);
}

int
main(int argc, char **argv)
{
	static const struct clock_source source = { .mono_ns = mono_ns,
						    .boot_us = boot_us,
						    .wall_us = wall_us };
	const char *path = getenv("BRINE_TEST_CLOCK");
	int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;

	offsets = fd < 0 ? MAP_FAILED
			 : mmap(NULL, sizeof(*offsets), PROT_READ | PROT_WRITE,
				MAP_SHARED, fd, 0);
	if (offsets == MAP_FAILED) {
		fprintf(stderr, "clock_main: BRINE_TEST_CLOCK=%s cannot be mapped\n",
			path ? path : "");
		return EXIT_FAILURE;
	}
	clock_use(&source);
	return brined_main(argc, argv);
}
