/* cache.c - the engine as a whole: opening and closing it, its turns, what wakes it.
 * Owns everything below. Loop thread. */
#include "daemon/cache_core.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/datadir.h"
#include "daemon/limit.h"
#include "daemon/log.h"

#define NS_PER_S UINT64_C(1000000000)
/* A start continues the clock this far after the last number that is known. */
#define CLOCK_GAP_US (60 * UINT64_C(1000000))
/* The address space, and the hard stop, for a limit of max_size. */
#define MAP_SIZE(max_size) ((max_size) / 10 * 13)
/* The loop looks for major faults after this many reads of its own. */
#define FAULT_LOOK 64
#define COLD_NS NS_PER_S
#define DAMAGE_LOG_NS (60 * NS_PER_S)
/* Beyond the pending limit, for deletes and each connection's first bytes. */
#define PENDING_RESERVE_PART 4
#define PENDING_FIRST (UINT64_C(64) << 10)

/* ---- numbers, snapshots, jobs ---- */

uint64_t
core_number(struct cache *cache)
{
	uint64_t now_us = clock_now_us();

	cache->clock = cache->clock + 1 > now_us ? cache->clock + 1 : now_us;
	return cache->clock;
}

struct payer *
payer_new(struct cache *cache)
{
	struct payer *payer = calloc(1, sizeof(*payer));

	if (payer)
		*payer = (struct payer){ .cache = cache, .refs = 1 };
	return payer;
}

struct payer *
payer_hold(struct payer *payer)
{
	if (payer)
		payer->refs++;
	return payer;
}

void
payer_release(struct payer **payer)
{
	if (*payer && --(*payer)->refs == 0)
		free(*payer);
	*payer = NULL;
}

void
core_accept(struct cache *cache, struct change *change, struct payer *payer)
{
	change->accepted_ns = cache->now_ns;
	change->payer = payer_hold(payer);
	if (payer) {
		cache->payers += payer->bytes == 0;
		payer->bytes += change->charge;
	}
	pending_add(cache->pending, change);
}

static void
on_settled(void *arg, struct change *change)
{
	struct cache *cache = arg;

	if (!change->payer)
		return;
	change->payer->bytes -= change->charge;
	cache->payers -= change->payer->bytes == 0;
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

static void
forget_job(struct cache *cache, struct read_job *job)
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

static long
major_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_majflt;
}

void
core_note_read(struct cache *cache)
{
	long faults;

	if (++cache->reads % FAULT_LOOK && cache->cold_until_ns < cache->now_ns)
		return;
	faults = major_faults();
	if (faults > cache->faults)
		cache->cold_until_ns = cache->now_ns + COLD_NS;
	cache->faults = faults;
}

bool
core_inline_allowed(const struct cache *cache, const uint8_t row_key[static ROW_KEY_SIZE])
{
	return cache->cold_until_ns < cache->now_ns ||
	       recency_is_fresh(cache->recency, row_key);
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

	writer_release(cache->writer, barrier(cache), pins, transfer_pins(cache, pins));
}

static void
submit(struct cache *cache)
{
	struct change *first, *last;

	if (!pending_take(cache->pending, &first, &last))
		return;
	cache->hurry = false;
	cache->writer_idle = false;
	writer_submit(cache->writer, first, last);
}

/* What gathers starts on its way when the writer is free and it is time, or somebody waits, or it is
 * a batch already. */
static bool
commit_due(const struct cache *cache)
{
	if (!cache->writer_idle || !pending_gathers(cache->pending))
		return false;
	return cache->hurry || pending_bytes(cache->pending) >= LIMIT_COMMIT_BYTES ||
	       cache->now_ns - pending_gathering_ns(cache->pending) >=
		       cache->config.commit_delay_ns;
}

static void
look_at_clock(struct cache *cache)
{
	cache->now_ns = clock_mono_ns();
	cache->now_ms = clock_now_ms();
}

void
cache_turn_begin(struct cache *cache)
{
	look_at_clock(cache);
}

void
cache_turn_end(struct cache *cache)
{
	snapshot_release(cache->snapshot);
	if (commit_due(cache))
		submit(cache);
}

uint64_t
cache_deadline_ns(const struct cache *cache)
{
	if (!cache->writer_idle || !pending_gathers(cache->pending))
		return UINT64_MAX;
	return pending_gathering_ns(cache->pending) + cache->config.commit_delay_ns;
}

static struct parked *
next_wait(struct cache *cache, uint64_t number)
{
	struct parked *parked = cache->waits_first;

	if (!parked || parked->number > number)
		return NULL;
	cache->waits_first = parked->next;
	if (!cache->waits_first)
		cache->waits_last = NULL;
	return parked;
}

