/* parking.c - requests that wait: for a commit, or for a reader. Loop thread. Owns what is parked. */
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"

static struct slice
keep_bytes(uint8_t *to, struct slice from)
{
	if (from.len)
		memcpy(to, from.data, from.len);
	return slice(to, from.len);
}

/* Copies the op and all that it borrows. NULL when there is no memory, or too many are parked. */
struct parked *
op_park(struct cache *cache, const struct op *op)
{
	struct parked *parked;
	struct target *target;

	/* What waits to be answered is done already: it has been let in. */
	if (op->kind != OP_ANSWER && core_crowded(cache)) {
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
	target = op_target(&parked->op);
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

void
op_unpark(struct cache *cache, struct parked *parked)
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

bool
core_crowded(const struct cache *cache)
{
	return cache->parked >= PARKED_MAX;
}

static int
no_place(struct op *op, struct answer *ret_answer)
{
	if (op->kind == OP_PUBLISH)
		upload_abort(&op->upload);
	return answer_refuse(ret_answer, ERROR_BUSY);
}

/* Waits until everything accepted so far is on the disk. */
int
op_wait_for_commit(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	struct parked *parked = op_park(cache, op);

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

bool
core_all_committed(const struct cache *cache)
{
	return pending_committed_number(cache->pending) == pending_newest(cache->pending);
}

int
op_answer_later(struct cache *cache, const struct later *later, struct answer *answer)
{
	struct op op = { .kind = OP_ANSWER, .answer = *answer, .later = *later };

	return op_wait_for_commit(cache, &op, answer);
}

int
op_wait_for_reader(struct cache *cache, struct op *op, bool value_wanted,
		   struct answer *ret_answer)
{
	struct parked *parked = op_park(cache, op);

	if (!parked)
		return no_place(op, ret_answer);
	cache->counts.cold_reads++;
	parked->job.kind = READ_OBJECT;
	parked->job.value_wanted = value_wanted;
	memcpy(parked->job.row_key, op->row_key, ROW_KEY_SIZE);
	core_submit_job(cache, &parked->job);
	return CACHE_LATER;
}
