/* putting.c - a new value's condition, record and change. Loop thread; owns nothing. */
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"

#define MS_PER_S 1000

enum error
core_check_condition(const struct cache *cache, const struct put *put,
		     const struct found *found)
{
	bool there = found->there && !record_expired(&found->record, cache->now_ms) &&
		     !(put->or_get && found->record.version == put->not_version);

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
core_make_value(struct cache *cache, const struct op *op, struct answer *ret_answer)
{
	bool put = op->kind == OP_PUT;
	uint64_t length = put ? op->value.len : upload_length(op->upload);
	uint8_t tag_keys[TAG_KEYS_SIZE];
	struct record record = make_record(cache, op, op->value, length, tag_keys);
	bool apart = put && record.flags & RECORD_CHUNKED;

	return core_make_change(op, put ? CHANGE_PUT : CHANGE_PUBLISH, &record,
				apart ? op->value : slice(NULL, 0), ret_answer);
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
	struct change *change = core_make_value(cache, op, ret_answer);
	uint64_t version;

	if (!change)
		return CACHE_NOW;
	version = change->version;
	core_accept_value(cache, op->namespace, change, op->put.payer);
	return answer_now(ret_answer,
			  (struct answer){ .kind = ANSWER_DONE, .version = version });
}

int
op_decide_put(struct cache *cache, struct op *op, struct found *found,
	      struct answer *ret_answer)
{
	enum error refused = op_token_old(cache, op)
				     ? ERROR_OLD_TOKEN
				     : core_check_condition(cache, &op->put, found);
	bool published = op->kind == OP_PUBLISH;

	if (refused == ERROR_EXISTS && op->put.or_get) {
		op_give_found(cache, op, found, ret_answer);
		if (published)
			upload_abort(&op->upload);
		return CACHE_NOW;
	}
	free(found->owner);
	/* That it may have been there already was no reason to refuse it before. */
	if (!refused && op->kind == OP_PUT && op->put.or_get &&
	    core_refuses(cache, ret_answer))
		return CACHE_NOW;
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
