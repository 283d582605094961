/* bundling.c - puts and deletes that are accepted together or not at all. Loop thread; owns the bundle while it
 * is decided. */
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"

/* One bundle is one transaction, whatever else the limit has to leave room for. */
#define BUNDLE_SIZE_PART 16
#define BUNDLE_SIZE_MAX (UINT64_C(8) << 20)

void
bundle_free(struct bundle **bundle)
{
	if (!*bundle)
		return;
	payer_release(&(*bundle)->payer);
	free((*bundle)->bytes);
	free(*bundle);
	*bundle = NULL;
}

uint64_t
cache_bundle_max(const struct cache *cache)
{
	uint64_t part = cache->max_size / BUNDLE_SIZE_PART;

	return part < BUNDLE_SIZE_MAX ? part : BUNDLE_SIZE_MAX;
}

/* entry: the item's, from 1; 0 when it is about none. */
static int
refuse(struct op *op, struct answer *ret_answer, enum error error, size_t entry)
{
	bundle_free(&op->bundle);
	*ret_answer = answer_error(error, 0, NULL);
	ret_answer->entry = (uint32_t)entry;
	return CACHE_NOW;
}

/* The item as an op of its own, to be looked up and decided. */
static struct op
op_of(const struct cache *cache, const struct op *all, const struct bundle_item *item)
{
	struct op op = { .kind = OP_PUT,
			 .namespace = all->namespace,
			 .put = item->put,
			 .value = item->value,
			 .warm = all->warm };

	if (item->remove)
		op.kind = OP_DELETE;
	store_row_key(cache->store, all->namespace->incarnation, item->put.target.key,
		      op.row_key);
	return op;
}

static bool
needs_look_up(const struct bundle_item *item)
{
	return item->remove || item->put.condition != CONDITION_NONE;
}

static enum error
judge(const struct cache *cache, struct bundle_item *item, const struct found *found)
{
	if (!item->remove)
		return core_check_condition(cache, &item->put, found);
	item->there = found->there && !record_over(&found->record, cache->now_ms);
	if (item->there && item->only_version &&
	    found->record.version != item->only_version)
		return ERROR_CHANGED;
	return ERROR_NONE;
}

/* Looks at everything that something depends on. ERROR_NONE: it may be accepted; or, with *ret_cold, a reader
 * has to look first. */
static enum error
judge_all(struct cache *cache, struct op *all, size_t *ret_entry, bool *ret_cold)
{
	struct bundle *bundle = all->bundle;

	for (size_t i = 0; i < bundle->count; i++) {
		struct bundle_item *item = &bundle->items[i];
		struct op op;
		struct found found;
		enum find_result where;
		enum error refused;

		if (!needs_look_up(item))
			continue;
		op = op_of(cache, all, item);
		where = op_find(cache, &op, false, &found);
		*ret_cold = where == FIND_COLD;
		if (*ret_cold)
			return ERROR_NONE;
		refused = where == FIND_FAILED ? ERROR_INTERNAL
					       : judge(cache, item, &found);
		if (refused) {
			*ret_entry = i + 1;
			return refused;
		}
	}
	return ERROR_NONE;
}

static struct change *
make_change(struct cache *cache, const struct op *all, const struct bundle_item *item,
	    struct answer *ret_answer)
{
	struct op op = op_of(cache, all, item);
	struct change *change;

	if (!item->remove)
		return core_make_value(cache, &op, ret_answer);
	change = change_new(CHANGE_DELETE, 0);
	if (change)
		memcpy(change->row_key, op.row_key, ROW_KEY_SIZE);
	else
		*ret_answer = answer_error(ERROR_NO_MEMORY, 0, NULL);
	return change;
}

static void
drop_changes(struct change *first)
{
	struct change *next;

	for (; first; first = next) {
		next = first->next;
		free(first);
	}
}

