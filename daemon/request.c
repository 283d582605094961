/* request.c - decides what a request gets: pending table first, then the store, at once or when a reader or
 * a commit has what it needs. Loop thread. Owns parked requests. */
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"
#include "daemon/limit.h"
#include "proto/bytes.h"

#define STATS_MAX (UINT32_C(1) << 20)
#define SCAN_ENTRY 40
#define SCAN_SHORTENED 1
#define SCAN_COUNTER 2
#define MS_PER_S 1000
#define COMMITS_UNFLUSHED 2

/* ---- answers ---- */

struct answer
answer_error(enum error error, uint64_t detail, const char *text)
{
	return (struct answer){
		.kind = ANSWER_ERROR, .error = error, .detail = detail, .text = text
	};
}

static int
now(struct answer *ret_answer, struct answer answer)
{
	*ret_answer = answer;
	return CACHE_NOW;
}

static int
refuse(struct answer *ret_answer, enum error error)
{
	return now(ret_answer, answer_error(error, 0, NULL));
}

static void
give(const struct later *later, const struct answer *answer)
{
	later->answered(later->arg, later->id, answer);
}

/* ---- parking ---- */

static struct slice
keep_bytes(uint8_t *to, struct slice from)
{
	if (from.len)
		memcpy(to, from.data, from.len);
	return slice(to, from.len);
}

/* The target stands at the same place in all of an op's forms. */
static struct target *
target_of(struct op *op)
{
	return &op->simple.target;
}

/* Copies the op and all that it borrows. NULL when there is no memory, or too many are parked. */
static struct parked *
park(struct cache *cache, const struct op *op)
{
	struct parked *parked;
	struct target *target;

	if (cache->parked >= PARKED_MAX) {
		cache->counts.busy++;
		return NULL;
	}
	parked = malloc(sizeof(*parked));
	if (!parked)
		return NULL;
	parked->op = *op;
	parked->op.waited = true;
	parked->next = NULL;
	parked->page = NULL;
	parked->value = NULL;
	parked->job = (struct read_job){ .owner = parked };
	target = target_of(&parked->op);
	target->key = keep_bytes(parked->key, target->key);
	target->namespace = keep_bytes((uint8_t *)parked->name, target->namespace);
	if (op->kind == OP_PUT || op->kind == OP_PUBLISH)
		payer_hold(op->put.payer);
	if (op->kind == OP_PUT) {
		parked->value = malloc(op->value.len ? op->value.len : 1);
		if (!parked->value) {
			free(parked);
			return NULL;
		}
		parked->op.value = keep_bytes(parked->value, op->value);
	}
	if (op->kind == OP_SCAN) {
		parked->op.list.prefix = keep_bytes(parked->prefix, op->list.prefix);
		parked->op.list.cursor = keep_bytes(parked->cursor, op->list.cursor);
	}
	cache->parked++;
	return parked;
}

struct scan_page {
	uint8_t *entries;
	size_t len;
	unsigned count;
	uint64_t now_ms;
	uint8_t cursor[ROW_KEY_SIZE];
};

static void
unpark(struct cache *cache, struct parked *parked)
{
	if (parked->op.kind == OP_PUT || parked->op.kind == OP_PUBLISH)
		payer_release(&parked->op.put.payer);
	if (parked->op.kind == OP_PUBLISH && parked->op.upload)
		upload_abort(&parked->op.upload);
	if (parked->page) {
		free(parked->page->entries);
		free(parked->page);
	}
	free(parked->value);
	free(parked->job.value);
	free(parked);
	cache->parked--;
}

static int
no_place(struct op *op, struct answer *ret_answer)
{
	if (op->kind == OP_PUBLISH)
		upload_abort(&op->upload);
	return refuse(ret_answer, ERROR_BUSY);
}

/* Waits until everything accepted so far is on the disk. */
static int
wait_for_commit(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	struct parked *parked = park(cache, op);

	if (!parked)
		return no_place(op, ret_answer);
	parked->number = pending_newest(cache->pending);
	if (cache->waits_last)
		cache->waits_last->next = parked;
	else
		cache->waits_first = parked;
	cache->waits_last = parked;
	cache->hurry = true;
	return CACHE_LATER;
}

static bool
all_committed(const struct cache *cache)
{
	return pending_committed_number(cache->pending) == pending_newest(cache->pending);
}

