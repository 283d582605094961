/* request.c - a request from its call to its answer: at once, or when a reader or a commit has what is
 * missing. Loop thread; owns nothing. */
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"
#include "proto/bytes.h"

#define NS_PER_MS UINT64_C(1000000)

struct answer
answer_error(enum error error, uint64_t detail, const char *text)
{
	return (struct answer){
		.kind = ANSWER_ERROR, .error = error, .detail = detail, .text = text
	};
}

static bool
wants_value(const struct op *op)
{
	switch (op->kind) {
	case OP_GET:
		return !op->get.meta_only;
	case OP_PUT:
	case OP_PUBLISH:
		return op->put.or_get;
	default:
		return op->kind == OP_TAKE;
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
		return op_wait_for_reader(cache, op, wants_value(op), ret_answer);
	case FIND_COMMIT:
		return op_wait_for_commit(cache, op, ret_answer);
	case FIND_FAILED:
		if (op->kind == OP_PUBLISH)
			upload_abort(&op->upload);
		return answer_refuse(ret_answer, ERROR_INTERNAL);
	case FIND_NOW:
		break;
	}
	return op_decide(cache, op, found, ret_answer);
}

static void
find_row_key(struct cache *cache, struct op *op)
{
	if (op->namespace)
		store_row_key(cache->store, op->namespace->incarnation,
			      op_target(op)->key, op->row_key);
}

static bool
needs_look_up(const struct op *op)
{
	return (op->kind != OP_PUT && op->kind != OP_PUBLISH) ||
	       op->put.condition != CONDITION_NONE;
}

static bool
changes(const struct op *op)
{
	switch (op->kind) {
	case OP_PUT:
	case OP_PUBLISH:
	case OP_DELETE:
	case OP_TOUCH:
	case OP_TAKE:
	case OP_INCR:
	case OP_BUNDLE:
		return true;
	case OP_GET:
	case OP_SCAN:
	case OP_STATS:
	case OP_VERIFY:
	case OP_ANSWER:
		return false;
	}
	return false;
}

static int
refuse_busy(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	cache->counts.busy++;
	if (op->kind == OP_PUBLISH)
		upload_abort(&op->upload);
	if (op->kind == OP_BUNDLE)
		bundle_free(&op->bundle);
	return answer_refuse(ret_answer, ERROR_BUSY);
}

static int
run(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	struct found found = { .there = false };
	enum find_result where = FIND_NOW;

	if (op->kind == OP_SCAN || op->kind == OP_STATS) {
		if (!core_all_committed(cache) && !op->waited)
			return op_wait_for_commit(cache, op, ret_answer);
		return op->kind == OP_SCAN ? op_start_scan(cache, op, ret_answer)
					   : op_stats(cache, op, ret_answer);
	}
	if (op->kind == OP_VERIFY)
		return op_start_verify(cache, op, ret_answer);
	if (changes(op) && !op->waited && core_crowded(cache, op_uid(op)))
		return refuse_busy(cache, op, ret_answer);
	if (op->kind == OP_BUNDLE)
		return op_run_bundle(cache, op, ret_answer);
	find_row_key(cache, op);
	if (needs_look_up(op))
		where = op_find(cache, op, wants_value(op), &found);
	return act_on(cache, op, where, &found, ret_answer);
}

int
op_run(struct cache *cache, struct op *op, struct answer *ret_answer)
{
	bool first = !op->waited;
	int done;

	if (first) {
		op_measure_begin(cache, op);
		core_count_requests(op->namespace,
				    op->kind == OP_BUNDLE ? op->bundle->count : 1);
	}
	done = run(cache, op, ret_answer);
	if (first && done == CACHE_NOW)
		op_measure_now(cache, op);
	return done;
}

/* An op that was parked is over; `done` says if its answer is there or it was parked again. */
static void
finish(struct cache *cache, struct parked *parked, int done, const struct answer *answer)
{
	if (done == CACHE_NOW) {
		op_measure_later(cache, &parked->op);
		answer_give(&parked->op.later, answer);
	}
	if (parked->op.kind == OP_PUBLISH)
		parked->op.upload = NULL; /* the op dealt with it */
	if (parked->op.kind == OP_BUNDLE)
		parked->op.bundle = NULL;
	op_unpark(cache, parked);
}

