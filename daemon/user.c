/* user.c - the table of users who are connected, and their shares. Loop thread. Owns the users. */
#include "daemon/user.h"

#include <stdlib.h>

#include "daemon/share.h"

static struct user **
place_of(struct users *users, uint32_t uid)
{
	struct user **at = &users->buckets[uid % USER_BUCKETS];

	while (*at && (*at)->uid != uid)
		at = &(*at)->next;
	return at;
}

struct user *
user_join(struct users *users, uint32_t uid, bool privileged)
{
	struct user **place = place_of(users, uid);

	if (!*place) {
		*place = calloc(1, sizeof(**place));
		if (!*place)
			return NULL;
		(*place)->uid = uid;
	}
	(*place)->privileged = privileged;
	(*place)->sessions++;
	return *place;
}

void
user_leave(struct users *users, struct user **user)
{
	struct user *left = *user, **place;

	*user = NULL;
	if (!left || --left->sessions)
		return;
	place = place_of(users, left->uid);
	*place = left->next;
	free(left);
}

struct user *
user_find(const struct users *users, uint32_t uid)
{
	struct user *at = users->buckets[uid % USER_BUCKETS];

	while (at && at->uid != uid)
		at = at->next;
	return at;
}

bool
user_may(const struct user *user, size_t own, size_t used, size_t most, size_t more)
{
	if (user && user->privileged)
		return share_fits(used, most, more);
	return share_allows(own, used, most, more);
}

bool
user_has_turn(struct user *user, uint64_t round)
{
	if (user->round != round) {
		user->round = round;
		user->reads = user->requests = 0;
	}
	return user->privileged || user->requests < USER_REQUESTS_MAX;
}

void
user_served(struct user *user, unsigned requests)
{
	user->requests += requests;
}

bool
user_reads(struct user *user, uint64_t round)
{
	/* What was read and cannot be carried out would have to be kept. */
	return user_has_turn(user, round) &&
	       (user->privileged || user->reads++ < USER_READS_MAX);
}
