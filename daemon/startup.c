/* startup.c - opens the engine on a data directory, closes it again, and changes its settings between.
 * Loop thread, but for the threads that it starts. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/statvfs.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "daemon/cache_core.h"
#include "daemon/clock.h"
#include "daemon/datadir.h"
#include "daemon/leasefile.h"
#include "daemon/limit.h"
#include "daemon/log.h"

/* A start continues the clock this far after the last number that is known. */
#define CLOCK_GAP_US (60 * UINT64_C(1000000))
/* The address space, and the hard stop, for a limit of max_size. */
#define MAP_SIZE(max_size) ((max_size) / 10 * 13)

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
	uint8_t machine[IDENTITY_ID_SIZE];
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
	identity_machine(cache->config.machine_file, machine);
	if (identity_make(machine, identity))
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
	cache->clock = cache->started = progress->clock = known + CLOCK_GAP_US;
	datadir_write_clock(cache->path, cache->clock);
}

static int
start_threads(struct cache *cache, struct ledger *ledger, struct progress *progress)
{
	struct room_settings settings = {
		.max_size = cache->max_size,
		.beside = recency_file_size(cache->recency) + datadir_beside(cache->path),
		.min_free_percent = cache->config.min_free_percent,
	};

	cache->writer =
		writer_start(cache->store, ledger, cache->recency, progress, &settings,
			     cache->dir, cache->path, cache->txn, cache->wake_fd);
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
		done = core_load_names(cache, ledger, &identity);
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
	cache->keeping = 0;
	store_close(&cache->store);
}

/* The store's folder, for the handler below: a signal knows nothing else of us. */
static char guarded[CACHE_PATH_MAX];

/* Reading a page failed: the disk is broken, or somebody made the file shorter. What is in memory of it
 * cannot be trusted, so the next start begins with an empty store. */
static void
on_bus_error(int number)
{
	static const char words[] =
		"brined: a page of the store could not be read (SIGBUS): it is "
		"given up; the next start moves it aside\n";

	(void)number;
	if (write(STDERR_FILENO, words, sizeof(words) - 1) < 0)
		_exit(EXIT_FAILURE);
	datadir_mark_suspect(guarded);
	_exit(EXIT_FAILURE);
}

/* LMDB believes what it reads: a broken page may end it anywhere. So may a mistake of ours; then once is not
 * enough to give up what is stored. Dying goes on as without us when this returns. */
static void
on_fault(int number)
{
	(void)number;
	datadir_note_fault(guarded);
}

static void
guard(const char *dir)
{
	static const int faults[] = { SIGSEGV, SIGABRT };
	struct sigaction bus = { .sa_handler = on_bus_error }, before;
	struct sigaction fault = { .sa_handler = on_fault,
				   .sa_flags = (int)SA_RESETHAND };

	snprintf(guarded, sizeof(guarded), "%s", dir);
	sigaction(SIGBUS, &bus, NULL);
	/* Who has a handler already (a sanitizer) has better things to say. */
	for (size_t i = 0; i < sizeof(faults) / sizeof(faults[0]); i++)
		if (sigaction(faults[i], NULL, &before) == 0 &&
		    before.sa_handler == SIG_DFL)
			sigaction(faults[i], &fault, NULL);
}

static int
open_events(struct cache *cache)
{
	struct epoll_event readable = { .events = EPOLLIN };

	cache->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	cache->hold_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	cache->events_fd = epoll_create1(EPOLL_CLOEXEC);
	if (epoll_ctl(cache->events_fd, EPOLL_CTL_ADD, cache->wake_fd, &readable))
		return -1;
	return epoll_ctl(cache->events_fd, EPOLL_CTL_ADD, cache->hold_fd, &readable);
}

static void
close_fd(int fd)
{
	if (fd >= 0)
		close(fd);
}

static uint64_t
next_number(void *arg)
{
	return core_number(arg);
}

static void
load_leases(struct cache *cache)
{
	char file[CACHE_PATH_MAX + sizeof(DATADIR_LEASES)];

	snprintf(file, sizeof(file), "%s%s", cache->dir, DATADIR_LEASES);
	leasefile_load(cache->leases, file, cache->now_ns);
}

static void
save_leases(const struct cache *cache)
{
	char file[CACHE_PATH_MAX + sizeof(DATADIR_LEASES)];

	snprintf(file, sizeof(file), "%s%s", cache->dir, DATADIR_LEASES);
	if (leasefile_save(cache->leases, cache->now_ns, file))
		log_warning("cache: cannot save leases in %s: %m; who computes now may "
			    "find that another does so too",
			    file);
}

