/* cache.c - the engine at work: its numbers, its turns, what wakes it, and who may come in. Loop thread. */
#include "daemon/cache_core.h"

#include <errno.h>
#include <sys/resource.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/datadir.h"
#include "daemon/limit.h"
#include "daemon/log.h"

#define NS_PER_S UINT64_C(1000000000)
#define MS_PER_S 1000
/* Used so lately, an object's pages are in memory. */
#define FRESH_S 30
/* A read that takes less did not wait for a disk; one that takes more may have lost its core for a while. */
#define DISK_WAIT_NS UINT64_C(20000)
/* Of this many looks the newest counts, in the share of those that waited for the disk. */
#define COLD_WEIGHT 16
/* Above this the loop leaves to readers what is not fresh. One wait is enough to get there, a dozen looks
 * without one to come back: where one in fifty is cold, most are still answered at once. */
#define COLD_SHARE_MOST (COLD_SHARE_ALL / 32)
/* The next commit waits for this part of the time of the last, and no longer than that. */
#define HOLD_PART 4
#define HOLD_MAX_NS UINT64_C(2000000)
/* Which leases still ask for stamps is looked up this often: all leases are walked over. */
#define KEEP_LOOK_NS NS_PER_S
#define DAMAGE_LOG_NS (60 * NS_PER_S)

/* ---- numbers, snapshots, jobs ---- */

uint64_t
core_number(struct cache *cache)
{
	cache->clock =
		cache->clock + 1 > cache->now_us ? cache->clock + 1 : cache->now_us;
	return cache->clock;
}

void
core_accept(struct cache *cache, struct change *change, struct payer *payer)
{
	change->accepted_ns = cache->now_ns;
	change->accepted_ms = cache->now_ms;
	change->payer = payer_hold(payer);
	if (payer && change->charge)
		payer_charge(payer, change->charge);
	if (!pending_gathers(cache->pending))
		writer_expect(cache->writer, cache->now_ms);
	pending_add(cache->pending, change);
}

void
core_settled(void *arg, struct change *change)
{
	(void)arg;
	if (!change->payer)
		return;
	if (change->charge)
		payer_relieve(change->payer, change->charge);
	payer_release(&change->payer);
}

int
core_snapshot(struct cache *cache)
{
	if (snapshot_held(cache->snapshot))
		return STORE_HIT;
	return snapshot_take(cache->snapshot);
}

void
core_submit_job(struct cache *cache, struct read_job *job)
{
	job->began = cache->txn;
	job->previous = cache->jobs_last;
	job->following = NULL;
	if (cache->jobs_last)
		cache->jobs_last->following = job;
	else
		cache->jobs_first = job;
	cache->jobs_last = job;
	readers_submit(cache->readers, job);
}

void
core_forget_job(struct cache *cache, struct read_job *job)
{
	if (job->previous)
		job->previous->following = job->following;
	else
		cache->jobs_first = job->following;
	if (job->following)
		job->following->previous = job->previous;
	else
		cache->jobs_last = job->previous;
}

void
core_note_damage(struct cache *cache, const char *what)
{
	cache->counts.damaged_rows++;
	if (cache->damage_logged_ns &&
	    cache->now_ns - cache->damage_logged_ns < DAMAGE_LOG_NS)
		return;
	cache->damage_logged_ns = cache->now_ns;
	log_error(
		"store in %s: %s does not match its checksum (%llu so far); it is a miss, and the "
		"disk may need a look",
		cache->dir, what, (unsigned long long)cache->counts.damaged_rows);
}

bool
core_faults_rose(struct cache *cache)
{
	struct rusage usage;
	long before = cache->faults;

	if (getrusage(RUSAGE_THREAD, &usage))
		return false;
	cache->faults = usage.ru_majflt;
	return cache->faults > before;
}

bool
core_is_fresh(const struct cache *cache, const uint8_t row_key[static ROW_KEY_SIZE])
{
	return recency_is_fresh(cache->recency, row_key,
				(uint32_t)(cache->now_ms / MS_PER_S), FRESH_S);
}

bool
core_inline_allowed(const struct cache *cache, bool fresh)
{
	return fresh || cache->cold_share <= COLD_SHARE_MOST;
}