int
op_answer_later(struct cache *cache, const struct later *later, struct answer *answer)
{
	struct op op = { .kind = OP_ANSWER, .answer = *answer, .later = *later };

	return wait_for_commit(cache, &op, answer);
}

static int
wait_for_reader(struct cache *cache, struct op *op, bool value_wanted,
		struct answer *ret_answer)
{
	struct parked *parked = park(cache, op);

	if (!parked)
		return no_place(op, ret_answer);
	cache->counts.cold_reads++;
	parked->job.kind = READ_OBJECT;
	parked->job.value_wanted = value_wanted;
	memcpy(parked->job.row_key, op->row_key, ROW_KEY_SIZE);
	core_submit_job(cache, &parked->job);
	return CACHE_LATER;
}

/* ---- looking up ---- */

struct found {
	bool there;
	bool chunks; /* the value is in chunk rows, not in `value` */
	struct record record;
	struct slice value;
	uint8_t *owner;         /* of value, if it had to be put together */
	struct change *pending; /* where it was found, if not in the store */
};

enum find_result {
	FIND_NOW,
	FIND_COLD,   /* ask a reader */
	FIND_COMMIT, /* its chunks are not on the disk yet */
	FIND_FAILED,
};

static bool
same_key(const struct op *op, const struct record *record)
{
	return slice_equal(record->key, op->simple.target.key);
}

