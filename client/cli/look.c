/* look.c - reads the lines of STATS into numbers. Owns what is in a struct look. */
#include "client/cli/look.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/units.h"

static const struct {
	const char *name; /* ending with _: all that begin so are summed up */
	enum look_figure figure;
} names[] = {
	{ "requests", LOOK_REQUESTS },   { "requests_", LOOK_REQUESTS },
	{ "hits", LOOK_HITS },           { "misses", LOOK_MISSES },
	{ "misses_", LOOK_MISSES },      { "puts", LOOK_PUTS },
	{ "objects", LOOK_OBJECTS },     { "held_bytes", LOOK_HELD },
	{ "evicted", LOOK_EVICTED },     { "evicted_objects", LOOK_EVICTED },
	{ "expired", LOOK_EXPIRED },     { "expired_objects", LOOK_EXPIRED },
	{ "waits", LOOK_WAITS },         { "saved_us", LOOK_SAVED_US },
	{ "uptime_ms", LOOK_UPTIME_MS }, { "connections", LOOK_CONNECTIONS },
	{ "used_bytes", LOOK_USED },     { "limit_bytes", LOOK_LIMIT },
	{ "quota_bytes", LOOK_LIMIT },
};

static bool
named(const struct brine_stat *stat, const char *name)
{
	size_t len = strlen(name);
	bool family = name[len - 1] == '_';

	return (family ? stat->name_len > len : stat->name_len == len) &&
	       memcmp(stat->name, name, len) == 0;
}

static void
read_number(struct look_scope *scope, const struct brine_stat *stat)
{
	char text[24];
	uint64_t number;

	if (!stat->value_len || stat->value_len >= sizeof(text))
		return;
	memcpy(text, stat->value, stat->value_len);
	text[stat->value_len] = 0;
	if (number_parse(text, &number) != 0)
		return;
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		if (named(stat, names[i].name))
			scope->figures[names[i].figure] += number;
}

static void
read_line(struct look_scope *scope, const struct brine_stat *stat)
{
	struct slice value = slice(stat->value, stat->value_len);
	struct latency latency;

	if (named(stat, "latency_get_buckets") && latency_read(value, &latency) == 0)
		scope->latencies[LOOK_GET] = latency;
	else if (named(stat, "latency_disk_buckets") &&
		 latency_read(value, &latency) == 0)
		scope->latencies[LOOK_DISK] = latency;
	else
		read_number(scope, stat);
}

/* Lines of one scope stand together. NULL: there is no more room, or no memory (*ret_failed). */
static struct look_scope *
scope_of(struct look *look, const struct brine_stat *stat, bool *ret_failed)
{
	char name[LOOK_NAME_MAX + 1];
	struct look_scope *last = look->count ? &look->scopes[look->count - 1] : NULL;
	struct look_scope *grown;
	size_t room = look->room ? look->room * 2 : 16;

	if (!stat->scope_len)
		return &look->daemon;
	snprintf(name, sizeof(name), "%.*s", (int)stat->scope_len, stat->scope);
	if (last && strcmp(last->name, name) == 0)
		return last;
	if (look->count == LOOK_SCOPES_MAX)
		return NULL;
	if (look->count == look->room) {
		grown = realloc(look->scopes, room * sizeof(*grown));
		*ret_failed = !grown;
		if (!grown)
			return NULL;
		look->scopes = grown;
		look->room = room;
	}
	last = &look->scopes[look->count++];
	memset(last, 0, sizeof(*last));
	strcpy(last->name, name);
	return last;
}

int
look_read(struct look *look, const struct brine_value *text, uint64_t at_us)
{
	struct brine_stat stat;
	size_t position = 0;
	bool failed = false;

	look_done(look);
	look->at_us = at_us;
	while (!failed && brine_stats_next(text, &position, &stat) == BRINE_HIT) {
		struct look_scope *scope = scope_of(look, &stat, &failed);

		if (!scope) {
			look->left_out += named(&stat, "objects");
			continue;
		}
		if (!stat.scope_len && named(&stat, "release"))
			snprintf(look->release, sizeof(look->release), "%.*s",
				 (int)stat.value_len, stat.value);
		read_line(scope, &stat);
	}
	return failed ? -1 : 0;
}

void
look_done(struct look *look)
{
	free(look->scopes);
	*look = (struct look){ 0 };
}

const struct look_scope *
look_find(const struct look *look, const char *name)
{
	for (size_t i = 0; i < look->count; i++)
		if (strcmp(look->scopes[i].name, name) == 0)
			return &look->scopes[i];
	return NULL;
}

uint64_t
look_since(const struct look_scope *now, const struct look_scope *before,
	   enum look_figure figure)
{
	uint64_t from = before ? before->figures[figure] : 0;

	return now->figures[figure] > from ? now->figures[figure] - from : 0;
}

void
look_latency_since(const struct look_scope *now, const struct look_scope *before,
		   enum look_latency which, struct latency *ret_latency)
{
	*ret_latency = now->latencies[which];
	for (unsigned i = 0; before && i < LATENCY_BUCKETS; i++) {
		uint64_t from = before->latencies[which].counts[i];
		uint64_t *count = &ret_latency->counts[i];

		*count = *count > from ? *count - from : 0;
	}
}
