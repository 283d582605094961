/* rights.h - what the configuration lets a client do in shared namespaces. The kernel says who it is. */
#ifndef DAEMON_RIGHTS_H
#define DAEMON_RIGHTS_H

#include <stdbool.h>
#include <stdint.h>

#include "conf/conf.h"
#include "proto/message.h"

/* What is known of a client besides its uid. */
struct standing {
	uint64_t
		groups; /* bit n: it is in the group at place n of conf->tenants.groups */
	bool in_admin_group;
};

/* Of the process at the other end of the socket, as it was when it connected: its group and its supplementary
 * groups. In none, where the kernel does not tell. */
struct standing rights_standing(int fd, const struct conf *conf);

enum right rights_of(const struct conf_namespace *namespace, uint32_t uid,
		     const struct standing *standing);

#endif
