/* namespace.c - the ledger of what incarnations hold, and the table of names.
 * Ledger: writer thread. Names: loop thread. */
#include "daemon/namespace.h"

#include <errno.h>
#include <stdlib.h>

#include "daemon/log.h"
#include "proto/bytes.h"

/* Row: 'N', incarnation (BE) -> flags (1), zero (3), uid, objects, logical, leaf bytes, chunk pages,
 * [TAGS: tagged objects, stamps, newest, swept, dropped, until (8 each), phase (1), zero (3), at (12)], name. */
#define ROW_KEY_LEN 5
#define ROW_FIXED 40
#define ROW_TAGS_SIZE 64
#define ROW_FLUSHED 1
#define ROW_TAGS 2
#define ROW_FOREIGN 4

static void
row_key(uint32_t incarnation, uint8_t to[static ROW_KEY_LEN])
{
	to[0] = 'N';
	be32_store(to + 1, incarnation);
}

_Static_assert(sizeof(((struct usage *)0)->figures) ==
		       offsetof(struct usage, committed) -
			       offsetof(struct usage, objects),
	       "every figure has its place in the array");

void
usage_shift(struct usage *usage, _Atomic uint64_t *figure, int64_t by)
{
	uint64_t now = usage_figure(figure);

	if (by < 0 && now < (uint64_t)-by)
		now = 0;
	else
		now += (uint64_t)by;
	atomic_store_explicit(figure, now, memory_order_relaxed);
	usage->changed = true;
}

void
usage_change(struct usage *usage, int64_t objects, int64_t logical, int64_t leaf_bytes,
	     int64_t chunk_pages)
{
	usage_shift(usage, &usage->objects, objects);
	usage_shift(usage, &usage->logical, logical);
	usage_shift(usage, &usage->leaf_bytes, leaf_bytes);
	usage_shift(usage, &usage->chunk_pages, chunk_pages);
}

void
usage_succeed(struct usage *usage, const struct usage *flushed)
{
	atomic_store(&usage->evicted, usage_figure(&flushed->evicted));
	atomic_store(&usage->expired, usage_figure(&flushed->expired));
	atomic_store(&usage->invalidated, usage_figure(&flushed->invalidated));
	atomic_store(&usage->flushed_objects, usage_figure(&flushed->flushed_objects) +
						      usage_figure(&flushed->objects));
}

struct usage *
usage_new(uint32_t incarnation, uint32_t uid, struct slice name)
{
	struct usage *usage = calloc(1, sizeof(*usage));

	CHECK(name.len <= NAMESPACE_NAME_MAX);
	if (!usage)
		return NULL;
	usage->incarnation = incarnation;
	usage->uid = namespace_owner(uid, name);
	usage->name_len = name.len;
	memcpy(usage->name, name.data, name.len);
	usage->keep_above = UINT64_MAX;
	usage->quota = UINT64_MAX;
	usage->changed = true;
	return usage;
}

/* ---- ledger ---- */

static struct usage **
ledger_bucket(struct ledger *ledger, uint32_t incarnation)
{
	return &ledger->buckets[incarnation % LEDGER_BUCKETS];
}

void
ledger_add(struct ledger *ledger, struct usage *usage)
{
	struct usage **bucket = ledger_bucket(ledger, usage->incarnation);

	usage->next = *bucket;
	*bucket = usage;
	usage->preceding = NULL;
	usage->following = ledger->first;
	if (ledger->first)
		ledger->first->preceding = usage;
	ledger->first = usage;
	ledger->count++;
}

struct usage *
ledger_find(const struct ledger *ledger, uint32_t incarnation)
{
	struct usage *usage = ledger->buckets[incarnation % LEDGER_BUCKETS];

	while (usage && usage->incarnation != incarnation)
		usage = usage->next;
	return usage;
}

