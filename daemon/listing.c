/* listing.c - pages of keys, and figures. Loop thread, but for visit(), which a reader calls. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"
#include "daemon/text.h"
#include "proto/bytes.h"

#define STATS_MAX (UINT32_C(1) << 20)
#define SCAN_ENTRY 40
#define SCAN_SHORTENED 1
#define SCAN_COUNTER 2

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
	if (record_expired(record, page->now_ms) ||
	    !conf_admits(&page->admitted, record->codec) ||
	    record->key.len < prefix.len ||
	    (prefix.len && memcmp(record->key.data, prefix.data, prefix.len) != 0))
		return true;
	if (page->count == parked->op.list.limit || page->len + len > READER_SCAN_BYTES)
		return false;
	le16_store(at, (uint16_t)len);
	le16_store(at + 2, (uint16_t)record->key.len);
	le32_store(at + 4, (key_shortened(record->key) ? SCAN_SHORTENED : 0) |
				   (record->kind == OBJECT_COUNTER ? SCAN_COUNTER : 0));
	le32_store(at + 8, record->codec);
	le32_store(at + 12, known_writer(record, page->started, page->own_uid));
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

/* A cursor does not say how many namespaces there have been: their numbers are everybody's. */
static uint32_t
cursor_start(const struct cache *cache, uint32_t incarnation)
{
	uint8_t key[RECORD_TAG_SIZE];

	store_tag_key(cache->store, incarnation, slice_text("a cursor"), key);
	return be32_load(key + sizeof(key) - sizeof(uint32_t));
}

int
op_start_scan(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	struct parked *parked;
	struct read_job *job;
	struct slice cursor = op->list.cursor;

	if (cursor.len && cursor.len != ROW_KEY_SIZE)
		return answer_refuse(ret_answer, ERROR_BAD_REQUEST);
	if (!op->namespace ||
	    (cursor.len &&
	     be32_load(cursor.data) != cursor_start(cache, op->namespace->incarnation)))
		return answer_now(
			ret_answer,
			(struct answer){ .kind = ANSWER_DONE }); /* empty, or flushed */
	parked = op_park(cache, op);
	if (!parked)
		return answer_refuse(ret_answer, ERROR_BUSY);
	job = op_job(parked, READ_SCAN);
	parked->page = calloc(1, sizeof(*parked->page));
	if (parked->page)
		parked->page->entries = malloc(READER_SCAN_BYTES);
	if (!job || !parked->page || !parked->page->entries) {
		op_unpark(cache, parked);
		return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	}
	parked->page->now_ms = cache->now_ms;
	parked->page->started = cache->started;
	parked->page->own_uid = cache->own_uid;
	if (op->namespace->declared)
		parked->page->admitted = op->namespace->declared->codecs;
	else
		conf_admit_all(&parked->page->admitted);
	job->visit = visit;
	job->stamped = op->namespace->stamped;
	if (cursor.len)
		memcpy(job->row_key, cursor.data, ROW_KEY_SIZE);
	be32_store(job->row_key, op->namespace->incarnation);
	core_submit_job(cache, job);
	return CACHE_LATER;
}

void
op_give_page(struct cache *cache, struct parked *parked)
{
	struct scan_page *page = parked->page;
	struct answer answer = { .kind = ANSWER_DONE };

	if (parked->job->result < 0)
		answer = answer_error(ERROR_INTERNAL, 0, NULL);
	else
		answer.count = page->count;
	if (parked->job->result >= 0 && page->len) {
		/* What is not read for a while should not hold more than it has. */
		answer.owner = realloc(page->entries, page->len);
		if (!answer.owner)
			answer.owner = page->entries;
		answer.value = slice(answer.owner, page->len);
		page->entries = NULL;
	}
	if (parked->job->result >= 0 && parked->job->more) {
		be32_store(parked->job->row_key,
			   cursor_start(cache, be32_load(parked->job->row_key)));
		answer.cursor = slice(parked->job->row_key, ROW_KEY_SIZE);
	}
	answer.damaged = parked->job->unsound;
	if (answer.damaged) {
		cache->counts.damaged_rows += answer.damaged - 1;
		core_note_damage(cache, "a record");
	}
	cache->counts.scans++;
	op_measure_later(cache, &parked->op);
	answer_give(&parked->op.later, &answer);
	op_unpark(cache, parked);
}

/* ---- stats ---- */

/* As far as something was measured. */
static void
say_latency(struct text *text, const char *scope, const char *what,
	    const struct latency *latency)
{
	static const struct {
		const char *name;
		unsigned per_mille;
	} parts[] = { { "p50", 500 }, { "p99", 990 }, { "p999", 999 } };
	char buckets[LATENCY_TEXT_MAX];

	if (!latency_write(latency, buckets))
		return;
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		text_add(text, "%s\tlatency_%s_%s_ns\t%" PRIu64 "\n", scope, what,
			 parts[i].name, latency_within_ns(latency, parts[i].per_mille));
	text_add(text, "%s\tlatency_%s_sum_ns\t%" PRIu64 "\n", scope, what,
		 latency->sum_ns);
	text_add(text, "%s\tlatency_%s_buckets\t%s\n", scope, what, buckets);
}