/* Nobody is left hanging while the disk is full; what was accepted stays accepted. */
static void
refuse_waits(struct cache *cache)
{
	struct parked *parked;

	while ((parked = next_wait(cache, UINT64_MAX)))
		op_fail(cache, parked, ERROR_DISK_FULL);
}

static void
take_news(struct cache *cache)
{
	struct writer_news news;
	struct parked *parked;

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
	pending_committed(cache->pending, news.done);
	while ((parked = next_wait(cache, pending_committed_number(cache->pending))))
		op_resume(cache, parked);
	if (cache->disk_full)
		refuse_waits(cache);
}

static void
take_jobs(struct cache *cache)
{
	struct read_job *job = readers_collect(cache->readers), *next;

	for (; job; job = next) {
		next = job->next;
		forget_job(cache, job);
		if (job->kind == READ_PART)
			download_job_done(cache, job->owner, job);
		else
			op_job_done(cache, job->owner);
	}
}

int
cache_wake_fd(const struct cache *cache)
{
	return cache->wake_fd;
}

void
cache_wake(struct cache *cache)
{
	uint64_t count;
	size_t before = pending_bytes(cache->pending);

	if (read(cache->wake_fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
		log_error("cache: cannot read its eventfd: %m");
	look_at_clock(cache);
	snapshot_release(cache->snapshot);
	take_jobs(cache);
	take_news(cache);
	pending_settle(cache->pending, barrier(cache), on_settled, cache);
	release_chunks(cache);
	if (cache->on_room && pending_bytes(cache->pending) < before)
		cache->on_room(cache->on_room_arg);
	snapshot_release(cache->snapshot);
	if (commit_due(cache))
		submit(cache);
}

/* ---- room ---- */

void
cache_on_room(struct cache *cache, void (*on_room)(void *arg), void *arg)
{
	cache->on_room = on_room;
	cache->on_room_arg = arg;
}

bool
cache_admits(struct cache *cache, const struct payer *payer, size_t bytes)
{
	uint64_t limit = cache->config.pending_size, now = pending_bytes(cache->pending);
	uint64_t share = limit / (cache->payers + 1);

	if (payer->bytes + bytes <= PENDING_FIRST)
		return now + bytes <= limit + limit / PENDING_RESERVE_PART;
	if (now + bytes > limit)
		return false;
	/* Half of it is there for the taking; the rest goes to those below their fair share. */
	return now <= limit / 2 || payer->bytes + bytes <= share;
}

uint64_t
cache_max_value(const struct cache *cache)
{
	return cache->max_value;
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

/* ---- opening ---- */

static int
refuse(char *error, const char *format, const char *what, const char *why)
{
	snprintf(error, CACHE_ERROR_MAX, format, what, why);
	return -1;
}

static void
set_limits(struct cache *cache, const struct cache_config *config)
{
	struct statvfs disk;

	cache->max_size = config->max_size;
	cache->max_size_why = "configured";
	if (!cache->max_size && statvfs(cache->path, &disk) == 0)
		cache->max_size = limit_default((uint64_t)disk.f_bavail * disk.f_frsize +
							datadir_bytes(cache->dir),
						(uint64_t)disk.f_blocks * disk.f_frsize,
						&cache->max_size_why);
	if (cache->max_size < LIMIT_SIZE_MIN) {
		cache->max_size = LIMIT_SIZE_MIN;
		cache->max_size_why = "the least that Brine works with";
	}
	cache->max_value = config->max_value ? config->max_value : cache->max_size / 4;
	if (cache->max_value > cache->max_size / 4 && !config->max_value)
		cache->max_value = cache->max_size / 4;
}

/* A new store gets its identity; a known one tells how far its numbers went. */
static int
identify(struct cache *cache, struct identity *identity, struct progress *progress)
{
	struct write *write;
	int found = core_snapshot(cache);

	if (found >= 0)
		found = identity_read(cache->snapshot, identity);
	if (found == STORE_HIT)
		found = progress_read(cache->snapshot, progress);
	cache->txn = found >= 0 ? snapshot_txn(cache->snapshot) : 0;
	snapshot_release(cache->snapshot);
	if (found != STORE_MISS)
		return found;
	if (identity_make(identity))
		return STORE_FAILED;
	found = write_begin(cache->store, &write);
	if (found < 0)
		return found;
	*progress = (struct progress){ .next_incarnation = 1 };
	cache->txn = write_txn(write);
	found = identity_write(identity, write);
	if (found >= 0)
		found = progress_write(progress, write);
	if (found < 0) {
		write_abort(&write);
		return found;
	}
	return write_commit(&write);
}

static void
start_clock(struct cache *cache, struct progress *progress)
{
	uint64_t known = datadir_read_clock(cache->path);

	switch (clock_start(progress->time_ms)) {
	case CLOCK_STORED:
		log_warning(
			"clock: the system clock is behind the time of the last commit; daemon "
			"time goes on from that");
		break;
	case CLOCK_STORED_IGNORED:
		log_warning(
			"clock: the last commit is dated more than a day ahead of the system "
			"clock; its time is ignored");
		break;
	case CLOCK_SYSTEM:
		break;
	}
	if (progress->clock > known)
		known = progress->clock;
	if (clock_now_us() > known)
		known = clock_now_us();
	cache->clock = progress->clock = known + CLOCK_GAP_US;
	datadir_write_clock(cache->path, cache->clock);
}

static int
load_names(struct cache *cache, struct ledger *ledger)
{
	int done = core_snapshot(cache);

	if (done >= 0)
		done = ledger_load(ledger, cache->snapshot);
	snapshot_release(cache->snapshot);
	for (struct usage *usage = ledger_next(ledger, NULL); done >= 0 && usage;
	     usage = ledger_next(ledger, usage)) {
		if (usage->incarnation >= cache->next_incarnation)
			cache->next_incarnation = usage->incarnation + 1;
		if (!usage->flushed && !names_add(&cache->names, usage))
			done = STORE_FAILED;
	}
	return done;
}

static int
start_threads(struct cache *cache, struct ledger *ledger, struct progress *progress)
{
	struct writer_settings settings = {
		.path = cache->dir,
		.root = cache->path,
		.max_size = cache->max_size,
		.beside = recency_file_size(cache->recency) + datadir_beside(cache->path),
		.min_free_percent = cache->config.min_free_percent,
	};

	cache->writer = writer_start(cache->store, ledger, cache->recency, progress,
				     &settings, cache->txn, cache->wake_fd);
	cache->writer_idle = true;
	if (cache->writer)
		cache->readers = readers_start(cache->store, cache->config.reader_threads,
					       cache->wake_fd);
	return cache->readers ? STORE_HIT : STORE_FAILED;
}

/* Everything that can find the file damaged. */
static int
start_engine(struct cache *cache, char *error)
{
	struct identity identity;
	struct progress progress;
	struct ledger *ledger = calloc(1, sizeof(*ledger));
	int done =
		store_open(cache->dir, MAP_SIZE(cache->max_size), &cache->store, error);

	if (done < 0 || !ledger) {
		free(ledger);
		return done < 0 ? done : STORE_FAILED;
	}
	done = snapshot_new(cache->store, &cache->snapshot);
	if (done >= 0)
		done = identify(cache, &identity, &progress);
	if (done >= 0) {
		store_set_secret(cache->store, identity.secret);
		cache->next_incarnation = progress.next_incarnation;
		done = load_names(cache, ledger);
	}
	if (done < 0) {
		snprintf(error, CACHE_ERROR_MAX, "%s", store_why(done));
		ledger_done(ledger);
		free(ledger);
		return done;
	}
	start_clock(cache, &progress);
	identity_boot(progress.boot);
	progress.next_incarnation = cache->next_incarnation;
	return start_threads(cache, ledger, &progress);
}

static void
stop_engine(struct cache *cache)
{
	snapshot_free(&cache->snapshot);
	names_done(&cache->names);
	cache->names = (struct names){ .count = 0 };
	store_close(&cache->store);
}

static int
open_engine(struct cache *cache, char *error)
{
	char recency_file[CACHE_PATH_MAX + sizeof(DATADIR_RECENCY)];
	int done;

	snprintf(recency_file, sizeof(recency_file), "%s%s", cache->dir, DATADIR_RECENCY);
	cache->recency = recency_new(cache->max_size, recency_file);
	cache->pending = pending_new();
	cache->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (!cache->recency || !cache->pending || cache->wake_fd < 0)
		return refuse(error, "%s: %s", "cannot start",
			      strerror(errno ? errno : ENOMEM));
	done = start_engine(cache, error);
	if (done == STORE_DAMAGED) {
		stop_engine(cache);
		log_error("store in %s: %s: moved aside to %s" DATADIR_DAMAGED
			  "; starting with an empty one, everything stored is lost",
			  cache->dir, error, cache->dir);
		if (datadir_move_aside(cache->dir) || datadir_make(cache->dir))
			return refuse(error, "cannot create %.300s: %.100s", cache->dir,
				      strerror(errno));
		done = start_engine(cache, error);
	}
	if (done < 0) {
		char why[CACHE_ERROR_MAX];

		snprintf(why, sizeof(why), "%s", error);
		return refuse(error, "cannot open the store in %.200s: %.250s",
			      cache->dir, why);
	}
	return 0;
}

int
cache_open(const struct cache_config *config, unsigned wait_ms, struct cache **ret_cache,
	   char error[static CACHE_ERROR_MAX])
{
	struct cache *cache = calloc(1, sizeof(*cache));

	if (!cache)
		return refuse(error, "%s: %s", "cannot start", strerror(ENOMEM));
	cache->config = *config;
	cache->lock_fd = cache->wake_fd = -1;
	if (snprintf(cache->path, sizeof(cache->path), "%s", config->path) >=
		    (int)sizeof(cache->path) ||
	    snprintf(cache->dir, sizeof(cache->dir), "%s" DATADIR_SCHEMA, config->path) >=
		    (int)sizeof(cache->dir)) {
		free(cache);
		return refuse(error, "the path %.200s is too long%s", config->path, "");
	}
	cache->config.path = cache->path;
	if (getrandom(&cache->epoch, sizeof(cache->epoch), 0) != sizeof(cache->epoch) ||
	    datadir_lock(cache->path, wait_ms, &cache->lock_fd, error) ||
	    datadir_prepare(cache->path, cache->dir, error)) {
		cache_close(&cache);
		return -1;
	}
	set_limits(cache, config);
	look_at_clock(cache);
	cache->started_ns = cache->now_ns;
	if (open_engine(cache, error)) {
		cache_close(&cache);
		return -1;
	}
	look_at_clock(cache);
	log_info("store in %s: at most %llu MiB (%s), values up to %llu MiB", cache->dir,
		 (unsigned long long)(cache->max_size >> 20), cache->max_size_why,
		 (unsigned long long)(cache->max_value >> 20));
	*ret_cache = cache;
	return 0;
}

/* Ends everything that is parked; nobody is there any more to be answered. */
static void
drop_parked(struct cache *cache)
{
	struct parked *parked;
	struct read_job *job;

	while ((parked = next_wait(cache, UINT64_MAX)))
		op_fail(cache, parked, ERROR_SHUTTING_DOWN);
	while ((job = cache->jobs_first)) {
		forget_job(cache, job);
		job->result = STORE_FAILED;
		if (job->kind == READ_PART)
			download_job_done(cache, job->owner, job);
		else
			op_fail(cache, job->owner, ERROR_SHUTTING_DOWN);
	}
}

static void
close_engine(struct cache *cache)
{
	char recency_file[CACHE_PATH_MAX + sizeof(DATADIR_RECENCY)];
	struct read_job *left;
	struct change *done = NULL;

	if (cache->readers)
		readers_stop(&cache->readers, &left);
	drop_parked(cache);
	if (cache->writer) {
		submit(cache);
		writer_stop(&cache->writer, &done);
		datadir_write_clock(cache->path, cache->clock);
	}
	if (cache->pending) {
		pending_committed(cache->pending, done);
		pending_settle(cache->pending, UINT64_MAX, on_settled, cache);
	}
	if (cache->recency && cache->store && !cache->lost) {
		snprintf(recency_file, sizeof(recency_file), "%s%s", cache->dir,
			 DATADIR_RECENCY);
		if (recency_save(cache->recency, recency_file))
			log_warning(
				"cache: cannot save recency in %s: %m; eviction starts anew",
				recency_file);
	}
}

void
cache_close(struct cache **cache)
{
	if (!*cache)
		return;
	close_engine(*cache);
	stop_engine(*cache);
	pending_free(&(*cache)->pending);
	recency_free(&(*cache)->recency);
	if ((*cache)->wake_fd >= 0)
		close((*cache)->wake_fd);
	if ((*cache)->lock_fd >= 0)
		close((*cache)->lock_fd);
	free(*cache);
	*cache = NULL;
}

void
cache_configure(struct cache *cache, const struct cache_config *config)
{
	struct writer_settings settings;
	const char *path = cache->config.path;

	cache->config = *config;
	cache->config.path = path;
	set_limits(cache, config);
	if (MAP_SIZE(cache->max_size) > store_map_size(cache->store)) {
		cache->max_size = store_map_size(cache->store) / 13 * 10;
		log_warning(
			"config: max_size can grow to %llu MiB now, to more after a restart",
			(unsigned long long)(cache->max_size >> 20));
	}
	settings = (struct writer_settings){
		.path = cache->dir,
		.root = cache->path,
		.max_size = cache->max_size,
		.beside = recency_file_size(cache->recency) + datadir_beside(cache->path),
		.min_free_percent = config->min_free_percent,
	};
	writer_configure(cache->writer, &settings);
}