void
ledger_remove(struct ledger *ledger, struct usage *usage)
{
	struct usage **at = ledger_bucket(ledger, usage->incarnation);

	while (*at != usage)
		at = &(*at)->next;
	*at = usage->next;
	if (usage->preceding)
		usage->preceding->following = usage->following;
	else
		ledger->first = usage->following;
	if (usage->following)
		usage->following->preceding = usage->preceding;
	ledger->count--;
	free(usage);
}

struct usage *
ledger_next(const struct ledger *ledger, const struct usage *after)
{
	return after ? after->following : ledger->first;
}

void
ledger_done(struct ledger *ledger)
{
	while (ledger->first)
		ledger_remove(ledger, ledger->first);
}

static void
keep(struct usage *usage)
{
	for (size_t i = 0; i < USAGE_FIGURES; i++)
		usage->committed[i] = usage_figure(&usage->figures[i]);
	usage->committed_stamping = usage->stamping;
	usage->committed_flushed = usage->flushed;
	usage->stored = true;
	usage->changed = false;
}

static void
read_tags(const uint8_t *at, struct usage *usage)
{
	struct stamping *stamping = &usage->stamping;

	atomic_store(&usage->tagged, le64_load(at));
	atomic_store(&usage->stamps, le64_load(at + 8));
	stamping->newest = le64_load(at + 16);
	stamping->swept = le64_load(at + 24);
	stamping->dropped = le64_load(at + 32);
	stamping->until = le64_load(at + 40);
	stamping->phase = at[48] <= STAMPING_COVERED ? at[48] : STAMPING_RESTS;
	memcpy(stamping->at, at + 52, STAMPING_AT);
}

static void
write_tags(const struct usage *usage, uint8_t to[static ROW_TAGS_SIZE])
{
	const struct stamping *stamping = &usage->stamping;

	le64_store(to, usage_figure(&usage->tagged));
	le64_store(to + 8, usage_figure(&usage->stamps));
	le64_store(to + 16, stamping->newest);
	le64_store(to + 24, stamping->swept);
	le64_store(to + 32, stamping->dropped);
	le64_store(to + 40, stamping->until);
	le32_store(to + 48, stamping->phase);
	memcpy(to + 52, stamping->at, STAMPING_AT);
}

/* A namespace that never had a tag has the shorter row of the releases that knew none. */
static bool
has_tags(const struct usage *usage)
{
	return usage_figure(&usage->tagged) || usage->stamping.newest;
}

static struct usage *
read_row(struct slice key, struct slice row)
{
	const uint8_t *k = key.data, *at = row.data;
	size_t fixed = ROW_FIXED;
	struct usage *usage;

	if (key.len != ROW_KEY_LEN || row.len < ROW_FIXED)
		return NULL;
	if (at[0] & ROW_TAGS)
		fixed += ROW_TAGS_SIZE;
	if (row.len < fixed || row.len - fixed > NAMESPACE_NAME_MAX)
		return NULL;
	usage = usage_new(be32_load(k + 1), le32_load(at + 4),
			  slice(at + fixed, row.len - fixed));
	if (!usage)
		return NULL;
	if (at[0] & ROW_TAGS)
		read_tags(at + ROW_FIXED, usage);
	usage->flushed = at[0] & ROW_FLUSHED;
	usage->foreign = at[0] & ROW_FOREIGN;
	atomic_store(&usage->objects, le64_load(at + 8));
	atomic_store(&usage->logical, le64_load(at + 16));
	atomic_store(&usage->leaf_bytes, le64_load(at + 24));
	atomic_store(&usage->chunk_pages, le64_load(at + 32));
	keep(usage);
	return usage;
}

int
incarnation_used(struct snapshot *snapshot, uint32_t incarnation)
{
	uint8_t key[ROW_KEY_LEN];
	struct slice row;

	row_key(incarnation, key);
	return snapshot_get(snapshot, STORE_SYSTEM, slice(key, sizeof(key)), &row);
}

