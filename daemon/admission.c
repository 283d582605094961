/* admission.c - what a namespace takes: how large, in which codecs. The one place through which all bytes go that are
 * stored. Loop thread; owns nothing. */
#include <string.h>

#include "conf/tenants.h"
#include "daemon/cache_core.h"

#define CODEC_ID_MASK 0xff

static bool
is_shared(const struct target *target)
{
	return namespace_owner(0, target->namespace) == NAMESPACE_SHARED;
}

static const struct conf_namespace *
declaration(const struct cache *cache, struct slice name)
{
	return cache->config.tenants
		       ? conf_find_namespace(cache->config.tenants, name.data, name.len)
		       : NULL;
}

/* ---- the configuration ---- */

static uint64_t
quota_of(const struct cache *cache, const struct namespace *namespace)
{
	const struct conf_namespace *declared = namespace->declared;

	if (namespace->uid != NAMESPACE_SHARED)
		return cache->config.tenants
			       ? conf_user_quota(cache->config.tenants, namespace->uid)
			       : UINT64_MAX;
	return declared && declared->quota ? declared->quota : UINT64_MAX;
}

void
core_declare(struct cache *cache, struct namespace *namespace)
{
	bool shared = namespace->uid == NAMESPACE_SHARED;
	struct slice name = slice(namespace->name, namespace->name_len);
	struct usage *usage = namespace->usage;

	namespace->declared = shared ? declaration(cache, name) : NULL;
	atomic_store_explicit(&usage->quota, quota_of(cache, namespace),
			      memory_order_relaxed);
	atomic_store_explicit(&usage->aside, shared && !namespace->declared,
			      memory_order_relaxed);
}

void
core_declare_all(struct cache *cache)
{
	for (struct namespace *at = names_next(&cache->names, NULL); at;
	     at = names_next(&cache->names, at))
		core_declare(cache, at);
}

/* 0 is no limit. */
static uint64_t
least(uint64_t limit, uint64_t other)
{
	return other && other < limit ? other : limit;
}

uint64_t
core_user_quota(const struct cache *cache, uint32_t uid)
{
	return cache->config.tenants ? least(cache->max_size,
					     conf_user_quota(cache->config.tenants, uid))
				     : cache->max_size;
}

uint64_t
core_value_max(const struct cache *cache, const struct target *target)
{
	const struct conf_tenants *tenants = cache->config.tenants;
	const struct conf_namespace *declared;

	if (!tenants)
		return cache->max_value;
	if (!is_shared(target))
		return least(cache->max_value, conf_user_quota(tenants, target->uid));
	declared = declaration(cache, target->namespace);
	if (!declared)
		return cache->max_value;
	return least(least(cache->max_value, declared->max_value), declared->quota);
}

/* ---- what is stored ---- */

bool
core_admits(const struct namespace *namespace, uint32_t codec)
{
	return !namespace->declared || conf_admits(&namespace->declared->codecs, codec);
}

static bool
refuse(const struct op *op, const struct record *record, struct answer *ret_answer)
{
	const struct namespace *namespace = op->namespace;

	if (namespace->uid == NAMESPACE_SHARED && !namespace->declared)
		*ret_answer = answer_error(ERROR_BAD_NAMESPACE, 0, NULL);
	else if (!core_admits(namespace, record->codec))
		*ret_answer = answer_error(ERROR_NOT_ADMITTED,
					   record->codec & CODEC_ID_MASK, NULL);
	else
		return false;
	return true;
}

struct change *
core_make_change(const struct op *op, enum change_kind kind, const struct record *record,
		 struct slice apart, struct answer *ret_answer)
{
	struct change *change;

	if (refuse(op, record, ret_answer))
		return NULL;
	change = change_new(kind, record_size(record) + apart.len);
	if (!change) {
		*ret_answer = answer_error(ERROR_NO_MEMORY, 0, NULL);
		return NULL;
	}
	change->record_len = record_write(record, change->bytes);
	change->value_len = apart.len;
	if (apart.len)
		memcpy(change->bytes + change->record_len, apart.data, apart.len);
	memcpy(change->row_key, op->row_key, ROW_KEY_SIZE);
	change->version = record->version;
	change->object_id = record->object_id;
	return change;
}