static enum find_result
find_pending(struct change *change, const struct op *op, struct found *ret)
{
	ret->pending = change;
	if (change->kind == CHANGE_DELETE || !change_record(change, &ret->record) ||
	    !same_key(op, &ret->record))
		return FIND_NOW;
	ret->there = true;
	if (!(ret->record.flags & RECORD_CHUNKED)) {
		ret->value = ret->record.value;
		return FIND_NOW;
	}
	if (change->value_len) {
		ret->value = change_value(change);
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

static enum find_result
find_stored(struct cache *cache, const struct op *op, bool value_wanted,
	    struct found *ret)
{
	struct slice row;
	int found;

	if (!core_inline_allowed(cache, op->row_key))
		return FIND_COLD;
	if (core_snapshot(cache) < 0)
		return FIND_FAILED;
	found = snapshot_get(cache->snapshot, STORE_RECORDS,
			     slice(op->row_key, ROW_KEY_SIZE), &row);
	core_note_read(cache);
	if (found < 0)
		return FIND_FAILED;
	if (found == STORE_HIT)
		judge_row(cache, op, row, ret);
	if (!ret->there || !ret->chunks || !value_wanted ||
	    ret->record.length > WHOLE_MAX)
		return FIND_NOW;
	return FIND_COLD;
}

static enum find_result
find(struct cache *cache, const struct op *op, bool value_wanted, struct found *ret)
{
	struct change *change;

	*ret = (struct found){ .there = false };
	if (!op->namespace || cache->lost)
		return FIND_NOW;
	change = pending_find(cache->pending, op->row_key);
	if (change)
		return find_pending(change, op, ret);
	return find_stored(cache, op, value_wanted, ret);
}

/* What a reader brought, unless something newer is pending. */
static enum find_result
find_in_job(struct cache *cache, const struct op *op, struct read_job *job,
	    struct found *ret)
{
	struct change *change = pending_find(cache->pending, op->row_key);

	*ret = (struct found){ .there = false };
	if (change)
		return find_pending(change, op, ret);
	if (job->result == STORE_DAMAGED)
		core_note_damage(cache, "a record or a chunk");
	if (job->result == STORE_FAILED)
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
	return FIND_NOW;
}

/* ---- get ---- */

static void
fill_meta(const struct cache *cache, const struct record *record, struct answer *answer)
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
	if (record->flags & RECORD_EXPIRES)
		answer->ttl_left_ms = record->expires_ms - cache->now_ms;
}

static int touch_found(struct cache *cache, struct op *op, const struct found *found,
		       uint64_t ttl_ms, struct answer *ret_answer);

static bool
wanted(const struct cache *cache, const struct get *get, const struct found *found)
{
	if (!found->there || record_expired(&found->record, cache->now_ms))
		return false;
	if (get->not_version && found->record.version == get->not_version)
		return false;
	return found->record.created_ms >= cache->now_ms ||
	       cache->now_ms - found->record.created_ms <= get->max_age_ms;
}

static int
miss(struct cache *cache, struct op *op, const struct found *found,
     struct answer *ret_answer)
{
	cache->counts.misses++;
	if (op->namespace && found->there)
		op->namespace->misses_expired++;
	else if (op->namespace)
		op->namespace->misses_absent++;
	free(found->owner);
	return now(ret_answer, (struct answer){ .kind = ANSWER_MISS });
}

static void
refresh(struct cache *cache, struct op *op, const struct found *found)
{
	uint64_t ttl_ms = op->get.refresh_ms;
	struct answer ignored;

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

	if (!wanted(cache, get, found))
		return miss(cache, op, found, ret_answer);
	fill_meta(cache, &found->record, &answer);
	if (!get->meta_only && found->chunks) {
		answer.download = download_new(cache, &found->record);
		if (!answer.download)
			return refuse(ret_answer, ERROR_NO_MEMORY);
	} else if (!get->meta_only) {
		answer.value = found->value;
		answer.owner = found->owner;
	} else {
		free(found->owner);
	}
	if (!get->meta_only) {
		cache->counts.hits++;
		op->namespace->hits++;
		recency_touch(cache->recency, op->row_key,
			      (uint32_t)(cache->now_ms / MS_PER_S));
	}
	if (get->refresh)
		refresh(cache, op, found);
	return now(ret_answer, answer);
}

/* ---- put ---- */

static enum error
check_condition(const struct cache *cache, const struct put *put,
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

static void
set_expiry(const struct cache *cache, struct record *record, uint64_t ttl_ms)
{
	record->flags &= (uint8_t)~RECORD_EXPIRES;
	record->expires_ms = record->stale_until_ms = record->ttl_ms = record->armed_ms =
		0;
	if (ttl_ms == TTL_NEVER || ttl_ms > UINT64_MAX / 2)
		return;
	record->flags |= RECORD_EXPIRES;
	record->ttl_ms = ttl_ms;
	record->expires_ms = cache->now_ms + ttl_ms;
}

/* The new object's record; its value, if it stays in the leaf, is in it. */
static struct record
make_record(struct cache *cache, const struct op *op, struct slice value, uint64_t length)
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

	set_expiry(cache, &record, put->ttl_ms);
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

int
op_accept_value(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	uint64_t length =
		op->kind == OP_PUBLISH ? upload_length(op->upload) : op->value.len;
	struct record record = make_record(cache, op, op->value, length);
	size_t record_len = record_size(&record);
	size_t value_len =
		op->kind == OP_PUT && record.flags & RECORD_CHUNKED ? op->value.len : 0;
	struct change *change = change_new(
		op->kind == OP_PUT ? CHANGE_PUT : CHANGE_PUBLISH, record_len + value_len);

	if (!change)
		return refuse(ret_answer, ERROR_NO_MEMORY);
	record_write(&record, change->bytes);
	change->record_len = record_len;
	change->value_len = value_len;
	if (value_len)
		memcpy(change->bytes + record_len, op->value.data, value_len);
	memcpy(change->row_key, op->row_key, ROW_KEY_SIZE);
	change->version = record.version;
	change->object_id = record.object_id;
	core_accept(cache, change, op->put.payer);
	cache->counts.puts++;
	op->namespace->puts++;
	recency_touch(cache->recency, op->row_key, (uint32_t)(cache->now_ms / MS_PER_S));
	return now(ret_answer,
		   (struct answer){ .kind = ANSWER_DONE, .version = record.version });
}

static uint64_t
figure(const _Atomic uint64_t *from)
{
	return atomic_load_explicit(from, memory_order_relaxed);
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
					figure(&writer->leaf_pages));

	return pages > COMMITS_UNFLUSHED * figure(&writer->batch_pages) ||
	       (oldest && cache->now_ns - oldest > cache->config.max_unflushed_ns);
}

/* An acknowledgement waits for the disk if it was asked to, or if the disk cannot keep up. */
static int
acknowledge(struct cache *cache, const struct op *op, bool disk,
	    struct answer *ret_answer)
{
	disk = disk || behind(cache);
	if (!disk || ret_answer->kind == ANSWER_ERROR || all_committed(cache))
		return CACHE_NOW;
	return op_answer_later(cache, &op->later, ret_answer);
}

static int
decide_put(struct cache *cache, struct op *op, struct found *found,
	   struct answer *ret_answer)
{
	enum error refused = check_condition(cache, &op->put, found);
	bool published = op->kind == OP_PUBLISH;
	int done;

	free(found->owner);
	if (refused) {
		if (published)
			upload_abort(&op->upload);
		return refuse(ret_answer, refused);
	}
	op_accept_value(cache, op, ret_answer);
	if (published) {
		if (ret_answer->kind == ANSWER_ERROR)
			upload_abort(&op->upload);
		else
			upload_free(&op->upload);
	}
	done = acknowledge(cache, op, published || op->put.ack == ACK_DISK, ret_answer);
	return done;
}

/* ---- delete, touch ---- */

static int
decide_delete(struct cache *cache, struct op *op, struct found *found,
	      struct answer *ret_answer)
{
	bool there = found->there && !record_expired(&found->record, cache->now_ms);
	struct change *change;
	bool disk = op->simple.ack != ACK_MEMORY;

	free(found->owner);
	if (!there) {
		*ret_answer = (struct answer){ .kind = ANSWER_MISS };
		/* That it is gone may itself be news that the disk does not have. */
		return acknowledge(cache, op, disk && found->pending, ret_answer);
	}
	if (op->simple.only_version && found->record.version != op->simple.only_version)
		return refuse(ret_answer, ERROR_CHANGED);
	change = change_new(CHANGE_DELETE, 0);
	if (!change)
		return refuse(ret_answer, ERROR_NO_MEMORY);
	memcpy(change->row_key, op->row_key, ROW_KEY_SIZE);
	core_accept(cache, change, NULL);
	cache->counts.deletes++;
	op->namespace->deletes++;
	*ret_answer = (struct answer){ .kind = ANSWER_DONE };
	return acknowledge(cache, op, disk, ret_answer);
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

	set_expiry(cache, &record, ttl_ms);
	if (!(record.flags & RECORD_CHUNKED) && !record_fits(&record, record.value.len))
		outgrown = move_out(cache, &record);
	change = change_new(CHANGE_PUT, record_size(&record) + outgrown.len);
	if (!change)
		return refuse(ret_answer, ERROR_NO_MEMORY);
	change->record_len = record_write(&record, change->bytes);
	change->value_len = outgrown.len;
	keep_bytes(change->bytes + change->record_len, outgrown);
	memcpy(change->row_key, op->row_key, ROW_KEY_SIZE);
	change->object_id = record.object_id;
	change->version = record.version;
	change->keeps_object = true;
	core_accept(cache, change, NULL);
	cache->counts.touches++;
	return now(ret_answer,
		   (struct answer){ .kind = ANSWER_DONE, .version = record.version });
}

static int
decide_touch(struct cache *cache, struct op *op, struct found *found,
	     struct answer *ret_answer)
{
	free(found->owner);
	found->owner = NULL;
	if (!found->there || record_expired(&found->record, cache->now_ms))
		return now(ret_answer, (struct answer){ .kind = ANSWER_MISS });
	touch_found(cache, op, found, op->simple.ttl_ms, ret_answer);
	return acknowledge(cache, op, op->simple.ack == ACK_DISK, ret_answer);
}

/* ---- scan ---- */

/* Reader thread: one record of the page. */
static bool
visit(void *owner, const uint8_t *row_key, const struct record *record)
{
	struct parked *parked = owner;
	struct scan_page *page = parked->page;
	struct slice prefix = parked->op.list.prefix;
	size_t len = SCAN_ENTRY + record->key.len;
	uint8_t *at = page->entries + page->len;

	(void)row_key;
	if (record_expired(record, page->now_ms) || record->key.len < prefix.len ||
	    (prefix.len && memcmp(record->key.data, prefix.data, prefix.len) != 0))
		return true;
	if (page->count == parked->op.list.limit || page->len + len > READER_SCAN_BYTES)
		return false;
	le16_store(at, (uint16_t)len);
	le16_store(at + 2, (uint16_t)record->key.len);
	le32_store(at + 4, (key_shortened(record->key) ? SCAN_SHORTENED : 0) |
				   (record->kind == OBJECT_COUNTER ? SCAN_COUNTER : 0));
	le32_store(at + 8, record->codec);
	le32_store(at + 12, record->writer_uid);
	le64_store(at + 16, record->length);
	le64_store(at + 24, record->version);
	le64_store(at + 32, record->flags & RECORD_EXPIRES
				    ? record->expires_ms - page->now_ms
				    : TTL_NEVER);
	memcpy(at + SCAN_ENTRY, record->key.data, record->key.len);
	page->len += len;
	page->count++;
	return true;
}

static int
start_scan(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	struct parked *parked;
	struct slice cursor = op->list.cursor;

	if (cursor.len && cursor.len != ROW_KEY_SIZE)
		return refuse(ret_answer, ERROR_BAD_REQUEST);
	if (!op->namespace ||
	    (cursor.len && be32_load(cursor.data) != op->namespace->incarnation))
		return now(
			ret_answer,
			(struct answer){ .kind = ANSWER_DONE }); /* empty, or flushed */
	parked = park(cache, op);
	if (!parked)
		return refuse(ret_answer, ERROR_BUSY);
	parked->page = calloc(1, sizeof(*parked->page));
	if (parked->page)
		parked->page->entries = malloc(READER_SCAN_BYTES);
	if (!parked->page || !parked->page->entries) {
		unpark(cache, parked);
		return refuse(ret_answer, ERROR_NO_MEMORY);
	}
	parked->page->now_ms = cache->now_ms;
	parked->job.kind = READ_SCAN;
	parked->job.visit = visit;
	memset(parked->job.row_key, 0, ROW_KEY_SIZE);
	be32_store(parked->job.row_key, op->namespace->incarnation);
	if (cursor.len)
		memcpy(parked->job.row_key, cursor.data, ROW_KEY_SIZE);
	core_submit_job(cache, &parked->job);
	return CACHE_LATER;
}

static void
give_page(struct cache *cache, struct parked *parked)
{
	struct scan_page *page = parked->page;
	struct answer answer = { .kind = ANSWER_DONE };

	if (parked->job.result < 0)
		answer = answer_error(ERROR_INTERNAL, 0, NULL);
	else
		answer.count = page->count;
	if (parked->job.result >= 0 && page->len) {
		answer.value = slice(page->entries, page->len);
		answer.owner = page->entries;
		page->entries = NULL;
	}
	if (parked->job.result >= 0 && parked->job.more)
		answer.cursor = slice(parked->job.row_key, ROW_KEY_SIZE);
	cache->counts.scans++;
	give(&parked->op.later, &answer);
	unpark(cache, parked);
}

/* ---- stats ---- */

struct text {
	char *bytes;
	size_t len;
};

__attribute__((format(printf, 2, 3))) static void
say(struct text *text, const char *format, ...)
{
	va_list arguments;
	int len;

	va_start(arguments, format);
	len = vsnprintf(text->bytes + text->len, STATS_MAX - text->len, format,
			arguments);
	va_end(arguments);
	if (len > 0 && text->len + (size_t)len < STATS_MAX)
		text->len += (size_t)len;
}

static void
say_daemon(struct cache *cache, struct text *text)
{
	const struct writer_counts *writer = writer_counts(cache->writer);
	const struct {
		const char *name;
		uint64_t value;
	} lines[] = {
		{ "max_size_bytes", cache->max_size },
		{ "max_value_bytes", cache->max_value },
		{ "gets", cache->counts.gets },
		{ "hits", cache->counts.hits },
		{ "misses", cache->counts.misses },
		{ "puts", cache->counts.puts },
		{ "deletes", cache->counts.deletes },
		{ "touches", cache->counts.touches },
		{ "scans", cache->counts.scans },
		{ "flushes", cache->counts.flushes },
		{ "cold_reads", cache->counts.cold_reads },
		{ "damaged_rows", cache->counts.damaged_rows },
		{ "refused_busy", cache->counts.busy },
		{ "pending_bytes", pending_bytes(cache->pending) },
		{ "parked_requests", cache->parked },
	};
	const struct {
		const char *name;
		const _Atomic uint64_t *value;
		uint64_t times;
		uint64_t divided;
	} counted[] = {
		{ "used_bytes", &writer->used_pages, PAGE_SIZE_BYTES, 1 },
		{ "limit_bytes", &writer->limit_pages, PAGE_SIZE_BYTES, 1 },
		{ "reclaimable_bytes", &writer->listed_pages, PAGE_SIZE_BYTES, 1 },
		{ "commits", &writer->commits, 1, 1 },
		{ "committed_changes", &writer->changes, 1, 1 },
		{ "longest_commit_us", &writer->longest_commit_ns, 1, 1000 },
		{ "longest_unflushed_us", &writer->longest_unflushed_ns, 1, 1000 },
		{ "evicted_objects", &writer->evicted, 1, 1 },
		{ "evicted_bytes", &writer->evicted_bytes, 1, 1 },
		{ "expired_objects", &writer->expired, 1, 1 },
		{ "reclaimed_bytes", &writer->reclaimed_pages, PAGE_SIZE_BYTES, 1 },
		{ "map_full", &writer->map_full, 1, 1 },
		{ "disk_full", &writer->disk_full, 1, 1 },
		{ "leaf_bytes_per_1000_of_rows", &writer->leaf_factor_milli, 1, 1 },
	};

	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		say(text, "\t%s\t%" PRIu64 "\n", lines[i].name, lines[i].value);
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		say(text, "\t%s\t%" PRIu64 "\n", counted[i].name,
		    figure(counted[i].value) * counted[i].times / counted[i].divided);
}

static void
say_namespace(struct cache *cache, struct text *text, const struct namespace *namespace,
	      bool everybody)
{
	char scope[NAMESPACE_NAME_MAX + 16];
	const struct usage *usage = namespace->usage;
	uint64_t factor = figure(&writer_counts(cache->writer)->leaf_factor_milli);
	const struct {
		const char *name;
		uint64_t value;
	} lines[] = {
		{ "objects", usage_figure(&usage->objects) },
		{ "value_bytes", usage_figure(&usage->logical) },
		{ "charged_bytes",
		  usage_figure(&usage->leaf_bytes) * factor / 1000 +
			  usage_figure(&usage->chunk_pages) * PAGE_SIZE_BYTES },
		{ "hits", namespace->hits },
		{ "misses_absent", namespace->misses_absent },
		{ "misses_expired", namespace->misses_expired },
		{ "puts", namespace->puts },
		{ "deletes", namespace->deletes },
	};

	if (everybody)
		snprintf(scope, sizeof(scope), "%" PRIu32 ":%.*s", namespace->uid,
			 (int)namespace->name_len, namespace->name);
	else
		snprintf(scope, sizeof(scope), "%.*s", (int)namespace->name_len,
			 namespace->name);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		say(text, "%s\t%s\t%" PRIu64 "\n", scope, lines[i].name, lines[i].value);
}

static int
decide_stats(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	struct text text = { .bytes = malloc(STATS_MAX) };

	if (!text.bytes)
		return refuse(ret_answer, ERROR_NO_MEMORY);
	say_daemon(cache, &text);
	for (struct namespace *at = names_next(&cache->names, NULL); at;
	     at = names_next(&cache->names, at))
		if (op->list.everybody || at->uid == op->list.uid)
			say_namespace(cache, &text, at, op->list.everybody);
	return now(ret_answer, (struct answer){ .kind = ANSWER_DONE,
						.value = slice(text.bytes, text.len),
						.owner = text.bytes });
}

/* ---- all of them ---- */

static bool
wants_value(const struct op *op)
{
	return op->kind == OP_GET && !op->get.meta_only;
}

static int
decide(struct cache *cache, struct op *op, struct found *found, struct answer *ret_answer)
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
	default:
		return refuse(ret_answer, ERROR_INTERNAL);
	}
}

