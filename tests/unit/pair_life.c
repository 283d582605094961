/* pair_life.c - the engine's starts and ends, and the whole of what is there. */
#include <stdio.h>
#include <string.h>

#include "daemon/clock.h"
#include "daemon/log.h"
#include "proto/bytes.h"
#include "tests/unit/pair_core.h"

#define NS_PER_MS UINT64_C(1000000)

/* ---- the whole of it */

void
pair_scan(struct pair *pair, unsigned space, unsigned limit)
{
	struct flight flight = { .bytes = NULL };
	struct target target = { .uid = model_uid(space),
				 .namespace = slice_text(model_space_name(space)),
				 .key = slice("", 0) };
	bool seen[MODEL_KEYS] = { false };
	uint8_t cursor[MESSAGE_CURSOR_MAX];
	size_t cursor_len = 0;

	pair_settle(pair);
	do {
		const uint8_t *at;

		CALL(pair, &flight,
		     cache_scan(here.cache, &target, slice("key-", 4),
				slice(cursor, cursor_len), limit, &later, &answer_));
		MUST(pair, flight.answer.kind == ANSWER_DONE);
		MUST(pair, flight.answer.count <= limit);
		at = flight.bytes;
		for (unsigned i = 0; i < flight.answer.count; i++) {
			unsigned key = at[40 + le16_load(at + 2) - 1] - '0';
			const struct model_object *object;

			MUST(pair, key < MODEL_KEYS && !seen[key]);
			object = &pair->model.objects[space][key];
			seen[key] = true;
			MUST(pair, model_fresh(&pair->model, object));
			MUST(pair, le64_load(at + 16) == object->len);
			MUST(pair, pair_same_version(pair, object->version,
						     le64_load(at + 24)));
			at += le16_load(at);
		}
		cursor_len = flight.answer.cursor.len;
		memcpy(cursor, flight.cursor, cursor_len);
	} while (cursor_len);
	free(flight.bytes);
	for (unsigned key = 0; key < MODEL_KEYS; key++)
		MUST(pair, seen[key] == model_fresh(&pair->model,
						    &pair->model.objects[space][key]));
}

void
pair_compare_figures(struct pair *pair)
{
	const struct model_counts *counts = &pair->model.counts;
	size_t waiters = 0;

	/* The model never forgets. */
	MUST(pair, !count_figure(&writer_counts(here.cache->writer)->evicted));
	MUST(pair, here.cache->counts.hits == counts->hits);
	MUST(pair, here.cache->counts.misses == counts->misses);
	MUST(pair, here.cache->counts.puts == counts->puts);
	MUST(pair, here.cache->counts.deletes == counts->deletes);
	for (unsigned space = 0; space < MODEL_SPACES; space++) {
		const struct namespace *namespace =
			names_find(&here.cache->names, model_uid(space),
				   slice_text(model_space_name(space)));

		if (!namespace)
			continue;
		MUST(pair, namespace->stale_hits == counts->stale_hits[space]);
		MUST(pair, namespace->saved_us == counts->saved_us[space]);
		MUST(pair, namespace->waits == counts->waits[space]);
	}
	for (unsigned seat = 0; seat < PAIR_SEATS; seat++) {
		unsigned peer = pair->seats[seat];

		if (!peer)
			continue;
		MUST(pair, cache_peer_waiting(here.peers[peer]) ==
				   model_peer_waits(&pair->model, peer));
		MUST(pair, cache_peer_holds(here.peers[peer]) ==
				   model_peer_holds(&pair->model, peer));
		waiters += model_peer_waits(&pair->model, peer);
	}
	MUST(pair, lease_counts(here.cache->leases)->waiters == waiters);
	pair->seen.waited += waiters;
}

/* ---- starts and ends */

/* Everything that is there, whoever gets it. */
static void
observe(struct pair *pair, struct flight all[MODEL_SPACES][MODEL_KEYS])
{
	for (unsigned space = 0; space < MODEL_SPACES; space++) {
		for (unsigned key = 0; key < MODEL_KEYS; key++) {
			char text[KEY_MAX + 1];
			struct get get = { .target = pair_target(space, key, text),
					   .stale_ok = true,
					   .max_age_ms = TTL_NEVER };

			CALL(pair, &all[space][key],
			     cache_get(here.cache, &get, &later, &answer_));
		}
	}
}

/* What is there that was not there after that change, or the other way round; NULL: nothing. */
static const char *
compare_past(struct pair *pair, uint64_t change,
	     struct flight all[MODEL_SPACES][MODEL_KEYS], unsigned *ret_at)
{
	const struct model_past *past = model_past(&pair->model, change);
	const char *difference = NULL;

