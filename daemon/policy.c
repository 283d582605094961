/* policy.c - quotas and fair share between tenants, sampled value between objects. Writer thread. */
#include "daemon/policy.h"

#include <stdlib.h>

#include "daemon/arrival.h"
#include "daemon/stamp.h"
#include "proto/bytes.h"

#define HALF_LIFE_S 60.0
#define MEDIAN_START_US 1000.0
#define MEDIAN_STEP 0.02
/* Reading an object back costs about this, and a microsecond for each KiB. */
#define READ_BACK_US 5.0
#define BENEFIT_MIN_US 0.01
/* Rounds without a victim before the tenant counts as empty. */
#define EMPTY_ROUNDS_MAX 8
/* In the place of a tenant: what nobody can reach. No shared namespace has this incarnation. */
#define TENANT_ASIDE UINT64_MAX

void
policy_init(struct policy *policy, uint64_t seed)
{
	*policy = (struct policy){ .chance = seed ? seed : 0x9e3779b97f4a7c15 };
}

/* xorshift64* (Vigna 2016). */
static uint64_t
chance(struct policy *policy)
{
	policy->chance ^= policy->chance >> 12;
	policy->chance ^= policy->chance << 25;
	policy->chance ^= policy->chance >> 27;
	return policy->chance * 0x2545f4914f6cdd1d;
}

static uint64_t
usage_charged(const struct usage *usage, double leaf_factor)
{
	return (uint64_t)((double)usage_figure(&usage->leaf_bytes) * leaf_factor) +
	       usage_figure(&usage->chunk_pages) * PAGE_SIZE_BYTES;
}

/* ---- tenants */

static struct tenant *
find_tenant(struct policy *policy, uint64_t name)
{
	size_t at = (name ^ name >> 32) * UINT64_C(2654435761) % POLICY_TENANTS;

	while (policy->tenants[at].held && policy->tenants[at].name != name)
		at = (at + 1) % POLICY_TENANTS;
	return &policy->tenants[at];
}

static bool
is_aside(const struct usage *usage)
{
	return atomic_load_explicit(&usage->aside, memory_order_relaxed);
}

static uint64_t
tenant_of(const struct usage *usage)
{
	return is_aside(usage) ? TENANT_ASIDE : usage_tenant(usage);
}

/* NULL: there is no place for one more, which is left in peace. */
static struct tenant *
charge_tenant(struct policy *policy, uint64_t name, uint64_t charged)
{
	struct tenant *tenant = find_tenant(policy, name);

	/* One place stays empty: it ends every search. */
	if (!tenant->held && policy->tenant_count == POLICY_TENANTS - 1)
		return NULL;
	if (!tenant->held) {
		policy->order[policy->tenant_count++] = tenant;
		tenant->name = name;
		tenant->quota = UINT64_MAX;
	}
	tenant->held += charged;
	return tenant;
}

static void
count_arrivals(struct policy *policy, const struct arrivals *arrivals)
{
	for (const struct arrival *at = arrivals->first; at; at = at->next) {
		uint64_t charged =
			chunk_pages(at->big_rows, at->small_rows) * PAGE_SIZE_BYTES;
		struct tenant *tenant =
			at->gone || !charged ? NULL
					     : charge_tenant(policy, at->tenant, charged);

		if (tenant)
			tenant->arriving += charged;
	}
}

/* What each tenant holds, counted once for one round of evictions. */
static void
count_tenants(struct policy *policy, const struct objects *objects, double leaf_factor)
{
	policy->tenant_count = 0;
	policy->overdue = NULL;
	memset(policy->tenants, 0, sizeof(policy->tenants));
	for (struct usage *usage = ledger_next(objects->ledger, NULL); usage;
	     usage = ledger_next(objects->ledger, usage)) {
		uint64_t charged = usage_charged(usage, leaf_factor);
		struct tenant *tenant;

		if (usage->flushed || !charged)
			continue;
		tenant = charge_tenant(policy, tenant_of(usage), charged);
		if (tenant && !is_aside(usage))
			tenant->quota = usage_figure(&usage->quota);
	}
	if (objects->arrivals)
		count_arrivals(policy, objects->arrivals);
}

/* Never to nothing: an empty place in the table would end a search too early. */
static void
relieve(struct tenant *tenant, uint64_t charged)
{
	tenant->held = tenant->held > charged ? tenant->held - charged : 1;
}

static bool
can_give(const struct tenant *tenant)
{
	return tenant->held > tenant->arriving + 1;
}

static uint64_t
over_quota(const struct tenant *tenant)
{
	return tenant->held > tenant->quota ? tenant->held - tenant->quota : 0;
}

/* The one furthest over its quota. */
static struct tenant *
find_over_quota(struct policy *policy)
{
	struct tenant *over = NULL;

	for (size_t i = 0; i < policy->tenant_count; i++) {
		struct tenant *at = policy->order[i];

		if (!over_quota(at))
			continue;
		if (!can_give(at))
			policy->overdue = at;
		else if (!over || over_quota(at) > over_quota(over))
			over = at;
	}
	return over;
}

