/* writer.c - the writer thread. Owns the queue of submitted changes, the ledger and every write. */
#include "daemon/writer.h"

#include <inttypes.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/apply.h"
#include "daemon/clock.h"
#include "daemon/datadir.h"
#include "daemon/expiry.h"
#include "daemon/log.h"
#include "daemon/pace.h"
#include "daemon/reclaim.h"
#include "daemon/room.h"
#include "daemon/sweep.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
/* Without changes the writer looks for expired objects and things to reclaim this often. */
#define TICK_NS NS_PER_S
/* While room is waited for: a reader's look-up or a stream may end at any time. */
#define STALL_NS (5 * NS_PER_MS)
#define STALLS_MAX 200
#define EXPIRE_MAX 1024 /* expiry rows per commit */
/* Rows of flushed namespaces and invalidated tags per commit; beside changes, which somebody may wait for, fewer,
 * but more than those changes can add. */
#define TIDY_MAX 2048
#define TIDY_MIN 256
#define TIDY_PER_CHANGE 2
/* The highest number given out is saved beside the store, and evictions are said, this often. */
#define MINUTE_NS (60 * NS_PER_S)
/* Changes applied between two looks at the clock. */
#define LOOK_EVERY 32

struct writer {
	pthread_t thread;
	pthread_mutex_t mutex; /* for the next block */
	pthread_cond_t work;
	struct change *inbox_first;
	struct change *inbox_last;
	struct change *done_first;
	struct change *done_last;
	struct room_settings settings;
	uint64_t barrier;
	uint64_t *pinned;
	size_t pinned_count;
	uint64_t held[RECLAIM_HELD_MAX]; /* see struct writer_news */
	size_t held_count;
	uint64_t txn;
	bool stop;
	bool idle;
	bool disk_full;
	bool no_memory;
	bool damaged;
	bool unlinked;
	bool news;

	/* The writer's alone from here on. */
	bool stopping; /* its copy of stop */
	int wake_fd;
	struct store *store;
	const struct recency *recency;
	uint64_t minute_ns; /* when the clock was saved and evictions were said */
	uint64_t no_memory_said_ns;
	bool starved; /* the last commit failed for want of memory */
	uint64_t evicted_said;
	uint64_t evicted_bytes_said;
	struct ledger *ledger;
	struct change *todo_first;
	struct change *todo_last;
	struct arrivals arrivals;
	struct reclaim reclaim;
	struct sweep sweep;
	struct room room;
	struct pace pace;
	struct progress progress;
	uint64_t listed_pages;
	uint64_t start_txn;
	uint64_t *pinned_copy;
	unsigned stalls;
	struct writer_counts counts;
};

#define COUNT(field, by)                                                                 \
	atomic_fetch_add_explicit(&writer->counts.field, (by), memory_order_relaxed)
#define SHOW(field, value)                                                               \
	atomic_store_explicit(&writer->counts.field, (value), memory_order_relaxed)

static uint64_t
shown(const _Atomic uint64_t *figure)
{
	return atomic_load_explicit(figure, memory_order_relaxed);
}

/* ---- news for the loop ---- */

static void
publish(struct writer *writer, struct change *first, struct change *last, uint64_t txn)
{
	uint64_t one = 1;
	bool tell;

	pthread_mutex_lock(&writer->mutex);
	if (first) {
		last->next = NULL;
		if (writer->done_last)
			writer->done_last->next = first;
		else
			writer->done_first = first;
		writer->done_last = last;
	}
	if (txn)
		writer->txn = txn;
	writer->idle = !writer->todo_first && !writer->inbox_first;
	tell = !writer->news;
	writer->news = true;
	pthread_mutex_unlock(&writer->mutex);
	if (tell && write(writer->wake_fd, &one, sizeof(one)) < 0)
		log_error("writer: cannot wake the loop: %m");
}

/* ---- what goes on around ---- */

/* Somebody deleted the file: what is written now, nobody will find. */
static void
look_for_file(struct writer *writer)
{
	if (writer->unlinked || store_present(writer->store))
		return;
	log_error("writer: the store in %s was deleted while it was in use",
		  writer->room.path);
	pthread_mutex_lock(&writer->mutex);
	writer->unlinked = true;
	pthread_mutex_unlock(&writer->mutex);
	publish(writer, NULL, NULL, 0);
}

