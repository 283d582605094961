/* lookup.c - finds an object: the pending table first, then the store, then in what a reader brought.
 * Loop thread; owns nothing but what it hands out. */
#include <stdlib.h>

#include "daemon/cache_core.h"
#include "daemon/clock.h"
#include "daemon/stamp.h"

static bool
same_key(const struct op *op, const struct record *record)
{
	return slice_equal(record->key, op->simple.target.key);
}

static bool
may_be_void(const struct op *op, const struct found *found)
{
	return found->there && found->record.tag_count &&
	       found->record.version <= op->namespace->stamped;
}

/* Was one of its tags invalidated after it was written? `stored` is the newest stamp that the store has of them.
 * Whatever was found, and wherever, this is where it is judged. */
static void
judge_tags(struct cache *cache, const struct op *op, uint64_t stored, struct found *ret)
{
	struct change *stamp;

	if (!may_be_void(op, ret))
		return;
	stamp = core_pending_stamp(cache, ret->record.tags, ret->record.tag_count);
	if (stored == STAMP_DAMAGED)
		core_note_damage(cache, "the stamp of a tag");
	if (stamp && stamp->version > ret->record.version)
		ret->pending =
			stamp; /* that it is gone is news that the disk may not have */
	else if (stored < ret->record.version)
		return;
	free(ret->owner);
	*ret = (struct found){ .invalidated = true, .pending = ret->pending };
}

/* What the namespace does not admit any more is in nobody's hands until it is admitted again. It can be removed: what
 * was deleted must not come back with its codec. */
static void
judge_codec(const struct op *op, struct found *ret)
{
	if (!ret->there || core_admits(op->namespace, ret->record.codec))
		return;
	ret->barred = true;
	if (op->kind == OP_DELETE || op->kind == OP_TAKE)
		return;
	free(ret->owner);
	*ret = (struct found){ .pending = ret->pending };
}

static enum find_result
find_pending(struct cache *cache, struct change *change, const struct op *op,
	     struct found *ret)
{
	ret->pending = change;
	if (change->kind == CHANGE_DELETE || !change_record(change, &ret->record) ||
	    !same_key(op, &ret->record))
		return FIND_NOW;
	ret->there = true;
	/* Stamps that are newer than this change are pending, as it is. */
	judge_tags(cache, op, 0, ret);
	if (!ret->there)
		return FIND_NOW;
	if (!(ret->record.flags & RECORD_CHUNKED)) {
		ret->value = ret->record.value;
		return FIND_NOW;
	}
	if (change->value_len) {
		ret->value = change_value(change);
		ret->shared = change;
		return FIND_NOW;
	}
	ret->chunks = true;
	return change->on_disk || change->keeps_object ? FIND_NOW : FIND_COMMIT;
}

/* What a row of the store says; wrong bytes are no answer. */
static void
judge_row(struct cache *cache, const struct op *op, struct slice row, struct found *ret)
{
	if (!record_sound(row, op->row_key) || !record_read(row, &ret->record)) {
		core_note_damage(cache, "a record");
		return;
	}
	if (!same_key(op, &ret->record))
		return;
	ret->there = true;
	ret->chunks = ret->record.flags & RECORD_CHUNKED;
	ret->value = ret->record.value;
}

/* The chunk rows of a value that is read whole, put together on the loop unless the disk would be waited
 * for: one look at a value that was not used lately could else cost as many waits as it has pages. */
static enum find_result
assemble(struct cache *cache, bool fresh, struct found *ret)
{
	int done = reader_assemble(cache->snapshot, &ret->record,
				   fresh ? ROWS_TOUCH : ROWS_PROBE, &ret->owner);

	if (done == READER_COLD)
		return FIND_COLD;
	if (done == STORE_FAILED || done == STORE_NO_MEMORY)
		return FIND_FAILED;
	if (done != STORE_HIT) {
		core_note_damage(cache, "a chunk");
		ret->there = false;
		return FIND_NOW;
	}
	ret->chunks = false;
	ret->value = slice(ret->owner, ret->record.length);
	return FIND_NOW;
}

