/* settings.c - options to structs. Owns nothing; any thread. */
#include "daemon/settings.h"

struct cache_config
settings_cache(const struct conf *conf, const char *path)
{
	return (struct cache_config){
		.path = path,
		.max_size = conf->max_size,
		.max_value = conf->max_value,
		.min_free_percent = conf->min_free_percent,
		.commit_delay_ns = conf->commit_delay_ns,
		.max_unflushed_ns = conf->max_unflushed_ns,
		.max_namespaces = conf->max_namespaces,
		.reader_threads = conf->reader_threads,
		.slow_request_ns = conf->slow_request_ns,
		.pending_size = conf->pending_size,
		.tenants = &conf->tenants,
	};
}
