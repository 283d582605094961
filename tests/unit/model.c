/* model.c - objects and what is asked about them, in the words of PROTOCOL.md. */
#include "tests/unit/model.h"

#include <string.h>

static const struct {
	uint32_t uid;
	const char *name;
} spaces[MODEL_SPACES] = { { 1000, "default" }, { 1001, "default" }, { 1000, "web" } };

void
model_init(struct model *model)
{
	memset(model, 0, sizeof(*model));
	model->events = 1;
}

uint32_t
model_uid(unsigned space)
{
	return spaces[space].uid;
}

const char *
model_space_name(unsigned space)
{
	return spaces[space].name;
}

void
model_fill(uint8_t *to, size_t len, uint32_t seed)
{
	for (size_t i = 0; i < len; i++)
		to[i] = (uint8_t)((seed >> (i % 4 * 8)) +
				  (i ^ i >> 8 ^ i >> 16) / 4 * 167);
}

/* ---- what is there */

bool
model_fresh(const struct model *model, const struct model_object *object)
{
	return object->there &&
	       (object->expires_ms == MODEL_NEVER || object->expires_ms > model->now_ms);
}

/* Past its time to live, inside its stale window. */
bool
model_stale(const struct model *model, const struct model_object *object)
{
	return object->there && !model_fresh(model, object) &&
	       object->expires_ms + object->stale_for_ms > model->now_ms;
}

static struct model_object *
object_at(struct model *model, unsigned space, unsigned key)
{
	return &model->objects[space][key];
}

/* Something is not what it was before: a crash may bring back this, or what was before, and nothing between. */
static void
remember(struct model *model, struct model_answer *answer)
{
	model->change++;
	memcpy(model->past[model->change % MODEL_PAST].objects, model->objects,
	       sizeof(model->objects));
	answer->changed = true;
	answer->change = model->change;
}

static void
set_ttl(struct model *model, struct model_object *object, uint64_t ttl_ms,
	uint64_t stale_for_ms)
{
	object->ttl_ms = ttl_ms;
	object->expires_ms = ttl_ms == MODEL_NEVER ? MODEL_NEVER : model->now_ms + ttl_ms;
	/* What never expires is never stale. */
	object->stale_for_ms = ttl_ms == MODEL_NEVER ? 0 : stale_for_ms;
}

static void
answer_error(struct model_answer *answer, enum error error)
{
	answer->kind = ANSWER_ERROR;
	answer->error = error;
}

/* ---- get */

static bool
gets(const struct model *model, const struct model_question *question,
     const struct model_object *object)
{
	if (!model_fresh(model, object) &&
	    !(question->stale_ok && model_stale(model, object)))
		return false;
	if (question->not_version && question->not_version == object->version)
		return false;
	return model->now_ms - object->created_ms <= question->max_age_ms;
}

void
model_hit(const struct model *model, const struct model_object *object,
	  struct model_answer *answer)
{
	answer->kind = ANSWER_DONE;
	answer->object = *object;
	answer->age_ms = model->now_ms - object->created_ms;
	answer->ttl_left_ms = MODEL_NEVER;
	if (model_fresh(model, object)) {
		if (object->expires_ms != MODEL_NEVER)
			answer->ttl_left_ms = object->expires_ms - model->now_ms;
		return;
	}
	answer->ttl_left_ms = 0;
	answer->stale = true;
	answer->stale_ms = model->now_ms - object->expires_ms;
}

static void
refresh(struct model *model, const struct model_question *question,
	struct model_object *object, struct model_answer *answer)
{
	set_ttl(model, object,
		question->refresh_ms ? question->refresh_ms : object->ttl_ms,
		object->stale_for_ms);
	remember(model, answer);
}

static void
decide_get(struct model *model, unsigned number)
{
	struct model_asked *asked = &model->asked[number];
	const struct model_question *question = &asked->question;
	struct model_object *object = object_at(model, question->space, question->key);
	bool meta = question->what == ASK_META;

	if (!gets(model, question, object)) {
		asked->answer.kind = ANSWER_MISS;
		if (meta || (question->wish && !model_ask_lease(model, number)))
			return;
		model->counts.misses += asked->answer.kind == ANSWER_MISS;
		return;
	}
	model_hit(model, object, &asked->answer);
	if (!meta) {
		model->counts.hits++;
		model->counts.stale_hits[question->space] += asked->answer.stale;
		model->counts.saved_us[question->space] += object->cost_us;
	}
	if (asked->answer.stale && question->wish == LEASE_WISH_COMPUTE)
		model_offer_refresh(model, number);
	if (question->refresh && !asked->answer.stale)
		refresh(model, question, object, &asked->answer);
}

/* ---- put */

static enum error
check(const struct model *model, const struct model_item *item,
      const struct model_object *object)
{
	bool fresh = model_fresh(model, object);

	switch (item->condition) {
	case CONDITION_ABSENT:
		return fresh && !(item->or_get && item->not_version == object->version)
			       ? ERROR_EXISTS
			       : ERROR_NONE;
	case CONDITION_PRESENT:
		return fresh ? ERROR_NONE : ERROR_ABSENT;
	case CONDITION_VERSION:
		if (!fresh)
			return ERROR_ABSENT;
		return item->version == object->version ? ERROR_NONE : ERROR_CHANGED;
	default:
		return ERROR_NONE;
	}
}

