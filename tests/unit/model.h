/* model.h - what the engine should answer, naively: arrays, and the rules of PROTOCOL.md one after another. It
 * knows no disk and no threads. A test asks the engine and the model the same things in the same order, moves
 * the time of both, and compares.
 *
 * Versions and tokens are the engine's to choose: here they are numbers that count up, each standing for one.
 * The whole model is one struct without pointers, so that it can live in memory that outlives a process. */
#ifndef BRINE_TESTS_MODEL_H
#define BRINE_TESTS_MODEL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/cache.h"

#define MODEL_SPACES 3
#define MODEL_KEYS 4
#define MODEL_TAGS 3
#define MODEL_ITEMS 6   /* of one batch */
#define MODEL_ASKED 24  /* requests under way */
#define MODEL_PEERS 512 /* connections of one start */
#define MODEL_PAST 4096 /* changes that may wait for the disk */
#define MODEL_NEVER UINT64_MAX

struct model_object {
	bool there; /* it may be past its time to live */
	uint8_t kind;
	uint8_t tags; /* a bit for each */
	uint32_t codec;
	uint32_t seed; /* of its bytes; a counter has none */
	size_t len;
	int64_t counter;
	uint64_t version;
	uint64_t cost_us;
	uint64_t created_ms;
	uint64_t expires_ms; /* MODEL_NEVER */
	uint64_t ttl_ms;     /* as it was given; MODEL_NEVER */
	uint64_t stale_for_ms;
};

enum model_what {
	ASK_GET,
	ASK_META,
	ASK_PUT,
	ASK_UPLOAD, /* a put whose value comes in parts */
	ASK_DELETE,
	ASK_TAKE,
	ASK_TOUCH,
	ASK_INCR,
	ASK_BATCH,
	ASK_FLUSH,
	ASK_INVALIDATE,
	ASK_RELEASE,
	ASK_RESUME,
};

/* One thing that is put or, in a batch, removed. */
struct model_item {
	bool remove;
	unsigned key;
	enum condition condition;
	uint64_t version; /* with CONDITION_VERSION; of a removal: 0 any */
	bool or_get;      /* with CONDITION_ABSENT, and the next line */
	uint64_t not_version;
	uint64_t ttl_ms, stale_for_ms, cost_us;
	uint32_t codec, seed;
	size_t len;
	uint8_t kind, tags;
	int64_t counter;
};

struct model_question {
	enum model_what what;
	unsigned space, key;
	enum ack ack;
	unsigned peer; /* who asks for a lease, or resumes one */
	enum lease_wish wish;
	uint64_t holder, wait_ms, lease_ms;
	bool stale_ok, refresh;
	uint64_t max_age_ms, not_version, refresh_ms;
	uint64_t version; /* of a delete, a take: 0 any */
	uint64_t ttl_ms;  /* of a touch, a counter */
	uint64_t token;   /* of a put: 0 none */
	enum give_up why;
	int64_t delta, initial;
	bool only_if_present;
	uint8_t tags; /* to be invalidated */
	unsigned count;
	struct model_item items[MODEL_ITEMS]; /* of a put: the first */
	/* What the test knows and the model cannot. A flush passes leases on in this order; and the daemon may take
	 * a token for old where model_unsure() says so. */
	unsigned order[MODEL_KEYS];
	bool taken_for_old;
};

struct model_answer {
	enum answer_kind kind;
	enum error error;
	unsigned entry;
	struct model_object
		object; /* of a hit; of a change: its version, and what a counter stands at */
	uint64_t age_ms, ttl_left_ms, stale_ms;
	bool stale;
	bool found; /* of a put: what was there, as of a hit */
	enum lease_reply lease;
	uint64_t token;
	uint64_t versions[MODEL_ITEMS]; /* of a batch */
	bool removed[MODEL_ITEMS];
	/* Once this is answered and was to wait for the disk: all changes up to this one are there. */
	uint64_t change;
	bool changed;
};

enum model_state {
	ASKED_NOT,
	ASKED_OPEN,     /* the engine has not decided it yet */
	ASKED_PARKED,   /* waits in line */
	ASKED_TOLD,     /* left the line, and is not answered yet */
	ASKED_ANSWERED, /* the answer is known */
};

struct model_asked {
	enum model_state state;
	struct model_question question;
	struct model_answer answer;
	uint64_t until_ns; /* of its wait; MODEL_NEVER */
	/* when TOLD */
	enum { TOLD_GRANTED, TOLD_ALONE, TOLD_VAIN, TOLD_LOOK, TOLD_NOBODY } told;
	uint64_t token;
};

enum model_lease_state {
	LEASE_IS_FREE,
	LEASE_IS_HELD,
	LEASE_IS_LAPSED,
	LEASE_IS_RESERVED,
};

struct model_line {
	unsigned count;
	unsigned asked[MODEL_ASKED];
};

