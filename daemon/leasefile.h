/* leasefile.h - the leases that outlive an orderly exit, in a file. Start and end of the daemon. */
#ifndef DAEMON_LEASEFILE_H
#define DAEMON_LEASEFILE_H

#include "daemon/lease.h"

/* Saved at most; the file is under 1 MiB. */
#define LEASEFILE_MAX 16384

/* Writes what is held, or removes the file if nothing is. Returns 0, or -1 with errno. */
int leasefile_save(const struct leases *leases, uint64_t now_ns, const char *path);
/* Reserves what the file has, and removes it: it is good for one start. A file that is damaged, or not
 * there, is none. */
void leasefile_load(struct leases *leases, const char *path, uint64_t now_ns);

#endif