	for (unsigned i = 0; !difference && i < MODEL_SPACES * MODEL_KEYS; i++) {
		struct model_question question = { .what = ASK_GET,
						   .space = i / MODEL_KEYS,
						   .key = i % MODEL_KEYS };
		const struct model_object *object =
			&past->objects[question.space][question.key];
		const struct flight *is = &all[question.space][question.key];
		struct model_answer due = { .kind = ANSWER_MISS };

		if (model_fresh(&pair->model, object) ||
		    model_stale(&pair->model, object))
			model_hit(&pair->model, object, &due);
		if (is->answer.kind != due.kind)
			difference = due.kind == ANSWER_DONE ? "lost" : "back again";
		else if (due.kind == ANSWER_DONE)
			difference = pair_find_difference(pair, &question, &due, is);
		*ret_at = i;
	}
	return difference;
}

static bool
is_past(struct pair *pair, uint64_t change, struct flight all[MODEL_SPACES][MODEL_KEYS])
{
	unsigned at;

	return (pair->exited || model_may_be_past(&pair->model, change)) &&
	       !compare_past(pair, change, all, &at);
}

static void
fail_past(struct pair *pair, uint64_t oldest, struct flight all[MODEL_SPACES][MODEL_KEYS])
{
	for (uint64_t change = oldest; change <= pair->model.change; change++) {
		unsigned at = 0;
		const char *difference = compare_past(pair, change, all, &at);

		fprintf(stderr,
			"not as after change %llu: space %u key %u: %s (version %llu, found "
			"%llu)\n",
			(unsigned long long)change, at / MODEL_KEYS, at % MODEL_KEYS,
			difference ? difference : "one that was said to be gone",
			(unsigned long long)pair->versions
				[model_past(&pair->model, change)
					 ->objects[at / MODEL_KEYS][at % MODEL_KEYS]
					 .version],
			(unsigned long long)all[at / MODEL_KEYS][at % MODEL_KEYS]
				.answer.version);
	}
	pair_fail(pair, __FILE__, __LINE__,
		  pair->exited ? "something else is there after a restart"
			       : "what a crash left is no past that may be");
}

/* What is there must be what was there after some change, and no change that was promised may be lost. */
static void
find_past(struct pair *pair)
{
	struct flight all[MODEL_SPACES][MODEL_KEYS] = { 0 };
	uint64_t newest = pair->model.change, change = newest;
	uint64_t oldest = pair->exited ? newest : pair->model.on_disk;

	observe(pair, all);
	while (!is_past(pair, change, all))
		if (change-- == oldest)
			fail_past(pair, oldest, all);
	for (unsigned i = 0; i < MODEL_SPACES * MODEL_KEYS; i++)
		free(all[i / MODEL_KEYS][i % MODEL_KEYS].bytes);
	if (pair->exited)
		return;
	pair->seen.lost += newest - change;
	model_crashed(&pair->model, change);
}

void
pair_start(struct pair *pair, uint64_t commit_delay_ns)
{
	struct cache_config config = {
		.path = pair->path,
		.max_size = UINT64_C(64) << 20, /* small commits: many are needed */
		.commit_delay_ns = commit_delay_ns,
		.max_unflushed_ns = UINT64_MAX / 2,
		.max_namespaces = 256,
		.reader_threads = 1, /* so that they answer in order */
		.pending_size = 64 << 20,
	};
	char error[CACHE_ERROR_MAX];

	pair_set_clock(pair);
	log_set_level(LOG_ERROR);
	pair_move(pair, pair->mono_ns + NS_PER_MS, 0);
	if (cache_open(&config, 0, &here.cache, error))
		pair_fail(pair, __FILE__, __LINE__, error);
	here.payer = payer_new(here.cache, 1000);
	pair->start++;
	pair->seen.starts++;
	memset(pair->seats, 0, sizeof(pair->seats));
	pair->peers = 0;
	if (pair->exited)
		model_restart(&pair->model, pair->exit_ns);
	find_past(pair);
	/* What was looked at is not the model's. */
	memset(&here.cache->counts, 0, sizeof(here.cache->counts));
	for (struct namespace *at = names_next(&here.cache->names, NULL); at;
	     at = names_next(&here.cache->names, at))
		at->hits = at->stale_hits = at->saved_us = at->waits = 0;
	pair->exited = false;
}

void
pair_exit(struct pair *pair, bool leave)
{
	pair_settle(pair);
	pair_turn_begin(pair);
	if (leave)
		pair_leave(pair);
	pair_turn_end(pair);
	pair_turn_begin(pair);
	for (unsigned seat = 0; seat < PAIR_SEATS; seat++)
		if (pair->seats[seat])
			pair_get_up(pair, seat);
	pair_turn_end(pair);
	pair->exited = true;
	pair->exit_ns = pair->mono_ns;
	payer_release(&here.payer);
	cache_close(&here.cache);
}
