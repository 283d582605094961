/* payer.c - who pays for bytes that wait for the disk: by uid, and then by connection. Loop thread. */
#include <stdlib.h>

#include "daemon/cache_core.h"
#include "daemon/share.h"

/* Beyond the pending limit, for deletes and each connection's first bytes. */
#define PENDING_RESERVE_PART 4
#define PENDING_FIRST (UINT64_C(64) << 10)

/* ---- accounts ---- */

static struct account **
account_place(struct cache *cache, uint32_t uid)
{
	struct account **at = &cache->accounts[uid % ACCOUNT_BUCKETS];

	while (*at && (*at)->uid != uid)
		at = &(*at)->next;
	return at;
}

const struct account *
account_find(const struct cache *cache, uint32_t uid)
{
	/* Looking changes nothing. */
	return *account_place((struct cache *)cache, uid);
}

struct account *
account_join(struct cache *cache, uint32_t uid)
{
	struct account **place = account_place(cache, uid);

	if (!*place) {
		*place = calloc(1, sizeof(**place));
		if (!*place)
			return NULL;
		(*place)->uid = uid;
		(*place)->privileged = uid == 0 || uid == cache->own_uid;
	}
	(*place)->holders++;
	return *place;
}

void
account_leave(struct cache *cache, struct account *account)
{
	struct account **place;

	if (--account->holders)
		return;
	place = account_place(cache, account->uid);
	*place = account->next;
	free(account);
}

bool
account_may(const struct account *account, size_t own, size_t used, size_t most,
	    size_t more)
{
	return account->privileged ? share_fits(used, most, more)
				   : share_allows(own, used, most, more);
}

/* ---- payers ---- */

struct payer *
payer_new(struct cache *cache, uint32_t uid)
{
	struct payer *payer = calloc(1, sizeof(*payer));
	struct account *account = payer ? account_join(cache, uid) : NULL;

	if (!account) {
		free(payer);
		return NULL;
	}
	*payer = (struct payer){ .cache = cache, .account = account, .refs = 1 };
	return payer;
}

struct payer *
payer_hold(struct payer *payer)
{
	if (payer)
		payer->refs++;
	return payer;
}

void
payer_release(struct payer **payer)
{
	if (*payer && --(*payer)->refs == 0) {
		account_leave((*payer)->cache, (*payer)->account);
		free(*payer);
	}
	*payer = NULL;
}

void
payer_charge(struct payer *payer, size_t bytes)
{
	struct account *account = payer->account;

	payer->cache->busy_accounts += account->bytes == 0;
	account->busy += payer->bytes == 0;
	account->bytes += bytes;
	payer->bytes += bytes;
}

void
payer_relieve(struct payer *payer, size_t bytes)
{
	struct account *account = payer->account;

	payer->bytes -= bytes;
	account->bytes -= bytes;
	account->busy -= payer->bytes == 0;
	payer->cache->busy_accounts -= account->bytes == 0;
}

/* ---- who may bring more ---- */

/* What one uid may have of it; who is alone with its bytes, all. */
static uint64_t
share_of(const struct cache *cache, const struct account *account)
{
	size_t others = cache->busy_accounts - (account->bytes > 0);

	return others ? cache->config.pending_size / (others + 2)
		      : cache->config.pending_size;
}

/* From the reserve, too; but a thousand connections of one uid do not take it from others. */
static bool
admits_first(const struct cache *cache, const struct account *account, size_t bytes)
{
	uint64_t limit = cache->config.pending_size;
	uint64_t reserve = limit / PENDING_RESERVE_PART;

	if (account->bytes + bytes > share_of(cache, account) + reserve &&
	    account->bytes + bytes > PENDING_FIRST)
		return false;
	return pending_bytes(cache->pending) + bytes <= limit + reserve;
}

bool
cache_admits(struct cache *cache, const struct payer *payer, size_t bytes)
{
	uint64_t limit = cache->config.pending_size, now = pending_bytes(cache->pending);
	const struct account *account = payer->account;
	uint64_t share = share_of(cache, account);

	if (payer->bytes + bytes <= PENDING_FIRST && admits_first(cache, account, bytes))
		return true;
	if (now + bytes > limit)
		return false;
	/* Half of it is there for the taking; the rest goes to those below their fair share. */
	return now <= limit / 2 || (account->bytes + bytes <= share &&
				    payer->bytes + bytes <= share / (account->busy + 1));
}

bool
cache_admits_awaited(struct cache *cache, const struct payer *payer, size_t bytes)
{
	return cache_admits(cache, payer, bytes) ||
	       admits_first(cache, payer->account, bytes);
}