/* All of them, linked; NULL when one cannot be made: *ret_answer says which and why. A removal of nothing is one, too:
 * another item may have put the key. */
static struct change *
make_all(struct cache *cache, const struct op *all, struct answer *ret_answer)
{
	struct change *first = NULL, **last = &first;

	for (size_t i = 0; i < all->bundle->count; i++) {
		struct bundle_item *item = &all->bundle->items[i];

		*last = make_change(cache, all, item, ret_answer);
		if (!*last) {
			ret_answer->entry = (uint32_t)i + 1;
			drop_changes(first);
			return NULL;
		}
		(*last)->with_next = i + 1 < all->bundle->count;
		item->version = (*last)->version;
		last = &(*last)->next;
	}
	return first;
}

static void
accept_all(struct cache *cache, const struct op *all, struct change *first)
{
	const struct bundle_item *item = all->bundle->items;
	uint8_t row_key[ROW_KEY_SIZE];
	struct change *next;

	for (; first; first = next, item++) {
		next = first->next;
		first->next = NULL;
		if (first->kind == CHANGE_PUT) {
			core_accept_value(cache, all->namespace, first,
					  all->bundle->payer);
			continue;
		}
		memcpy(row_key, first->row_key, ROW_KEY_SIZE);
		core_accept(cache, first, NULL);
		lease_revoked(cache->leases, row_key, cache->now_ns);
		cache->counts.deletes += item->there;
		all->namespace->deletes += item->there;
	}
}

int
op_run_bundle(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	size_t entry = 0;
	bool cold = false, disk = op->bundle->ack == ACK_DISK;
	uint32_t uid = op->bundle->uid;
	enum error refused = judge_all(cache, op, &entry, &cold);
	struct change *first;

	if (refused)
		return refuse(op, ret_answer, refused, entry);
	if (cold)
		return op_wait_for_warmth(cache, op, ret_answer);
	first = make_all(cache, op, ret_answer);
	if (!first) {
		bundle_free(&op->bundle);
		return CACHE_NOW;
	}
	accept_all(cache, op, first);
	*ret_answer = (struct answer){ .kind = ANSWER_DONE, .bundle = op->bundle };
	op->bundle = NULL;
	return core_acknowledge(cache, uid, &op->later, disk, ret_answer);
}

size_t
bundle_row_keys(const struct cache *cache, const struct op *op,
		uint8_t (*to)[ROW_KEY_SIZE])
{
	size_t count = 0;

	for (size_t i = 0; i < op->bundle->count; i++) {
		const struct bundle_item *item = &op->bundle->items[i];

		if (needs_look_up(item))
			store_row_key(cache->store, op->namespace->incarnation,
				      item->put.target.key, to[count++]);
	}
	return count;
}

/* ---- the call of cache.h ---- */

int
cache_bundle(struct cache *cache, struct bundle **bundle, const struct later *later,
	     struct answer *ret_answer)
{
	struct op op = { .kind = OP_BUNDLE, .bundle = *bundle, .later = *later };
	struct target target = { .uid = (*bundle)->uid,
				 .namespace = (*bundle)->namespace };
	uint64_t value_max = core_value_max(cache, &target);

	if (value_max > CACHE_PART_MAX)
		value_max = CACHE_PART_MAX;

	*bundle = NULL;
	payer_hold(
		op.bundle->payer); /* bundle_free() releases it, whoever has it by then */
	for (size_t i = 0; i < op.bundle->count; i++) {
		if (op.bundle->items[i].value.len <= value_max)
			continue;
		refuse(&op, ret_answer, ERROR_TOO_LARGE, i + 1);
		ret_answer->detail = value_max;
		return CACHE_NOW;
	}
	op.namespace = core_refuses(cache, ret_answer)
			       ? NULL
			       : core_namespace(cache, &target, ret_answer);
	if (op.namespace)
		return op_run(cache, &op, ret_answer);
	bundle_free(&op.bundle);
	return CACHE_NOW;
}
