/* room.h - keeps the store within its limit: what may be used, what the file system leaves, what is evicted.
 * Writer thread only. */
#ifndef DAEMON_ROOM_H
#define DAEMON_ROOM_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/limit.h"
#include "daemon/object.h"
#include "daemon/policy.h"
#include "daemon/recency.h"

struct room_settings {
	uint64_t max_size;
	uint64_t beside; /* bytes on the disk that are ours but not the store's */
	unsigned min_free_percent;
};

struct room {
	struct limit limit;
	struct policy policy;
	struct store *store;
	const char *path; /* of the store; its parent is the data directory */
	const char *root;
	uint64_t looked_ns; /* at the disk */
	uint64_t
		full_size; /* of the file, when it was full after the last commit; else 0 */
	unsigned halvings;    /* of what a commit may take: so often the full file grew */
	uint64_t reserved_at; /* file size when blocks were last reserved beyond it */
	uint64_t dropped;     /* bytes of other releases' stores that were deleted */
	bool others_gone;     /* they were, or there were none */
	/* As the last room_make() found them. */
	struct store_pages pages;
	uint64_t used_pages;
	double leaf_factor; /* bytes of leaf and branch pages per byte of row */
};

struct room_evicted {
	unsigned objects;
	uint64_t bytes;
};

/* Borrows store and the paths. */
void room_init(struct room *room, struct store *store, const char *path, const char *root,
	       const struct room_settings *settings, uint64_t seed);

/* Follows settings and what others leave of the file system, once a second; deletes stores of other
 * releases when their room is needed. Returns true when it looked. */
bool room_look(struct room *room, const struct room_settings *settings, uint64_t now_ns);

/* May more be stored, or must something be freed first? */
bool room_enough(const struct room *room);

/* Pages that one commit may dirty. */
uint64_t room_commit_pages(const struct room *room);

/* The file has all the pages that it may have. Runs of pages would make it longer, so only single ones are taken then. */
bool room_file_full(const struct room *room);

/* Evicts until each tenant is within its quota, and what is in use, less what is on its way out, within the target; at most so many
 * objects as suit a commit of `changes`. */
int room_make(struct room *room, struct objects *objects, const struct recency *recency,
	      unsigned changes, struct room_evicted *ret_evicted);

/* A commit of that many pages is done. */
void room_committed(struct room *room, uint64_t pages);
/* The file system was full: what the file has now is the limit until it is looked at again. */
void room_disk_full(struct room *room, uint64_t now_ns);

#endif
