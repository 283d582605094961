/* pair_compare.c - what the engine answers, held against what the model says. */
#include <stdio.h>
#include <string.h>

#include "proto/bytes.h"
#include "tests/unit/pair_core.h"

/* ---- comparing */

/* Versions grow in the order in which the engine decides. */
bool
pair_same_version(struct pair *pair, uint64_t number, uint64_t version)
{
	uint64_t lower = number - 1, higher = number + 1;

	if (pair->versions[number])
		return pair->versions[number] == version;
	while (lower && !pair->versions[lower])
		lower--;
	while (higher <= pair->model.versions && !pair->versions[higher])
		higher++;
	if (version <= pair->versions[lower] ||
	    (higher <= pair->model.versions && version >= pair->versions[higher]))
		return false;
	pair->versions[number] = version;
	return true;
}

static bool
same_bytes(const struct flight *flight, const struct model_object *object)
{
	uint8_t *bytes;
	bool same;

	if (flight->len != object->len)
		return false;
	if (object->kind == OBJECT_COUNTER)
		return (int64_t)le64_load(flight->bytes) == object->counter;
	bytes = malloc(object->len + 1);
	model_fill(bytes, object->len, object->seed);
	same = memcmp(bytes, flight->bytes, object->len) == 0;
	free(bytes);
	return same;
}

/* What differs; NULL: nothing. With a value if there must be one. */
const char *
pair_find_difference(struct pair *pair, const struct model_question *question,
		     const struct model_answer *due, const struct flight *flight)
{
	const struct answer *is = &flight->answer;
	const struct model_object *object = &due->object;

	if (!is->has_meta)
		return "about the object";
	if (is->object_kind != object->kind)
		return "kind";
	if (is->codec != object->codec)
		return "codec";
	if (is->writer_uid != model_uid(question->space))
		return "writer";
	if (is->length != object->len)
		return "length";
	if (is->cost_us != object->cost_us)
		return "cost";
	if (is->age_ms != due->age_ms)
		return "age";
	if (is->ttl_left_ms != due->ttl_left_ms)
		return "time left";
	if (is->stale != due->stale || is->stale_ms != due->stale_ms)
		return "stale";
	if (question->what != ASK_META && !same_bytes(flight, object))
		return "value";
	if (question->what == ASK_META && is->value.data)
		return "value of META";
	if (!pair_same_version(pair, object->version, is->version))
		return "version";
	return NULL;
}

static const char *const words[] = {
	[ASK_GET] = "GET",
	[ASK_META] = "META",
	[ASK_PUT] = "PUT",
	[ASK_UPLOAD] = "PUT in parts",
	[ASK_DELETE] = "DELETE",
	[ASK_TAKE] = "TAKE",
	[ASK_TOUCH] = "TOUCH",
	[ASK_INCR] = "INCR",
	[ASK_BATCH] = "BATCH",
	[ASK_FLUSH] = "FLUSH",
	[ASK_INVALIDATE] = "INVALIDATE",
	[ASK_RELEASE] = "RELEASE",
	[ASK_RESUME] = "RESUME",
};

/* BRINE_TRACE=1: all that is asked, told and answered. */
void
pair_trace(const struct pair *pair, unsigned number, const char *what)
{
	static int wanted = -1;
	const struct model_asked *asked = &pair->model.asked[number];
	const struct model_question *question = &asked->question;

	if (wanted < 0)
		wanted = getenv("BRINE_TRACE") != NULL;
	if (!wanted)
		return;
	fprintf(stderr,
		"%u.%u %lld #%u %s: %s of %u/%u peer %u wish %d holder %llu token %llu ack %d "
		"where %d state %d answer %d/%d lease %d\n",
		pair->start, pair->step, (long long)pair->model.now_ms - 1700000000000,
		number, what, words[question->what], question->space,
		question->items[0].key > question->key ? question->items[0].key
						       : question->key,
		question->peer, (int)question->wish, (unsigned long long)question->holder,
		(unsigned long long)question->token, (int)question->ack,
		(int)here.flights[number].where, (int)asked->state,
		(int)asked->answer.kind, (int)asked->answer.error,
		(int)asked->answer.lease);
	for (unsigned i = 0; question->what == ASK_BATCH && i < question->count; i++)
		fprintf(stderr, "    %s %u as %llu\n",
			question->items[i].remove ? "remove" : "put",
			question->items[i].key,
			(unsigned long long)asked->answer.versions[i]);
	if (asked->answer.changed)
		fprintf(stderr, "    change %llu\n",
			(unsigned long long)asked->answer.change);
}

static void
differs(struct pair *pair, unsigned number, const char *what)
{
	const struct model_asked *asked = &pair->model.asked[number];
	const struct model_question *question = &asked->question;
	const struct flight *flight = &here.flights[number];
	char text[512];

	snprintf(
		text, sizeof(text),
		"%s of space %u key %u: %s; the model says %d error %d lease %d entry %u, the "
		"engine %d error %d lease %d entry %u%s",
		words[question->what], question->space, question->key, what,
		(int)asked->answer.kind, (int)asked->answer.error,
		(int)asked->answer.lease, asked->answer.entry, (int)flight->answer.kind,
		(int)flight->answer.error, (int)flight->answer.lease,
		flight->answer.entry, flight->answered ? "" : " (not answered)");
	pair_fail(pair, __FILE__, __LINE__, text);
}

