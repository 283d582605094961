/* sweep.c - what invalidated tags leave behind. Writer thread; owns nothing. */
#include "daemon/sweep.h"

#include "daemon/clock.h"
#include "daemon/stamp.h"
#include "proto/bytes.h"

#define SLICE_NS UINT64_C(4000000)
/* Rows walked over between two looks at the clock. */
#define LOOK_EVERY 32
/* A sweep walks over the whole namespace, however few objects are void: after one that removed less than this part,
 * the next waits this many times as long as it took... */
#define WORTH_PART 16
#define REST_TIMES 9
/* ...unless there are more stamps than this, and more than one for so many objects. */
#define CROWD 1024
#define CROWD_PART 16

struct slice_left {
	struct objects *objects;
	struct swept *swept;
	unsigned rows;
	unsigned looked;
	uint64_t end_ns;
};

static bool
is_over(struct slice_left *left)
{
	if (left->rows == 0)
		return true;
	return ++left->looked % LOOK_EVERY == 0 && clock_mono_ns() >= left->end_ns;
}

/* What may be dropped: no object is left for it, and no lease asks. */
static uint64_t
droppable(const struct usage *usage)
{
	uint64_t keep = usage_figure(&usage->keep_above);

	return usage->stamping.swept < keep ? usage->stamping.swept : keep;
}

static bool
has_work(const struct usage *usage, uint64_t now_ns)
{
	const struct stamping *stamping = &usage->stamping;
	uint64_t stamps = usage_figure(&usage->stamps);
	uint64_t tagged = usage_figure(&usage->tagged);

	if (usage->flushed || usage->gone || stamps == 0)
		return false;
	if (stamping->phase != STAMPING_RESTS || droppable(usage) > stamping->dropped)
		return true;
	/* Not in the commit of the stamp itself, which somebody waits for. */
	return usage->committed_stamping.newest > stamping->swept &&
	       (now_ns >= usage->sweep_next_ns || !tagged ||
		stamps > CROWD + tagged / CROWD_PART);
}

/* The one that was begun; then the next, so that none waits for ever. */
static struct usage *
choose(const struct sweep *sweep, const struct ledger *ledger, uint64_t now_ns)
{
	struct usage *last = ledger_find(ledger, sweep->incarnation), *usage;

	if (last && last->stamping.phase != STAMPING_RESTS && has_work(last, now_ns))
		return last;
	for (usage = last ? ledger_next(ledger, last) : NULL; usage;
	     usage = ledger_next(ledger, usage))
		if (has_work(usage, now_ns))
			return usage;
	for (usage = ledger_next(ledger, NULL); usage;
	     usage = ledger_next(ledger, usage)) {
		if (has_work(usage, now_ns))
			return usage;
		if (usage == last)
			break;
	}
	return NULL;
}

static void
enter(struct usage *usage, enum stamping_phase phase, uint64_t until)
{
	struct stamping *stamping = &usage->stamping;

	stamping->phase = phase;
	stamping->until = until;
	memset(stamping->at, 0, sizeof(stamping->at));
	usage->changed = true;
}

static void
begin(struct usage *usage, uint64_t now_ns)
{
	struct stamping *stamping = &usage->stamping;

	if (!usage_figure(&usage->tagged)) {
		stamping->swept = stamping->newest;
		usage->changed = true;
	}
	if (droppable(usage) > stamping->dropped) {
		enter(usage, STAMPING_STAMPS, droppable(usage));
	} else if (stamping->newest > stamping->swept) {
		enter(usage, STAMPING_OBJECTS, stamping->newest);
		usage->sweep_began_ns = now_ns;
		usage->sweep_walked = usage->sweep_removed = 0;
	}
}

static void
end(struct usage *usage)
{
	struct stamping *stamping = &usage->stamping;
	uint64_t now_ns = clock_mono_ns();

	switch (stamping->phase) {
	case STAMPING_OBJECTS:
		stamping->swept = stamping->until;
		/* Of one that began before a restart it is not known. */
		usage->sweep_next_ns = now_ns;
		if (usage->sweep_began_ns &&
		    usage->sweep_removed < usage->sweep_walked / WORTH_PART)
			usage->sweep_next_ns +=
				REST_TIMES * (now_ns - usage->sweep_began_ns);
		break;
	case STAMPING_STAMPS:
		stamping->dropped = stamping->until;
		break;
	case STAMPING_COVERED:
	case STAMPING_RESTS:
		break;
	}
	enter(usage, STAMPING_RESTS, 0);
}