/* One line for all that went since the last one. */
static void
say_evicted(struct writer *writer)
{
	uint64_t evicted = shown(&writer->counts.evicted);
	uint64_t bytes = shown(&writer->counts.evicted_bytes);

	if (evicted != writer->evicted_said)
		log_info("store in %s: evicted %" PRIu64 " objects (%" PRIu64
			 " MiB) in the last minute to stay within %" PRIu64
			 " MiB; if that is too many, raise max_size",
			 writer->room.path, evicted - writer->evicted_said,
			 (bytes - writer->evicted_bytes_said) >> 20,
			 writer->room.limit.max_size >> 20);
	writer->evicted_said = evicted;
	writer->evicted_bytes_said = bytes;
}

/* Once a second: settings, the disk, the file; once a minute the clock beside it. */
static void
look_around(struct writer *writer)
{
	struct room_settings settings;
	uint64_t now_ns = clock_mono_ns();

	pthread_mutex_lock(&writer->mutex);
	settings = writer->settings;
	pthread_mutex_unlock(&writer->mutex);
	if (!room_look(&writer->room, &settings, now_ns))
		return;
	writer->pace.most_pages = limit_commit_pages(&writer->room.limit);
	SHOW(limit_pages, limit_pages(&writer->room.limit));
	look_for_file(writer);
	if (now_ns - writer->minute_ns < MINUTE_NS)
		return;
	writer->minute_ns = now_ns;
	datadir_write_clock(writer->room.root, writer->progress.clock);
	say_evicted(writer);
}

/* ---- one write ---- */

struct batch {
	struct objects objects;
	struct change *next; /* first change that is not in it */
	unsigned changes;
	bool joined; /* the last of them belongs to the same transaction as the next */
	unsigned expired;
	struct room_evicted evicted;
	uint64_t reclaimed;
	unsigned unflushed; /* rows of flushed incarnations removed */
	struct swept swept;
	uint64_t began_ns;
};

/* Pages that committing the batch will flush, about. */
static uint64_t
batch_pages(const struct writer *writer, const struct batch *batch)
{
	return batch->objects.chunk_dirty +
	       limit_distinct(batch->objects.leaf_touches,
			      shown(&writer->counts.leaf_pages));
}

static bool
batch_empty(const struct batch *batch)
{
	return !batch->changes && !batch->expired && !batch->evicted.objects &&
	       !batch->reclaimed && !batch->unflushed && !batch->swept.moved &&
	       !batch->objects.leaf_touches;
}

/* Of a change and all that belong to its transaction. */
static uint64_t
unit_pages(const struct change *change)
{
	uint64_t pages = apply_estimate(change);

	for (; change->with_next; change = change->next)
		pages += apply_estimate(change->next);
	return pages;
}

static bool
batch_closed(const struct writer *writer, const struct batch *batch,
	     const struct change *next)
{
	uint64_t pages = batch_pages(writer, batch);

	if (batch->changes == 0 || batch->joined)
		return false;
	if (pages + unit_pages(next) > pace_pages(&writer->pace))
		return true;
	return batch->changes % LOOK_EVERY == 0 &&
	       clock_mono_ns() - batch->began_ns >= PACE_COMMIT_NS / 2;
}

static void
note_numbers(struct writer *writer, const struct change *change)
{
	if (change->version > writer->progress.clock)
		writer->progress.clock = change->version;
	if (change->object_id > writer->progress.clock)
		writer->progress.clock = change->object_id;
	if (change->usage &&
	    change->usage->incarnation >= writer->progress.next_incarnation)
		writer->progress.next_incarnation = change->usage->incarnation + 1;
}

static int
apply_changes(struct writer *writer, struct batch *batch)
{
	while (batch->next && !batch_closed(writer, batch, batch->next)) {
		struct change *change = batch->next;
		int done = apply_change(&writer->arrivals, &batch->objects, change);

		if (done < 0)
			return done;
		note_numbers(writer, change);
		batch->changes++;
		batch->joined = change->with_next;
		batch->next = change->next;
	}
	CHECK(!batch->joined);
	return STORE_HIT;
}

