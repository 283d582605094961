/* model_leases.c - who computes and who waits, in the words of PROTOCOL.md and lease.h. */
#include <string.h>

#include "tests/unit/model.h"

#define RESERVED_NS UINT64_C(10000000000)
#define NS_PER_MS UINT64_C(1000000)
/* A second failure in a row. */
#define FAILURES 2

static struct model_lease *
lease_of(struct model *model, unsigned asked)
{
	const struct model_question *question = &model->asked[asked].question;

	return &model->leases[question->space][question->key];
}

static bool
taken(const struct model_lease *lease)
{
	return lease->state == LEASE_IS_HELD || lease->state == LEASE_IS_RESERVED;
}

static uint32_t
uid_of(const struct model *model, const struct model_question *question)
{
	return model->peers[question->peer].uid;
}

/* ---- lines */

static void
append(struct model_line *line, unsigned asked)
{
	line->asked[line->count++] = asked;
}

static unsigned
take_first(struct model_line *line)
{
	unsigned first = line->asked[0];

	memmove(line->asked, line->asked + 1, --line->count * sizeof(line->asked[0]));
	return first;
}

static void
leave_line(struct model_line *line, unsigned asked)
{
	struct model_line rest = { .count = 0 };

	for (unsigned i = 0; i < line->count; i++)
		if (line->asked[i] != asked)
			append(&rest, line->asked[i]);
	*line = rest;
}

static void
tell(struct model *model, unsigned asked, int told)
{
	struct model_lease *lease = lease_of(model, asked);

	leave_line(&lease->computing, asked);
	leave_line(&lease->watching, asked);
	model->asked[asked].state = ASKED_TOLD;
	model->asked[asked].told = told;
	append(&model->told, asked);
}

/* ---- circles */

/* The parked requests of this holder wait for these leases. */
static bool
waits_here(const struct model *model, unsigned asked, uint32_t uid, uint64_t holder)
{
	const struct model_question *question = &model->asked[asked].question;

	return holder && model->asked[asked].state == ASKED_PARKED &&
	       question->holder == holder && uid_of(model, question) == uid;
}

/* Does this holder wait for the lease: for it, or for one whose holder does? */
static bool
waits_for(struct model *model, uint32_t uid, uint64_t holder,
	  const struct model_lease *wanted, unsigned except, unsigned steps)
{
	for (unsigned i = 0; i < MODEL_ASKED; i++) {
		const struct model_lease *lease;

		if (i == except || !waits_here(model, i, uid, holder))
			continue;
		lease = lease_of(model, i);
		if (lease == wanted)
			return true;
		if (taken(lease) && steps &&
		    waits_for(model, lease->uid, lease->holder, wanted, except,
			      steps - 1))
			return true;
	}
	return false;
}

/* Would who waits for this lease wait for this holder: because it holds it, or because its holder waits for one that
 * it holds? */
static bool
leads_to(struct model *model, const struct model_lease *lease, uint32_t uid,
	 uint64_t holder, unsigned steps)
{
	if (!holder || !taken(lease))
		return false;
	if (lease->holder == holder && lease->uid == uid)
		return true;
	for (unsigned i = 0; steps && i < MODEL_ASKED; i++)
		if (waits_here(model, i, lease->uid, lease->holder) &&
		    leads_to(model, lease_of(model, i), uid, holder, steps - 1))
			return true;
	return false;
}

#define STEPS (MODEL_SPACES * MODEL_KEYS)

/* ---- grants */

static void
grant(struct model *model, struct model_lease *lease,
      const struct model_question *question)
{
	lease->state = LEASE_IS_HELD;
	lease->token = ++model->tokens;
	lease->granted = model->events;
	lease->peer = question->peer;
	lease->uid = uid_of(model, question);
	lease->holder = question->holder;
	lease->end_ns =
		question->lease_ms ? model->now_ns + question->lease_ms * NS_PER_MS : 0;
	lease->attached = ++model->attached;
	lease->was_nobodys = false;
}

static void
end(struct model_lease *lease)
{
	lease->state = LEASE_IS_FREE;
	lease->failures = 0;
}

