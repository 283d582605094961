/* decide.c - what a request gets, once it is known what is there; and when it hears of that. The loop thread alone
 * decides. Owns nothing. */
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"
#include "daemon/limit.h"

#define COMMITS_UNFLUSHED 2

/* ---- acknowledging ---- */

/* What was acknowledged from memory is on the disk within two commits: more than they take is
 * acknowledged only when it is there. */
static bool
behind(const struct cache *cache)
{
	const struct writer_counts *writer = writer_counts(cache->writer);
	uint64_t oldest = pending_oldest_ns(cache->pending);
	uint64_t pages = pending_uncommitted_pages(cache->pending) +
			 limit_distinct(pending_uncommitted(cache->pending),
					count_figure(&writer->leaf_pages));

	return pages > COMMITS_UNFLUSHED * count_figure(&writer->batch_pages) ||
	       (oldest && cache->now_ns - oldest > cache->config.max_unflushed_ns);
}

int
core_acknowledge(struct cache *cache, uint32_t uid, const struct later *later, bool disk,
		 struct answer *ret_answer)
{
	disk = disk || behind(cache);
	if (!disk || ret_answer->kind == ANSWER_ERROR || core_all_committed(cache))
		return CACHE_NOW;
	return op_answer_later(cache, uid, later, ret_answer);
}

int
op_acknowledge(struct cache *cache, const struct op *op, bool disk,
	       struct answer *ret_answer)
{
	return core_acknowledge(cache, op_uid(op), &op->later, disk, ret_answer);
}

/* ---- delete, take, touch ---- */

/* Nothing is there; that it is gone may itself be news that the disk does not have. */
static int
remove_nothing(struct cache *cache, struct op *op, bool pending,
	       struct answer *ret_answer)
{
	bool flushing = op->namespace &&
			op->namespace->flushed > pending_committed_number(cache->pending);

	/* Who computes it may have begun before what made this delete necessary. */
	lease_revoked(cache->leases, op->row_key, cache->now_ns);
	*ret_answer = (struct answer){ .kind = ANSWER_MISS };
	return op_acknowledge(cache, op,
			      op->simple.ack != ACK_MEMORY && (pending || flushing),
			      ret_answer);
}

/* Accepts the delete. Returns what keeps it from that. */
static enum error
remove_found(struct cache *cache, struct op *op, const struct found *found)
{
	struct change *change;

	if (op->simple.only_version && found->record.version != op->simple.only_version)
		return ERROR_CHANGED;
	change = change_new(CHANGE_DELETE, 0);
	if (!change)
		return ERROR_NO_MEMORY;
	memcpy(change->row_key, op->row_key, ROW_KEY_SIZE);
	core_accept(cache, change, NULL);
	lease_revoked(cache->leases, op->row_key, cache->now_ns);
	cache->counts.deletes++;
	op->namespace->deletes++;
	return ERROR_NONE;
}

static int
decide_delete(struct cache *cache, struct op *op, struct found *found,
	      struct answer *ret_answer)
{
	/* What is stale goes as well: some still get it. */
	bool there = found->there && !record_over(&found->record, cache->now_ms);
	enum error refused;

	free(found->owner);
	if (!there)
		return remove_nothing(cache, op, found->pending, ret_answer);
	refused = remove_found(cache, op, found);
	if (refused)
		return answer_refuse(ret_answer, refused);
	*ret_answer = (struct answer){ .kind = ANSWER_DONE };
	return op_acknowledge(cache, op, op->simple.ack != ACK_MEMORY, ret_answer);
}

/* The value in the receiver's own memory, or a download: it outlives the object. False: no memory. */
static bool
take_value(struct cache *cache, const struct found *found, uint32_t uid,
	   struct answer *answer)
{
	if (found->chunks) {
		answer->download = download_new(cache, &found->record, uid);
		return answer->download;
	}
	answer->owner = found->owner;
	if (!answer->owner) {
		answer->owner = malloc(found->value.len + 1);
		if (!answer->owner)
			return false;
		if (found->value.len)
			memcpy(answer->owner, found->value.data, found->value.len);
	}
	answer->value = slice(answer->owner, found->value.len);
	return true;
}