/* Some decisions need what a pending value's own change cannot give: a touch needs the object whole. */
static bool
must_be_stored(const struct op *op, const struct found *found)
{
	const struct change *change = found->pending;
	bool touches = op->kind == OP_TOUCH || (op->kind == OP_GET && op->get.refresh);

	return touches && found->there && change && change->value_len && !change->on_disk;
}

static int
act_on(struct cache *cache, struct op *op, enum find_result where, struct found *found,
       struct answer *ret_answer)
{
	if (where == FIND_NOW && must_be_stored(op, found))
		where = FIND_COMMIT;
	switch (where) {
	case FIND_COLD:
		return wait_for_reader(cache, op, wants_value(op), ret_answer);
	case FIND_COMMIT:
		return wait_for_commit(cache, op, ret_answer);
	case FIND_FAILED:
		if (op->kind == OP_PUBLISH)
			upload_abort(&op->upload);
		return refuse(ret_answer, ERROR_INTERNAL);
	case FIND_NOW:
		break;
	}
	return decide(cache, op, found, ret_answer);
}

static void
find_row_key(struct cache *cache, struct op *op)
{
	if (op->namespace)
		store_row_key(cache->store, op->namespace->incarnation,
			      target_of(op)->key, op->row_key);
}

static bool
needs_look_up(const struct op *op)
{
	return (op->kind != OP_PUT && op->kind != OP_PUBLISH) ||
	       op->put.condition != CONDITION_NONE;
}