static int
compare_ids(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

static void
take_limits(struct writer *writer, struct reclaim_limits *ret)
{
	pthread_mutex_lock(&writer->mutex);
	memcpy(writer->pinned_copy, writer->pinned,
	       writer->pinned_count * sizeof(uint64_t));
	*ret = (struct reclaim_limits){ .barrier = writer->barrier,
					.pinned = writer->pinned_copy,
					.pinned_count = writer->pinned_count,
					.start_txn = writer->start_txn };
	pthread_mutex_unlock(&writer->mutex);
	qsort(writer->pinned_copy, ret->pinned_count, sizeof(uint64_t), compare_ids);
}

static unsigned
most_tidied(const struct batch *batch)
{
	return batch->changes ? TIDY_MIN + TIDY_PER_CHANGE * batch->changes : TIDY_MAX;
}

/* Frees what nobody can reach: always a little, all that a commit may when room is short. */
static int
tidy(struct writer *writer, struct batch *batch)
{
	struct reclaim_limits limits;
	unsigned most = most_tidied(batch);
	int done = expiry_sweep(&batch->objects, EXPIRE_MAX, &batch->expired);

	if (done >= 0)
		done = reclaim_flushed(&batch->objects, most, &batch->unflushed);
	if (done >= 0 && batch->unflushed < most)
		done = sweep_slice(&writer->sweep, &batch->objects,
				   most - batch->unflushed, &batch->swept);
	if (done < 0 || batch->objects.listed_pages == 0)
		return done;
	take_limits(writer, &limits);
	return reclaim_chunks(&writer->reclaim, &batch->objects, &limits,
			      RECLAIM_PAGES_MAX, &batch->reclaimed);
}

static int
finish_rows(struct writer *writer, struct batch *batch)
{
	int done = ledger_write(writer->ledger, batch->objects.write);

	if (done < 0)
		return done;
	writer->progress.time_ms = clock_now_ms();
	writer->progress.listed_pages = batch->objects.listed_pages;
	return progress_write(&writer->progress, batch->objects.write);
}

static void
begin_batch(struct writer *writer, struct batch *batch)
{
	*batch = (struct batch){
		.next = writer->todo_first,
		.began_ns = clock_mono_ns(),
		.objects = { .ledger = writer->ledger,
			     .now_ms = clock_now_ms(),
			     .listed_pages = writer->listed_pages,
			     .small_only = room_small_only(&writer->room) },
	};
}

/* Takes the batch back, in memory as well. */
static void
undo(struct writer *writer, struct batch *batch)
{
	write_abort(&batch->objects.write);
	ledger_aborted(writer->ledger);
	arrivals_aborted(&writer->arrivals);
	writer->room.policy.pooled = 0;
}

static void
show_room(struct writer *writer)
{
	SHOW(used_pages, writer->room.used_pages);
	SHOW(leaf_pages, writer->room.pages.leaf);
	SHOW(leaf_factor_milli, (uint64_t)(writer->room.leaf_factor * 1000));
}

static void
raise_to(_Atomic uint64_t *figure, uint64_t value)
{
	if (value > shown(figure))
		atomic_store_explicit(figure, value, memory_order_relaxed);
}

/* The batch is on the disk: its changes go back to the loop. */
static void
settle(struct writer *writer, struct batch *batch, uint64_t txn)
{
	struct change *first = writer->todo_first, *last = NULL;
	uint64_t now_ns = clock_mono_ns(), took_ns = now_ns - batch->began_ns;
	uint64_t pages = batch_pages(writer, batch) + 1;

	ledger_committed(writer->ledger);
	arrivals_committed(&writer->arrivals);
	writer->listed_pages = batch->objects.listed_pages;
	for (struct change *at = first; at != batch->next; at = at->next) {
		at->committed = txn;
		last = at;
	}
	if (last) {
		writer->todo_first = batch->next;
		if (!batch->next)
			writer->todo_last = NULL;
		raise_to(&writer->counts.longest_unflushed_ns,
			 now_ns - first->accepted_ns);
	}
	pace_learn(&writer->pace, pages, took_ns);
	writer->stalls = 0;
	writer->starved = false;
	COUNT(commits, 1);
	COUNT(changes, batch->changes);
	COUNT(evicted, batch->evicted.objects);
	COUNT(evicted_bytes, batch->evicted.bytes);
	COUNT(expired, batch->expired);
	COUNT(invalidated, batch->swept.objects);
	COUNT(reclaimed_pages, batch->reclaimed);
	raise_to(&writer->counts.longest_commit_ns, took_ns);
	show_room(writer);
	SHOW(batch_pages, pace_pages(&writer->pace));
	SHOW(listed_pages, writer->listed_pages);
	publish(writer, last ? first : NULL, last, txn);
	room_committed(&writer->room, pages);
}

static size_t
count_unflushed(struct writer *writer)
{
	size_t count = 0;

	pthread_mutex_lock(&writer->mutex);
	for (struct change *at = writer->todo_first; at; at = at->next)
		count++;
	for (struct change *at = writer->inbox_first; at; at = at->next)
		count++;
	pthread_mutex_unlock(&writer->mutex);
	return count;
}

static void
set_disk_full(struct writer *writer, bool full)
{
	bool changed;

	pthread_mutex_lock(&writer->mutex);
	changed = writer->disk_full != full;
	writer->disk_full = full;
	pthread_mutex_unlock(&writer->mutex);
	if (changed && full)
		log_error(
			"writer: the disk of %s is full: new puts are refused until there is "
			"room; what was accepted stays and is tried again",
			writer->room.path);
	else if (changed)
		log_info("writer: the disk of %s has room again", writer->room.path);
	publish(writer, NULL, NULL, 0);
}

static void
set_damaged(struct writer *writer)
{
	pthread_mutex_lock(&writer->mutex);
	writer->damaged = true;
	pthread_mutex_unlock(&writer->mutex);
	publish(writer, NULL, NULL, 0);
}

/* Nothing was written, so the store is as it was. */
static void
set_no_memory(struct writer *writer)
{
	uint64_t now_ns = clock_mono_ns();

	writer->starved = true;
	pthread_mutex_lock(&writer->mutex);
	writer->no_memory = true;
	pthread_mutex_unlock(&writer->mutex);
	publish(writer, NULL, NULL, 0);
	if (now_ns < writer->no_memory_said_ns)
		return;
	writer->no_memory_said_ns = now_ns + MINUTE_NS;
	log_error(
		"writer: out of memory: what was accepted is not on the disk and is tried "
		"again (said once a minute)");
}

/* A write failed. What it means decides who carries on. */
static void
fail(struct writer *writer, struct batch *batch, int why)
{
	undo(writer, batch);
	pace_failed(&writer->pace);
	switch (why) {
	case STORE_FULL:
	case STORE_NO_RUN:
		COUNT(map_full, 1);
		return;
	case STORE_NO_MEMORY:
		set_no_memory(writer);
		return;
	case STORE_DISK_FULL:
		COUNT(disk_full, 1);
		room_disk_full(&writer->room, clock_mono_ns());
		set_disk_full(writer, true);
		return;
	case STORE_DAMAGED:
		log_error("writer: the store in %s is damaged: %s", writer->room.path,
			  store_why(why));
		set_damaged(writer);
		return;
	default:
		/* What is on the disk is not known any more, and a retry would lie about it. */
		log_error(
			"writer: flushing to %s failed; %zu accepted changes are lost; leaving",
			writer->room.path, count_unflushed(writer));
		_exit(EXIT_FAILURE);
	}
}

/* Fills and commits one write. with_changes: false for one that only makes room. Returns STORE_HIT if it
 * was committed, STORE_MISS if there was nothing to do, or the error that was dealt with. */
static int
commit(struct writer *writer, bool with_changes)
{
	struct batch batch;
	uint64_t txn;
	int done;

	begin_batch(writer, &batch);
	done = write_begin(writer->store, &batch.objects.write);
	if (done >= 0 && with_changes)
		done = apply_changes(writer, &batch);
	if (done >= 0)
		done = tidy(writer, &batch);
	batch.objects.arriving_pages = arrivals_pages(&writer->arrivals);
	if (done >= 0)
		done = room_make(&writer->room, &batch.objects, writer->recency,
				 batch.changes, &batch.evicted);
	if (done >= 0 && batch_empty(&batch)) {
		show_room(writer);
		write_abort(&batch.objects.write);
		return STORE_MISS;
	}
	if (done >= 0)
		done = finish_rows(writer, &batch);
	if (done < 0) {
		fail(writer, &batch, done);
		return done;
	}
	txn = write_txn(batch.objects.write);
	done = write_commit(&batch.objects.write);
	if (done < 0) {
		fail(writer, &batch, done);
		return done;
	}
	settle(writer, &batch, txn);
	return STORE_HIT;
}

/* ---- the thread ---- */

static struct timespec
after(uint64_t ns)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC,
		      &at); /* the condition's clock, not the one that tests move */
	ns += (uint64_t)at.tv_nsec;
	at.tv_sec += (time_t)(ns / NS_PER_S);
	at.tv_nsec = (long)(ns % NS_PER_S);
	return at;
}