/* A stale object, or one whose codec is not admitted, is given to nobody by a take, but it goes. */
static int
take_in_vain(struct cache *cache, struct op *op, const struct found *found,
	     struct answer *ret_answer)
{
	enum error refused = remove_found(cache, op, found);

	if (refused == ERROR_CHANGED)
		return remove_nothing(cache, op, found->pending, ret_answer);
	if (refused)
		return answer_refuse(ret_answer, refused);
	*ret_answer = (struct answer){ .kind = ANSWER_MISS };
	return op_acknowledge(cache, op, op->simple.ack != ACK_MEMORY, ret_answer);
}

static int
decide_take(struct cache *cache, struct op *op, struct found *found,
	    struct answer *ret_answer)
{
	struct answer answer = { .kind = ANSWER_DONE };
	enum error refused;

	if (!found->there || found->barred ||
	    record_expired(&found->record, cache->now_ms)) {
		free(found->owner);
		return found->there && !record_over(&found->record, cache->now_ms)
			       ? take_in_vain(cache, op, found, ret_answer)
			       : remove_nothing(cache, op, found->pending, ret_answer);
	}
	core_fill_meta(cache, &found->record, &answer);
	if (!take_value(cache, found, op->simple.target.uid, &answer)) {
		free(found->owner);
		return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	}
	refused = remove_found(cache, op, found);
	if (refused) {
		free(answer.owner);
		download_close(&answer.download);
		return answer_refuse(ret_answer, refused);
	}
	*ret_answer = answer;
	return op_acknowledge(cache, op, op->simple.ack != ACK_MEMORY, ret_answer);
}

/* With an expiry, a record may outgrow its leaf: its value goes to chunk rows then. */
static struct slice
move_out(struct cache *cache, struct record *record)
{
	struct slice value = record->value;

	record->value = slice(NULL, 0);
	record->flags |= RECORD_CHUNKED;
	record->object_id = core_number(cache);
	return value;
}

/* A whole record again, with another expiry. Of a value in chunks it keeps the object. The bytes are the same, so it
 * is still their writer's. */
int
op_touch_found(struct cache *cache, struct op *op, const struct found *found,
	       uint64_t ttl_ms, struct answer *ret_answer)
{
	struct record record = found->record;
	struct slice outgrown = slice(NULL, 0);
	struct change *change;

	core_set_expiry(cache, &record, ttl_ms, record_stale_window(&record));
	if (!(record.flags & RECORD_CHUNKED) && !record_fits(&record, record.value.len))
		outgrown = move_out(cache, &record);
	change = core_make_change(op, CHANGE_PUT, &record, outgrown, ret_answer);
	if (!change)
		return CACHE_NOW;
	change->keeps_object = true;
	core_accept(cache, change, NULL);
	/* While the writer replaces the record, its namespace's figures are without it. */
	op->namespace->newest = change->number;
	cache->counts.touches++;
	return answer_now(ret_answer, (struct answer){ .kind = ANSWER_DONE,
						       .version = record.version });
}

static int
decide_touch(struct cache *cache, struct op *op, struct found *found,
	     struct answer *ret_answer)
{
	free(found->owner);
	found->owner = NULL;
	if (!found->there || record_expired(&found->record, cache->now_ms))
		return answer_now(ret_answer, (struct answer){ .kind = ANSWER_MISS });
	op_touch_found(cache, op, found, op->simple.ttl_ms, ret_answer);
	return op_acknowledge(cache, op, op->simple.ack == ACK_DISK, ret_answer);
}

int
op_decide(struct cache *cache, struct op *op, struct found *found,
	  struct answer *ret_answer)
{
	switch (op->kind) {
	case OP_GET:
		return op_decide_get(cache, op, found, ret_answer);
	case OP_PUT:
	case OP_PUBLISH:
		return op_decide_put(cache, op, found, ret_answer);
	case OP_DELETE:
		return decide_delete(cache, op, found, ret_answer);
	case OP_TOUCH:
		return decide_touch(cache, op, found, ret_answer);
	case OP_TAKE:
		return decide_take(cache, op, found, ret_answer);
	case OP_INCR:
		return op_decide_incr(cache, op, found, ret_answer);
	default:
		return answer_refuse(ret_answer, ERROR_INTERNAL);
	}
}