void
core_note_look(struct cache *cache, bool waited)
{
	cache->cold_share -= cache->cold_share / COLD_WEIGHT;
	if (waited)
		cache->cold_share += COLD_SHARE_ALL / COLD_WEIGHT;
}

void
core_note_read(struct cache *cache, uint64_t began_ns)
{
	core_note_look(cache, clock_mono_ns() - began_ns > DISK_WAIT_NS &&
				      core_faults_rose(cache));
}

/* ---- turns ---- */

/* What nobody may miss any more: commits that every look-up under way has seen. */
static uint64_t
barrier(const struct cache *cache)
{
	return cache->jobs_first && cache->jobs_first->began < cache->txn
		       ? cache->jobs_first->began
		       : cache->txn;
}

static void
release_chunks(struct cache *cache)
{
	static uint64_t pins[WRITER_PINS_MAX]; /* the loop is one thread */
	size_t count;

	/* With more than it can tell of, it lets nothing go: what was said before still holds. */
	if (download_pins(cache, pins, &count))
		writer_release(cache->writer, barrier(cache), pins, count);
}

void
core_submit(struct cache *cache)
{
	struct change *first, *last;

	if (!pending_take(cache->pending, &first, &last))
		return;
	cache->hurry = false;
	cache->hold_until_ns = 0;
	cache->submitted_ns = cache->now_ns;
	cache->writer_idle = false;
	writer_submit(cache->writer, first, last);
}

/* Clients whose changes were just committed often send the next ones at once. If what came from others
 * meanwhile left without them, each half would wait for the other's commit for ever after, and every commit
 * carry half of what it could. So it waits for as many as were answered, for a part of the time that a
 * commit takes. */
static void
hold(struct cache *cache, uint64_t answered)
{
	uint64_t part_ns = (cache->now_ns - cache->submitted_ns) / HOLD_PART;
	struct itimerspec timer = { .it_value.tv_nsec = 1 };

	if (answered < 2)
		return;
	if (part_ns > HOLD_MAX_NS)
		part_ns = HOLD_MAX_NS;
	cache->hold_until_ns = cache->now_ns + part_ns;
	cache->hold_count = pending_uncommitted(cache->pending) + answered;
	timer.it_value.tv_nsec += (long)part_ns;
	if (timerfd_settime(cache->hold_fd, 0, &timer, NULL))
		cache->hold_until_ns = 0;
}

static bool
held(const struct cache *cache)
{
	return cache->now_ns < cache->hold_until_ns &&
	       pending_uncommitted(cache->pending) < cache->hold_count;
}

/* What gathers starts on its way when the writer is free and it is time, or somebody waits, or it is
 * a batch already. */
static bool
commit_due(const struct cache *cache)
{
	if (!cache->writer_idle || !pending_gathers(cache->pending))
		return false;
	return (cache->hurry && !held(cache)) ||
	       pending_bytes(cache->pending) >= LIMIT_COMMIT_BYTES ||
	       cache->now_ns - pending_gathering_ns(cache->pending) >=
		       cache->config.commit_delay_ns;
}

void
core_look_at_clock(struct cache *cache)
{
	cache->now_ns = clock_mono_ns();
	cache->now_us = clock_turn_us(cache->now_ns);
	cache->now_ms = cache->now_us / 1000;
}

uint64_t
cache_turn_begin(struct cache *cache)
{
	core_look_at_clock(cache);
	return cache->now_ns;
}

void
cache_turn_end(struct cache *cache)
{
	lease_tick(cache->leases, cache->now_ns);
	core_answer_told(cache);
	if (cache->keeping && cache->now_ns - cache->keep_looked_ns >= KEEP_LOOK_NS)
		core_release_stamps(cache);
	snapshot_release(cache->snapshot);
	if (commit_due(cache))
		core_submit(cache);
}

uint64_t
cache_deadline_ns(const struct cache *cache)
{
	uint64_t at_ns = lease_deadline_ns(cache->leases), commit_ns, look_ns;

	if (lease_anybody_told(cache->leases))
		return 0;
	look_ns = cache->keep_looked_ns + KEEP_LOOK_NS;
	if (cache->keeping && look_ns < at_ns)
		at_ns = look_ns;
	if (!cache->writer_idle || !pending_gathers(cache->pending))
		return at_ns;
	commit_ns = pending_gathering_ns(cache->pending) + cache->config.commit_delay_ns;
	return commit_ns < at_ns ? commit_ns : at_ns;
}

