/* mailbox.c - the lists and flags between the loop and the writer. Both threads; owns what lies in it. */
#include "daemon/mailbox.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "daemon/log.h"

#define NS_PER_S UINT64_C(1000000000)

int
mailbox_init(struct mailbox *mailbox, const struct room_settings *settings, uint64_t txn,
	     int wake_fd)
{
	pthread_condattr_t attributes;

	*mailbox = (struct mailbox){
		.news = { .txn = txn, .idle = true },
		.settings = *settings,
		.expected_ms = UINT64_MAX,
		.barrier = txn,
		.pinned = calloc(MAILBOX_PINS_MAX, sizeof(uint64_t)),
		.wake_fd = wake_fd,
	};
	pthread_mutex_init(&mailbox->mutex, NULL);
	pthread_condattr_init(&attributes);
	pthread_condattr_setclock(&attributes, CLOCK_MONOTONIC);
	pthread_cond_init(&mailbox->work, &attributes);
	pthread_condattr_destroy(&attributes);
	return mailbox->pinned ? 0 : -1;
}

void
mailbox_done(struct mailbox *mailbox)
{
	pthread_cond_destroy(&mailbox->work);
	pthread_mutex_destroy(&mailbox->mutex);
	free(mailbox->pinned);
}

/* ---- the loop's side ---- */

void
mailbox_expect(struct mailbox *mailbox, uint64_t since_ms)
{
	pthread_mutex_lock(&mailbox->mutex);
	mailbox->expected_ms = since_ms;
	pthread_mutex_unlock(&mailbox->mutex);
}

void
mailbox_submit(struct mailbox *mailbox, struct change *first, struct change *last)
{
	pthread_mutex_lock(&mailbox->mutex);
	changes_append(&mailbox->inbox, first, last);
	mailbox->expected_ms = UINT64_MAX;
	mailbox->news.idle = false;
	pthread_cond_signal(&mailbox->work);
	pthread_mutex_unlock(&mailbox->mutex);
}

void
mailbox_collect(struct mailbox *mailbox, struct writer_news *ret_news)
{
	pthread_mutex_lock(&mailbox->mutex);
	*ret_news = mailbox->news;
	ret_news->done = mailbox->done.first;
	mailbox->done = (struct changes){ NULL, NULL };
	mailbox->news.held_count = 0;
	mailbox->news.overdue = false;
	mailbox->news.no_memory = false;
	mailbox->told = false;
	pthread_mutex_unlock(&mailbox->mutex);
}

void
mailbox_release(struct mailbox *mailbox, uint64_t barrier, const uint64_t *pinned,
		size_t count)
{
	CHECK(count <= MAILBOX_PINS_MAX);
	pthread_mutex_lock(&mailbox->mutex);
	mailbox->barrier = barrier;
	mailbox->pinned_count = count;
	if (count)
		memcpy(mailbox->pinned, pinned, count * sizeof(*pinned));
	pthread_mutex_unlock(&mailbox->mutex);
}

void
mailbox_configure(struct mailbox *mailbox, const struct room_settings *settings)
{
	pthread_mutex_lock(&mailbox->mutex);
	mailbox->settings = *settings;
	pthread_cond_signal(&mailbox->work);
	pthread_mutex_unlock(&mailbox->mutex);
}

void
mailbox_stop(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->mutex);
	mailbox->stop = true;
	pthread_cond_signal(&mailbox->work);
	pthread_mutex_unlock(&mailbox->mutex);
}

/* ---- the writer's side ---- */

static struct timespec
after(uint64_t ns)
{
	struct timespec at;

	clock_gettime(CLOCK_MONOTONIC,
		      &at); /* the condition's clock, not the one that tests move */
	ns += (uint64_t)at.tv_nsec;
	at.tv_sec += (time_t)(ns / NS_PER_S);
	at.tv_nsec = (long)(ns % NS_PER_S);
	return at;
}

bool
mailbox_take(struct mailbox *mailbox, uint64_t wait_ns, bool held_up,
	     struct changes *todo)
{
	struct timespec until;
	bool stop;

