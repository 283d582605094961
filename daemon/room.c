/* room.c - the limit, applied. Writer thread; owns nothing. */
#include "daemon/room.h"

#include <sys/statvfs.h>

#include "daemon/datadir.h"

#define LOOK_NS UINT64_C(1000000000)
#define EVICT_MIN 64       /* objects per commit that may go in any case */
#define EVICT_PER_CHANGE 2 /* and for each change of the commit */
/* However often a full file grew, a commit may have so many pages: what it frees then takes one page of LMDB's list. */
#define COMMIT_PAGES_MIN 128

void
room_init(struct room *room, struct store *store, const char *path, const char *root,
	  const struct room_settings *settings, uint64_t seed)
{
	*room = (struct room){
		.store = store, .path = path, .root = root, .leaf_factor = 1
	};
	room->limit.max_size = settings->max_size;
	room->limit.beside = settings->beside;
	room->limit.disk_size = UINT64_MAX;
	policy_init(&room->policy, seed);
}

/* Stores of other releases go before anything live does. */
static void
drop_others(struct room *room)
{
	uint64_t near = room->used_pages + limit_commit_pages(&room->limit);

	if (room->others_gone || near <= limit_target(&room->limit))
		return;
	room->dropped = datadir_delete_others(room->root);
	room->others_gone = true;
}

bool
room_look(struct room *room, const struct room_settings *settings, uint64_t now_ns)
{
	struct statvfs disk;

	drop_others(room);
	room->limit.max_size = settings->max_size;
	room->limit.beside =
		settings->beside > room->dropped ? settings->beside - room->dropped : 0;
	if (room->looked_ns && now_ns - room->looked_ns < LOOK_NS)
		return false;
	room->looked_ns = now_ns;
	if (statvfs(room->path, &disk) == 0)
		room->limit.disk_size =
			limit_disk_size(store_file_size(room->store),
					(uint64_t)disk.f_bavail * disk.f_frsize,
					(uint64_t)disk.f_blocks * disk.f_frsize,
					settings->min_free_percent);
	return true;
}

bool
room_enough(const struct room *room)
{
	return room->used_pages <= limit_pages(&room->limit);
}

bool
room_file_full(const struct room *room)
{
	return store_file_size(room->store) >=
	       limit_pages(&room->limit) * PAGE_SIZE_BYTES;
}

uint64_t
room_commit_pages(const struct room *room)
{
	uint64_t pages = limit_commit_pages(&room->limit) >> room->halvings;

	return pages > COMMIT_PAGES_MIN ? pages : COMMIT_PAGES_MIN;
}

/* What a commit frees is one record of LMDB's list of free pages, on pages in a row. In a full file of small rows long
 * rows are rare: records of ten pages lengthened it by a little, time and again, past any limit. So each time that a
 * full file grew, commits become half as large; that of one page always finds room. */
static void
note_growth(struct room *room)
{
	uint64_t size = store_file_size(room->store);

	if (room->full_size && size > room->full_size &&
	    room_commit_pages(room) > COMMIT_PAGES_MIN)
		room->halvings++;
	room->full_size = room_file_full(room) ? size : 0;
}

static double
leaf_factor(const struct ledger *ledger, uint64_t leaf_pages)
{
	uint64_t bytes = 0;

	for (struct usage *usage = ledger_next(ledger, NULL); usage;
	     usage = ledger_next(ledger, usage))
		bytes += usage_figure(&usage->leaf_bytes);
	if (bytes < PAGE_SIZE_BYTES)
		return 1;
	return (double)(leaf_pages * PAGE_SIZE_BYTES) / (double)bytes;
}

static uint64_t
flushed_pages(const struct ledger *ledger, double factor)
{
	uint64_t pages = 0;

	for (struct usage *usage = ledger_next(ledger, NULL); usage;
	     usage = ledger_next(ledger, usage))
		if (usage->flushed)
			pages += usage_figure(&usage->chunk_pages) +
				 (uint64_t)((double)usage_figure(&usage->leaf_bytes) *
					    factor) /
					 PAGE_SIZE_BYTES;
	return pages;
}

/* Each may dirty a leaf: beside the changes of a commit not many more than those, alone as many as a
 * commit's pages divided by four. */
static unsigned
most_evictions(const struct room *room, unsigned changes)
{
	uint64_t alone = room_commit_pages(room) / 4;

	if (changes)
		return EVICT_MIN + EVICT_PER_CHANGE * changes;
	return alone > EVICT_MIN ? (unsigned)alone : EVICT_MIN;
}

int
room_make(struct room *room, struct objects *objects, const struct recency *recency,
	  unsigned changes, struct room_evicted *ret_evicted)
{
	uint64_t leaving, lacking = 0, target = limit_target(&room->limit);
	unsigned most = most_evictions(room, changes);
	int done;

	write_pages(objects->write, &room->pages);
	room->used_pages = room->pages.leaf + room->pages.chunk + room->pages.other;
	room->leaf_factor = leaf_factor(objects->ledger, room->pages.leaf);
	/* What is still arriving is on the list of what to reclaim, but it is here to stay. */
	leaving = objects->listed_pages -
		  (objects->arriving_pages < objects->listed_pages
			   ? objects->arriving_pages
			   : objects->listed_pages) +
		  flushed_pages(objects->ledger, room->leaf_factor);
	if (room->used_pages > target + leaving)
		lacking = (room->used_pages - target - leaving) * PAGE_SIZE_BYTES;
	room->policy.overdue = NULL;
	if (!lacking && !policy_limits_anybody(objects->ledger))
		return STORE_HIT;
	done = policy_evict(&room->policy, objects, recency, room->leaf_factor, lacking,
			    most, &ret_evicted->objects, &ret_evicted->bytes);
	return done < 0 ? done : STORE_HIT;
}

/* Deleting needs new pages, too: a few blocks beyond the end stay ours on a full disk. */
static void
reserve_blocks(struct room *room)
{
	uint64_t size = store_file_size(room->store);

	if (size == room->reserved_at)
		return;
	room->reserved_at = size;
	store_preallocate(room->store, limit_reserve(&room->limit));
}

void
room_committed(struct room *room, uint64_t pages)
{
	limit_note_commit(&room->limit, pages);
	note_growth(room);
	reserve_blocks(room);
}

void
room_disk_full(struct room *room, uint64_t now_ns)
{
	room->limit.disk_size = store_file_size(room->store);
	room->looked_ns = now_ns;
}
