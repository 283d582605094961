/* namespace.c - the ledger of what incarnations hold, and the table of names.
 * Ledger: writer thread. Names: loop thread. */
#include "daemon/namespace.h"

#include <stdlib.h>

#include "daemon/log.h"
#include "proto/bytes.h"

/* Row: 'N', incarnation (BE) -> flags (1), zero (3), uid, objects, logical, leaf bytes, chunk pages, name. */
#define ROW_KEY_LEN 5
#define ROW_FIXED 40
#define ROW_FLUSHED 1

static void
row_key(uint32_t incarnation, uint8_t to[static ROW_KEY_LEN])
{
	to[0] = 'N';
	be32_store(to + 1, incarnation);
}

static void
shift(_Atomic uint64_t *figure, int64_t by)
{
	uint64_t now = usage_figure(figure);

	if (by < 0 && now < (uint64_t)-by)
		now = 0;
	else
		now += (uint64_t)by;
	atomic_store_explicit(figure, now, memory_order_relaxed);
}

void
usage_change(struct usage *usage, int64_t objects, int64_t logical, int64_t leaf_bytes,
	     int64_t chunk_pages)
{
	shift(&usage->objects, objects);
	shift(&usage->logical, logical);
	shift(&usage->leaf_bytes, leaf_bytes);
	shift(&usage->chunk_pages, chunk_pages);
	usage->changed = true;
}

struct usage *
usage_new(uint32_t incarnation, uint32_t uid, struct slice name)
{
	struct usage *usage = calloc(1, sizeof(*usage));

	CHECK(name.len <= NAMESPACE_NAME_MAX);
	if (!usage)
		return NULL;
	usage->incarnation = incarnation;
	usage->uid = uid;
	usage->name_len = name.len;
	memcpy(usage->name, name.data, name.len);
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
	usage->committed[0] = usage_figure(&usage->objects);
	usage->committed[1] = usage_figure(&usage->logical);
	usage->committed[2] = usage_figure(&usage->leaf_bytes);
	usage->committed[3] = usage_figure(&usage->chunk_pages);
	usage->committed_flushed = usage->flushed;
	usage->stored = true;
	usage->changed = false;
}

static struct usage *
read_row(struct slice key, struct slice row)
{
	const uint8_t *k = key.data, *at = row.data;
	struct usage *usage;

	if (key.len != ROW_KEY_LEN || row.len < ROW_FIXED ||
	    row.len - ROW_FIXED > NAMESPACE_NAME_MAX)
		return NULL;
	usage = usage_new(be32_load(k + 1), le32_load(at + 4),
			  slice(at + ROW_FIXED, row.len - ROW_FIXED));
	if (!usage)
		return NULL;
	usage->flushed = at[0] & ROW_FLUSHED;
	atomic_store(&usage->objects, le64_load(at + 8));
	atomic_store(&usage->logical, le64_load(at + 16));
	atomic_store(&usage->leaf_bytes, le64_load(at + 24));
	atomic_store(&usage->chunk_pages, le64_load(at + 32));
	keep(usage);
	return usage;
}

int
ledger_load(struct ledger *ledger, struct snapshot *snapshot)
{
	uint8_t first[ROW_KEY_LEN];
	struct slice key, row;
	int found;

	row_key(0, first);
	found = snapshot_seek(snapshot, STORE_SYSTEM, slice(first, sizeof(first)), &key,
			      &row);
	for (; found == STORE_HIT && *(const char *)key.data == 'N';
	     found = snapshot_next(snapshot, STORE_SYSTEM, &key, &row)) {
		struct usage *usage = read_row(key, row);

		if (!usage)
			return STORE_DAMAGED;
		ledger_add(ledger, usage);
		if (ledger->count > NAMESPACES_TOTAL_MAX)
			return STORE_DAMAGED;
	}
	return found < 0 ? found : STORE_HIT;
}

static int
write_row(const struct usage *usage, struct write *write)
{
	uint8_t key[ROW_KEY_LEN], row[ROW_FIXED + NAMESPACE_NAME_MAX] = { 0 };

	row_key(usage->incarnation, key);
	row[0] = usage->flushed ? ROW_FLUSHED : 0;
	le32_store(row + 4, usage->uid);
	le64_store(row + 8, usage_figure(&usage->objects));
	le64_store(row + 16, usage_figure(&usage->logical));
	le64_store(row + 24, usage_figure(&usage->leaf_bytes));
	le64_store(row + 32, usage_figure(&usage->chunk_pages));
	memcpy(row + ROW_FIXED, usage->name, usage->name_len);
	return write_put(write, STORE_SYSTEM, slice(key, sizeof(key)),
			 slice(row, ROW_FIXED + usage->name_len));
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
		atomic_store(&usage->objects, usage->committed[0]);
		atomic_store(&usage->logical, usage->committed[1]);
		atomic_store(&usage->leaf_bytes, usage->committed[2]);
		atomic_store(&usage->chunk_pages, usage->committed[3]);
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

	if (at && is(at, uid, name))
		return at;
	at = names->buckets[names_bucket(uid, name)];
	while (at && !is(at, uid, name))
		at = at->next;
	if (at)
		names->last = at;
	return at;
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
	namespace->name_len = usage->name_len;
	memcpy(namespace->name, usage->name, usage->name_len);
	bucket = &names->buckets[names_bucket(usage->uid,
					      slice(usage->name, usage->name_len))];
	namespace->next = *bucket;
	*bucket = namespace;
	names->count++;
	return namespace;
}

struct namespace *
names_next(const struct names *names, const struct namespace *after)
{
	size_t bucket = 0;

	if (after) {
		if (after->next)
			return after->next;
		bucket =
			names_bucket(after->uid, slice(after->name, after->name_len)) + 1;
	}
	for (; bucket < NAMES_BUCKETS; bucket++)
		if (names->buckets[bucket])
			return names->buckets[bucket];
	return NULL;
}

unsigned
names_count(const struct names *names, uint32_t uid)
{
	unsigned count = 0;

	for (const struct namespace *at = names_next(names, NULL); at;
	     at = names_next(names, at))
		count += at->uid == uid;
	return count;
}

void
names_done(struct names *names)
{
	for (size_t i = 0; i < NAMES_BUCKETS; i++) {
		while (names->buckets[i]) {
			struct namespace *gone = names->buckets[i];

			names->buckets[i] = gone->next;
			free(gone);
		}
	}
}
