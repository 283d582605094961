/* cache.h - a cache in an array, for tests of what stands above the cache: its answers can be held back,
 * room can be refused, parts can come late, and it counts what it gave out.
 *
 * A test program includes tests/unit/fake/cache.c, once; the real cache is then not linked. */
#ifndef TESTS_UNIT_FAKE_CACHE_H
#define TESTS_UNIT_FAKE_CACHE_H

#include "daemon/cache.h"

struct fake {
	struct later last_later;
	bool hold_answers; /* everything is answered later, by fake_answer() */
	bool hold_parts;   /* parts of downloads come later, by fake_answer() */
	bool reserve;      /* cache_admits_awaited() says yes all the same */
	bool no_room; /* cache_admits() and upload_ready() say no; fake_give_room() ends it */
	bool borrow; /* values are borrowed, not owned by the receiver */
	uint64_t max_value;
	uint32_t
		part_fails; /* the part with this number (from 1) ends with ERROR_DAMAGED */
	struct put last_put; /* its slices are void */
	struct get last_get;
	enum ack last_ack;
	bool last_everybody;
	unsigned turns, puts, gets, uploads, aborted;
	unsigned open_downloads, open_payers, open_peers, dead_peers, kept, held;
	bool left;                  /* cache_leave() */
	bool hold_leases;           /* every peer holds one */
	struct cache_health health; /* as cache_examine() shall find it */
	unsigned examined;
};

/* The one cache of the test. */
extern struct fake fake;

/* Gives held answers and parts, as cache_wake() would; returns how many there were. */
unsigned fake_answer(struct cache *cache);
void fake_give_room(struct cache *cache);

#endif
