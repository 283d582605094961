/* writer.c - the writer thread: when it writes, what a failure means, and what it looks at beside that. Owns what was
 * taken from the mailbox, the ledger and every write. */
#include "daemon/writer.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "daemon/clock.h"
#include "daemon/datadir.h"
#include "daemon/log.h"
#include "daemon/writer_core.h"

#define NS_PER_MS UINT64_C(1000000)
#define NS_PER_S UINT64_C(1000000000)
/* Without changes the writer looks for expired objects and things to reclaim this often. */
#define TICK_NS NS_PER_S
/* While room is waited for: a reader's look-up or a stream may end at any time. */
#define STALL_NS (5 * NS_PER_MS)
/* The highest number given out is saved beside the store, and evictions are said, this often. */
#define MINUTE_NS (60 * NS_PER_S)

/* ---- what goes on around ---- */

/* Somebody deleted the file: what is written now, nobody will find. */
static void
look_for_file(struct writer *writer)
{
	if (writer->unlinked || store_present(writer->store))
		return;
	log_error("writer: the store in %s was deleted while it was in use",
		  writer->room.path);
	writer->unlinked = true;
	mailbox_set_unlinked(&writer->mailbox);
}

/* One line for all that went since the last one. */
static void
say_evicted(struct writer *writer)
{
	uint64_t evicted = writer_shown(&writer->counts.evicted);
	uint64_t bytes = writer_shown(&writer->counts.evicted_bytes);

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

	mailbox_settings(&writer->mailbox, &settings);
	if (!room_look(&writer->room, &settings, now_ns))
		return;
	writer->pace.most_pages = room_commit_pages(&writer->room);
	SHOW(limit_pages, limit_pages(&writer->room.limit));
	look_for_file(writer);
	if (now_ns - writer->minute_ns < MINUTE_NS)
		return;
	writer->minute_ns = now_ns;
	datadir_write_clock(writer->room.root, writer->progress.clock);
	say_evicted(writer);
}

/* ---- failures ---- */

static size_t
count_unflushed(struct writer *writer)
{
	size_t count = mailbox_waiting(&writer->mailbox);

	for (const struct change *at = writer->todo.first; at; at = at->next)
		count++;
	return count;
}

static void
set_disk_full(struct writer *writer, bool full)
{
	bool changed = writer->disk_full != full;

	writer->disk_full = full;
	if (changed && full)
		log_error(
			"writer: the disk of %s is full: new puts are refused until there is "
			"room; what was accepted stays and is tried again",
			writer->room.path);
	else if (changed)
		log_info("writer: the disk of %s has room again", writer->room.path);
	mailbox_set_disk_full(&writer->mailbox, full);
}

/* Nothing was written, so the store is as it was. */
static void
set_no_memory(struct writer *writer)
{
	uint64_t now_ns = clock_mono_ns();

	writer->starved = true;
	mailbox_set_no_memory(&writer->mailbox);
	if (now_ns < writer->no_memory_said_ns)
		return;
	writer->no_memory_said_ns = now_ns + MINUTE_NS;
	log_error(
		"writer: out of memory: what was accepted is not on the disk and is tried "
		"again (said once a minute)");
}

/* A write failed. What it means decides who carries on. */
static void
fail(struct writer *writer, int why)
{
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
		writer->damaged = true;
		mailbox_set_damaged(&writer->mailbox);
		return;
	default:
		/* What is on the disk is not known any more, and a retry would lie about it. */
		log_error(
			"writer: flushing to %s failed; %zu accepted changes are lost; leaving",
			writer->room.path, count_unflushed(writer));
		_exit(EXIT_FAILURE);
	}
}

/* LMDB believes its list of free pages, and asks for as much memory as a broken one says: trying again would never
 * help, nor would a restart. */
static bool
asks_too_much(struct writer *writer, int why)
{
	return why == STORE_NO_MEMORY && store_check_free(writer->store) == STORE_DAMAGED;
}

/* What writer_commit() returns; an error was dealt with. */
static int
commit(struct writer *writer, bool with_changes)
{
	int done = writer_commit(writer, with_changes);

	if (done < 0)
		fail(writer, asks_too_much(writer, done) ? STORE_DAMAGED : done);
	return done;
}

/* ---- the thread ---- */