static int
open_engine(struct cache *cache, char *error)
{
	char recency_file[CACHE_PATH_MAX + sizeof(DATADIR_RECENCY)];
	int done;

	snprintf(recency_file, sizeof(recency_file), "%s%s", cache->dir, DATADIR_RECENCY);
	cache->recency = recency_new(cache->max_size, recency_file);
	cache->pending = pending_new();
	cache->leases = leases_new(cache->epoch, next_number, cache);
	if (!cache->recency || !cache->pending || !cache->leases || open_events(cache))
		return refuse(error, "%s: %s", "cannot start",
			      strerror(errno ? errno : ENOMEM));
	guard(cache->dir);
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
	cache->own_uid = geteuid();
	cache->lock_fd = cache->wake_fd = cache->hold_fd = cache->events_fd = -1;
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
	core_look_at_clock(cache);
	cache->started_ns = cache->now_ns;
	if (open_engine(cache, error)) {
		cache_close(&cache);
		return -1;
	}
	core_look_at_clock(cache);
	core_declare_all(cache);
	load_leases(cache);
	core_release_stamps(cache);
	core_faults_rose(cache); /* those of the start are no look's */
	log_info("store in %s: at most %llu MiB (%s), values up to %llu MiB", cache->dir,
		 (unsigned long long)(cache->max_size >> 20), cache->max_size_why,
		 (unsigned long long)(cache->max_value >> 20));
	*ret_cache = cache;
	return 0;
}

/* Who stands in line is told, and who was told looks again: a reader may be needed for that. */
static void
drop_waiters(struct cache *cache)
{
	lease_leave(cache->leases);
	while (lease_anybody_told(cache->leases))
		core_answer_told(cache);
}

/* Ends everything else that is parked; nobody is there any more to be answered. */
static void
drop_parked(struct cache *cache)
{
	struct parked *parked;
	struct read_job *job;

	while ((parked = core_next_wait(cache, UINT64_MAX)))
		op_fail(cache, parked, ERROR_SHUTTING_DOWN);
	while ((job = cache->jobs_first)) {
		core_forget_job(cache, job);
		job->result = STORE_FAILED;
		if (job->kind == READ_PROBE)
			core_probe_done(cache);
		else if (job->kind == READ_PART)
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

	if (cache->leases)
		drop_waiters(cache);
	if (cache->readers)
		readers_stop(&cache->readers, &left);
	if (cache->leases)
		drop_parked(cache);
	if (cache->writer) {
		core_submit(cache);
		writer_stop(&cache->writer, &done);
		datadir_write_clock(cache->path, cache->clock);
	}
	if (cache->pending) {
		pending_committed(cache->pending, done);
		pending_settle(cache->pending, UINT64_MAX, core_settled, cache);
	}
	if (cache->recency && cache->store && !cache->lost) {
		snprintf(recency_file, sizeof(recency_file), "%s%s", cache->dir,
			 DATADIR_RECENCY);
		if (recency_save(cache->recency, recency_file))
			log_warning(
				"cache: cannot save recency in %s: %m; eviction starts anew",
				recency_file);
		save_leases(cache);
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
	leases_free(&(*cache)->leases);
	recency_free(&(*cache)->recency);
	close_fd((*cache)->events_fd);
	close_fd((*cache)->hold_fd);
	close_fd((*cache)->wake_fd);
	close_fd((*cache)->lock_fd);
	free(*cache);
	*cache = NULL;
}

void
cache_configure(struct cache *cache, const struct cache_config *config)
{
	struct room_settings settings;
	const char *path = cache->config.path;

	cache->config = *config;
	cache->config.path = path;
	core_declare_all(cache);
	set_limits(cache, config);
	if (MAP_SIZE(cache->max_size) > store_map_size(cache->store)) {
		cache->max_size = store_map_size(cache->store) / 13 * 10;
		log_warning(
			"config: max_size can grow to %llu MiB now, to more after a restart",
			(unsigned long long)(cache->max_size >> 20));
	}
	settings = (struct room_settings){
		.max_size = cache->max_size,
		.beside = recency_file_size(cache->recency) + datadir_beside(cache->path),
		.min_free_percent = config->min_free_percent,
	};
	writer_configure(cache->writer, &settings);
}
