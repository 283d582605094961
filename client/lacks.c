/* lacks.c - which fields a request can do without. Part of a wire. One thread at a time.
 *
 * A stale window and tags are left away: the object is stored, and lives as long as its time to live. A get with a
 * lease becomes a plain one. What narrows an answer (MAX_AGE, a condition, a token) cannot be left away. */
#include "client/lacks.h"

#define F(name) (1ull << FIELD_##name)
/* Without LEASE the others mean nothing; a lease without a limit to the wait that was asked for is none. */
#define LEASE_FIELDS (F(LEASE) | F(HOLDER) | F(WAIT) | F(LEASE_TIME))

static uint64_t
dispensable(unsigned command)
{
	switch (command) {
	case BRINE_GET:
		return F(STALE_OK) | F(QUIET) | LEASE_FIELDS;
	case BRINE_META:
		return F(STALE_OK);
	case BRINE_PUT:
		return F(STALE_FOR) | F(TAGS);
	default:
		return 0;
	}
}

bool
lacks_learn(struct lacks *lacks, unsigned command, uint64_t field)
{
	uint64_t bits = field < 64 ? (1ull << field) & dispensable(command) : 0;

	if (bits & LEASE_FIELDS)
		bits = LEASE_FIELDS;
	lacks->fields[command] |= field ? bits : 1;
	return bits != 0;
}

void
lacks_apply(const struct lacks *lacks, unsigned command, struct message *message)
{
	message->present[0] &= ~lacks->fields[command];
}