int
op_run(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	struct found found = { .there = false };
	enum find_result where = FIND_NOW;

	if (op->kind == OP_SCAN || op->kind == OP_STATS) {
		if (!all_committed(cache) && !op->waited)
			return wait_for_commit(cache, op, ret_answer);
		return op->kind == OP_SCAN ? start_scan(cache, op, ret_answer)
					   : decide_stats(cache, op, ret_answer);
	}
	find_row_key(cache, op);
	if (needs_look_up(op))
		where = find(cache, op, wants_value(op), &found);
	return act_on(cache, op, where, &found, ret_answer);
}

/* An op that was parked is over; `done` says if its answer is there or it was parked again. */
static void
finish(struct cache *cache, struct parked *parked, int done, const struct answer *answer)
{
	if (done == CACHE_NOW)
		give(&parked->op.later, answer);
	if (parked->op.kind == OP_PUBLISH)
		parked->op.upload = NULL; /* the op dealt with it */
	unpark(cache, parked);
}

void
op_job_done(struct cache *cache, struct parked *parked)
{
	struct op *op = &parked->op;
	struct found found;
	struct answer answer;
	enum find_result where;
	int done;

	if (op->kind == OP_SCAN) {
		give_page(cache, parked);
		return;
	}
	where = find_in_job(cache, op, &parked->job, &found);
	done = act_on(cache, op, where, &found, &answer);
	finish(cache, parked, done, &answer);
}

