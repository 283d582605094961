/* parking.c - requests that wait: for a commit, or for a reader. Loop thread. Owns what is parked. */
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"
#include "daemon/log.h"

/* The slices that the op borrows from its caller. */
#define BORROWED_MAX 4 /* of OP_PUT and OP_SCAN */

static unsigned
find_borrowed(struct op *op, struct slice *ret_borrowed[static BORROWED_MAX])
{
	unsigned count = 0;

	/* A bundle has its own memory. */
	if (op->kind == OP_ANSWER || op->kind == OP_BUNDLE)
		return 0;
	ret_borrowed[count++] = &op_target(op)->key;
	ret_borrowed[count++] = &op_target(op)->namespace;
	if (op->kind == OP_PUT || op->kind == OP_PUBLISH)
		ret_borrowed[count++] = &op->put.tags;
	if (op->kind == OP_PUT)
		ret_borrowed[count++] = &op->value;
	if (op->kind == OP_SCAN) {
		ret_borrowed[count++] = &op->list.prefix;
		ret_borrowed[count++] = &op->list.cursor;
	}
	return count;
}

static struct payer **
payer_of(struct op *op)
{
	if (op->kind == OP_PUT || op->kind == OP_PUBLISH)
		return &op->put.payer;
	/* A bundle holds its own. */
	return op->kind == OP_INCR ? &op->incr.payer : NULL;
}

uint32_t
op_uid(const struct op *op)
{
	if (op->kind == OP_ANSWER)
		return op->asker_uid;
	return op->kind == OP_BUNDLE ? op->bundle->uid : op->simple.target.uid;
}

/* It may be parked for longer than those live who it is about. */
static void
hold_parties(struct op *op)
{
	struct payer **payer = payer_of(op);

	if (payer)
		payer_hold(*payer);
	if (op->namespace)
		op->namespace->users++;
	if (op->kind == OP_GET && op->get.peer)
		peer_hold(op->get.peer);
}

static void
release_parties(struct op *op)
{
	struct payer **payer = payer_of(op);

	if (payer)
		payer_release(payer);
	if (op->namespace)
		op->namespace->users--;
	if (op->kind == OP_GET)
		peer_release(&op->get.peer);
}

/* One allocation for the op and all that it borrows. */
static struct parked *
copy_op(const struct op *op)
{
	struct op copy = *op;
	struct slice *borrowed[BORROWED_MAX];
	unsigned count = find_borrowed(&copy, borrowed);
	struct parked *parked;
	size_t len = 0;
	uint8_t *to;

	for (unsigned i = 0; i < count; i++)
		len += borrowed[i]->len;
	parked = malloc(sizeof(*parked) + len);
	if (!parked)
		return NULL;
	to = parked->borrowed;
	for (unsigned i = 0; i < count; i++) {
		if (borrowed[i]->len)
			memcpy(to, borrowed[i]->data, borrowed[i]->len);
		borrowed[i]->data = to;
		to += borrowed[i]->len;
	}
	parked->op = copy;
	return parked;
}

/* The same, in its uid's account. */
static struct parked *
enter(struct cache *cache, const struct op *op)
{
	struct account *account = account_join(cache, op_uid(op));
	struct parked *parked = account ? copy_op(op) : NULL;

	if (parked) {
		parked->account = account;
		parked->op.in_line = false;
		account->parked++;
		account->figures += op->kind == OP_STATS;
		cache->parked++;
	} else if (account) {
		account_leave(cache, account);
	}
	return parked;
}

/* Figures are long, and those of a thousand requests would be ready at once. */
static bool
has_figures_coming(const struct cache *cache, const struct op *op)
{
	const struct account *account =
		op->kind == OP_STATS ? account_find(cache, op_uid(op)) : NULL;

	return account && !account->privileged && account->figures >= FIGURES_WAITING_MAX;
}

struct parked *
op_park(struct cache *cache, const struct op *op)
{
	struct parked *parked;

	/* What waits to be answered is done already: it has been let in. */
	if (op->kind != OP_ANSWER &&
	    (core_crowded(cache, op_uid(op)) || has_figures_coming(cache, op))) {
		cache->counts.busy++;
		return NULL;
	}
	parked = enter(cache, op);
	if (!parked)
		return NULL;
	parked->op.waited = true;
	parked->op.news = NULL;
	parked->next = NULL;
	parked->number = 0;
	parked->job = NULL;
	parked->page = NULL;
	hold_parties(&parked->op);
	return parked;
}