static uint64_t
store(struct model *model, unsigned space, const struct model_item *item)
{
	struct model_object *object = object_at(model, space, item->key);

	*object = (struct model_object){
		.there = true,
		.kind = item->kind,
		.tags = item->tags,
		.codec = item->codec,
		.seed = item->seed,
		.len = item->kind == OBJECT_COUNTER ? 8 : item->len,
		.counter = item->counter,
		.version = ++model->versions,
		.cost_us = item->cost_us,
		.created_ms = model->now_ms,
	};
	set_ttl(model, object, item->ttl_ms, item->stale_for_ms);
	model->counts.puts++;
	model_published(model, space, item->key);
	return object->version;
}

static void
decide_put(struct model *model, const struct model_question *question,
	   struct model_answer *answer)
{
	const struct model_item *item = &question->items[0];
	const struct model_object *object = object_at(model, question->space, item->key);
	enum error error = ERROR_NONE;

	if (question->token && model_token_old(model, question))
		error = ERROR_OLD_TOKEN;
	if (!error)
		error = check(model, item, object);
	if (error == ERROR_EXISTS && item->or_get) {
		model_hit(model, object, answer);
		answer->found = true;
		model->counts.hits++;
		model->counts.saved_us[question->space] += object->cost_us;
		return;
	}
	if (error) {
		answer_error(answer, error);
		return;
	}
	answer->object.version = store(model, question->space, item);
	remember(model, answer);
}

/* ---- delete, take, touch, incr */

/* A stale object goes, too: DELETE says so, TAKE, which would have to give it out, does not. */
static void
decide_delete(struct model *model, const struct model_question *question,
	      struct model_answer *answer)
{
	struct model_object *object = object_at(model, question->space, question->key);
	bool fresh = model_fresh(model, object),
	     there = fresh || model_stale(model, object);
	bool other = question->version && question->version != object->version;
	bool take = question->what == ASK_TAKE;

	answer->kind = ANSWER_MISS;
	if (there && other && (fresh || !take)) {
		answer_error(answer, ERROR_CHANGED);
		return;
	}
	if (fresh && take)
		model_hit(model, object, answer);
	if (there && (fresh || !take))
		answer->kind = ANSWER_DONE;
	if (there && !other) {
		model->counts.deletes++;
		object->there = false;
		remember(model, answer);
	}
	model_revoked(model, question->space, question->key);
}

static void
decide_touch(struct model *model, const struct model_question *question,
	     struct model_answer *answer)
{
	struct model_object *object = object_at(model, question->space, question->key);

	if (!model_fresh(model, object)) {
		answer->kind = ANSWER_MISS;
		return;
	}
	set_ttl(model, object, question->ttl_ms, object->stale_for_ms);
	answer->object.version = object->version;
	remember(model, answer);
}

static void
decide_incr(struct model *model, const struct model_question *question,
	    struct model_answer *answer)
{
	struct model_object *object = object_at(model, question->space, question->key);
	bool fresh = model_fresh(model, object);
	int64_t value;

	if (fresh && object->kind != OBJECT_COUNTER) {
		answer_error(answer, ERROR_NOT_A_COUNTER);
		return;
	}
	if (!fresh && question->only_if_present) {
		answer_error(answer, ERROR_ABSENT);
		return;
	}
	if (__builtin_add_overflow(fresh ? object->counter : question->initial,
				   question->delta, &value)) {
		answer_error(answer, ERROR_OVERFLOW);
		return;
	}
	if (!fresh) {
		*object = (struct model_object){
			.there = true, .kind = OBJECT_COUNTER, .codec = 6, .len = 8
		};
		set_ttl(model, object, question->ttl_ms, 0);
	}
	object->counter = value;
	object->codec = 6; /* whatever it was put as: these bytes are a counter's */
	object->created_ms = model->now_ms;
	object->version = ++model->versions;
	answer->object = *object;
	model->counts.puts++;
	model_published(model, question->space, question->key);
	remember(model, answer);
}

/* ---- batch */

/* Against what was there before it. */
static bool
batch_refused(struct model *model, const struct model_question *question,
	      struct model_answer *answer)
{
	for (unsigned i = 0; i < question->count; i++) {
		const struct model_item *item = &question->items[i];
		const struct model_object *object =
			object_at(model, question->space, item->key);
		bool there = model_fresh(model, object) || model_stale(model, object);
		enum error error = ERROR_NONE;

		if (!item->remove)
			error = check(model, item, object);
		else if (there && item->version && item->version != object->version)
			error = ERROR_CHANGED;
		answer->removed[i] = item->remove && there;
		if (error) {
			answer_error(answer, error);
			answer->entry = i;
			return true;
		}
	}
	return false;
}