/* Room was waited for long enough: whoever still reads what is gone already must let go of it. */
static void
name_held(struct writer *writer)
{
	const struct reclaim *reclaim = &writer->reclaim;

	if (reclaim->held_count)
		mailbox_name_held(&writer->mailbox, reclaim->held, reclaim->held_count);
}

/* What a commit frees is used by those after it, but not while an older snapshot is held. Where the file has all the
 * pages that it may have, it would grow beyond its limit by each commit that does not wait, and never shrink. */
static bool
outruns_readers(struct writer *writer)
{
	uint64_t oldest = store_oldest_seen(writer->store);

	if (oldest >= writer->txn || writer->txn - oldest < LIMIT_COMMITS_AHEAD - 1 ||
	    !room_file_full(&writer->room) || writer->stalls >= STALLS_MAX)
		return false;
	writer->stalls++;
	COUNT(reader_waits, 1);
	return true;
}

/* One round. Returns how long to wait before the next. */
static uint64_t
turn(struct writer *writer)
{
	bool full = writer->disk_full, roomy = false;
	int done;

	look_around(writer);
	if (outruns_readers(writer))
		return STALL_NS;
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
	return writer->todo.first ? 0 : STALL_NS;
}

/* Takes what was submitted. Returns false when nothing is to do and the writer shall stop. */
static bool
take(struct writer *writer, uint64_t wait_ns)
{
	writer->stopping = mailbox_take(&writer->mailbox, wait_ns,
					writer->todo.first != NULL, &writer->todo);
	return writer->todo.first || !writer->stopping;
}

static void *
run(void *arg)
{
	struct writer *writer = arg;
	uint64_t wait_ns = TICK_NS;

	pthread_setname_np(pthread_self(), "brined-writer");
	while (take(writer, wait_ns)) {
		pulse_beat(&writer->pulse, clock_mono_ns());
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

	if (!writer)
		return NULL;
	writer->store = store;
	writer->ledger = ledger;
	writer->recency = recency;
	writer->progress = *progress;
	writer->listed_pages = progress->listed_pages;
	room_init(&writer->room, store, path, root, settings, progress->clock);
	pace_init(&writer->pace, limit_commit_pages(&writer->room.limit));
	SHOW(batch_pages, pace_pages(&writer->pace));
	writer->start_txn = writer->txn = txn;
	pulse_beat(&writer->pulse, clock_mono_ns());
	writer->pinned = calloc(MAILBOX_PINS_MAX, sizeof(uint64_t));
	if (mailbox_init(&writer->mailbox, settings, txn, wake_fd) || !writer->pinned ||
	    pthread_create(&writer->thread, NULL, run, writer)) {
		mailbox_done(&writer->mailbox);
		free(writer->pinned);
		free(writer);
		return NULL;
	}
	return writer;
}

void
writer_stop(struct writer **writer, struct change **ret_done)
{
	struct writer *gone = *writer;
	struct changes left;

	mailbox_stop(&gone->mailbox);
	pthread_join(gone->thread, NULL);
	left = gone->mailbox.done;
	if (gone->todo.first)
		changes_append(&left, gone->todo.first, gone->todo.last);
	if (gone->mailbox.inbox.first)
		changes_append(&left, gone->mailbox.inbox.first,
			       gone->mailbox.inbox.last);
	*ret_done = left.first;
	arrivals_done(&gone->arrivals);
	ledger_done(gone->ledger);
	free(gone->ledger);
	mailbox_done(&gone->mailbox);
	free(gone->pinned);
	free(gone);
	*writer = NULL;
}

void
writer_expect(struct writer *writer, uint64_t since_ms)
{
	mailbox_expect(&writer->mailbox, since_ms);
}

void
writer_submit(struct writer *writer, struct change *first, struct change *last)
{
	mailbox_submit(&writer->mailbox, first, last);
}

void
writer_collect(struct writer *writer, struct writer_news *ret_news)
{
	mailbox_collect(&writer->mailbox, ret_news);
}

void
writer_release(struct writer *writer, uint64_t barrier, const uint64_t *pinned,
	       size_t count)
{
	mailbox_release(&writer->mailbox, barrier, pinned, count);
}

void
writer_configure(struct writer *writer, const struct room_settings *settings)
{
	mailbox_configure(&writer->mailbox, settings);
}

bool
writer_silent(const struct writer *writer, uint64_t now_ns)
{
	return pulse_lost(&writer->pulse, now_ns);
}

const struct writer_counts *
writer_counts(const struct writer *writer)
{
	return &writer->counts;
}