/* What a cursor found: a namespace row, unless it is behind the last. */
static int
take_row(int found, struct slice key, struct slice row, struct usage **ret_usage)
{
	struct usage *usage;

	if (found != STORE_HIT)
		return found;
	if (*(const char *)key.data != 'N')
		return STORE_MISS;
	errno = 0;
	usage = read_row(key, row);
	if (!usage)
		return errno == ENOMEM ? STORE_NO_MEMORY : STORE_DAMAGED;
	*ret_usage = usage;
	return STORE_HIT;
}

int
usage_seek(struct snapshot *snapshot, uint32_t incarnation, struct usage **ret_usage)
{
	uint8_t first[ROW_KEY_LEN];
	struct slice key, row;
	int found;

	row_key(incarnation, first);
	found = snapshot_seek(snapshot, STORE_SYSTEM, slice(first, sizeof(first)), &key,
			      &row);
	return take_row(found, key, row, ret_usage);
}

int
ledger_load(struct ledger *ledger, struct snapshot *snapshot)
{
	struct slice key, row;
	struct usage *usage;
	unsigned live = 0;
	int found = usage_seek(snapshot, 0, &usage);

	while (found == STORE_HIT) {
		usage->written_txn = snapshot_txn(snapshot);
		ledger_add(ledger, usage);
		/* Of flushed ones there may be as many as were not reclaimed in time, and those of another machine have no
		 * name here. */
		live += !usage->flushed && !usage->foreign;
		if (live > NAMESPACES_TOTAL_MAX)
			return STORE_DAMAGED;
		found = snapshot_next(snapshot, STORE_SYSTEM, &key, &row);
		found = take_row(found, key, row, &usage);
	}
	return found < 0 ? found : STORE_HIT;
}

static int
write_row(struct usage *usage, struct write *write)
{
	uint8_t key[ROW_KEY_LEN];
	uint8_t row[ROW_FIXED + ROW_TAGS_SIZE + NAMESPACE_NAME_MAX] = { 0 };
	size_t fixed = ROW_FIXED;

	row_key(usage->incarnation, key);
	row[0] = (uint8_t)((usage->flushed ? ROW_FLUSHED : 0) |
			   (usage->foreign ? ROW_FOREIGN : 0));
	if (has_tags(usage)) {
		row[0] |= ROW_TAGS;
		write_tags(usage, row + ROW_FIXED);
		fixed += ROW_TAGS_SIZE;
	}
	le32_store(row + 4, usage->uid);
	le64_store(row + 8, usage_figure(&usage->objects));
	le64_store(row + 16, usage_figure(&usage->logical));
	le64_store(row + 24, usage_figure(&usage->leaf_bytes));
	le64_store(row + 32, usage_figure(&usage->chunk_pages));
	memcpy(row + fixed, usage->name, usage->name_len);
	atomic_store_explicit(&usage->written_txn, write_txn(write),
			      memory_order_relaxed);
	return write_put(write, STORE_SYSTEM, slice(key, sizeof(key)),
			 slice(row, fixed + usage->name_len));
}

int
ledger_write(struct ledger *ledger, struct write *write)
{
	for (struct usage *usage = ledger_next(ledger, NULL); usage;
	     usage = ledger_next(ledger, usage)) {
		int done = usage->changed && !usage->gone ? write_row(usage, write)
							  : STORE_HIT;

		if (done < 0)
			return done;
	}
	return STORE_HIT;
}

int
ledger_delete_row(const struct usage *usage, struct write *write)
{
	uint8_t key[ROW_KEY_LEN];

	row_key(usage->incarnation, key);
	return write_delete(write, STORE_SYSTEM, slice(key, sizeof(key)));
}

void
ledger_committed(struct ledger *ledger)
{
	struct usage *next;

	for (struct usage *usage = ledger_next(ledger, NULL); usage; usage = next) {
		next = ledger_next(ledger, usage);
		if (usage->gone)
			ledger_remove(ledger, usage);
		else if (usage->changed)
			keep(usage);
	}
}