/* The first in line computes; who would wait for itself then does so without a lease. */
static void
pass(struct model *model, struct model_lease *lease)
{
	lease->state = LEASE_IS_FREE;
	while (lease->computing.count) {
		unsigned first = lease->computing.asked[0];
		const struct model_question *question = &model->asked[first].question;

		if (waits_for(model, uid_of(model, question), question->holder, lease,
			      first, STEPS)) {
			tell(model, first, TOLD_ALONE);
			continue;
		}
		grant(model, lease, question);
		model->asked[first].token = lease->token;
		tell(model, first, TOLD_GRANTED);
		return;
	}
	end(lease);
}

/* ---- asking */

static bool
answer_with(struct model_asked *asked, enum lease_reply reply)
{
	asked->answer.lease = reply;
	return true;
}

/* The rules up to the grant: LEASE_REPLY_NONE means that it waits. */
static enum lease_reply
ask(struct model *model, unsigned number, struct model_lease *lease)
{
	const struct model_question *question = &model->asked[number].question;
	bool computes = question->wish == LEASE_WISH_COMPUTE;
	enum lease_reply without = computes ? LEASE_REPLY_ALONE : LEASE_REPLY_VAIN;
	uint32_t uid = uid_of(model, question);

	if (model->peers[question->peer].dead)
		return without;
	if (taken(lease) && leads_to(model, lease, uid, question->holder, STEPS))
		return without;
	if (taken(lease) || !computes)
		return LEASE_REPLY_NONE;
	if (waits_for(model, uid, question->holder, lease, MODEL_ASKED, STEPS))
		return LEASE_REPLY_ALONE;
	grant(model, lease, question);
	return LEASE_REPLY_GRANTED;
}

bool
model_ask_lease(struct model *model, unsigned number)
{
	struct model_asked *asked = &model->asked[number];
	struct model_lease *lease = lease_of(model, number);
	enum lease_reply reply;

	if (model->leaving) {
		asked->answer.kind = ANSWER_ERROR;
		asked->answer.error = ERROR_SHUTTING_DOWN;
		return true;
	}
	reply = ask(model, number, lease);
	if (reply == LEASE_REPLY_GRANTED)
		asked->answer.token = lease->token;
	if (reply != LEASE_REPLY_NONE)
		return answer_with(asked, reply);
	if (asked->until_ns <= model->now_ns)
		return answer_with(asked, LEASE_REPLY_VAIN);
	asked->state = ASKED_PARKED;
	append(asked->question.wish == LEASE_WISH_WAIT ? &lease->watching
						       : &lease->computing,
	       number);
	model->counts.waits[asked->question.space]++;
	return false;
}

void
model_offer_refresh(struct model *model, unsigned number)
{
	struct model_asked *asked = &model->asked[number];
	struct model_lease *lease = lease_of(model, number);

	if (model->leaving || ask(model, number, lease) != LEASE_REPLY_GRANTED)
		return;
	asked->answer.lease = LEASE_REPLY_GRANTED;
	asked->answer.token = lease->token;
}

/* ---- what happens to a key */

static bool
owns(const struct model_lease *lease, uint64_t token)
{
	return lease->state != LEASE_IS_FREE && lease->token == token;
}

static bool
stamped_since(const struct model *model, const struct model_question *question,
	      uint8_t tags, uint64_t event)
{
	for (unsigned tag = 0; tag < MODEL_TAGS; tag++)
		if (tags & 1u << tag && model->stamped[question->space][tag] > event)
			return true;
	return false;
}

bool
model_unsure(const struct model *model, const struct model_question *question)
{
	const struct model_lease *lease =
		&model->leases[question->space][question->items[0].key];

	return question->token && owns(lease, question->token) && lease->was_nobodys &&
	       question->items[0].tags && stamped_since(model, question, 0xff, 0);
}

bool
model_token_old(struct model *model, const struct model_question *question)
{
	unsigned key = question->items[0].key;
	const struct model_lease *lease = &model->leases[question->space][key];

	if (!owns(lease, question->token))
		return true;
	if (!question->taken_for_old &&
	    !stamped_since(model, question, question->items[0].tags, lease->granted))
		return false;
	/* What it computed from may be void: it is as if the key was deleted. */
	model_revoked(model, question->space, key);
	return true;
}

void
model_published(struct model *model, unsigned space, unsigned key)
{
	struct model_lease *lease = &model->leases[space][key];

	while (lease->computing.count)
		tell(model, lease->computing.asked[0], TOLD_LOOK);
	while (lease->watching.count)
		tell(model, lease->watching.asked[0], TOLD_LOOK);
	end(lease);
}

