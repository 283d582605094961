/* decide.c - what a request gets, once it is known what is there. The loop thread alone decides. */
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"
#include "daemon/limit.h"

#define MS_PER_S 1000
#define COMMITS_UNFLUSHED 2

/* ---- get ---- */

void
core_fill_meta(const struct cache *cache, const struct record *record,
	       struct answer *answer)
{
	answer->has_meta = true;
	answer->object_kind = record->kind;
	answer->codec = record->codec;
	answer->writer_uid = record->writer_uid;
	answer->version = record->version;
	answer->length = record->length;
	answer->cost_us = record->cost_us;
	answer->age_ms = cache->now_ms > record->created_ms
				 ? cache->now_ms - record->created_ms
				 : 0;
	answer->ttl_left_ms = TTL_NEVER;
	if (record_expired(record, cache->now_ms)) {
		answer->ttl_left_ms = 0;
		answer->stale = true;
		answer->stale_ms = cache->now_ms - record->expires_ms;
	} else if (record->flags & RECORD_EXPIRES) {
		answer->ttl_left_ms = record->expires_ms - cache->now_ms;
	}
}

static int touch_found(struct cache *cache, struct op *op, const struct found *found,
		       uint64_t ttl_ms, struct answer *ret_answer);

enum presence {
	FRESH,
	STALE, /* past its time to live, and good enough for this get */
	ABSENT,
	EXPIRED,
	INVALIDATED,
	REFUSED, /* too old for this get, or the version that it does not want */
};

static enum presence
find_presence(const struct cache *cache, const struct get *get, const struct found *found)
{
	const struct record *record = &found->record;
	bool expired;

	if (!found->there)
		return found->invalidated ? INVALIDATED : ABSENT;
	expired = record_expired(record, cache->now_ms);
	if (expired && !(get->stale_ok && record->stale_until_ms > cache->now_ms))
		return EXPIRED;
	if (get->not_version && record->version == get->not_version)
		return REFUSED;
	if (record->created_ms < cache->now_ms &&
	    cache->now_ms - record->created_ms > get->max_age_ms)
		return REFUSED;
	return expired ? STALE : FRESH;
}

static uint64_t *
misses_of(struct namespace *namespace, enum presence why)
{
	switch (why) {
	case EXPIRED:
		return &namespace->misses_expired;
	case INVALIDATED:
		return &namespace->misses_invalidated;
	case REFUSED:
		return &namespace->misses_refused;
	default:
		return &namespace->misses_absent;
	}
}

static void
count_miss(struct cache *cache, struct namespace *namespace, enum presence why)
{
	cache->counts.misses++;
	if (namespace)
		(*misses_of(namespace, why))++;
}

void
core_count_waited_miss(struct cache *cache, struct op *op)
{
	count_miss(cache, op->namespace, ABSENT);
}

static int
miss(struct cache *cache, struct op *op, const struct found *found, enum presence why,
     struct answer *ret_answer)
{
	int done;

	free(found->owner);
	*ret_answer = (struct answer){ .kind = ANSWER_MISS };
	if (op->get.meta_only)
		return CACHE_NOW;
	done = op->get.lease ? op_ask_lease(cache, op, ret_answer) : CACHE_NOW;
	if (done == CACHE_NOW)
		count_miss(cache, op->namespace, why);
	return done;
}

static void
count_hit(struct cache *cache, struct op *op, const struct found *found, bool stale)
{
	struct namespace *namespace = op->namespace;

	cache->counts.hits++;
	cache->given_bytes += found->value.len;
	namespace->hits++;
	namespace->stale_hits += stale;
	namespace->saved_us += found->record.cost_us;
	recency_touch(cache->recency, op->row_key, (uint32_t)(cache->now_ms / MS_PER_S));
}

/* Nobody waits for it, so it is left out where it could not be kept. */
static void
refresh(struct cache *cache, struct op *op, const struct found *found)
{
	uint64_t ttl_ms = op->get.refresh_ms;
	struct answer ignored;

	if (cache->disk_full || cache->lost ||
	    pending_bytes(cache->pending) > cache->config.pending_size)
		return;

	if (!ttl_ms)
		ttl_ms = found->record.flags & RECORD_EXPIRES ? found->record.ttl_ms
							      : TTL_NEVER;
	touch_found(cache, op, found, ttl_ms, &ignored);
}

static int
decide_get(struct cache *cache, struct op *op, struct found *found,
	   struct answer *ret_answer)
{
	const struct get *get = &op->get;
	struct answer answer = { .kind = ANSWER_DONE };
	enum presence presence = find_presence(cache, get, found);

