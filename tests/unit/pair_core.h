/* pair_core.h - the inside of the pair, for its own parts: pair.c (turns, and who decides when), pair_ask.c (requests as
 * the engine takes them), pair_compare.c (answers), pair_life.c (starts and ends). */
#ifndef BRINE_TESTS_PAIR_CORE_H
#define BRINE_TESTS_PAIR_CORE_H

#include <stdlib.h>

#include "daemon/cache_core.h"
#include "tests/unit/pair.h"

#define MUST(pair, condition)                                                            \
	do {                                                                             \
		if (!(condition))                                                        \
			pair_fail(pair, __FILE__, __LINE__, #condition);                 \
	} while (0)

/* Where a request is that the engine has not decided. */
enum where {
	DECIDED,
	WITH_READER,
	WITH_WRITER,
};

/* A request as the engine sees it. */
struct flight {
	uint8_t cursor[MESSAGE_CURSOR_MAX]; /* a copy of the answer's */
	bool answered;
	struct answer answer;
	uint8_t *bytes;
	size_t len;
	uint64_t versions[MODEL_ITEMS];
	bool removed[MODEL_ITEMS];
	enum where where;
	uint64_t opened; /* the order in which they went there */
	bool part_came, last;
	enum error broken;
};

/* The engine of this process. */
struct pair_here {
	struct cache *cache;
	struct payer *payer;
	struct peer *peers[MODEL_PEERS];
	struct flight flights[MODEL_ASKED];
	uint64_t opened;
};
extern struct pair_here here;

/* ---- pair.c ---- */

_Noreturn void pair_fail(const struct pair *pair, const char *file, int line,
			 const char *what);
void pair_set_clock(struct pair *pair);
void pair_move(struct pair *pair, uint64_t to_ns, uint64_t by_ms);
void pair_on_answer(void *arg, uint32_t id, const struct answer *answer);
/* The engine has taken it: the model decides it if the engine has. */
void pair_follow_one(struct pair *pair, unsigned number);
void pair_end_turn(struct pair *pair);
/* Until the next news. */
void pair_step(struct pair *pair);

/* A call of its own, which is not the model's. Until it is answered; pair_on_answer() fills the flight. */
#define CALL(pair, into, call)                                                           \
	do {                                                                             \
		struct later later = { .answered = pair_on_answer, .arg = (into) };      \
		struct answer answer_ = { 0 };                                           \
		free((into)->bytes);                                                     \
		*(into) = (struct flight){ .answered = false };                          \
		cache_turn_begin(here.cache);                                            \
		here.cache->cold_share = 0;                                              \
		if ((call) == CACHE_NOW)                                                 \
			pair_on_answer((into), 0, &answer_);                             \
		pair_end_turn(pair);                                                     \
		while (!(into)->answered)                                                \
			pair_step(pair);                                                 \
		if ((into)->answer.download)                                             \
			pair_drain(pair, into);                                          \
		(void)later;                                                             \
	} while (0)

/* ---- pair_ask.c ---- */

struct target pair_target(unsigned space, unsigned key, char text[static KEY_MAX + 1]);

/* ---- pair_compare.c ---- */

/* What is answered must be what is due, and nobody else may be answered. */
void pair_compare(struct pair *pair);
/* What differs in a hit; NULL: nothing. */
const char *pair_find_difference(struct pair *pair, const struct model_question *question,
				 const struct model_answer *due,
				 const struct flight *flight);
bool pair_same_version(struct pair *pair, uint64_t number, uint64_t version);
/* A streamed value to its end. */
void pair_drain(struct pair *pair, struct flight *flight);
/* BRINE_TRACE=1: all that is asked, told and answered. */
void pair_trace(const struct pair *pair, unsigned number, const char *what);

#endif
