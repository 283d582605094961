/* counting.c - INCR: a counter's next value. Loop thread; owns nothing. */
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"
#include "proto/bytes.h"

#define COUNTER_SIZE 8
/* PROTOCOL.md, "Codecs": a counter's bytes. */
#define CODEC_COUNTER 6

static enum error
next_value(const struct op *op, const struct found *found, bool there, int64_t *ret_value)
{
	int64_t from = op->incr.initial;

	if (there && found->record.kind != OBJECT_COUNTER)
		return ERROR_NOT_A_COUNTER;
	if (!there && op->incr.only_if_present)
		return ERROR_ABSENT;
	if (there && found->value.len != COUNTER_SIZE)
		return ERROR_DAMAGED;
	if (there)
		from = (int64_t)le64_load(found->value.data);
	return __builtin_add_overflow(from, op->incr.delta, ret_value) ? ERROR_OVERFLOW
								       : ERROR_NONE;
}

/* What exists keeps its time to live and its tags; what it is now was written now, by this uid. */
static struct record
make_record(struct cache *cache, const struct op *op, const struct found *found,
	    bool there)
{
	struct record record = { .kind = OBJECT_COUNTER };

	if (there)
		record = found->record;
	else
		core_set_expiry(cache, &record, op->incr.ttl_ms, 0);
	/* Bytes, codec and writer are one: whoever stored it as something else did not store these bytes. */
	record.codec = CODEC_COUNTER;
	record.key = op->incr.target.key;
	record.writer_uid = op->incr.target.uid;
	record.created_ms = cache->now_ms;
	record.length = record.stored = COUNTER_SIZE;
	record.version = core_number(cache);
	return record;
}

int
op_decide_incr(struct cache *cache, struct op *op, struct found *found,
	       struct answer *ret_answer)
{
	bool there = found->there && !record_expired(&found->record, cache->now_ms);
	uint8_t bytes[COUNTER_SIZE];
	struct record record;
	struct change *change;
	int64_t value = 0;
	enum error refused = next_value(op, found, there, &value);

	free(found->owner); /* a counter has none */
	if (refused)
		return answer_refuse(ret_answer, refused);
	le64_store(bytes, (uint64_t)value);
	record = make_record(cache, op, found, there);
	record.value = slice(bytes, sizeof(bytes));
	change = core_make_change(op, CHANGE_PUT, &record, slice(NULL, 0), ret_answer);
	if (!change)
		return CACHE_NOW;
	core_accept_value(cache, op->namespace, change, op->incr.payer);
	*ret_answer = (struct answer){ .kind = ANSWER_DONE,
				       .version = record.version,
				       .counter = value };
	return op_acknowledge(cache, op, op->incr.ack == ACK_DISK, ret_answer);
}
