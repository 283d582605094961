/* commit.c - one write: a batch of changes, what is tidied up beside them, the room for both, and the commit. Writer
 * thread; owns the batch. */
#include <stdlib.h>

#include "daemon/clock.h"
#include "daemon/expiry.h"
#include "daemon/log.h"
#include "daemon/writer_core.h"

#define EXPIRE_MAX 1024 /* expiry rows per commit */
/* Rows of flushed namespaces and invalidated tags per commit; beside changes, which somebody may wait for, fewer,
 * but more than those changes can add. */
#define TIDY_MAX 2048
#define TIDY_MIN 256
#define TIDY_PER_CHANGE 2
/* Changes applied between two looks at the clock. */
#define LOOK_EVERY 32
/* A turn of the loop takes less: what it decides in it, it may decide by a time as old as that. */
#define LOOP_TURN_MAX_MS UINT64_C(1000)

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
			      writer_shown(&writer->counts.leaf_pages));
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

/* It gets on: what comes next may wait for the disk again. */
static uint64_t
look_at_clock(struct writer *writer)
{
	uint64_t now_ns = clock_mono_ns();

	pulse_beat(&writer->pulse, now_ns);
	return now_ns;
}

static bool
batch_closed(struct writer *writer, const struct batch *batch, const struct change *next)
{
	uint64_t pages = batch_pages(writer, batch);

	if (batch->changes == 0 || batch->joined)
		return false;
	if (pages + unit_pages(next) > pace_pages(&writer->pace))
		return true;
	return batch->changes % LOOK_EVERY == 0 &&
	       look_at_clock(writer) - batch->began_ns >= PACE_COMMIT_NS / 2;
}

static void
note_numbers(struct writer *writer, const struct change *change)
{
	if (change->version > writer->progress.clock)
		writer->progress.clock = change->version;
	if (change->object_id > writer->progress.clock)
		writer->progress.clock = change->object_id;
	if (change->usage)
		writer->progress.next_incarnation =
			incarnation_after(change->usage->incarnation);
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

/* What was over by then was so, too, when the first change was accepted that is not applied yet: nothing that was
 * touched in time goes before its touch is here. */
static uint64_t
find_over_ms(struct writer *writer, const struct batch *batch)
{
	uint64_t now_ms = batch->objects.now_ms;
	uint64_t over_ms = now_ms > LOOP_TURN_MAX_MS ? now_ms - LOOP_TURN_MAX_MS : 0;
	uint64_t oldest_ms = batch->next ? batch->next->accepted_ms
					 : mailbox_oldest_ms(&writer->mailbox);

	return oldest_ms < over_ms ? oldest_ms : over_ms;
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
	int done;

	look_at_clock(writer);
	batch->objects.over_ms = find_over_ms(writer, batch);
	done = expiry_sweep(&batch->objects, EXPIRE_MAX, &batch->expired);

	look_at_clock(writer);
	if (done >= 0)
		done = reclaim_flushed(&batch->objects, most, &batch->unflushed);
	if (done >= 0 && batch->unflushed < most)
		done = sweep_slice(&writer->sweep, &batch->objects,
				   most - batch->unflushed, &batch->swept);
	look_at_clock(writer);
	if (done < 0 || batch->objects.listed_pages == 0)
		return done;
	mailbox_limits(&writer->mailbox, writer->pinned, &limits);
	limits.start_txn = writer->start_txn;
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
		.next = writer->todo.first,
		.began_ns = clock_mono_ns(),
		.objects = { .ledger = writer->ledger,
			     .arrivals = &writer->arrivals,
			     .now_ms = clock_now_ms(),
			     .listed_pages = writer->listed_pages,
			     .small_only = room_file_full(&writer->room) },
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
	if (value > writer_shown(figure))
		atomic_store_explicit(figure, value, memory_order_relaxed);
}

/* The batch is on the disk: its changes go back to the loop. */
static void
settle(struct writer *writer, struct batch *batch, uint64_t txn)
{
	struct change *first = writer->todo.first, *last = NULL;
	uint64_t now_ns = clock_mono_ns(), took_ns = now_ns - batch->began_ns;
	uint64_t pages = batch_pages(writer, batch) + 1;

	writer->txn = txn;
	ledger_committed(writer->ledger);
	arrivals_committed(&writer->arrivals);
	writer->listed_pages = batch->objects.listed_pages;
	for (struct change *at = first; at != batch->next; at = at->next) {
		at->committed = txn;
		last = at;
	}
	if (last) {
		writer->todo.first = batch->next;
		if (!batch->next)
			writer->todo.last = NULL;
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
	mailbox_publish(&writer->mailbox, last ? first : NULL, last, txn, !batch->next);
	room_committed(&writer->room, pages);
}

static void
fail(struct writer *writer, struct batch *batch)
{
	undo(writer, batch);
	pace_failed(&writer->pace);
}

/* Somebody must give up what is still arriving for it: that is the loop's to decide, and comes as a change, for which
 * there must be room without it. */
static void
tell_overdue(struct writer *writer)
{
	const struct tenant *overdue = writer->room.policy.overdue;

	if (overdue && writer->stalls < STALLS_MAX)
		writer->stalls = STALLS_MAX - 1;
	if (overdue || writer->overdue)
		mailbox_set_overdue(&writer->mailbox, overdue,
				    overdue ? overdue->name : 0);
	writer->overdue = overdue;
}

int
writer_commit(struct writer *writer, bool with_changes)
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
	look_at_clock(writer);
	batch.objects.arriving_pages = arrivals_pages(&writer->arrivals);
	if (done >= 0)
		done = room_make(&writer->room, &batch.objects, writer->recency,
				 batch.changes, &batch.evicted);
	if (done >= 0)
		tell_overdue(writer);
	if (done >= 0 && batch_empty(&batch)) {
		show_room(writer);
		write_abort(&batch.objects.write);
		return STORE_MISS;
	}
	if (done >= 0)
		done = finish_rows(writer, &batch);
	if (done < 0) {
		fail(writer, &batch);
		return done;
	}
	txn = write_txn(batch.objects.write);
	look_at_clock(writer);
	done = write_commit(&batch.objects.write);
	if (done < 0) {
		fail(writer, &batch);
		return done;
	}
	settle(writer, &batch, txn);
	return STORE_HIT;
}