/* The reader looked where nothing belongs any more: what was put there now would never be found again. */
static bool
was_flushed(const struct op *op)
{
	return op->namespace && be32_load(op->row_key) != op->namespace->incarnation;
}

/* Who asked for this change gave up while it waited, and may have made another since, on another connection: it must
 * not come behind that one. */
static bool
abandoned(const struct op *op)
{
	const struct later *later = &op->later;

	return changes(op) && later->asker && later->asker->gone &&
	       later->asker->gone(later->arg);
}

/* A reload took the right away while it waited. */
static bool
barred(struct op *op)
{
	const struct asker *asker = op->later.asker;
	enum right needed;

	if (!op->namespace || op->namespace->uid != NAMESPACE_SHARED || !asker ||
	    !asker->may)
		return false;
	needed = op->kind == OP_BUNDLE ? RIGHT_WRITE : op_target(op)->right;
	return asker->may(op->later.arg,
			  slice(op->namespace->name, op->namespace->name_len)) < needed;
}

/* Is it not to be carried out any more? Then it is answered and gone. */
static bool
void_now(struct cache *cache, struct parked *parked)
{
	enum error error = abandoned(&parked->op) ? ERROR_ABORTED
			   : barred(&parked->op)  ? ERROR_FORBIDDEN
						  : ERROR_NONE;

	if (error)
		op_fail(cache, parked, error);
	return error;
}

void
op_job_done(struct cache *cache, struct parked *parked)
{
	struct op *op = &parked->op;
	struct found found;
	struct answer answer;
	enum find_result where;
	int done;

	if (void_now(cache, parked))
		return;
	if (op->kind == OP_SCAN) {
		op_give_page(cache, parked);
		return;
	}
	if (op->kind == OP_VERIFY) {
		op_give_findings(cache, parked);
		return;
	}
	if (op->kind == OP_BUNDLE || was_flushed(op)) {
		done = op_run(cache, op, &answer);
	} else {
		where = op_find_in_job(cache, op, parked->job, &found);
		done = act_on(cache, op, where, &found, &answer);
	}
	finish(cache, parked, done, &answer);
}

void
op_resume(struct cache *cache, struct parked *parked)
{
	struct answer answer;
	int done = CACHE_NOW;

	if (void_now(cache, parked))
		return;
	if (parked->op.kind == OP_ANSWER) {
		answer = parked->op.answer;
		/* The receiver's from now on. */
		parked->op.answer.owner = NULL;
		parked->op.answer.download = NULL;
		parked->op.answer.bundle = NULL;
	} else
		done = op_run(cache, &parked->op, &answer);
	finish(cache, parked, done, &answer);
}

void
op_fail(struct cache *cache, struct parked *parked, enum error error)
{
	struct answer answer = answer_error(error, 0, NULL);

	answer_give(&parked->op.later, &answer);
	op_unpark(cache, parked);
}

/* ---- the calls of cache.h ---- */

bool
core_refuses(const struct cache *cache, struct answer *ret_answer)
{
	if (cache->lost)
		answer_refuse(ret_answer, ERROR_SHUTTING_DOWN);
	else if (cache->disk_full)
		answer_refuse(ret_answer, ERROR_DISK_FULL);
	return cache->lost || cache->disk_full;
}

static uint64_t
deadline_of(const struct cache *cache, uint64_t wait_ms)
{
	return wait_ms < (UINT64_MAX - cache->now_ns) / NS_PER_MS
		       ? cache->now_ns + wait_ms * NS_PER_MS
		       : UINT64_MAX;
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
	op.warm = false;
	op.news = NULL;
	op.namespace = names_find(&cache->names, get->target.uid, get->target.namespace);
	if (get->lease) {
		/* A lease stands at the place where its key will be. */
		if (!op.namespace)
			op.namespace = core_namespace(cache, &get->target, ret_answer);
		if (!op.namespace)
			return CACHE_NOW;
		op.wait_until_ns = deadline_of(cache, get->wait_ms);
	}
	cache->counts.gets += !get->meta_only;
	return op_run(cache, &op, ret_answer);
}