void
op_stand_in_line(struct cache *cache, struct parked *parked)
{
	parked->op.in_line = true;
	parked->account->parked--;
	cache->in_line++;
}

static void
leave(struct cache *cache, struct parked *parked)
{
	if (parked->op.in_line)
		cache->in_line--;
	else
		parked->account->parked--;
	parked->account->figures -= parked->op.kind == OP_STATS;
	account_leave(cache, parked->account);
	cache->parked--;
}

struct read_job *
op_job(struct parked *parked, enum read_kind kind)
{
	CHECK(!parked->job);
	parked->job = malloc(sizeof(*parked->job));
	if (!parked->job)
		return NULL;
	/* All but the record's bytes, which the reader fills. */
	memset(parked->job, 0, offsetof(struct read_job, record));
	parked->job->kind = kind;
	parked->job->owner = parked;
	parked->job->uid = op_uid(&parked->op);
	return parked->job;
}

/* An answer that nobody took. */
static void
drop_answer(struct op *op)
{
	if (op->kind != OP_ANSWER)
		return;
	free(op->answer.owner);
	download_close(&op->answer.download);
	bundle_free(&op->answer.bundle);
}

void
op_unpark(struct cache *cache, struct parked *parked)
{
	release_parties(&parked->op);
	if (parked->op.kind == OP_PUBLISH && parked->op.upload)
		upload_abort(&parked->op.upload);
	if (parked->op.kind == OP_BUNDLE)
		bundle_free(&parked->op.bundle);
	drop_answer(&parked->op);
	if (parked->page) {
		free(parked->page->entries);
		free(parked->page);
	}
	if (parked->job) {
		free(parked->job->verify);
		free(parked->job->row_keys);
		free(parked->job->value);
		free(parked->job);
	}
	leave(cache, parked);
	free(parked);
}

bool
core_crowded(const struct cache *cache, uint32_t uid)
{
	static const struct account nothing;
	const struct account *account = account_find(cache, uid);
	size_t used = cache->parked - cache->in_line;

	if (!account)
		account = &nothing;
	return !account_may(account, account->parked, used, PARKED_MAX, 1);
}

bool
core_stuffed(const struct cache *cache)
{
	return pending_bytes(cache->pending) / REVOKES_PENDING_TIMES >
	       cache->config.pending_size;
}

static int
no_place(struct op *op, struct answer *ret_answer)
{
	if (op->kind == OP_PUBLISH)
		upload_abort(&op->upload);
	if (op->kind == OP_BUNDLE)
		bundle_free(&op->bundle);
	drop_answer(op);
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
op_answer_later(struct cache *cache, uint32_t uid, const struct later *later,
		struct answer *answer)
{
	struct op op = {
		.kind = OP_ANSWER, .answer = *answer, .asker_uid = uid, .later = *later
	};

	op_measure_begin(cache, &op);
	return op_wait_for_commit(cache, &op, answer);
}

int
op_wait_for_reader(struct cache *cache, struct op *op, bool value_wanted,
		   struct answer *ret_answer)
{
	struct parked *parked = op_park(cache, op);
	struct read_job *job;

	if (!parked)
		return no_place(op, ret_answer);
	job = op_job(parked, READ_OBJECT);
	if (!job) {
		/* The upload, if there is one, goes with it. */
		op_unpark(cache, parked);
		op->upload = NULL;
		return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	}
	cache->counts.cold_reads++;
	job->value_wanted = value_wanted;
	job->stamped = op->namespace->stamped;
	memcpy(job->row_key, op->row_key, ROW_KEY_SIZE);
	core_submit_job(cache, job);
	return CACHE_LATER;
}

int
op_wait_for_warmth(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	struct parked *parked = op_park(cache, op);
	struct read_job *job;

	if (!parked)
		return no_place(op, ret_answer);
	parked->op.warm = true;
	job = op_job(parked, READ_WARM);
	if (job)
		job->row_keys = malloc(BUNDLE_MAX * sizeof(*job->row_keys));
	if (!job || !job->row_keys) {
		op_unpark(cache, parked);
		op->bundle = NULL; /* it went with it */
		return answer_refuse(ret_answer, ERROR_NO_MEMORY);
	}
	cache->counts.cold_reads++;
	job->stamped = op->namespace->stamped;
	job->key_count = bundle_row_keys(cache, op, job->row_keys);
	core_submit_job(cache, job);
	return CACHE_LATER;
}