static void
learn_token(struct pair *pair, unsigned number)
{
	uint64_t token = pair->model.asked[number].answer.token;
	static const uint8_t none[CACHE_TOKEN_SIZE];

	MUST(pair, token && token < PAIR_NUMBERS);
	MUST(pair, memcmp(pair->tokens[token], none, CACHE_TOKEN_SIZE) == 0);
	memcpy(pair->tokens[token], here.flights[number].answer.token, CACHE_TOKEN_SIZE);
	for (uint64_t other = 1; other < token && other < 100; other++)
		MUST(pair, memcmp(pair->tokens[token - other], pair->tokens[token],
				  CACHE_TOKEN_SIZE) != 0);
}

static const char *
find_change_difference(struct pair *pair, unsigned number)
{
	const struct model_question *question = &pair->model.asked[number].question;
	const struct model_answer *due = &pair->model.asked[number].answer;
	const struct flight *flight = &here.flights[number];

	switch (question->what) {
	case ASK_PUT:
	case ASK_UPLOAD:
	case ASK_TOUCH:
		return pair_same_version(pair, due->object.version,
					 flight->answer.version)
			       ? NULL
			       : "version";
	case ASK_INCR:
		if (flight->answer.counter != due->object.counter)
			return "counter";
		return pair_same_version(pair, due->object.version,
					 flight->answer.version)
			       ? NULL
			       : "version";
	case ASK_BATCH:
		for (unsigned i = 0; i < question->count; i++) {
			if (flight->removed[i] != due->removed[i])
				return "what was removed";
			if (due->versions[i] && !pair_same_version(pair, due->versions[i],
								   flight->versions[i]))
				return "version in the batch";
		}
		return NULL;
	default:
		return NULL;
	}
}

static void
count_seen(struct pair *pair, const struct model_answer *due)
{
	pair->seen.hits += due->kind == ANSWER_DONE;
	pair->seen.refused += due->kind == ANSWER_ERROR;
	pair->seen.stale += due->stale;
	pair->seen.granted += due->lease == LEASE_REPLY_GRANTED;
	pair->seen.alone += due->lease == LEASE_REPLY_ALONE;
	pair->seen.vain += due->lease == LEASE_REPLY_VAIN;
}

static void
on_part(void *arg, const struct part *part)
{
	struct flight *flight = arg;

	flight->part_came = true;
	flight->last = part->last;
	flight->broken = part->error;
	if (part->error)
		return;
	flight->bytes = realloc(flight->bytes, flight->len + part->bytes.len + 1);
	memcpy(flight->bytes + flight->len, part->bytes.data, part->bytes.len);
	flight->len += part->bytes.len;
}

void
pair_drain(struct pair *pair, struct flight *flight)
{
	flight->last = false;
	while (!flight->last) {
		flight->part_came = false;
		download_next(flight->answer.download, on_part, flight);
		while (!flight->part_came)
			pair_step(pair);
		MUST(pair, !flight->broken);
	}
	download_close(&flight->answer.download);
}

/* Does it answer as soon as it is decided? */
static bool
is_prompt(const struct model_question *question)
{
	return question->what == ASK_GET || question->what == ASK_META ||
	       question->what == ASK_RELEASE || question->what == ASK_RESUME;
}

static void
compare_one(struct pair *pair, unsigned number)
{
	const struct model_question *question = &pair->model.asked[number].question;
	const struct model_answer *due = &pair->model.asked[number].answer;
	struct flight *flight = &here.flights[number];
	bool value = question->what == ASK_GET || question->what == ASK_META ||
		     question->what == ASK_TAKE || due->found;
	const char *difference = NULL;

	if (flight->answer.kind != due->kind)
		difference = "answer";
	else if (due->kind == ANSWER_ERROR && flight->answer.error != due->error)
		difference = "error";
	else if (due->kind == ANSWER_ERROR && question->what == ASK_BATCH &&
		 flight->answer.entry != due->entry + 1)
		difference = "entry";
	else if (flight->answer.lease != due->lease)
		difference = "lease";
	if (!difference && flight->answer.download)
		pair_drain(pair, flight);
	if (!difference && due->kind == ANSWER_DONE)
		difference = value ? pair_find_difference(pair, question, due, flight)
				   : find_change_difference(pair, number);
	if (difference)
		differs(pair, number, difference);
	if (due->lease == LEASE_REPLY_GRANTED)
		learn_token(pair, number);
	if (question->ack == ACK_DISK && !is_prompt(question))
		model_on_disk(&pair->model, number);
	count_seen(pair, due);
	free(flight->bytes);
	flight->bytes = NULL;
	model_forget(&pair->model, number);
}

void
pair_compare(struct pair *pair)
{
	for (unsigned i = 0; i < MODEL_ASKED; i++) {
		const struct model_asked *asked = &pair->model.asked[i];

		if (asked->state == ASKED_ANSWERED && here.flights[i].answered)
			compare_one(pair, i);
		else if (asked->state == ASKED_ANSWERED && is_prompt(&asked->question))
			differs(pair, i, "no answer");
		else if (asked->state != ASKED_NOT && here.flights[i].answered)
			differs(pair, i, "an answer to one who waits");
	}
}