struct model_lease {
	enum model_lease_state state;
	uint64_t token;
	uint64_t granted; /* the event of its grant */
	unsigned peer;    /* HELD; 0 while the daemon leaves */
	uint32_t uid;
	uint64_t holder;
	unsigned failures;
	uint64_t end_ns;      /* 0: it has none */
	uint64_t reserved_ns; /* RESERVED: until then */
	uint64_t attached;    /* when its holder got it, of all of them */
	bool was_nobodys;     /* it lapsed since its grant */
	struct model_line computing, watching;
};

struct model_peer {
	uint32_t uid;
	bool dead;
};

struct model_counts {
	uint64_t hits, misses, puts, deletes;
	uint64_t stale_hits[MODEL_SPACES], saved_us[MODEL_SPACES], waits[MODEL_SPACES];
};

struct model_past {
	struct model_object objects[MODEL_SPACES][MODEL_KEYS];
};

struct model {
	uint64_t now_ns; /* CLOCK_MONOTONIC */
	uint64_t now_ms; /* daemon time */
	bool leaving;
	uint64_t versions, tokens, events; /* given so far */
	uint64_t attached;
	struct model_object objects[MODEL_SPACES][MODEL_KEYS];
	struct model_lease leases[MODEL_SPACES][MODEL_KEYS];
	uint64_t stamped[MODEL_SPACES]
			[MODEL_TAGS]; /* the event of the last invalidation */
	struct model_peer peers[MODEL_PEERS];
	struct model_asked asked[MODEL_ASKED];
	struct model_line told;
	struct model_counts counts;

	/* The past, as a crash may bring it back: what was there after each change. */
	struct model_past past[MODEL_PAST];
	uint64_t change;  /* the newest */
	uint64_t on_disk; /* all up to this one are */
	/* Who was told, and relies on it, that this key was absent then. */
	uint64_t absent_on_disk[MODEL_SPACES][MODEL_KEYS];
};

void model_init(struct model *model);
uint32_t model_uid(unsigned space);
const char *model_space_name(unsigned space);
void model_fill(uint8_t *to, size_t len, uint32_t seed);

/* ---- requests ---- */

/* A question is asked: its wait begins. What the engine decides of it, it decides later: model_decide(). */
void model_ask(struct model *model, unsigned asked,
	       const struct model_question *question);
/* The engine decides it now: it is ASKED_ANSWERED or ASKED_PARKED from here on. */
void model_decide(struct model *model, unsigned asked);
/* Whether the daemon may say OLD_TOKEN to this put though nothing made its token old: it does not know any more. */
bool model_unsure(const struct model *model, const struct model_question *question);
/* The answer is there: who asked can ask again. */
void model_forget(struct model *model, unsigned asked);
/* An answer that had to wait for the disk is there. */
void model_on_disk(struct model *model, unsigned asked);
/* All changes up to this one are there. */
void model_synced(struct model *model, uint64_t change);
/* Is something there that may be given out as it is? Or only to who takes stale values? */
bool model_fresh(const struct model *model, const struct model_object *object);
bool model_stale(const struct model *model, const struct model_object *object);
/* The answer to who gets this object. */
void model_hit(const struct model *model, const struct model_object *object,
	       struct model_answer *answer);

/* ---- time and turns ---- */

/* What is over by now is over. */
void model_tick(struct model *model);
/* The next who was told something; MODEL_ASKED: nobody. He is answered, or, when he is to look again, ASKED_OPEN:
 * to be decided when the engine does. */
unsigned model_next_told(struct model *model);
/* When something is next over; MODEL_NEVER. */
uint64_t model_deadline_ns(const struct model *model);

/* ---- connections ---- */

void model_peer_open(struct model *model, unsigned peer, uint32_t uid);
/* Its process is gone. */
void model_peer_died(struct model *model, unsigned peer);
unsigned model_peer_waits(const struct model *model, unsigned peer);
bool model_peer_holds(const struct model *model, unsigned peer);

/* ---- ends and beginnings ---- */

/* The daemon is about to exit. */
void model_leave(struct model *model);
/* A start after an orderly exit, at which it was exit_ns. Nobody is connected. */
void model_restart(struct model *model, uint64_t exit_ns);
/* A start after a crash: what was there after that change is there. */
void model_crashed(struct model *model, uint64_t change);
/* Could a crash have brought back what was there after this change? What was there is in *ret_objects. */
bool model_may_be_past(const struct model *model, uint64_t change);
const struct model_past *model_past(const struct model *model, uint64_t change);

/* ---- model_leases.c, for model.c ---- */

/* The key is absent for a get that asks for a lease. True: it is answered, else it stands in line. */
bool model_ask_lease(struct model *model, unsigned asked);
/* It gets a stale value: does it refresh it? */
void model_offer_refresh(struct model *model, unsigned asked);
bool model_token_old(struct model *model, const struct model_question *question);
void model_published(struct model *model, unsigned space, unsigned key);
void model_revoked(struct model *model, unsigned space, unsigned key);
bool model_release(struct model *model, const struct model_question *question);
bool model_resume(struct model *model, const struct model_question *question);

#endif