	if (presence > STALE)
		return miss(cache, op, found, presence, ret_answer);
	core_fill_meta(cache, &found->record, &answer);
	if (!get->meta_only && found->chunks) {
		answer.download = download_new(cache, &found->record);
		if (!answer.download)
			return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	} else if (!get->meta_only) {
		answer.value = found->value;
		answer.owner = found->owner;
		answer.keeper = (struct keeper *)found->shared;
	} else {
		free(found->owner);
	}
	if (!get->meta_only)
		count_hit(cache, op, found, presence == STALE);
	if (presence == STALE && get->lease)
		op_offer_refresh(cache, op, &answer);
	if (get->refresh && presence == FRESH)
		refresh(cache, op, found);
	return answer_now(ret_answer, answer);
}

/* ---- put ---- */

enum error
core_check_condition(const struct cache *cache, const struct put *put,
		     const struct found *found)
{
	bool there = found->there && !record_expired(&found->record, cache->now_ms);

	switch (put->condition) {
	case CONDITION_ABSENT:
		return there ? ERROR_EXISTS : ERROR_NONE;
	case CONDITION_PRESENT:
		return there ? ERROR_NONE : ERROR_ABSENT;
	case CONDITION_VERSION:
		if (!there)
			return ERROR_ABSENT;
		return found->record.version == put->version ? ERROR_NONE : ERROR_CHANGED;
	default:
		return ERROR_NONE;
	}
}

void
core_set_expiry(const struct cache *cache, struct record *record, uint64_t ttl_ms,
		uint64_t stale_for_ms)
{
	record->flags &= (uint8_t)~RECORD_EXPIRES;
	record->expires_ms = record->stale_until_ms = record->ttl_ms = record->armed_ms =
		0;
	if (ttl_ms == TTL_NEVER || ttl_ms > UINT64_MAX / 2)
		return;
	record->flags |= RECORD_EXPIRES;
	record->ttl_ms = ttl_ms;
	record->expires_ms = cache->now_ms + ttl_ms;
	if (stale_for_ms > UINT64_MAX / 4)
		stale_for_ms = UINT64_MAX / 4;
	if (stale_for_ms)
		record->stale_until_ms = record->expires_ms + stale_for_ms;
}

static uint64_t
stale_window(const struct record *record)
{
	return record->stale_until_ms > record->expires_ms
		       ? record->stale_until_ms - record->expires_ms
		       : 0;
}

/* The new object's record; its value, if it stays in the leaf, is in it. tag_keys is where its tags are. */
static struct record
make_record(struct cache *cache, const struct op *op, struct slice value, uint64_t length,
	    uint8_t tag_keys[static TAG_KEYS_SIZE])
{
	const struct put *put = &op->put;
	struct record record = {
		.kind = put->object_kind,
		.codec = put->codec,
		.writer_uid = put->target.uid,
		.created_ms = cache->now_ms,
		.cost_us = put->cost_us,
		.key = put->target.key,
		.length = length,
		.stored = length,
	};

	record.tags = tag_keys;
	record.tag_count =
		(uint8_t)core_tag_keys(cache, op->namespace, put->tags, tag_keys);
	core_set_expiry(cache, &record, put->ttl_ms, put->stale_for_ms);
	record.version = core_number(cache);
	if (op->kind == OP_PUT && record_fits(&record, value.len)) {
		record.value = value;
		return record;
	}
	record.flags |= RECORD_CHUNKED;
	record.object_id =
		op->kind == OP_PUBLISH ? upload_object(op->upload) : core_number(cache);
	return record;
}

struct change *
core_make_value(struct cache *cache, const struct op *op)
{
	uint64_t length =
		op->kind == OP_PUBLISH ? upload_length(op->upload) : op->value.len;
	uint8_t tag_keys[TAG_KEYS_SIZE];
	struct record record = make_record(cache, op, op->value, length, tag_keys);
	size_t record_len = record_size(&record);
	size_t value_len =
		op->kind == OP_PUT && record.flags & RECORD_CHUNKED ? op->value.len : 0;
	struct change *change = change_new(
		op->kind == OP_PUT ? CHANGE_PUT : CHANGE_PUBLISH, record_len + value_len);

	if (!change)
		return NULL;
	record_write(&record, change->bytes);
	change->record_len = record_len;
	change->value_len = value_len;
	if (value_len)
		memcpy(change->bytes + record_len, op->value.data, value_len);
	memcpy(change->row_key, op->row_key, ROW_KEY_SIZE);
	change->version = record.version;
	change->object_id = record.object_id;
	return change;
}

void
core_accept_value(struct cache *cache, struct namespace *namespace, struct change *change,
		  struct payer *payer)
{
	/* A value in its own memory stays there until all who waited for it have it, also when the change is
	 * settled before that. */
	void *news = change->value_len ? change : NULL;
	size_t told;