void
op_resume(struct cache *cache, struct parked *parked)
{
	struct answer answer;
	int done = CACHE_NOW;

	if (parked->op.kind == OP_ANSWER)
		answer = parked->op.answer;
	else
		done = op_run(cache, &parked->op, &answer);
	finish(cache, parked, done, &answer);
}

void
op_fail(struct cache *cache, struct parked *parked, enum error error)
{
	struct answer answer = answer_error(error, 0, NULL);

	give(&parked->op.later, &answer);
	unpark(cache, parked);
}

/* ---- the calls of cache.h ---- */

static int
full(const struct cache *cache, struct answer *ret_answer)
{
	if (cache->lost)
		return refuse(ret_answer, ERROR_SHUTTING_DOWN);
	return cache->disk_full ? refuse(ret_answer, ERROR_DISK_FULL) : CACHE_LATER;
}

static uint32_t
new_incarnation(struct cache *cache)
{
	if (cache->next_incarnation >= INCARNATION_MAX)
		return 0;
	return cache->next_incarnation++;
}

/* The namespace of a target that is about to hold something. NULL: the error is in *ret_answer. */
struct namespace *
core_namespace(struct cache *cache, const struct target *target,
	       struct answer *ret_answer)
{
	struct namespace *namespace =
		names_find(&cache->names, target->uid, target->namespace);
	struct change *change;
	uint32_t incarnation;

