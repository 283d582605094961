/* pair_ask.c - a question of the model, as the engine takes it. */
#include <stdio.h>
#include <string.h>

#include "proto/tag.h"
#include "proto/bytes.h"
#include "tests/unit/pair_core.h"

#define UPLOAD_PART 1500
#define TAGS_ROOM 64

/* ---- asking */

static struct slice
key_of(unsigned key, char text[static KEY_MAX + 1])
{
	/* One is long: records of every size are near the edge of their leaf. */
	int len = snprintf(text, KEY_MAX + 1, "key-%0*u", key == 3 ? 900 : 1, key);

	return slice(text, (size_t)len);
}

struct target
pair_target(unsigned space, unsigned key, char text[static KEY_MAX + 1])
{
	return (struct target){ .uid = model_uid(space),
				.namespace = slice_text(model_space_name(space)),
				.key = key_of(key, text) };
}

static struct slice
tags_of(unsigned tags, uint8_t to[static TAGS_ROOM])
{
	size_t len = 0;

	for (unsigned tag = 0; tag < MODEL_TAGS; tag++) {
		if (!(tags & 1u << tag))
			continue;
		to[len++] = 5;
		memcpy(to + len, "tag-", 4);
		to[len + 4] = (uint8_t)('a' + tag);
		len += 5;
	}
	return slice(to, len);
}

static size_t
value_len(const struct model_item *item)
{
	return item->kind == OBJECT_COUNTER ? 8 : item->len;
}

static void
fill_value(const struct model_item *item, uint8_t *to)
{
	if (item->kind == OBJECT_COUNTER)
		le64_store(to, (uint64_t)item->counter);
	else
		model_fill(to, item->len, item->seed);
}

/* All but the target. */
static struct put
put_of(const struct pair *pair, const struct model_question *question,
       const struct model_item *item, uint8_t tags[static TAGS_ROOM])
{
	struct put put = {
		.payer = here.payer,
		.ttl_ms = item->ttl_ms,
		.codec = item->codec,
		.object_kind = item->kind,
		.cost_us = item->cost_us,
		.stale_for_ms = item->stale_for_ms,
		.condition = item->condition,
		.version = item->condition ? pair->versions[item->version] : 0,
		.or_get = item->or_get,
		.not_version = item->or_get ? pair->versions[item->not_version] : 0,
		.tags = tags_of(item->tags, tags),
		.ack = question->ack,
	};

	put.tokened = question->token;
	memcpy(put.token, pair->tokens[question->token], CACHE_TOKEN_SIZE);
	return put;
}

static int
ask_get(struct pair *pair, const struct model_question *question,
	const struct later *later, struct answer *ret_answer)
{
	char text[KEY_MAX + 1];
	struct get get = {
		.target = pair_target(question->space, question->key, text),
		.peer = question->wish ? here.peers[question->peer] : NULL,
		.lease = question->wish,
		.holder = question->holder,
		.wait_ms = question->wait_ms,
		.lease_ms = question->lease_ms,
		.stale_ok = question->stale_ok,
		.max_age_ms = question->max_age_ms,
		.not_version = pair->versions[question->not_version],
		.refresh = question->refresh,
		.refresh_ms = question->refresh_ms,
		.meta_only = question->what == ASK_META,
	};

	return cache_get(here.cache, &get, later, ret_answer);
}

static int
ask_put(struct pair *pair, const struct model_question *question,
	const struct later *later, struct answer *ret_answer)
{
	const struct model_item *item = &question->items[0];
	uint8_t tags[TAGS_ROOM], *value = malloc(value_len(item) + 1);
	char text[KEY_MAX + 1];
	struct put put = put_of(pair, question, item, tags);
	int done;

	put.target = pair_target(question->space, item->key, text);
	fill_value(item, value);
	done = cache_put(here.cache, &put, slice(value, value_len(item)), later,
			 ret_answer);
	free(value);
	return done;
}

static int
ask_upload(struct pair *pair, const struct model_question *question,
	   const struct later *later, struct answer *ret_answer)
{
	const struct model_item *item = &question->items[0];
	size_t len = value_len(item), at = 0;
	uint8_t tags[TAGS_ROOM], *value = malloc(len + 1);
	char text[KEY_MAX + 1];
	struct put put = put_of(pair, question, item, tags);
	struct upload *upload;

	put.target = pair_target(question->space, item->key, text);
	fill_value(item, value);
	upload = upload_open(here.cache, &put, len % 2 ? len : UINT64_MAX, ret_answer);
	MUST(pair, upload);
	for (size_t part; at < len; at += part) {
		part = len - at < UPLOAD_PART ? len - at : UPLOAD_PART;
		MUST(pair,
		     upload_write(upload, slice(value + at, part), ret_answer) == 0);
	}
	free(value);
	return upload_finish(&upload, later, ret_answer);
}