/* The stamps of what was found on the loop, and what they say. */
static enum find_result
look_at_tags(struct cache *cache, const struct op *op, struct found *ret)
{
	uint64_t stored = 0, began_ns;

	if (!may_be_void(op, ret))
		return FIND_NOW;
	/* That the object is in memory says nothing of them. */
	if (!op->warm && !core_inline_allowed(cache, false))
		return FIND_COLD;
	began_ns = clock_mono_ns();
	if (stamp_newest(cache->snapshot, ret->record.tags, ret->record.tag_count,
			 &stored) < 0)
		return FIND_FAILED;
	core_note_read(cache, began_ns);
	judge_tags(cache, op, stored, ret);
	return FIND_NOW;
}

static enum find_result
read_stored(struct cache *cache, const struct op *op, bool value_wanted, bool fresh,
	    struct found *ret)
{
	enum find_result where;
	struct slice row;
	int found = snapshot_get(cache->snapshot, STORE_RECORDS,
				 slice(op->row_key, ROW_KEY_SIZE), &row);

	if (found < 0)
		return FIND_FAILED;
	if (found == STORE_HIT)
		judge_row(cache, op, row, ret);
	where = look_at_tags(cache, op, ret);
	if (where != FIND_NOW)
		return where;
	if (!ret->there || !ret->chunks || !value_wanted ||
	    ret->record.length > WHOLE_MAX)
		return FIND_NOW;
	return assemble(cache, fresh, ret);
}

static enum find_result
find_stored(struct cache *cache, const struct op *op, bool value_wanted,
	    struct found *ret)
{
	bool fresh = core_is_fresh(cache, op->row_key);
	enum find_result where;
	uint64_t began_ns;

	if (!op->warm && !core_inline_allowed(cache, fresh))
		return FIND_COLD;
	if (core_snapshot(cache) < 0)
		return FIND_FAILED;
	began_ns = fresh ? 0 : clock_mono_ns();
	where = read_stored(cache, op, value_wanted, fresh, ret);
	if (!fresh)
		core_note_read(cache, began_ns);
	return where;
}

/* The value of what it waited for is at hand, if that is still what is stored. */
static void
take_news(const struct op *op, struct found *ret)
{
	if (!ret->there || !ret->chunks || ret->record.version != op->news->version)
		return;
	ret->chunks = false;
	ret->value = change_value(op->news);
	ret->shared = op->news;
}

enum find_result
op_find(struct cache *cache, const struct op *op, bool value_wanted, struct found *ret)
{
	struct change *change;
	enum find_result where;

	*ret = (struct found){ .there = false };
	if (!op->namespace || cache->lost)
		return FIND_NOW;
	change = pending_find(cache->pending, op->row_key);
	if (change) {
		where = find_pending(cache, change, op, ret);
	} else {
		where = find_stored(cache, op, value_wanted && !op->news, ret);
		if (where == FIND_NOW && op->news)
			take_news(op, ret);
	}
	if (where == FIND_NOW)
		judge_codec(op, ret);
	return where;
}

static enum find_result
find_in_job(struct cache *cache, const struct op *op, struct read_job *job,
	    struct found *ret)
{
	struct change *change = pending_find(cache->pending, op->row_key);

	*ret = (struct found){ .there = false };
	core_note_look(cache, job->waited);
	if (change)
		return find_pending(cache, change, op, ret);
	if (job->result == STORE_DAMAGED)
		core_note_damage(cache, "a record or a chunk");
	if (job->result == STORE_FAILED || job->result == STORE_NO_MEMORY)
		return FIND_FAILED;
	if (job->result != STORE_HIT)
		return FIND_NOW;
	if (!record_read(slice(job->record, job->record_len), &ret->record) ||
	    !same_key(op, &ret->record))
		return FIND_NOW;
	ret->there = true;
	ret->value = ret->record.value;
	if (ret->record.flags & RECORD_CHUNKED) {
		ret->chunks = !job->value;
		ret->value = slice(job->value, job->value_len);
		ret->owner = job->value;
		job->value = NULL;
	}
	judge_tags(cache, op, job->stamp, ret);
	return FIND_NOW;
}

/* What a reader brought, unless something newer is pending. */
enum find_result
op_find_in_job(struct cache *cache, const struct op *op, struct read_job *job,
	       struct found *ret)
{
	enum find_result where = find_in_job(cache, op, job, ret);

	if (where == FIND_NOW)
		judge_codec(op, ret);
	return where;
}