static void
say_latencies(const struct cache *cache, struct text *text)
{
	static const char *const names[] = {
		[LATENCY_GET] = "get",
		[LATENCY_PUT] = "put",
		[LATENCY_DISK] = "disk",
		[LATENCY_SCAN] = "scan",
	};

	for (unsigned i = 0; i < LATENCY_CLASSES; i++)
		say_latency(text, "", names[i], &cache->latencies[i]);
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
		{ "invalidations", cache->counts.invalidations },
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
		{ "invalidated_objects", &writer->invalidated, 1, 1 },
		{ "reclaimed_bytes", &writer->reclaimed_pages, PAGE_SIZE_BYTES, 1 },
		{ "map_full", &writer->map_full, 1, 1 },
		{ "disk_full", &writer->disk_full, 1, 1 },
		{ "leaf_bytes_per_1000_of_rows", &writer->leaf_factor_milli, 1, 1 },
	};

	text_add(text, "\tmax_size_why\t%s\n", cache->max_size_why);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		text_add(text, "\t%s\t%" PRIu64 "\n", lines[i].name, lines[i].value);
	for (size_t i = 0; i < sizeof(counted) / sizeof(counted[0]); i++)
		text_add(text, "\t%s\t%" PRIu64 "\n", counted[i].name,
			 count_figure(counted[i].value) * counted[i].times /
				 counted[i].divided);
	say_latencies(cache, text);
}

/* Of rows and chunks as they are: what the store's pages add to that is the whole store's business. */
static uint64_t
held_bytes(const struct usage *usage)
{
	return usage_figure(&usage->leaf_bytes) +
	       usage_figure(&usage->chunk_pages) * PAGE_SIZE_BYTES;
}

/* What a user sees who is no administrator: its own, and its ceiling. */
static void
say_own(struct cache *cache, struct text *text, const struct target *target)
{
	uint64_t held = 0;

	for (struct namespace *at = names_next_of(&cache->names, target->uid, NULL); at;
	     at = names_next_of(&cache->names, target->uid, at))
		held += held_bytes(at->usage);
	text_add(text, "\theld_bytes\t%" PRIu64 "\n", held);
	text_add(text, "\tquota_bytes\t%" PRIu64 "\n",
		 core_user_quota(cache, target->uid));
	text_add(text, "\tmax_value_bytes\t%" PRIu64 "\n", core_value_max(cache, target));
}

static void
say_scope(const struct namespace *namespace, bool with_uid,
	  char ret_scope[static NAMESPACE_NAME_MAX + 16])
{
	int len = (int)namespace->name_len;

	if (with_uid)
		snprintf(ret_scope, NAMESPACE_NAME_MAX + 16, "%" PRIu32 ":%.*s",
			 namespace->uid, len, namespace->name);
	else
		snprintf(ret_scope, NAMESPACE_NAME_MAX + 16, "%.*s", len,
			 namespace->name);
}

static bool
is_admin(const struct stats_reader *reader)
{
	return reader->admin && reader->admin(reader->arg);
}

static void
say_namespace(struct cache *cache, struct text *text, const struct namespace *namespace,
	      const struct stats_reader *reader)
{
	char scope[NAMESPACE_NAME_MAX + 16];
	const struct usage *usage = namespace->usage;
	uint64_t factor = count_figure(&writer_counts(cache->writer)->leaf_factor_milli);
	const struct {
		const char *name;
		uint64_t value;
	} lines[] = {
		{ "objects", usage_figure(&usage->objects) },
		{ "value_bytes", usage_figure(&usage->logical) },
		{ "held_bytes", held_bytes(usage) },
		{ "requests", namespace->requests },
		{ "hits", namespace->hits },
		{ "misses_absent", namespace->misses_absent },
		{ "misses_expired", namespace->misses_expired },
		{ "misses_invalidated", namespace->misses_invalidated },
		{ "misses_refused", namespace->misses_refused },
		{ "stale_hits", namespace->stale_hits },
		{ "waits", namespace->waits },
		{ "saved_us", namespace->saved_us },
		{ "puts", namespace->puts },
		{ "deletes", namespace->deletes },
		{ "evicted", usage_figure(&usage->evicted) },
		{ "expired", usage_figure(&usage->expired) },
		{ "invalidated", usage_figure(&usage->invalidated) },
		{ "flushed", usage_figure(&usage->flushed_objects) },
	};

	say_scope(namespace,
		  namespace->uid != reader->uid && namespace->uid != NAMESPACE_SHARED,
		  scope);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++)
		text_add(text, "%s\t%s\t%" PRIu64 "\n", scope, lines[i].name,
			 lines[i].value);
	/* How long its own took a client can tell by itself; those of others tell what goes on elsewhere. */
	if (is_admin(reader) || namespace->uid == reader->uid)
		say_latency(text, scope, "get", &namespace->gets);
	if (is_admin(reader))
		text_add(text, "%s\tcharged_bytes\t%" PRIu64 "\n", scope,
			 usage_figure(&usage->leaf_bytes) * factor / 1000 +
				 usage_figure(&usage->chunk_pages) * PAGE_SIZE_BYTES);
}

static bool
may_see(const struct stats_reader *reader, const struct namespace *namespace)
{
	if (is_admin(reader) || namespace->uid == reader->uid)
		return true;
	return namespace->uid == NAMESPACE_SHARED && reader->may &&
	       reader->may(reader->arg, slice(namespace->name, namespace->name_len)) >=
		       RIGHT_READ;
}

int
op_stats(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	const struct stats_reader *reader = &op->list.reader;
	struct text text;

	if (!text_make(&text, STATS_MAX))
		return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	if (is_admin(reader))
		say_daemon(cache, &text);
	else
		say_own(cache, &text, &op->list.target);
	for (struct namespace *at = names_next(&cache->names, NULL); at;
	     at = names_next(&cache->names, at))
		if (may_see(reader, at))
			say_namespace(cache, &text, at, reader);
	return answer_now(ret_answer,
			  (struct answer){ .kind = ANSWER_DONE,
					   .value = slice(text.bytes, text.len),
					   .owner = text.bytes });
}