void
model_revoked(struct model *model, unsigned space, unsigned key)
{
	struct model_lease *lease = &model->leases[space][key];

	lease->failures = 0;
	if (model->leaving)
		end(lease);
	else
		pass(model, lease);
}

bool
model_release(struct model *model, const struct model_question *question)
{
	struct model_lease *lease = &model->leases[question->space][question->key];

	if (!owns(lease, question->token))
		return false;
	if (question->why == GIVE_UP_FAILED && ++lease->failures < FAILURES &&
	    !model->leaving) {
		pass(model, lease);
		return true;
	}
	while (lease->computing.count)
		tell(model, lease->computing.asked[0], TOLD_ALONE);
	end(lease);
	return true;
}

bool
model_resume(struct model *model, const struct model_question *question)
{
	struct model_lease *lease = &model->leases[question->space][question->key];

	if (model->leaving || model->peers[question->peer].dead ||
	    !owns(lease, question->token) || lease->uid != uid_of(model, question) ||
	    (lease->end_ns && lease->end_ns <= model->now_ns))
		return false;
	/* As if it was granted anew. */
	if (!taken(lease) &&
	    waits_for(model, lease->uid, lease->holder, lease, MODEL_ASKED, STEPS))
		return false;
	lease->state = LEASE_IS_HELD;
	lease->peer = question->peer;
	lease->attached = ++model->attached;
	return true;
}

/* Its holder is gone, or its time is over. */
static void
run_out(struct model *model, struct model_lease *lease)
{
	if (lease->computing.count) {
		pass(model, lease);
	} else if (lease->state == LEASE_IS_RESERVED) {
		end(lease);
	} else {
		lease->state = LEASE_IS_LAPSED;
		lease->was_nobodys = true;
	}
}

/* ---- time and turns */

static uint64_t
due_ns(const struct model_lease *lease)
{
	if (lease->state == LEASE_IS_RESERVED)
		return lease->reserved_ns;
	return lease->state == LEASE_IS_HELD && lease->end_ns ? lease->end_ns
							      : MODEL_NEVER;
}

static struct model_lease *
next_due(struct model *model)
{
	struct model_lease *first = NULL;

	for (unsigned i = 0; i < MODEL_SPACES * MODEL_KEYS; i++) {
		struct model_lease *lease =
			&model->leases[i / MODEL_KEYS][i % MODEL_KEYS];

		if (!first || due_ns(lease) < due_ns(first))
			first = lease;
	}
	return first;
}

/* Who waits for just as long as the lease lasts has waited in vain. */
void
model_tick(struct model *model)
{
	struct model_lease *lease;

	for (unsigned i = 0; i < MODEL_ASKED; i++)
		if (model->asked[i].state == ASKED_PARKED &&
		    model->asked[i].until_ns <= model->now_ns)
			tell(model, i, TOLD_VAIN);
	while ((lease = next_due(model)) && due_ns(lease) <= model->now_ns)
		run_out(model, lease);
}

uint64_t
model_deadline_ns(const struct model *model)
{
	uint64_t at_ns = MODEL_NEVER;

	for (unsigned i = 0; i < MODEL_ASKED; i++)
		if (model->asked[i].state == ASKED_PARKED &&
		    model->asked[i].until_ns < at_ns)
			at_ns = model->asked[i].until_ns;
	for (unsigned i = 0; i < MODEL_SPACES * MODEL_KEYS; i++) {
		const struct model_lease *lease =
			&model->leases[i / MODEL_KEYS][i % MODEL_KEYS];

		if (due_ns(lease) < at_ns)
			at_ns = due_ns(lease);
	}
	return at_ns;
}

unsigned
model_next_told(struct model *model)
{
	struct model_asked *asked;
	unsigned first;

	if (!model->told.count)
		return MODEL_ASKED;
	first = take_first(&model->told);
	asked = &model->asked[first];
	asked->state = asked->told == TOLD_LOOK ? ASKED_OPEN : ASKED_ANSWERED;
	asked->answer =
		(struct model_answer){ .kind = ANSWER_MISS, .change = model->change };
	switch (asked->told) {
	case TOLD_LOOK:
		break;
	case TOLD_GRANTED:
		asked->answer.lease = LEASE_REPLY_GRANTED;
		asked->answer.token = asked->token;
		break;
	case TOLD_ALONE:
		asked->answer.lease = LEASE_REPLY_ALONE;
		break;
	case TOLD_VAIN:
		asked->answer.lease = LEASE_REPLY_VAIN;
		break;
	case TOLD_NOBODY:
		asked->answer.kind = ANSWER_ERROR;
		asked->answer.error = ERROR_SHUTTING_DOWN;
		break;
	}
	model->counts.misses +=
		asked->state == ASKED_ANSWERED && asked->answer.kind == ANSWER_MISS;
	return first;
}