struct parked *
core_next_wait(struct cache *cache, uint64_t number)
{
	struct parked *parked = cache->waits_first;

	if (!parked || parked->number > number)
		return NULL;
	cache->waits_first = parked->next;
	if (!cache->waits_first)
		cache->waits_last = NULL;
	return parked;
}

/* Nobody is left hanging while the disk is full, or memory is; what was accepted stays accepted. */
static void
refuse_waits(struct cache *cache, enum error error)
{
	struct parked *parked;

	while ((parked = core_next_wait(cache, UINT64_MAX)))
		op_fail(cache, parked, error);
}

static void
take_news(struct cache *cache)
{
	struct writer_news news;
	struct parked *parked;
	uint64_t answered = 0;

	writer_collect(cache->writer, &news);
	cache->txn = news.txn;
	cache->writer_idle = news.idle;
	cache->disk_full = news.disk_full;
	if (news.damaged && !cache->lost)
		datadir_mark_suspect(cache->dir);
	if (news.damaged)
		cache->lost = "its file was found damaged";
	else if (news.unlinked)
		cache->lost = "its file was deleted";
	download_cut(cache, news.held, news.held_count);
	if (news.overdue)
		core_give_up_upload(cache, news.overdue_tenant);
	pending_committed(cache->pending, news.done);
	while ((parked = core_next_wait(cache,
					pending_committed_number(cache->pending)))) {
		op_resume(cache, parked);
		answered++;
	}
	if (cache->writer_idle)
		hold(cache, answered);
	if (cache->disk_full)
		refuse_waits(cache, ERROR_DISK_FULL);
	else if (news.no_memory)
		refuse_waits(cache, ERROR_NO_MEMORY);
}

static void
take_jobs(struct cache *cache)
{
	struct read_job *job = readers_collect(cache->readers), *next;

	for (; job; job = next) {
		next = job->next;
		core_forget_job(cache, job);
		if (job->kind == READ_PROBE)
			core_probe_done(cache);
		else if (job->kind == READ_PART)
			download_job_done(cache, job->owner, job);
		else
			op_job_done(cache, job->owner);
	}
}

int
cache_wake_fd(const struct cache *cache)
{
	return cache->events_fd;
}

void
cache_wake(struct cache *cache)
{
	uint64_t count;
	size_t before = pending_bytes(cache->pending);

	if ((read(cache->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN) ||
	    (read(cache->hold_fd, &count, sizeof(count)) < 0 && errno != EAGAIN))
		log_error("cache: cannot read its events: %m");
	core_look_at_clock(cache);
	snapshot_release(cache->snapshot);
	take_jobs(cache);
	take_news(cache);
	core_answer_told(cache);
	pending_settle(cache->pending, barrier(cache), core_settled, cache);
	release_chunks(cache);
	if (cache->on_room && pending_bytes(cache->pending) < before)
		cache->on_room(cache->on_room_arg);
	snapshot_release(cache->snapshot);
	if (commit_due(cache))
		core_submit(cache);
}

/* ---- values that many get ---- */

void
cache_keep(struct keeper *keeper)
{
	change_keep((struct change *)keeper, 1);
}

void
cache_let_go(struct keeper *keeper)
{
	change_let_go((struct change *)keeper);
}

/* ---- room ---- */

void
cache_on_room(struct cache *cache, void (*on_room)(void *arg), void *arg)
{
	cache->on_room = on_room;
	cache->on_room_arg = arg;
}

uint64_t
cache_max_value(const struct cache *cache)
{
	return cache->max_value;
}

uint64_t
cache_max_size(const struct cache *cache, const char **ret_why)
{
	*ret_why = cache->max_size_why;
	return cache->max_size;
}

uint64_t
cache_epoch(const struct cache *cache)
{
	return cache->epoch;
}

const char *
cache_lost(const struct cache *cache)
{
	return cache->lost;
}
