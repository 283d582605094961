/* pair.h - the engine and its model side by side: both are asked the same, in the order in which the engine
 * decides; both live by one clock, which stands still until it is moved; every difference ends the process with
 * a sentence and the seed.
 *
 * struct pair is what outlives a process: a test may put it into shared memory, let a child of its own run the
 * engine and kill it. Everything else is the process's. */
#ifndef BRINE_TESTS_PAIR_H
#define BRINE_TESTS_PAIR_H

#include "tests/unit/model.h"

/* Versions and tokens of one run. */
#define PAIR_NUMBERS (1u << 17)
/* Connections at a time. */
#define PAIR_SEATS 6

struct pair {
	struct model model;
	char path[64];
	uint64_t seed, state;
	unsigned step, start;
	uint64_t mono_ns;
	uint64_t wall_us;
	/* What the engine chose for the model's numbers; 0: not heard yet. */
	uint64_t versions[PAIR_NUMBERS];
	uint8_t tokens[PAIR_NUMBERS][CACHE_TOKEN_SIZE];
	unsigned seats[PAIR_SEATS]; /* the model's number of the connection; 0: none */
	unsigned peers;             /* connections of this start so far */
	bool exited;                /* in an orderly way, */
	uint64_t exit_ns;           /* at this time */
	/* What a run has seen, so that a test can tell whether it tested anything. */
	struct {
		uint64_t hits, stale, granted, alone, vain, waited, refused, lost, starts;
	} seen;
};

/* path: an empty directory. */
void pair_init(struct pair *pair, const char *path, uint64_t seed);
uint64_t pair_dice(struct pair *pair, uint64_t below);

/* Starts the engine: empty, after pair_exit(), or after a crash; what is there is compared. commit_delay_ns may be
 * longer than the run. */
void pair_start(struct pair *pair, uint64_t commit_delay_ns);
/* Ends it in an orderly way; leave: who waits is told, and leases are kept. */
void pair_exit(struct pair *pair, bool leave);

/* ---- in a turn */

void pair_turn_begin(struct pair *pair);
void pair_turn_end(struct pair *pair);
/* cold: what is not pending has to be looked up by a reader, so it is decided later; one at a time. False: no more
 * can be under way. */
bool pair_ask(struct pair *pair, const struct model_question *question, bool cold);
void pair_leave(struct pair *pair);
/* A connection of this uid at this seat. */
void pair_sit_down(struct pair *pair, unsigned seat, uint32_t uid);
/* Its process died; its connection is gone. */
void pair_die(struct pair *pair, unsigned seat);
void pair_get_up(struct pair *pair, unsigned seat);

/* ---- between turns */

bool pair_anything_open(const struct pair *pair);
/* Whatever has happened by now. */
void pair_look(struct pair *pair);
/* Until all that can be answered is. */
void pair_settle(struct pair *pair);
/* Everything is on the disk. */
void pair_sync(struct pair *pair);
/* Both clocks move; whatever is over in between is over just in time, or, when the loop is late, all at once. */
void pair_pass(struct pair *pair, uint64_t ms, bool late);
/* Every key of the space, in pages of this many. */
void pair_scan(struct pair *pair, unsigned space, unsigned limit);
/* The figures of STATS, and who waits. */
void pair_compare_figures(struct pair *pair);

#endif