/* ---- connections */

void
model_peer_open(struct model *model, unsigned peer, uint32_t uid)
{
	model->peers[peer] = (struct model_peer){ .uid = uid };
}

/* The newest of those that it holds; NULL: none. */
static struct model_lease *
newest_held(struct model *model, unsigned peer)
{
	struct model_lease *newest = NULL;

	for (unsigned i = 0; i < MODEL_SPACES * MODEL_KEYS; i++) {
		struct model_lease *lease =
			&model->leases[i / MODEL_KEYS][i % MODEL_KEYS];

		if (lease->state == LEASE_IS_HELD && lease->peer == peer &&
		    (!newest || lease->attached > newest->attached))
			newest = lease;
	}
	return newest;
}

void
model_peer_died(struct model *model, unsigned peer)
{
	struct model_lease *lease;

	model->peers[peer].dead = true;
	for (unsigned i = 0; i < MODEL_ASKED; i++)
		if (model->asked[i].state == ASKED_PARKED &&
		    model->asked[i].question.peer == peer)
			tell(model, i, TOLD_NOBODY);
	while ((lease = newest_held(model, peer))) {
		if (model->leaving)
			lease->peer = 0; /* it stays held, to be saved */
		else
			run_out(model, lease);
	}
}

unsigned
model_peer_waits(const struct model *model, unsigned peer)
{
	unsigned count = 0;

	for (unsigned i = 0; i < MODEL_ASKED; i++)
		count += model->asked[i].state == ASKED_PARKED &&
			 model->asked[i].question.peer == peer;
	return count;
}

bool
model_peer_holds(const struct model *model, unsigned peer)
{
	return newest_held((struct model *)model, peer);
}

/* ---- ends and beginnings */

void
model_leave(struct model *model)
{
	model->leaving = true;
	for (unsigned i = 0; i < MODEL_ASKED; i++)
		if (model->asked[i].state == ASKED_PARKED)
			tell(model, i, TOLD_NOBODY);
}

static void
forget_start(struct model *model)
{
	model->leaving = false;
	model->told.count = 0;
	memset(model->asked, 0, sizeof(model->asked));
	memset(model->peers, 0, sizeof(model->peers));
	memset(&model->counts, 0, sizeof(model->counts));
}

static void
reserve(struct model *model, struct model_lease *lease, uint64_t exit_ns)
{
	struct model_lease saved = *lease;

	memset(lease, 0, sizeof(*lease));
	if (!taken(&saved))
		return;
	lease->state = LEASE_IS_RESERVED;
	lease->token = saved.token;
	lease->granted = saved.granted;
	lease->uid = saved.uid;
	lease->holder = saved.holder;
	lease->was_nobodys = saved.was_nobodys;
	lease->reserved_ns = model->now_ns + RESERVED_NS;
	/* Its clock stood still meanwhile. */
	if (saved.end_ns)
		lease->end_ns = model->now_ns +
				(saved.end_ns > exit_ns ? saved.end_ns - exit_ns : 1);
}

void
model_restart(struct model *model, uint64_t exit_ns)
{
	forget_start(model);
	model->on_disk = model->change;
	for (unsigned i = 0; i < MODEL_SPACES * MODEL_KEYS; i++)
		reserve(model, &model->leases[i / MODEL_KEYS][i % MODEL_KEYS], exit_ns);
}

void
model_crashed(struct model *model, uint64_t change)
{
	forget_start(model);
	memset(model->leases, 0, sizeof(model->leases));
	memset(model->stamped, 0, sizeof(model->stamped));
	memcpy(model->objects, model_past(model, change)->objects,
	       sizeof(model->objects));
	/* From here on it goes on as if nothing had been lost. */
	model->change++;
	memcpy(model->past[model->change % MODEL_PAST].objects, model->objects,
	       sizeof(model->objects));
	model->on_disk = model->change;
}
