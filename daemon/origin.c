/* origin.c - where the stored namespaces come from, and whether their uids mean the same people here and now.
 * At the start, before there are other threads. Owns nothing.
 *
 * A store from another machine is nobody's: its namespaces are kept, without a name, as the first to be evicted, until
 * it is adopted. Numbers out of systemd's dynamic range belong to a service while it runs, so what they had is flushed. */
#include <string.h>

#include "daemon/cache_core.h"
#include "daemon/log.h"

/* Its number is somebody's only while that one runs; the daemon's own is that of who owns the data directory. */
static bool
is_fleeting(const struct cache *cache, const struct usage *usage)
{
	return uid_dynamic(usage->uid) && usage->uid != cache->own_uid;
}

static bool
judge(const struct cache *cache, struct usage *usage, bool moved)
{
	bool before = usage->foreign;

	if (!usage->flushed && is_fleeting(cache, usage)) {
		usage->flushed = usage->changed = true;
		return true;
	}
	if (moved && !cache->config.adopt && !usage->flushed)
		usage->foreign = true;
	usage->changed |= usage->foreign != before;
	return usage->changed;
}

static int
give_name(struct cache *cache, struct usage *usage)
{
	/* Until the leases are known that may be taken up again. */
	usage->keep_above = 0;
	cache->keeping++;
	return names_add(&cache->names, usage) ? STORE_HIT : STORE_FAILED;
}

static int
name_all(struct cache *cache, struct ledger *ledger)
{
	for (struct usage *usage = ledger_next(ledger, NULL); usage;
	     usage = ledger_next(ledger, usage)) {
		usage->aside = usage->foreign;
		if (!usage->flushed && !usage->foreign && give_name(cache, usage) < 0)
			return STORE_FAILED;
	}
	return STORE_HIT;
}

/* What was stored here meanwhile under the same name stays what it is. */
static int
adopt(struct cache *cache, struct ledger *ledger, unsigned *ret_count)
{
	for (struct usage *usage = ledger_next(ledger, NULL); usage;
	     usage = ledger_next(ledger, usage)) {
		if (usage->flushed || !usage->foreign ||
		    names_find(&cache->names, usage->uid,
			       slice(usage->name, usage->name_len)))
			continue;
		usage->foreign = false;
		usage->aside = false;
		usage->changed = true;
		(*ret_count)++;
		if (give_name(cache, usage) < 0)
			return STORE_FAILED;
	}
	return STORE_HIT;
}

/* In one piece: a store that says it is of this machine has no namespace that only seems to be. */
static int
write_down(struct cache *cache, struct ledger *ledger, const struct identity *identity)
{
	struct write *write;
	int done = write_begin(cache->store, &write);

	if (done < 0)
		return done;
	cache->txn = write_txn(write);
	done = identity_write(identity, write);
	if (done >= 0)
		done = ledger_write(ledger, write);
	if (done < 0) {
		write_abort(&write);
		return done;
	}
	done = write_commit(&write);
	if (done >= 0)
		ledger_committed(ledger);
	return done;
}

static void
say(const struct cache *cache, bool moved, unsigned adopted)
{
	if (moved && !cache->config.adopt)
		log_warning(
			"store in %s was written on another machine, where uids may have been "
			"other people's: nobody gets its objects, and they go first; if they "
			"are the same here, start once with --adopt",
			cache->dir);
	else if (cache->config.adopt)
		log_info("store in %s: %u namespaces of another machine are adopted",
			 cache->dir, adopted);
}

int
core_load_names(struct cache *cache, struct ledger *ledger, struct identity *identity)
{
	uint8_t machine[IDENTITY_ID_SIZE];
	unsigned adopted = 0;
	bool moved, changed;
	int done = core_snapshot(cache);

	if (done >= 0)
		done = ledger_load(ledger, cache->snapshot);
	snapshot_release(cache->snapshot);
	identity_machine(cache->config.machine_file, machine);
	moved = memcmp(machine, identity->machine, IDENTITY_ID_SIZE) != 0;
	changed = moved;
	memcpy(identity->machine, machine, IDENTITY_ID_SIZE);
	for (struct usage *usage = ledger_next(ledger, NULL); done >= 0 && usage;
	     usage = ledger_next(ledger, usage))
		changed |= judge(cache, usage, moved);
	if (done >= 0)
		done = name_all(cache, ledger);
	if (done >= 0 && cache->config.adopt)
		done = adopt(cache, ledger, &adopted);
	say(cache, moved, adopted);
	return done >= 0 && (changed || adopted) ? write_down(cache, ledger, identity)
						 : done;
}