	pthread_mutex_lock(&mailbox->mutex);
	if (wait_ns && (!mailbox->inbox.first || held_up) && !mailbox->stop) {
		until = after(wait_ns);
		pthread_cond_timedwait(&mailbox->work, &mailbox->mutex, &until);
	}
	if (mailbox->inbox.first)
		changes_append(todo, mailbox->inbox.first, mailbox->inbox.last);
	mailbox->inbox = (struct changes){ NULL, NULL };
	stop = mailbox->stop;
	pthread_mutex_unlock(&mailbox->mutex);
	return stop;
}

/* Gives the mutex back; the loop is woken once until it collects. */
static void
unlock_and_tell(struct mailbox *mailbox)
{
	uint64_t one = 1;
	bool tell = !mailbox->told;

	mailbox->told = true;
	pthread_mutex_unlock(&mailbox->mutex);
	if (tell && write(mailbox->wake_fd, &one, sizeof(one)) < 0)
		log_error("writer: cannot wake the loop: %m");
}

void
mailbox_publish(struct mailbox *mailbox, struct change *first, struct change *last,
		uint64_t txn, bool all_done)
{
	pthread_mutex_lock(&mailbox->mutex);
	if (first)
		changes_append(&mailbox->done, first, last);
	mailbox->news.txn = txn;
	mailbox->news.idle = all_done && !mailbox->inbox.first;
	unlock_and_tell(mailbox);
}

uint64_t
mailbox_oldest_ms(struct mailbox *mailbox)
{
	uint64_t oldest_ms;

	pthread_mutex_lock(&mailbox->mutex);
	oldest_ms = mailbox->inbox.first ? mailbox->inbox.first->accepted_ms
					 : mailbox->expected_ms;
	pthread_mutex_unlock(&mailbox->mutex);
	return oldest_ms;
}

size_t
mailbox_waiting(struct mailbox *mailbox)
{
	size_t count = 0;

	pthread_mutex_lock(&mailbox->mutex);
	for (const struct change *at = mailbox->inbox.first; at; at = at->next)
		count++;
	pthread_mutex_unlock(&mailbox->mutex);
	return count;
}

void
mailbox_settings(struct mailbox *mailbox, struct room_settings *ret)
{
	pthread_mutex_lock(&mailbox->mutex);
	*ret = mailbox->settings;
	pthread_mutex_unlock(&mailbox->mutex);
}

static int
compare_ids(const void *a, const void *b)
{
	uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;

	return (left > right) - (left < right);
}

void
mailbox_limits(struct mailbox *mailbox, uint64_t *to, struct reclaim_limits *ret)
{
	pthread_mutex_lock(&mailbox->mutex);
	memcpy(to, mailbox->pinned, mailbox->pinned_count * sizeof(uint64_t));
	*ret = (struct reclaim_limits){ .barrier = mailbox->barrier,
					.pinned = to,
					.pinned_count = mailbox->pinned_count };
	pthread_mutex_unlock(&mailbox->mutex);
	qsort(to, ret->pinned_count, sizeof(uint64_t), compare_ids);
}

void
mailbox_name_held(struct mailbox *mailbox, const uint64_t *object_ids, size_t count)
{
	CHECK(count <= RECLAIM_HELD_MAX);
	pthread_mutex_lock(&mailbox->mutex);
	memcpy(mailbox->news.held, object_ids, count * sizeof(uint64_t));
	mailbox->news.held_count = count;
	unlock_and_tell(mailbox);
}

void
mailbox_set_overdue(struct mailbox *mailbox, bool found, uint64_t tenant)
{
	pthread_mutex_lock(&mailbox->mutex);
	mailbox->news.overdue = found;
	mailbox->news.overdue_tenant = tenant;
	if (found)
		unlock_and_tell(mailbox);
	else
		pthread_mutex_unlock(&mailbox->mutex);
}

void
mailbox_set_disk_full(struct mailbox *mailbox, bool full)
{
	pthread_mutex_lock(&mailbox->mutex);
	mailbox->news.disk_full = full;
	unlock_and_tell(mailbox);
}

void
mailbox_set_no_memory(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->mutex);
	mailbox->news.no_memory = true;
	unlock_and_tell(mailbox);
}

void
mailbox_set_damaged(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->mutex);
	mailbox->news.damaged = true;
	unlock_and_tell(mailbox);
}

void
mailbox_set_unlinked(struct mailbox *mailbox)
{
	pthread_mutex_lock(&mailbox->mutex);
	mailbox->news.unlinked = true;
	unlock_and_tell(mailbox);
}