	if (namespace)
		return namespace;
	if (cache->names.count >= NAMESPACES_TOTAL_MAX ||
	    names_count(&cache->names, target->uid) >= cache->config.max_namespaces) {
		*ret_answer =
			answer_error(ERROR_TOO_MANY, cache->config.max_namespaces,
				     "this uid has as many namespaces as it may have "
				     "(max_namespaces); use one that exists");
		return NULL;
	}
	incarnation = new_incarnation(cache);
	change = incarnation ? change_new(CHANGE_NAMESPACE, 0) : NULL;
	if (change)
		change->usage = usage_new(incarnation, target->uid, target->namespace);
	if (change && change->usage)
	namespace = names_add(&cache->names, change->usage);
	if (!namespace) {
		if (change)
			free(change->usage);
		free(change);
		*ret_answer = answer_error(ERROR_NO_MEMORY, 0, NULL);
		return NULL;
	}
	core_accept(cache, change, NULL);
	return namespace;
}

int
cache_get(struct cache *cache, const struct get *get, const struct later *later,
	  struct answer *ret_answer)
{
	struct op op;

	op.kind = OP_GET;
	op.get = *get;
	op.later = *later;
	op.waited = false;
	op.namespace = names_find(&cache->names, get->target.uid, get->target.namespace);
	cache->counts.gets++;
	return op_run(cache, &op, ret_answer);
}