int
cache_put(struct cache *cache, const struct put *put, struct slice value,
	  const struct later *later, struct answer *ret_answer)
{
	struct op op = { .kind = OP_PUT, .put = *put, .value = value, .later = *later };
	uint64_t most;

	if (!put->or_get && core_refuses(cache, ret_answer))
		return CACHE_NOW;
	most = core_value_max(cache, &put->target);
	if (value.len > most)
		return answer_now(ret_answer, answer_error(ERROR_TOO_LARGE, most, NULL));
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
cache_take(struct cache *cache, const struct target *target, uint64_t only_version,
	   enum ack ack, const struct later *later, struct answer *ret_answer)
{
	struct op op = { .kind = OP_TAKE,
			 .simple = { *target, .only_version = only_version, .ack = ack },
			 .later = *later };

	/* A value that left while its delete cannot be kept would be lost or come back. */
	if (core_refuses(cache, ret_answer))
		return CACHE_NOW;
	op.namespace = names_find(&cache->names, target->uid, target->namespace);
	return op_run(cache, &op, ret_answer);
}

int
cache_incr(struct cache *cache, const struct incr *incr, const struct later *later,
	   struct answer *ret_answer)
{
	struct op op = { .kind = OP_INCR, .incr = *incr, .later = *later };

	if (core_refuses(cache, ret_answer))
		return CACHE_NOW;
	op.namespace = core_namespace(cache, &incr->target, ret_answer);
	return op.namespace ? op_run(cache, &op, ret_answer) : CACHE_NOW;
}

int
cache_touch(struct cache *cache, const struct target *target, uint64_t ttl_ms,
	    enum ack ack, const struct later *later, struct answer *ret_answer)
{
	struct op op = { .kind = OP_TOUCH,
			 .simple = { *target, .ttl_ms = ttl_ms, .ack = ack },
			 .later = *later };

	if (core_refuses(cache, ret_answer))
		return CACHE_NOW;
	op.namespace = names_find(&cache->names, target->uid, target->namespace);
	return op_run(cache, &op, ret_answer);
}

int
cache_sync(struct cache *cache, uint32_t uid, const struct later *later,
	   struct answer *ret_answer)
{
	*ret_answer = (struct answer){ .kind = ANSWER_DONE };
	if (core_all_committed(cache))
		return CACHE_NOW;
	if (core_crowded(cache, uid))
		return answer_refuse(ret_answer, ERROR_BUSY);
	return op_answer_later(cache, uid, later, ret_answer);
}

int
cache_scan(struct cache *cache, const struct target *target, struct slice prefix,
	   struct slice cursor, unsigned limit, const struct later *later,
	   struct answer *ret_answer)
{
	struct op op = { .kind = OP_SCAN,
			 .list = { *target, prefix, cursor, limit, { 0 } },
			 .later = *later };

	op.list.target.key = slice(NULL, 0); /* the caller need not set it */
	op.namespace = names_find(&cache->names, target->uid, target->namespace);
	return op_run(cache, &op, ret_answer);
}

int
cache_stats(struct cache *cache, const struct stats_reader *reader,
	    const struct later *later, struct answer *ret_answer)
{
	struct op op = { .kind = OP_STATS,
			 .list = { .target = { .uid = reader->uid }, .reader = *reader },
			 .later = *later };

	return op_run(cache, &op, ret_answer);
}

int
cache_verify(struct cache *cache, uint32_t uid, struct slice cursor,
	     const struct later *later, struct answer *ret_answer)
{
	struct op op = { .kind = OP_VERIFY,
			 .list = { .target = { .uid = uid }, .cursor = cursor },
			 .later = *later };

	return op_run(cache, &op, ret_answer);
}