/* As all have the same fair share, the one that holds most, which is the one furthest above it. Where that has nothing
 * but what is still arriving, the next may have to give in its place, but not one who holds less than all do on
 * average: of a full store, its share. */
static struct tenant *
find_largest(struct policy *policy)
{
	struct tenant *most = NULL, *giver = NULL;
	uint64_t sum = 0;

	for (size_t i = 0; i < policy->tenant_count; i++) {
		struct tenant *at = policy->order[i];

		sum += at->held;
		if (!most || at->held > most->held)
			most = at;
		if (can_give(at) && (!giver || at->held > giver->held))
			giver = at;
	}
	if (most == giver)
		return giver;
	policy->overdue = most;
	return giver && giver->held >= sum / policy->tenant_count ? giver : NULL;
}

/* Whoever is over its quota. If nobody is, and room is short: what is nobody's; else the largest. NULL: nobody has to
 * give, or can. */
static struct tenant *
choose_tenant(struct policy *policy, bool room_short)
{
	struct tenant *over = find_over_quota(policy);
	struct tenant *aside = find_tenant(policy, TENANT_ASIDE);

	if (over || !room_short)
		return over;
	return aside->held && can_give(aside) ? aside : find_largest(policy);
}

bool
policy_limits_anybody(const struct ledger *ledger)
{
	for (struct usage *usage = ledger_next(ledger, NULL); usage;
	     usage = ledger_next(ledger, usage))
		if (usage_figure(&usage->quota) != UINT64_MAX)
			return true;
	return false;
}

/* One of the tenant's namespaces, by chance, the more likely the more it holds. */
static struct usage *
choose_namespace(struct policy *policy, const struct ledger *ledger,
		 const struct tenant *tenant, double leaf_factor)
{
	uint64_t point = chance(policy) % (tenant->held - tenant->arriving);
	struct usage *last = NULL;

	for (struct usage *usage = ledger_next(ledger, NULL); usage;
	     usage = ledger_next(ledger, usage)) {
		uint64_t charged;

		if (usage->flushed || tenant_of(usage) != tenant->name)
			continue;
		charged = usage_charged(usage, leaf_factor);
		if (charged)
			last = usage;
		if (point < charged)
			return usage;
		point -= charged;
	}
	return last;
}

/* ---- objects */

/* Follows the median by small steps towards each sample (stochastic approximation). */
static void
learn_cost(struct usage *usage, uint64_t cost_us)
{
	if ((double)cost_us > usage->median_cost_us)
		usage->median_cost_us *= 1 + MEDIAN_STEP;
	else
		usage->median_cost_us *= 1 - MEDIAN_STEP;
	if (usage->median_cost_us < 1)
		usage->median_cost_us = 1;
}

/* An object that does not tell its cost is compared with its neighbours, so theirs is what counts, and nobody else's. */
static double
benefit_us(struct usage *usage, const struct record *record)
{
	double cost, benefit;

	if (usage->median_cost_us < 1)
		usage->median_cost_us = MEDIAN_START_US;
	cost = usage->median_cost_us;
	if (record->cost_us) {
		learn_cost(usage, record->cost_us);
		cost = (double)record->cost_us;
	}
	benefit = cost - READ_BACK_US - (double)record->length / 1024;
	return benefit > BENEFIT_MIN_US ? benefit : BENEFIT_MIN_US;
}

static void
appraise(struct usage *usage, const struct objects *objects,
	 const struct recency *recency, double leaf_factor, const uint8_t *row_key,
	 struct slice row, const struct record *record, bool is_void,
	 struct candidate *ret)
{
	struct recency_use use = recency_look(recency, row_key);
	uint64_t last_s = use.frequency ? use.last_s : record->created_ms / 1000;
	uint64_t now_s = objects->now_ms / 1000;
	double idle_s = now_s > last_s ? (double)(now_s - last_s) : 0;
	double uses = use.frequency ? use.frequency : 1;

	memcpy(ret->row_key, row_key, ROW_KEY_SIZE);
	ret->version = record->version;
	ret->charged =
		(uint64_t)((double)object_leaf_bytes(record, row.len) * leaf_factor) +
		chunk_pages(record->big_rows, record->small_rows) * PAGE_SIZE_BYTES;
	ret->value = uses * benefit_us(usage, record) /
		     ((double)ret->charged * (idle_s + HALF_LIFE_S));
	if (record_over(record, objects->over_ms) || is_void)
		ret->value = -1;
}

/* A run of neighbours from a random point of the incarnation's range, from its start when the point is
 * past the last row. */