static struct bundle *
bundle_of(struct pair *pair, const struct model_question *question)
{
	size_t room = 0;
	struct bundle *bundle =
		calloc(1, sizeof(*bundle) + question->count * sizeof(bundle->items[0]));
	uint8_t *at;

	for (unsigned i = 0; i < question->count; i++)
		room += KEY_MAX + 1 + TAGS_ROOM + value_len(&question->items[i]) + 1;
	bundle->bytes = at = malloc(room);
	bundle->uid = model_uid(question->space);
	bundle->namespace = slice_text(model_space_name(question->space));
	bundle->payer = here.payer;
	bundle->ack = question->ack;
	bundle->count = question->count;
	for (unsigned i = 0; i < question->count; i++) {
		const struct model_item *from = &question->items[i];
		struct bundle_item *item = &bundle->items[i];

		item->remove = from->remove;
		item->put = put_of(pair, question, from, at + KEY_MAX + 1);
		item->put.target = pair_target(question->space, from->key, (char *)at);
		item->only_version = from->remove ? pair->versions[from->version] : 0;
		at += KEY_MAX + 1 + TAGS_ROOM;
		item->value = slice(at, from->remove ? 0 : value_len(from));
		if (!from->remove)
			fill_value(from, at);
		at += value_len(from) + 1;
	}
	return bundle;
}

/* In which order the engine comes to the leases of a namespace that is flushed: that of its table. */
static void
find_order(struct model_question *question)
{
	struct namespace *namespace =
		names_find(&here.cache->names, model_uid(question->space),
			   slice_text(model_space_name(question->space)));
	uint64_t buckets[MODEL_KEYS] = { 0 };
	uint8_t row_key[ROW_KEY_SIZE];
	char text[KEY_MAX + 1];

	for (unsigned key = 0; key < MODEL_KEYS; key++) {
		unsigned at = key;

		if (namespace) {
			store_row_key(here.cache->store, namespace->incarnation,
				      key_of(key, text), row_key);
			memcpy(&buckets[key], row_key + ROW_KEY_SIZE - 8, 8);
			buckets[key] &= 16383;
		}
		for (; at && buckets[question->order[at - 1]] > buckets[key]; at--)
			question->order[at] = question->order[at - 1];
		question->order[at] = key;
	}
}

static int
ask_engine(struct pair *pair, struct model_question *question, const struct later *later,
	   struct answer *ret_answer)
{
	char text[KEY_MAX + 1];
	uint8_t tags[TAGS_ROOM];
	struct target target = pair_target(question->space, question->key, text);
	uint64_t version = pair->versions[question->version];
	const uint8_t *token = pair->tokens[question->token];

	switch (question->what) {
	case ASK_GET:
	case ASK_META:
		return ask_get(pair, question, later, ret_answer);
	case ASK_PUT:
		return ask_put(pair, question, later, ret_answer);
	case ASK_UPLOAD:
		return ask_upload(pair, question, later, ret_answer);
	case ASK_DELETE:
		return cache_delete(here.cache, &target, version, question->ack, later,
				    ret_answer);
	case ASK_TAKE:
		return cache_take(here.cache, &target, version, question->ack, later,
				  ret_answer);
	case ASK_TOUCH:
		return cache_touch(here.cache, &target, question->ttl_ms, question->ack,
				   later, ret_answer);
	case ASK_INCR: {
		struct incr incr = { target,           here.payer,
				     question->delta,  question->initial,
				     question->ttl_ms, question->only_if_present,
				     question->ack };

		return cache_incr(here.cache, &incr, later, ret_answer);
	}
	case ASK_BATCH: {
		struct bundle *bundle = bundle_of(pair, question);

		return cache_bundle(here.cache, &bundle, later, ret_answer);
	}
	case ASK_FLUSH:
		find_order(question);
		return cache_flush(here.cache, &target, question->ack, later, ret_answer);
	case ASK_INVALIDATE:
		return cache_invalidate(here.cache, &target,
					tags_of(question->tags, tags), question->ack,
					later, ret_answer);
	case ASK_RELEASE:
		return cache_release(here.cache, &target, token, question->why,
				     ret_answer);
	case ASK_RESUME:
		return cache_resume(here.cache, &target, here.peers[question->peer],
				    token, ret_answer);
	}
	return CACHE_NOW;
}

static struct later
later_of(unsigned number)
{
	return (struct later){ .answered = pair_on_answer, .arg = &here.flights[number] };
}

bool
pair_ask(struct pair *pair, const struct model_question *question, bool cold)
{
	unsigned number = 0;
	struct model_question *asked;
	struct answer answer = { 0 };
	struct later later;
	bool unsure;

	while (number < MODEL_ASKED && pair->model.asked[number].state != ASKED_NOT)
		number++;
	if (number == MODEL_ASKED)
		return false;
	MUST(pair, pair->model.versions + MODEL_ITEMS < PAIR_NUMBERS &&
			   pair->model.tokens + MODEL_ASKED < PAIR_NUMBERS);
	here.flights[number] = (struct flight){ .answered = false };
	model_ask(&pair->model, number, question);
	asked = &pair->model.asked[number].question;
	unsure = model_unsure(&pair->model, question);
	later = later_of(number);
	here.cache->cold_share = cold ? COLD_SHARE_ALL : 0;
	if (ask_engine(pair, asked, &later, &answer) == CACHE_NOW)
		pair_on_answer(later.arg, 0, &answer);
	asked->taken_for_old = unsure && here.flights[number].answered &&
			       here.flights[number].answer.error == ERROR_OLD_TOKEN;
	pair_follow_one(pair, number);
	return true;
}
