/* settings.h - what the options mean for the parts of the daemon. Pure. */
#ifndef DAEMON_SETTINGS_H
#define DAEMON_SETTINGS_H

#include "conf/conf.h"
#include "daemon/cache.h"

/* Borrows path. */
struct cache_config settings_cache(const struct conf *conf, const char *path);

#endif