static void
decide_batch(struct model *model, const struct model_question *question,
	     struct model_answer *answer)
{
	if (batch_refused(model, question, answer))
		return;
	for (unsigned i = 0; i < question->count; i++) {
		const struct model_item *item = &question->items[i];

		if (!item->remove) {
			answer->versions[i] = store(model, question->space, item);
			continue;
		}
		object_at(model, question->space, item->key)->there = false;
		model->counts.deletes += answer->removed[i];
		model_revoked(model, question->space, item->key);
	}
	remember(model, answer);
}

/* ---- flush, invalidate */

static void
decide_flush(struct model *model, const struct model_question *question,
	     struct model_answer *answer)
{
	bool any = false;

	for (unsigned key = 0; key < MODEL_KEYS; key++) {
		any = any || model->objects[question->space][key].there;
		model->objects[question->space][key].there = false;
	}
	for (unsigned i = 0; i < MODEL_KEYS; i++)
		model_revoked(model, question->space, question->order[i]);
	if (any)
		remember(model, answer);
}

static void
decide_invalidate(struct model *model, const struct model_question *question,
		  struct model_answer *answer)
{
	bool any = false;

	for (unsigned tag = 0; tag < MODEL_TAGS; tag++)
		if (question->tags & 1u << tag)
			model->stamped[question->space][tag] = model->events;
	for (unsigned key = 0; key < MODEL_KEYS; key++) {
		struct model_object *object = object_at(model, question->space, key);

		if (!object->there || !(object->tags & question->tags))
			continue;
		object->there = false;
		any = true;
	}
	if (any)
		remember(model, answer);
}

/* ---- requests */

void
model_ask(struct model *model, unsigned number, const struct model_question *question)
{
	model->asked[number] = (struct model_asked){
		.state = ASKED_OPEN,
		.question = *question,
		.until_ns = question->wait_ms == MODEL_NEVER
				    ? MODEL_NEVER
				    : model->now_ns + question->wait_ms * 1000000,
	};
}

void
model_decide(struct model *model, unsigned number)
{
	struct model_asked *asked = &model->asked[number];
	const struct model_question *question = &asked->question;
	struct model_answer *answer = &asked->answer;

	model->events++;
	asked->state = ASKED_ANSWERED;
	*answer = (struct model_answer){ .kind = ANSWER_DONE };
	switch (question->what) {
	case ASK_GET:
	case ASK_META:
		decide_get(model, number);
		break;
	case ASK_PUT:
	case ASK_UPLOAD:
		decide_put(model, question, answer);
		break;
	case ASK_DELETE:
	case ASK_TAKE:
		decide_delete(model, question, answer);
		break;
	case ASK_TOUCH:
		decide_touch(model, question, answer);
		break;
	case ASK_INCR:
		decide_incr(model, question, answer);
		break;
	case ASK_BATCH:
		decide_batch(model, question, answer);
		break;
	case ASK_FLUSH:
		decide_flush(model, question, answer);
		break;
	case ASK_INVALIDATE:
		decide_invalidate(model, question, answer);
		break;
	case ASK_RELEASE:
		answer->kind = model_release(model, question) ? ANSWER_DONE : ANSWER_MISS;
		break;
	case ASK_RESUME:
		answer->kind = model_resume(model, question) ? ANSWER_DONE : ANSWER_MISS;
		break;
	}
	if (!answer->changed)
		answer->change = model->change;
}

void
model_forget(struct model *model, unsigned number)
{
	model->asked[number].state = ASKED_NOT;
}

/* ---- the disk */

static void
rely_on_absence(struct model *model, unsigned space, unsigned key, uint64_t change)
{
	if (model->absent_on_disk[space][key] < change)
		model->absent_on_disk[space][key] = change;
}

void
model_synced(struct model *model, uint64_t change)
{
	if (change > model->on_disk)
		model->on_disk = change;
}

/* Deletes, invalidations and flushes that found nothing promise that nothing comes back. */
void
model_on_disk(struct model *model, unsigned number)
{
	const struct model_asked *asked = &model->asked[number];
	const struct model_question *question = &asked->question;
	const struct model_answer *answer = &asked->answer;

	if (answer->changed)
		model_synced(model, answer->change);
	else if (answer->kind == ANSWER_MISS &&
		 (question->what == ASK_DELETE || question->what == ASK_TAKE))
		rely_on_absence(model, question->space, question->key, answer->change);
	else if (question->what == ASK_FLUSH)
		for (unsigned key = 0; key < MODEL_KEYS; key++)
			rely_on_absence(model, question->space, key, answer->change);
}

const struct model_past *
model_past(const struct model *model, uint64_t change)
{
	return &model->past[change % MODEL_PAST];
}

bool
model_may_be_past(const struct model *model, uint64_t change)
{
	if (change < model->on_disk || change > model->change ||
	    change + MODEL_PAST <= model->change)
		return false;
	for (unsigned space = 0; space < MODEL_SPACES; space++) {
		for (unsigned key = 0; key < MODEL_KEYS; key++) {
			const struct model_object *object =
				&model_past(model, change)->objects[space][key];

			if (change < model->absent_on_disk[space][key] &&
			    model_fresh(model, object))
				return false;
		}
	}
	return true;
}