int
cache_put(struct cache *cache, const struct put *put, struct slice value,
	  const struct later *later, struct answer *ret_answer)
{
	struct op op = { .kind = OP_PUT, .put = *put, .value = value, .later = *later };

	if (full(cache, ret_answer) == CACHE_NOW)
		return CACHE_NOW;
	if (value.len > cache->max_value)
		return now(ret_answer,
			   answer_error(ERROR_TOO_LARGE, cache->max_value, NULL));
	op.namespace = core_namespace(cache, &put->target, ret_answer);
	return op.namespace ? op_run(cache, &op, ret_answer) : CACHE_NOW;
}

int
cache_delete(struct cache *cache, const struct target *target, uint64_t only_version,
	     enum ack ack, const struct later *later, struct answer *ret_answer)
{
	struct op op = { .kind = OP_DELETE,
			 .simple = { *target, .only_version = only_version, .ack = ack },
			 .later = *later };

	op.namespace = names_find(&cache->names, target->uid, target->namespace);
	return op_run(cache, &op, ret_answer);
}

int
cache_touch(struct cache *cache, const struct target *target, uint64_t ttl_ms,
	    enum ack ack, const struct later *later, struct answer *ret_answer)
{
	struct op op = { .kind = OP_TOUCH,
			 .simple = { *target, .ttl_ms = ttl_ms, .ack = ack },
			 .later = *later };

	op.namespace = names_find(&cache->names, target->uid, target->namespace);
	return op_run(cache, &op, ret_answer);
}

int
cache_flush(struct cache *cache, const struct target *target, enum ack ack,
	    const struct later *later, struct answer *ret_answer)
{
	struct namespace *namespace =
		names_find(&cache->names, target->uid, target->namespace);
	struct change *change;
	uint32_t incarnation;

	*ret_answer = (struct answer){ .kind = ANSWER_DONE };
	if (!namespace)
		return CACHE_NOW;
	incarnation = new_incarnation(cache);
	change = incarnation ? change_new(CHANGE_FLUSH, 0) : NULL;
	if (change)
		change->usage = usage_new(incarnation, target->uid, target->namespace);
	if (!change || !change->usage) {
		free(change);
		return refuse(ret_answer, ERROR_NO_MEMORY);
	}
	change->old_incarnation = namespace->incarnation;
	namespace->incarnation = incarnation;
	namespace->usage = change->usage;
	core_accept(cache, change, NULL);
	cache->counts.flushes++;
	if (ack == ACK_MEMORY)
		return CACHE_NOW;
	return op_answer_later(cache, later, ret_answer);
}

int
cache_sync(struct cache *cache, const struct later *later, struct answer *ret_answer)
{
	*ret_answer = (struct answer){ .kind = ANSWER_DONE };
	if (all_committed(cache))
		return CACHE_NOW;
	return op_answer_later(cache, later, ret_answer);
}

int
cache_scan(struct cache *cache, const struct target *target, struct slice prefix,
	   struct slice cursor, unsigned limit, const struct later *later,
	   struct answer *ret_answer)
{
	struct op op = { .kind = OP_SCAN,
			 .list = { *target, prefix, cursor, limit, target->uid, false },
			 .later = *later };

	op.list.target.key = slice(NULL, 0); /* the caller need not set it */
	op.namespace = names_find(&cache->names, target->uid, target->namespace);
	return op_run(cache, &op, ret_answer);
}

int
cache_stats(struct cache *cache, uint32_t uid, bool everybody, const struct later *later,
	    struct answer *ret_answer)
{
	struct op op = { .kind = OP_STATS,
			 .list = { .uid = uid, .everybody = everybody },
			 .later = *later };

	return op_run(cache, &op, ret_answer);
}