void
ledger_aborted(struct ledger *ledger)
{
	for (struct usage *usage = ledger_next(ledger, NULL); usage;
	     usage = ledger_next(ledger, usage)) {
		for (size_t i = 0; i < USAGE_FIGURES; i++)
			atomic_store(&usage->figures[i], usage->committed[i]);
		usage->stamping = usage->committed_stamping;
		usage->gone = false;
		usage->flushed = usage->committed_flushed;
		/* Written once too often at worst; but not before the change that makes it. */
		usage->changed = usage->stored;
	}
}

/* ---- names ---- */

/* FNV-1a, 64 bits: names are short, and each uid has few. */
static size_t
names_bucket(uint32_t uid, struct slice name)
{
	const uint8_t *at = name.data;
	uint64_t hash = 0xcbf29ce484222325 ^ uid;

	for (size_t i = 0; i < name.len; i++)
		hash = (hash ^ at[i]) * 0x100000001b3;
	return (hash ^ hash >> 32) % NAMES_BUCKETS;
}

static bool
is(const struct namespace *namespace, uint32_t uid, struct slice name)
{
	return namespace->uid == uid &&
	       slice_equal(slice(namespace->name, namespace->name_len), name);
}

struct namespace *
names_find(struct names *names, uint32_t uid, struct slice name)
{
	struct namespace *at = names->last;

	uid = namespace_owner(uid, name);
	if (at && is(at, uid, name))
		return at;
	at = names->buckets[names_bucket(uid, name)];
	while (at && !is(at, uid, name))
		at = at->next;
	if (at)
		names->last = at;
	return at;
}

static void
enlist(struct namespace **first, struct namespace *one)
{
	one->following = *first;
	if (*first)
		(*first)->preceding = one;
	*first = one;
}

static void
delist(struct namespace **first, struct namespace *one)
{
	if (one->preceding)
		one->preceding->following = one->following;
	else
		*first = one->following;
	if (one->following)
		one->following->preceding = one->preceding;
}

struct namespace *
names_add(struct names *names, struct usage *usage)
{
	struct namespace *namespace = calloc(1, sizeof(*namespace)), **bucket;

	if (!namespace)
		return NULL;
	namespace->usage = usage;
	namespace->incarnation = usage->incarnation;
	namespace->uid = usage->uid;
	namespace->stamped = usage->stamping.newest;
	namespace->unkept = usage->stamping.dropped;
	namespace->name_len = usage->name_len;
	memcpy(namespace->name, usage->name, usage->name_len);
	bucket = &names->buckets[names_bucket(usage->uid,
					      slice(usage->name, usage->name_len))];
	namespace->next = *bucket;
	*bucket = namespace;
	enlist(&names->owners[namespace->uid % NAMES_OWNERS], namespace);
	names->count++;
	return namespace;
}

void
names_remove(struct names *names, struct namespace *namespace)
{
	struct slice name = slice(namespace->name, namespace->name_len);
	struct namespace **at = &names->buckets[names_bucket(namespace->uid, name)];

	while (*at != namespace)
		at = &(*at)->next;
	*at = namespace->next;
	delist(&names->owners[namespace->uid % NAMES_OWNERS], namespace);
	if (names->last == namespace)
		names->last = NULL;
	names->count--;
	free(namespace);
}

struct namespace *
names_next(const struct names *names, const struct namespace *after)
{
	struct namespace *at = after ? after->following : NULL;
	size_t owners = after ? after->uid % NAMES_OWNERS + 1 : 0;

	while (!at && owners < NAMES_OWNERS)
		at = names->owners[owners++];
	return at;
}

struct namespace *
names_next_of(const struct names *names, uint32_t uid, const struct namespace *after)
{
	struct namespace *at =
		after ? after->following : names->owners[uid % NAMES_OWNERS];

	while (at && at->uid != uid)
		at = at->following;
	return at;
}

unsigned
names_count(const struct names *names, uint32_t uid)
{
	unsigned count = 0;

	for (const struct namespace *at = names_next_of(names, uid, NULL); at;
	     at = names_next_of(names, uid, at))
		count++;
	return count;
}

void
names_done(struct names *names)
{
	struct namespace *gone;

	while ((gone = names_next(names, NULL)))
		names_remove(names, gone);
}