/* Moves the inbox to the end of what is to do. First waits up to wait_ns, unless something new is there
 * (or, with `held_up`, even then). Returns false when nothing is to do and the writer shall stop. */
static bool
take_inbox(struct writer *writer, uint64_t wait_ns, bool held_up)
{
	struct timespec until;
	bool go_on;

	pthread_mutex_lock(&writer->mutex);
	if (wait_ns && (!writer->inbox_first || held_up) && !writer->stop) {
		until = after(wait_ns);
		pthread_cond_timedwait(&writer->work, &writer->mutex, &until);
	}
	writer->stopping = writer->stop;
	if (writer->inbox_first) {
		if (writer->todo_last)
			writer->todo_last->next = writer->inbox_first;
		else
			writer->todo_first = writer->inbox_first;
		writer->todo_last = writer->inbox_last;
		writer->inbox_first = writer->inbox_last = NULL;
	}
	go_on = writer->todo_first || !writer->stopping;
	pthread_mutex_unlock(&writer->mutex);
	return go_on;
}

/* Room was waited for long enough: whoever still reads what is gone already must let go of it. */
static void
name_held(struct writer *writer)
{
	const struct reclaim *reclaim = &writer->reclaim;

	if (!reclaim->held_count)
		return;
	pthread_mutex_lock(&writer->mutex);
	memcpy(writer->held, reclaim->held, reclaim->held_count * sizeof(uint64_t));
	writer->held_count = reclaim->held_count;
	pthread_mutex_unlock(&writer->mutex);
	publish(writer, NULL, NULL, 0);
}

