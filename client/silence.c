/* silence.c - how long a silent daemon is left alone. Owns nothing; any thread. */
#include "client/silence.h"

static uint64_t
pause_ms(uint32_t count, uint32_t first_ms)
{
	uint64_t times = 1;

	while (times < SILENCE_LONGEST && --count > 0)
		times *= 2;
	return times * first_ms;
}

void
silence_begin(struct brine_silence *silence, uint32_t first_ms, uint64_t now_ms)
{
	uint32_t count = __atomic_load_n(&silence->count, __ATOMIC_RELAXED);

	if (count < SILENCE_LONGEST)
		count++;
	__atomic_store_n(&silence->count, count, __ATOMIC_RELAXED);
	__atomic_store_n(&silence->until_ms, now_ms + pause_ms(count, first_ms),
			 __ATOMIC_RELAXED);
}

void
silence_end(struct brine_silence *silence)
{
	if (!__atomic_load_n(&silence->until_ms, __ATOMIC_RELAXED))
		return;
	__atomic_store_n(&silence->count, 0, __ATOMIC_RELAXED);
	__atomic_store_n(&silence->until_ms, 0, __ATOMIC_RELAXED);
}

bool
silence_holds(struct brine_silence *silence, uint32_t first_ms, uint64_t now_ms)
{
	uint64_t until_ms = __atomic_load_n(&silence->until_ms, __ATOMIC_RELAXED);
	uint32_t count;

	if (!until_ms)
		return false;
	if (now_ms < until_ms)
		return true;
	count = __atomic_load_n(&silence->count, __ATOMIC_RELAXED);
	return !__atomic_compare_exchange_n(&silence->until_ms, &until_ms,
					    now_ms + pause_ms(count, first_ms), false,
					    __ATOMIC_RELAXED, __ATOMIC_RELAXED);
}