static void
row_at(const struct usage *usage, uint8_t to[static ROW_KEY_SIZE])
{
	be32_store(to, usage->incarnation);
	memcpy(to + 4, usage->stamping.at, STAMPING_AT);
}

static bool
in_range(const struct usage *usage, struct slice key)
{
	return key.len == ROW_KEY_SIZE && be32_load(key.data) == usage->incarnation;
}

static void
stay_at(struct usage *usage, const uint8_t *row_key)
{
	memcpy(usage->stamping.at, row_key + 4, STAMPING_AT);
	usage->changed = true;
}

/* Both walks return STORE_HIT when there is more to walk over, STORE_MISS at the end of the range, or an error. */

static int
walk_objects(struct usage *usage, struct slice_left *left)
{
	struct write *write = left->objects->write;
	uint8_t at[ROW_KEY_SIZE];
	struct slice key, row;
	struct record record;
	int found;

	row_at(usage, at);
	found = write_seek(write, STORE_RECORDS, slice(at, sizeof(at)), &key, &row);
	while (found == STORE_HIT && in_range(usage, key)) {
		int is_void = STORE_MISS;

		memcpy(at, key.data, sizeof(at));
		if (is_over(left)) {
			stay_at(usage, at);
			return STORE_HIT;
		}
		usage->sweep_walked++;
		if (record_read(row, &record))
			is_void = stamp_voids(write, usage, &record);
		if (is_void == STORE_HIT) {
			int done = object_remove(left->objects, at, row,
						 REMOVED_INVALIDATED);

			if (done < 0)
				return done;
			left->rows--;
			left->swept->objects++;
			usage->sweep_removed++;
			found = write_seek(write, STORE_RECORDS, slice(at, sizeof(at)),
					   &key, &row);
		} else {
			found = is_void < 0
					? is_void
					: write_next(write, STORE_RECORDS, &key, &row);
		}
	}
	return found < 0 ? found : STORE_MISS;
}

static bool
stands_for_all(const uint8_t *tag_key)
{
	static const uint8_t none[STAMPING_AT];

	return memcmp(tag_key + 4, none, sizeof(none)) == 0;
}

static int
walk_stamps(struct usage *usage, struct slice_left *left)
{
	const struct stamping *stamping = &usage->stamping;
	struct write *write = left->objects->write;
	uint8_t at[ROW_KEY_SIZE];
	struct slice key, row;
	int found;

	row_at(usage, at);
	found = write_seek(write, STORE_STAMPS, slice(at, sizeof(at)), &key, &row);
	while (found == STORE_HIT && in_range(usage, key)) {
		uint64_t number =
			0; /* of a damaged row; nothing needs it any more either */

		if (is_over(left)) {
			stay_at(usage, key.data);
			return STORE_HIT;
		}
		stamp_read(row, key.data, &number);
		if (number <= stamping->until &&
		    !(stamping->phase == STAMPING_COVERED && stands_for_all(key.data))) {
			int done = stamp_delete_here(write, usage);

			if (done < 0)
				return done;
			left->rows--;
			left->swept->stamps++;
			left->objects->leaf_touches++;
		}
		found = write_next(write, STORE_STAMPS, &key, &row);
	}
	return found < 0 ? found : STORE_MISS;
}

int
sweep_slice(struct sweep *sweep, struct objects *objects, unsigned most,
	    struct swept *ret)
{
	uint64_t now_ns = clock_mono_ns();
	struct slice_left left = { .objects = objects,
				   .swept = ret,
				   .rows = most,
				   .end_ns = now_ns + SLICE_NS };
	struct usage *usage;

	while (left.rows && clock_mono_ns() < left.end_ns &&
	       (usage = choose(sweep, objects->ledger, now_ns))) {
		int more;

		sweep->incarnation = usage->incarnation;
		ret->moved = true;
		if (usage->stamping.phase == STAMPING_RESTS)
			begin(usage, now_ns);
		if (usage->stamping.phase == STAMPING_RESTS)
			continue; /* nothing may be dropped yet */
		more = usage->stamping.phase == STAMPING_OBJECTS
			       ? walk_objects(usage, &left)
			       : walk_stamps(usage, &left);
		if (more < 0)
			return more;
		if (more == STORE_HIT)
			return STORE_HIT;
		end(usage);
	}
	return STORE_HIT;
}