/* One round. Returns how long to wait before the next. */
static uint64_t
turn(struct writer *writer)
{
	bool full = writer->disk_full, roomy = false;
	int done;

	look_around(writer);
	if (full || (!room_enough(&writer->room) && writer->stalls < STALLS_MAX)) {
		done = commit(writer, false);
		if (done == STORE_DISK_FULL || done == STORE_NO_MEMORY)
			return TICK_NS;
		if (!full && done == STORE_HIT)
			return 0;
		roomy = done == STORE_MISS;
		if (!full) {
			if (++writer->stalls == STALLS_MAX)
				name_held(writer);
			return STALL_NS;
		}
	}
	done = commit(writer, true);
	if (done == STORE_DISK_FULL || done == STORE_NO_MEMORY)
		return TICK_NS;
	/* Where nothing waits, no commit of it can show that there is room. */
	if (full && (done == STORE_HIT || (done == STORE_MISS && roomy)))
		set_disk_full(writer, false);
	if (done == STORE_FULL && commit(writer, false) != STORE_HIT)
		return STALL_NS;
	if (done == STORE_MISS)
		return TICK_NS;
	/* Something was tidied up: there may be more of it. */
	return writer->todo_first ? 0 : STALL_NS;
}

static void *
run(void *arg)
{
	struct writer *writer = arg;
	uint64_t wait_ns = TICK_NS;

	pthread_setname_np(pthread_self(), "brined-writer");
	while (take_inbox(writer, wait_ns, writer->todo_first != NULL)) {
		wait_ns = turn(writer);
		if (writer->damaged)
			break;
		if (writer->stopping && (writer->disk_full || writer->starved)) {
			log_error(
				"writer: there is still no %s; %zu accepted changes are lost",
				writer->starved ? "memory" : "room on the disk",
				count_unflushed(writer));
			break;
		}
	}
	return NULL;
}

