/* rights.c - asks the kernel for groups, and the configuration for what they mean. Loop thread; owns nothing. */
#include "daemon/rights.h"

#include <limits.h>
#include <stddef.h>
#include <sys/socket.h>
#include <sys/types.h>

#ifndef SO_PEERGROUPS
#define SO_PEERGROUPS 59
#endif

static void
join(struct standing *standing, gid_t gid, const struct conf *conf)
{
	for (unsigned i = 0; i < conf->tenants.group_count; i++)
		if (conf->tenants.groups[i] == gid)
			standing->groups |= UINT64_C(1) << i;
	if (conf->admin_group.name[0] && conf->admin_group.gid == gid)
		standing->in_admin_group = true;
}

struct standing
rights_standing(int fd, const struct conf *conf)
{
	static gid_t groups[NGROUPS_MAX]; /* the loop is one thread */
	struct standing standing = { 0 };
	struct ucred peer;
	socklen_t len = sizeof(peer);

	if (!conf->tenants.group_count && !conf->admin_group.name[0])
		return standing;
	if (!getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len))
		join(&standing, peer.gid, conf);
	len = sizeof(groups);
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len))
		return standing;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++)
		join(&standing, groups[i], conf);
	return standing;
}

static bool
is_member(const struct conf_members *members, uint32_t uid, uint64_t groups)
{
	if (members->everybody || members->groups & groups)
		return true;
	for (unsigned i = 0; i < members->user_count; i++)
		if (members->users[i] == uid)
			return true;
	return false;
}

enum right
rights_of(const struct conf_namespace *namespace, uint32_t uid,
	  const struct standing *standing)
{
	if (is_member(&namespace->writers, uid, standing->groups))
		return RIGHT_WRITE;
	return is_member(&namespace->readers, uid, standing->groups) ? RIGHT_READ
								     : RIGHT_NONE;
}