	core_accept(cache, change, payer);
	namespace->newest = change->number;
	told = lease_published(cache->leases, change->row_key, news);
	if (news)
		change_keep(change, told);
	cache->counts.puts++;
	namespace->puts++;
	recency_touch(cache->recency, change->row_key,
		      (uint32_t)(cache->now_ms / MS_PER_S));
}

static int
accept_value(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	struct change *change = core_make_value(cache, op);
	uint64_t version;

	if (!change)
		return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	version = change->version;
	core_accept_value(cache, op->namespace, change, op->put.payer);
	return answer_now(ret_answer,
			  (struct answer){ .kind = ANSWER_DONE, .version = version });
}

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
core_acknowledge(struct cache *cache, const struct later *later, bool disk,
		 struct answer *ret_answer)
{
	disk = disk || behind(cache);
	if (!disk || ret_answer->kind == ANSWER_ERROR || core_all_committed(cache))
		return CACHE_NOW;
	return op_answer_later(cache, later, ret_answer);
}

int
op_acknowledge(struct cache *cache, const struct op *op, bool disk,
	       struct answer *ret_answer)
{
	return core_acknowledge(cache, &op->later, disk, ret_answer);
}

static int
decide_put(struct cache *cache, struct op *op, struct found *found,
	   struct answer *ret_answer)
{
	enum error refused = op_token_old(cache, op)
				     ? ERROR_OLD_TOKEN
				     : core_check_condition(cache, &op->put, found);
	bool published = op->kind == OP_PUBLISH;

	free(found->owner);
	if (refused) {
		if (published)
			upload_abort(&op->upload);
		return answer_refuse(ret_answer, refused);
	}
	accept_value(cache, op, ret_answer);
	if (published) {
		if (ret_answer->kind == ANSWER_ERROR)
			upload_abort(&op->upload);
		else
			upload_free(&op->upload);
	}
	return op_acknowledge(cache, op, published || op->put.ack == ACK_DISK,
			      ret_answer);
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
take_value(struct cache *cache, const struct found *found, struct answer *answer)
{
	if (found->chunks) {
		answer->download = download_new(cache, &found->record);
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

/* A stale object is given to nobody by a take, but it goes. */
static int
take_stale(struct cache *cache, struct op *op, const struct found *found,
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

	if (!found->there || record_expired(&found->record, cache->now_ms)) {
		free(found->owner);
		return found->there && !record_over(&found->record, cache->now_ms)
			       ? take_stale(cache, op, found, ret_answer)
			       : remove_nothing(cache, op, found->pending, ret_answer);
	}
	core_fill_meta(cache, &found->record, &answer);
	if (!take_value(cache, found, &answer)) {
		free(found->owner);
		return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	}
	refused = remove_found(cache, op, found);
	if (refused) {
		free(answer.owner);
		download_close(&answer.download);
		return answer_refuse(ret_answer, refused);
	}
	cache->counts.hits++;
	op->namespace->hits++;
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

/* A whole record again, with another expiry. Of a value in chunks it keeps the object. */
static int
touch_found(struct cache *cache, struct op *op, const struct found *found,
	    uint64_t ttl_ms, struct answer *ret_answer)
{
	struct record record = found->record;
	struct slice outgrown = slice(NULL, 0);
	struct change *change;

	core_set_expiry(cache, &record, ttl_ms, stale_window(&record));
	if (!(record.flags & RECORD_CHUNKED) && !record_fits(&record, record.value.len))
		outgrown = move_out(cache, &record);
	change = change_new(CHANGE_PUT, record_size(&record) + outgrown.len);
	if (!change)
		return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	change->record_len = record_write(&record, change->bytes);
	change->value_len = outgrown.len;
	if (outgrown.len)
		memcpy(change->bytes + change->record_len, outgrown.data, outgrown.len);
	memcpy(change->row_key, op->row_key, ROW_KEY_SIZE);
	change->object_id = record.object_id;
	change->version = record.version;
	change->keeps_object = true;
	core_accept(cache, change, NULL);
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
	touch_found(cache, op, found, op->simple.ttl_ms, ret_answer);
	return op_acknowledge(cache, op, op->simple.ack == ACK_DISK, ret_answer);
}

int
op_decide(struct cache *cache, struct op *op, struct found *found,
	  struct answer *ret_answer)
{
	switch (op->kind) {
	case OP_GET:
		return decide_get(cache, op, found, ret_answer);
	case OP_PUT:
	case OP_PUBLISH:
		return decide_put(cache, op, found, ret_answer);
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
