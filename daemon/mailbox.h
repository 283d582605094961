/* mailbox.h - what the loop and the writer hand each other, under one mutex that is held for moments: changes to be
 * committed, changes that are, how things stand. The loop is woken through an eventfd. */
#ifndef DAEMON_MAILBOX_H
#define DAEMON_MAILBOX_H

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/change.h"
#include "daemon/reclaim.h"
#include "daemon/room.h"

#define MAILBOX_PINS_MAX 65536

/* In the order of acceptance. */
struct changes {
	struct change *first;
	struct change *last;
};

static inline void
changes_append(struct changes *changes, struct change *first, struct change *last)
{
	if (changes->last)
		changes->last->next = first;
	else
		changes->first = first;
	changes->last = last;
	last->next = NULL;
}

/* What the loop hears of the writer. */
struct writer_news {
	struct change
		*done;  /* committed, in order of acceptance; each has its transaction */
	bool disk_full; /* nothing can be committed just now */
	bool no_memory; /* a commit failed for want of it, and is tried again */
	bool damaged;   /* the store contradicts itself: nothing more will be committed */
	bool unlinked;  /* the store's file is not in its place any more */
	uint64_t txn;   /* last transaction that was committed */
	bool idle;      /* all that was submitted is committed */
	/* Unlinked objects whose pins are all that room was waited for, in vain. */
	uint64_t held[RECLAIM_HELD_MAX];
	size_t held_count;
	/* A tenant has to give room, and has nothing but what is still arriving for it. */
	bool overdue;
	uint64_t overdue_tenant;
};

struct mailbox {
	pthread_mutex_t mutex; /* for all but wake_fd */
	pthread_cond_t work;
	struct changes inbox;
	uint64_t expected_ms; /* the loop's changes gather since; UINT64_MAX: none does */
	struct changes done;
	struct writer_news news; /* but for `done`, which is above */
	bool told;               /* the loop was woken, and has not collected yet */
	struct room_settings settings;
	uint64_t barrier;
	uint64_t *pinned;
	size_t pinned_count;
	bool stop;
	int wake_fd;
};

/* txn is the store's last transaction. Returns 0, or -1: no memory. */
int mailbox_init(struct mailbox *mailbox, const struct room_settings *settings,
		 uint64_t txn, int wake_fd);
/* Both threads are through with it; its changes are the caller's. */
void mailbox_done(struct mailbox *mailbox);

/* ---- the loop's side; see writer.h */

void mailbox_expect(struct mailbox *mailbox, uint64_t since_ms);
void mailbox_submit(struct mailbox *mailbox, struct change *first, struct change *last);
void mailbox_collect(struct mailbox *mailbox, struct writer_news *ret_news);
void mailbox_release(struct mailbox *mailbox, uint64_t barrier, const uint64_t *pinned,
		     size_t count);
void mailbox_configure(struct mailbox *mailbox, const struct room_settings *settings);
void mailbox_stop(struct mailbox *mailbox);

/* ---- the writer's side */

/* Moves what was submitted to the end of todo. First waits up to wait_ns, unless something new is there (or, with
 * `held_up`, even then). Returns true when the writer shall stop. */
bool mailbox_take(struct mailbox *mailbox, uint64_t wait_ns, bool held_up,
		  struct changes *todo);
/* txn was committed, and with it these changes (it may be none: both NULL). all_done: nothing else that was taken is
 * left to do. */
void mailbox_publish(struct mailbox *mailbox, struct change *first, struct change *last,
		     uint64_t txn, bool all_done);
/* When the first of those that were not taken was accepted, submitted or not; UINT64_MAX: there is none. */
uint64_t mailbox_oldest_ms(struct mailbox *mailbox);
/* How many were submitted and not taken. */
size_t mailbox_waiting(struct mailbox *mailbox);
void mailbox_settings(struct mailbox *mailbox, struct room_settings *ret);
/* What may be reclaimed; to must hold MAILBOX_PINS_MAX, and is borrowed by *ret, in ascending order. */
void mailbox_limits(struct mailbox *mailbox, uint64_t *to, struct reclaim_limits *ret);
/* Objects whose pins are in the way. */
void mailbox_name_held(struct mailbox *mailbox, const uint64_t *object_ids, size_t count);

/* Who has to give room and has nothing but what is still arriving; found false: nobody any more. */
void mailbox_set_overdue(struct mailbox *mailbox, bool found, uint64_t tenant);

/* How the store is. Each wakes the loop, also where that is no news: somebody new may wait to hear it. */
void mailbox_set_disk_full(struct mailbox *mailbox, bool full);
void mailbox_set_no_memory(struct mailbox *mailbox); /* until it is collected */
void mailbox_set_damaged(struct mailbox *mailbox);
void mailbox_set_unlinked(struct mailbox *mailbox);

#endif