struct writer *
writer_start(struct store *store, struct ledger *ledger, const struct recency *recency,
	     const struct progress *progress, const struct room_settings *settings,
	     const char *path, const char *root, uint64_t txn, int wake_fd)
{
	struct writer *writer = calloc(1, sizeof(*writer));
	pthread_condattr_t attributes;

	if (!writer)
		return NULL;
	writer->pinned = calloc(WRITER_PINS_MAX, sizeof(uint64_t));
	writer->pinned_copy = calloc(WRITER_PINS_MAX, sizeof(uint64_t));
	pthread_mutex_init(&writer->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&writer->work, &attributes);
	pthread_condattr_destroy(&attributes);
	writer->store = store;
	writer->ledger = ledger;
	writer->recency = recency;
	writer->progress = *progress;
	writer->listed_pages = progress->listed_pages;
	writer->settings = *settings;
	room_init(&writer->room, store, path, root, settings, progress->clock);
	pace_init(&writer->pace, limit_commit_pages(&writer->room.limit));
	SHOW(batch_pages, pace_pages(&writer->pace));
	writer->wake_fd = wake_fd;
	writer->txn = writer->start_txn = writer->barrier = txn;
	writer->idle = true;
	if (!writer->pinned || !writer->pinned_copy ||
	    pthread_create(&writer->thread, NULL, run, writer)) {
		free(writer->pinned);
		free(writer->pinned_copy);
		free(writer);
		return NULL;
	}
	return writer;
}

void
writer_stop(struct writer **writer, struct change **ret_done)
{
	struct writer *gone = *writer;

	pthread_mutex_lock(&gone->mutex);
	gone->stop = true;
	pthread_cond_signal(&gone->work);
	pthread_mutex_unlock(&gone->mutex);
	pthread_join(gone->thread, NULL);
	if (gone->todo_last)
		gone->todo_last->next = gone->inbox_first;
	else
		gone->todo_first = gone->inbox_first;
	if (gone->done_last)
		gone->done_last->next = gone->todo_first;
	*ret_done = gone->done_first ? gone->done_first : gone->todo_first;
	arrivals_done(&gone->arrivals);
	ledger_done(gone->ledger);
	free(gone->ledger);
	pthread_cond_destroy(&gone->work);
	pthread_mutex_destroy(&gone->mutex);
	free(gone->pinned);
	free(gone->pinned_copy);
	free(gone);
	*writer = NULL;
}

void
writer_submit(struct writer *writer, struct change *first, struct change *last)
{
	pthread_mutex_lock(&writer->mutex);
	last->next = NULL;
	if (writer->inbox_last)
		writer->inbox_last->next = first;
	else
		writer->inbox_first = first;
	writer->inbox_last = last;
	writer->idle = false;
	pthread_cond_signal(&writer->work);
	pthread_mutex_unlock(&writer->mutex);
}

void
writer_collect(struct writer *writer, struct writer_news *ret_news)
{
	pthread_mutex_lock(&writer->mutex);
	*ret_news = (struct writer_news){ .done = writer->done_first,
					  .disk_full = writer->disk_full,
					  .no_memory = writer->no_memory,
					  .damaged = writer->damaged,
					  .unlinked = writer->unlinked,
					  .txn = writer->txn,
					  .idle = writer->idle,
					  .held_count = writer->held_count };
	memcpy(ret_news->held, writer->held, writer->held_count * sizeof(uint64_t));
	writer->held_count = 0;
	writer->no_memory = false;
	writer->done_first = writer->done_last = NULL;
	writer->news = false;
	pthread_mutex_unlock(&writer->mutex);
}

void
writer_release(struct writer *writer, uint64_t barrier, const uint64_t *pinned,
	       size_t count)
{
	CHECK(count <= WRITER_PINS_MAX);
	pthread_mutex_lock(&writer->mutex);
	writer->barrier = barrier;
	writer->pinned_count = count;
	if (count)
		memcpy(writer->pinned, pinned, count * sizeof(*pinned));
	pthread_mutex_unlock(&writer->mutex);
}

void
writer_configure(struct writer *writer, const struct room_settings *settings)
{
	pthread_mutex_lock(&writer->mutex);
	writer->settings = *settings;
	pthread_cond_signal(&writer->work);
	pthread_mutex_unlock(&writer->mutex);
}

const struct writer_counts *
writer_counts(const struct writer *writer)
{
	return &writer->counts;
}