static int
sample(struct policy *policy, struct objects *objects, const struct recency *recency,
       double leaf_factor, struct usage *usage, struct candidate *to, unsigned *ret_count)
{
	uint32_t incarnation = usage->incarnation;
	uint8_t point[ROW_KEY_SIZE];
	struct record record;
	struct slice key, row;
	bool from_start = false;
	int found;

	be32_store(point, incarnation);
	be64_store(point + 4, chance(policy));
	be32_store(point + 12, 0);
	found = write_seek(objects->write, STORE_RECORDS, slice(point, sizeof(point)),
			   &key, &row);
	while (*ret_count < POLICY_RUN) {
		int is_void;

		if (found < 0)
			return found;
		if (found == STORE_MISS || key.len != ROW_KEY_SIZE ||
		    be32_load(key.data) != incarnation) {
			if (from_start || *ret_count)
				return STORE_HIT;
			from_start = true;
			memset(point + 4, 0, ROW_KEY_SIZE - 4);
			found = write_seek(objects->write, STORE_RECORDS,
					   slice(point, sizeof(point)), &key, &row);
			continue;
		}
		if (record_read(row, &record)) {
			is_void = stamp_voids(objects->write, usage, &record);
			if (is_void < 0)
				return is_void;
			appraise(usage, objects, recency, leaf_factor, key.data, row,
				 &record, is_void == STORE_HIT, &to[(*ret_count)++]);
		}
		found = write_next(objects->write, STORE_RECORDS, &key, &row);
	}
	return STORE_HIT;
}

static int
by_value(const void *a, const void *b)
{
	const struct candidate *left = a, *right = b;

	return (left->value > right->value) - (left->value < right->value);
}

/* STORE_MISS: it is not there any more, or not the same. */
static int
evict(struct objects *objects, const struct candidate *victim)
{
	enum removal why = REMOVED_EVICTED;
	struct slice stored;
	struct record record;
	int found = write_get(objects->write, STORE_RECORDS,
			      slice(victim->row_key, ROW_KEY_SIZE), &stored);

	if (found != STORE_HIT)
		return found;
	if (!record_read(stored, &record) || record.version != victim->version)
		return STORE_MISS;
	if (record_over(&record, objects->over_ms))
		why = REMOVED_EXPIRED;
	else if (victim->value < 0)
		why = REMOVED_INVALIDATED;
	return object_remove(objects, victim->row_key, stored, why);
}

struct round {
	struct candidate all[POLICY_POOL + POLICY_RUN];
	unsigned count;
};

/* Candidates of one namespace, worst first. A neighbour that is pooled already is not taken twice. */
static int
gather(struct policy *policy, struct objects *objects, const struct recency *recency,
       double leaf_factor, struct usage *usage, struct round *round)
{
	struct candidate run[POLICY_RUN];
	unsigned count = 0;
	int done = sample(policy, objects, recency, leaf_factor, usage, run, &count);

	round->count = 0;
	if (done < 0)
		return done;
	if (policy->pool_incarnation == usage->incarnation) {
		memcpy(round->all, policy->pool,
		       policy->pooled * sizeof(policy->pool[0]));
		round->count = policy->pooled;
	}
	for (unsigned i = 0; i < count; i++) {
		bool twice = false;

		for (unsigned j = 0; j < policy->pooled && !twice; j++)
			twice = memcmp(run[i].row_key, policy->pool[j].row_key,
				       ROW_KEY_SIZE) == 0;
		if (!twice)
			round->all[round->count++] = run[i];
	}
	qsort(round->all, round->count, sizeof(round->all[0]), by_value);
	return STORE_HIT;
}

static void
keep_worst(struct policy *policy, const struct round *round, unsigned from,
	   uint32_t incarnation)
{
	policy->pooled = 0;
	policy->pool_incarnation = incarnation;
	while (from < round->count && policy->pooled < POLICY_POOL)
		policy->pool[policy->pooled++] = round->all[from++];
}

int
policy_evict(struct policy *policy, struct objects *objects,
	     const struct recency *recency, double leaf_factor, uint64_t bytes,
	     unsigned most, unsigned *ret_objects, uint64_t *ret_bytes)
{
	uint64_t freed = 0;
	unsigned gone = 0, empty = 0;

	count_tenants(policy, objects, leaf_factor);
	while (gone < most && empty < EMPTY_ROUNDS_MAX) {
		struct round round;
		struct tenant *tenant = choose_tenant(policy, freed < bytes);
		struct usage *usage;
		unsigned taken = 0, before = gone;
		int done;

		if (!tenant)
			break;
		usage = choose_namespace(policy, objects->ledger, tenant, leaf_factor);
		if (!usage)
			break;
		if (stamp_prevail(usage)) {
			done = stamp_cover(objects->write, usage);
			objects->leaf_touches++;
			if (done < 0)
				return done;
		}
		done = gather(policy, objects, recency, leaf_factor, usage, &round);
		if (done < 0)
			return done;
		while (taken < round.count && taken < POLICY_TAKE &&
		       (freed < bytes || over_quota(tenant)) && gone < most) {
			done = evict(objects, &round.all[taken]);
			if (done < 0)
				return done;
			if (done == STORE_HIT) {
				freed += round.all[taken].charged;
				relieve(tenant, round.all[taken].charged);
				gone++;
			}
			taken++;
		}
		keep_worst(policy, &round, taken, usage->incarnation);
		empty = gone == before ? empty + 1 : 0;
	}
	*ret_objects += gone;
	*ret_bytes += freed;
	return gone ? STORE_HIT : STORE_MISS;
}
