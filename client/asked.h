/* asked.h - the requests of one connection that have no answer yet, by id. Pure. */
#ifndef CLIENT_ASKED_H
#define CLIENT_ASKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum asked_flag {
	ASKED_OPEN = 1,       /* not answered */
	ASKED_SENT = 2,       /* its frame left completely: the daemon may execute it */
	ASKED_REPEATABLE = 4, /* executing it twice does no harm */
	ASKED_DISK = 8,       /* its answer waits for the disk */
	ASKED_STREAMED = 16,  /* its value goes to the caller piece by piece */
	ASKED_PARKS = 32,     /* its answer may take any time */
	ASKED_LEASE = 64,     /* its answer may have a lease in it */
	ASKED_OURS = 128,     /* not the caller's: HELLO, PING while parked, RESUME */
	ASKED_OR_GET = 256,   /* a put whose answer may be a value */
};

struct asked {
	uint64_t token;
	uint8_t command;
	uint16_t flags;
};

/* A ring: ids are given out in order, so an id's low bits are its place. */
struct asked_table {
	struct asked *slots;
	uint32_t size; /* a power of two */
	uint32_t first,
		next;  /* ids: the oldest that may be open, and the next to give out */
	uint32_t open; /* how many are, and of these: */
	uint32_t disk, parked, ours; /* with ASKED_DISK, ASKED_PARKS, ASKED_OURS */
};

enum asked_result {
	ASKED_OK = 0,
	ASKED_FULL = -1,
	ASKED_NO_MEMORY = -2,
};

void asked_free(struct asked_table *table);

/* Makes sure that asked_add() finds room. */
int asked_reserve(struct asked_table *table);

/* Gives out the next id. Only after asked_reserve(). */
uint32_t asked_add(struct asked_table *table, const struct asked *asked);

/* The open request of this id, or NULL. Valid until the next asked_reserve(). */
struct asked *asked_find(const struct asked_table *table, uint32_t id);

/* It was answered. */
void asked_close(struct asked_table *table, uint32_t id);

/* The first open request at id `from` or later; false if there is none. */
bool asked_first(const struct asked_table *table, uint32_t from, uint32_t *ret_id);

#endif
