/* health.c - do the writer and the readers still answer? The writer leaves a pulse; the readers are sent for a row of the
 * store now and then, any row, so that one which waits for a disk that never answers is noticed. Loop thread. */
#include <string.h>
#include <sys/random.h>

#include "daemon/cache_core.h"
#include "daemon/clock.h"
#include "proto/bytes.h"

void
core_probe_done(struct cache *cache)
{
	cache->probing = false;
}

static void
probe(struct cache *cache)
{
	uint64_t place[2];

	/* Without chance it is the same row each time, which then never leaves memory. */
	if (getrandom(place, sizeof(place), GRND_NONBLOCK) != sizeof(place))
		memset(place, 0, sizeof(place));
	cache->probing = true;
	pulse_beat(&cache->probed, clock_mono_ns());
	memset(&cache->probe, 0, offsetof(struct read_job, record));
	cache->probe.kind = READ_PROBE;
	cache->probe.uid = cache->own_uid;
	be32_store(cache->probe.row_key,
		   (uint32_t)(place[0] % (UINT64_C(1) + cache->next_incarnation)));
	memcpy(cache->probe.row_key + sizeof(uint32_t), place,
	       ROW_KEY_SIZE - sizeof(uint32_t));
	core_submit_job(cache, &cache->probe);
}

static const char *
find_silent(const struct cache *cache, uint64_t now_ns)
{
	if (writer_silent(cache->writer, now_ns))
		return "the writer";
	return cache->probing && pulse_lost(&cache->probed, now_ns) ? "the readers"
								    : NULL;
}

void
cache_examine(struct cache *cache, struct cache_health *ret_health)
{
	const struct writer_counts *counts = writer_counts(cache->writer);

	*ret_health = (struct cache_health){
		.silent = find_silent(cache, clock_mono_ns()),
		.used_bytes = count_figure(&counts->used_pages) * PAGE_SIZE_BYTES,
		.limit_bytes = cache->max_size,
	};
	if (!cache->probing)
		probe(cache);
}
