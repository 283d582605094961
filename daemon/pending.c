/* pending.c - the pending table. Owns its changes but for those the writer has. Loop thread. */
#include "daemon/pending.h"

#include <stdlib.h>
#include <string.h>

#include "daemon/log.h"

#define BUCKETS_MIN 1024
/* Two for each change; the bytes of pending changes are bounded by their payers. */
#define LOAD 2

struct queue {
	struct change *first;
	struct change *last;
};

struct pending {
	struct change **buckets;
	size_t bucket_count; /* a power of two */
	size_t in_table;
	struct queue gathering;
	struct queue committed;
	uint64_t submitted_oldest_ns; /* of what the writer has; 0: it has nothing */
	size_t submitted;
	uint64_t newest;
	uint64_t committed_number;
	uint64_t value_pages; /* of changes that are not committed */
	size_t bytes;
};

struct pending *
pending_new(void)
{
	struct pending *pending = calloc(1, sizeof(*pending));

	if (!pending)
		return NULL;
	pending->bucket_count = BUCKETS_MIN;
	pending->buckets = calloc(BUCKETS_MIN, sizeof(*pending->buckets));
	if (pending->buckets)
		return pending;
	free(pending);
	return NULL;
}

static void
free_queue(struct queue *queue)
{
	while (queue->first) {
		struct change *change = queue->first;

		queue->first = change->next;
		free(change);
	}
}

void
pending_free(struct pending **pending)
{
	if (!*pending)
		return;
	free_queue(&(*pending)->gathering);
	free_queue(&(*pending)->committed);
	free((*pending)->buckets);
	free(*pending);
	*pending = NULL;
}

struct change *
change_new(enum change_kind kind, size_t len)
{
	struct change *change = malloc(sizeof(*change) + len);

	if (!change)
		return NULL;
	memset(change, 0, sizeof(*change));
	change->kind = kind;
	change->charge = sizeof(*change) + len;
	return change;
}

/* The row key ends in bits of a hash. */
static struct change **
bucket(const struct pending *pending, const uint8_t *row_key)
{
	uint64_t bits;

	memcpy(&bits, row_key + ROW_KEY_SIZE - sizeof(bits), sizeof(bits));
	return &pending->buckets[(bits ^ row_key[3]) & (pending->bucket_count - 1)];
}

/* Growing may fail: longer chains are slower and as right. */
static void
grow(struct pending *pending)
{
	struct change **old = pending->buckets;
	size_t count = pending->bucket_count;

	pending->buckets = calloc(2 * count, sizeof(*old));
	if (!pending->buckets) {
		pending->buckets = old;
		return;
	}
	pending->bucket_count = 2 * count;
	for (size_t i = 0; i < count; i++) {
		while (old[i]) {
			struct change *change = old[i],
				      **to = bucket(pending, change->row_key);

			old[i] = change->chain;
			change->chain = *to;
			*to = change;
		}
	}
	free(old);
}

static struct change **
find(const struct pending *pending, const uint8_t *row_key)
{
	struct change **at = bucket(pending, row_key);

	while (*at && memcmp((*at)->row_key, row_key, ROW_KEY_SIZE) != 0)
		at = &(*at)->chain;
	return at;
}

static bool
has_row(const struct change *change)
{
	return change->kind == CHANGE_PUT || change->kind == CHANGE_DELETE ||
	       change->kind == CHANGE_PUBLISH || change->kind == CHANGE_STAMP;
}

static void
show(struct pending *pending, struct change *change)
{
	struct change **at = find(pending, change->row_key);

	if (*at) {
		(*at)->in_table = false;
		change->chain = (*at)->chain;
	} else {
		change->chain = NULL;
		pending->in_table++;
	}
	change->in_table = true;
	*at = change;
	if (pending->in_table > LOAD * pending->bucket_count)
		grow(pending);
}

static void
hide(struct pending *pending, struct change *change)
{
	struct change **at = find(pending, change->row_key);

	CHECK(*at == change);
	*at = change->chain;
	pending->in_table--;
}

static void
append(struct queue *queue, struct change *first, struct change *last)
{
	if (queue->last)
		queue->last->next = first;
	else
		queue->first = first;
	queue->last = last;
	last->next = NULL;
}

static uint64_t
value_pages(const struct change *change)
{
	return (change->value_len + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES;
}

void
pending_add(struct pending *pending, struct change *change)
{
	change->number = ++pending->newest;
	pending->bytes += change->charge;
	pending->value_pages += value_pages(change);
	append(&pending->gathering, change, change);
	if (has_row(change))
		show(pending, change);
}

struct change *
pending_find(const struct pending *pending, const uint8_t row_key[static ROW_KEY_SIZE])
{
	if (pending->in_table == 0)
		return NULL;
	return *find(pending, row_key);
}

bool
pending_take(struct pending *pending, struct change **ret_first, struct change **ret_last)
{
	if (!pending->gathering.first)
		return false;
	*ret_first = pending->gathering.first;
	*ret_last = pending->gathering.last;
	if (!pending->submitted_oldest_ns)
		pending->submitted_oldest_ns = pending->gathering.first->accepted_ns;
	pending->submitted +=
		pending->gathering.last->number - pending->gathering.first->number + 1;
	pending->gathering = (struct queue){ NULL, NULL };
	return true;
}

void
pending_committed(struct pending *pending, struct change *chain)
{
	while (chain) {
		struct change *next = chain->next;

		pending->committed_number = chain->number;
		pending->submitted--;
		pending->value_pages -= value_pages(chain);
		/* What is left with the writer was accepted no earlier than this one. */
		pending->submitted_oldest_ns =
			pending->submitted ? chain->accepted_ns : 0;
		chain->on_disk = true;
		append(&pending->committed, chain, chain);
		chain = next;
	}
}

void
change_keep(struct change *change, size_t times)
{
	change->keepers += times;
}

void
change_let_go(struct change *change)
{
	CHECK(change->keepers > 0);
	if (--change->keepers == 0 && change->settled)
		free(change);
}

void
pending_settle(struct pending *pending, uint64_t txn,
	       void (*gone)(void *arg, struct change *change), void *arg)
{
	struct queue *queue = &pending->committed;

	while (queue->first && queue->first->committed <= txn) {
		struct change *change = queue->first;

		queue->first = change->next;
		if (!queue->first)
			queue->last = NULL;
		if (change->in_table)
			hide(pending, change);
		pending->bytes -= change->charge;
		gone(arg, change);
		change->settled = true;
		if (!change->keepers)
			free(change);
	}
}

bool
pending_gathers(const struct pending *pending)
{
	return pending->gathering.first;
}

uint64_t
pending_oldest_ns(const struct pending *pending)
{
	return pending->submitted_oldest_ns ? pending->submitted_oldest_ns
					    : pending_gathering_ns(pending);
}

uint64_t
pending_gathering_ns(const struct pending *pending)
{
	return pending->gathering.first ? pending->gathering.first->accepted_ns : 0;
}

uint64_t
pending_newest(const struct pending *pending)
{
	return pending->newest;
}

uint64_t
pending_committed_number(const struct pending *pending)
{
	return pending->committed_number;
}

uint64_t
pending_uncommitted(const struct pending *pending)
{
	return pending->newest - pending->committed_number;
}

uint64_t
pending_uncommitted_pages(const struct pending *pending)
{
	return pending->value_pages;
}

size_t
pending_bytes(const struct pending *pending)
{
	return pending->bytes;
}
