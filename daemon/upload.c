/* upload.c - values that arrive in parts, until their record is accepted. Loop thread. Owns the uploads. */
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"

struct upload {
	struct cache *cache;
	struct upload *next; /* all of them */
	struct put put;
	uint64_t announced;     /* UINT64_MAX: not known */
	uint64_t length;        /* arrived so far */
	uint64_t moved_ns;      /* when a part came last */
	bool complete;          /* it waits for its record */
	bool given_up;          /* its room was needed */
	struct change *filling; /* the part that gathers; room for READER_PART_MAX */
	uint64_t object_id;     /* 0: nothing was submitted yet; with one, as is: */
	uint64_t tenant;        /* who is charged for it */
	struct change *abandon; /* the word that it is void, which must not fail */
	uint8_t key[KEY_MAX];
	char name[NAMESPACE_NAME_MAX];
	uint8_t tags[]; /* as long as they are */
};

uint64_t
upload_length(const struct upload *upload)
{
	return upload->length;
}

bool
upload_or_get(const struct upload *upload)
{
	return upload->put.or_get;
}

struct slice
upload_namespace(const struct upload *upload)
{
	return upload->put.target.namespace;
}

uint64_t
upload_object(const struct upload *upload)
{
	return upload->object_id;
}

static struct account *
account_of(const struct upload *upload)
{
	return upload->put.payer->account;
}

/* What a uid may have under way, unpublished: a quarter of what it may hold, or one value. The store's room for all of
 * them has no bound of its own: where it is short, they give like anybody. */
static bool
within_share(const struct upload *upload, uint64_t value_max, uint64_t more)
{
	uint64_t most = core_user_quota(upload->cache, upload->put.target.uid) / 4;

	return account_of(upload)->uploading + more <=
	       (most > value_max ? most : value_max);
}

/* ---- the part that gathers ---- */

static void
drop_filling(struct upload *upload)
{
	if (!upload->filling)
		return;
	account_of(upload)->gathering -= READER_PART_MAX;
	upload->cache->gathering -= READER_PART_MAX;
	upload->filling = NULL;
}

/* ERROR_NONE, or why there is no room for a part. */
static enum error
begin_filling(struct upload *upload)
{
	struct account *account = account_of(upload);
	struct cache *cache = upload->cache;

	if (upload->filling)
		return ERROR_NONE;
	if (!account_may(account, account->gathering, cache->gathering,
			 UPLOADS_GATHERING_MAX, READER_PART_MAX))
		return ERROR_BUSY;
	upload->filling = change_new(CHANGE_CHUNKS, READER_PART_MAX);
	if (!upload->filling)
		return ERROR_NO_MEMORY;
	account->gathering += READER_PART_MAX;
	cache->gathering += READER_PART_MAX;
	return ERROR_NONE;
}

/* Where its value will be, and what is needed to take it back. Returns 0, or -1 and the error. */
static int
begin_storing(struct upload *upload, struct answer *ret_answer)
{
	struct namespace *namespace =
		core_namespace(upload->cache, &upload->put.target, ret_answer);

	if (!namespace)
		return -1;
	upload->abandon = change_new(CHANGE_ABANDON, 0);
	if (!upload->abandon) {
		*ret_answer = answer_error(ERROR_NO_MEMORY, 0, NULL);
		return -1;
	}
	upload->object_id = core_number(upload->cache);
	upload->abandon->object_id = upload->object_id;
	upload->tenant = usage_tenant(namespace->usage);
	return 0;
}

/* Returns 0, or -1 and the error. */
static int
submit_part(struct upload *upload, struct answer *ret_answer)
{
	struct change *change = upload->filling;

	if (!upload->object_id && begin_storing(upload, ret_answer))
		return -1;
	drop_filling(upload);
	change->object_id = upload->object_id;
	change->tenant = upload->tenant;
	core_accept(upload->cache, change, upload->put.payer);
	upload->cache->hurry = true;
	return 0;
}

/* ---- beginning and end ---- */

struct upload *
upload_open(struct cache *cache, const struct put *put, uint64_t length,
	    struct answer *ret_answer)
{
	uint64_t most = core_value_max(cache, &put->target);
	struct upload *upload;

	if (length != UINT64_MAX && length > most) {
		*ret_answer = answer_error(ERROR_TOO_LARGE, most, NULL);
		return NULL;
	}
	if (cache->disk_full || cache->lost) {
		*ret_answer = answer_error(
			cache->lost ? ERROR_SHUTTING_DOWN : ERROR_DISK_FULL, 0, NULL);
		return NULL;
	}
	upload = malloc(sizeof(*upload) + put->tags.len);
	if (!upload) {
		*ret_answer = answer_error(ERROR_NO_MEMORY, 0, NULL);
		return NULL;
	}
	*upload = (struct upload){ .cache = cache, .put = *put, .announced = length };
	upload->put.target.key =
		slice(memcpy(upload->key, put->target.key.data, put->target.key.len),
		      put->target.key.len);
	upload->put.target.namespace =
		slice(memcpy(upload->name, put->target.namespace.data,
			     put->target.namespace.len),
		      put->target.namespace.len);
	if (put->tags.len)
		memcpy(upload->tags, put->tags.data, put->tags.len);
	upload->put.tags.data = upload->tags;
	upload->put.payer = payer_hold(put->payer);
	upload->moved_ns = cache->now_ns;
	upload->next = cache->uploads;
	cache->uploads = upload;
	return upload;
}

void
upload_free(struct upload **upload)
{
	struct upload **at;

	if (!*upload)
		return;
	at = &(*upload)->cache->uploads;
	while (*at != *upload)
		at = &(*at)->next;
	*at = (*upload)->next;
	account_of(*upload)->uploading -= (*upload)->length;
	free((*upload)->filling);
	drop_filling(*upload);
	free((*upload)->abandon);
	payer_release(&(*upload)->put.payer);
	free(*upload);
	*upload = NULL;
}

/* What the disk has of it goes. */
static void
abandon(struct upload *upload)
{
	if (!upload->object_id)
		return;
	core_accept(upload->cache, upload->abandon, NULL);
	upload->abandon = NULL;
	upload->object_id = 0;
}

void
upload_abort(struct upload **upload)
{
	if (!*upload)
		return;
	abandon(*upload);
	upload_free(upload);
}

void
core_give_up_upload(struct cache *cache, uint64_t tenant)
{
	struct upload *worst = NULL;

	/* What the last one held may be all that is asked for. */
	if (cache->given_up > pending_committed_number(cache->pending))
		return;
	for (struct upload *at = cache->uploads; at; at = at->next)
		if (at->object_id && !at->complete && at->tenant == tenant &&
		    (!worst || at->moved_ns < worst->moved_ns))
			worst = at;
	if (!worst)
		return;
	abandon(worst);
	worst->given_up = true;
	free(worst->filling);
	drop_filling(worst);
	account_of(worst)->uploading -= worst->length;
	worst->length = 0;
	cache->given_up = pending_newest(cache->pending);
	cache->hurry = true;
}

static int
refuse(struct answer *ret_answer, enum error error, const char *text)
{
	*ret_answer = answer_error(error, 0, text);
	return -1;
}

static int
refuse_given_up(struct answer *ret_answer)
{
	return refuse(
		ret_answer, ERROR_BUSY,
		"the store is full, and this value was the largest part of what its "
		"owner has there; ask again");
}

/* ---- parts ---- */

static int
gather(struct upload *upload, struct slice part, struct answer *ret_answer)
{
	const uint8_t *at = part.data;

	while (part.len) {
		enum error error = begin_filling(upload);
		struct change *filling = upload->filling;
		size_t take;

		if (error)
			return refuse(ret_answer, error, NULL);
		take = READER_PART_MAX - filling->value_len;
		if (take > part.len)
			take = part.len;
		memcpy(filling->bytes + filling->value_len, at, take);
		filling->value_len += take;
		at += take;
		part.len -= take;
		/* A full part may be the last: then it could go with its record. */
		if (filling->value_len == READER_PART_MAX && part.len &&
		    submit_part(upload, ret_answer))
			return -1;
	}
	return 0;
}

int
upload_write(struct upload *upload, struct slice part, struct answer *ret_answer)
{
	uint64_t most = core_value_max(upload->cache, &upload->put.target);

	if (upload->given_up)
		return refuse_given_up(ret_answer);
	/* The limit may have become less than what is here already. */
	if (upload->length > most || part.len > most - upload->length) {
		*ret_answer = answer_error(ERROR_TOO_LARGE, most, NULL);
		return -1;
	}
	if (!within_share(upload, most, part.len))
		return refuse(ret_answer, ERROR_BUSY,
			      "this uid has too many bytes of unfinished values under "
			      "way; ask again");
	upload->moved_ns = upload->cache->now_ns;
	upload->length += part.len;
	account_of(upload)->uploading += part.len;
	return gather(upload, part, ret_answer);
}

bool
upload_ready(const struct upload *upload)
{
	bool (*admits)(struct cache *, const struct payer *, size_t) =
		upload->put.tokened ? cache_admits_awaited : cache_admits;

	if (upload->given_up)
		return true;
	return upload->put.payer->bytes < UPLOAD_AHEAD_MAX &&
	       admits(upload->cache, upload->put.payer, CACHE_PART_MAX);
}

/* A value that never left its first part is an ordinary put. */
static int
finish_small(struct upload **upload, const struct later *later, struct answer *ret_answer)
{
	struct change *filling = (*upload)->filling;
	struct slice value =
		filling ? slice(filling->bytes, filling->value_len) : slice("", 0);
	int done = cache_put((*upload)->cache, &(*upload)->put, value, later, ret_answer);

	upload_free(upload);
	return done;
}

int
upload_finish(struct upload **upload, const struct later *later,
	      struct answer *ret_answer)
{
	struct cache *cache = (*upload)->cache;
	struct op op = { .kind = OP_PUBLISH, .put = (*upload)->put, .later = *later };

	if ((*upload)->given_up) {
		refuse_given_up(ret_answer);
		upload_abort(upload);
		return CACHE_NOW;
	}
	if ((*upload)->announced != UINT64_MAX &&
	    (*upload)->announced != (*upload)->length) {
		upload_abort(upload);
		*ret_answer =
			answer_error(ERROR_BAD_REQUEST, 0,
				     "the value has another length than was announced");
		return CACHE_NOW;
	}
	if (!(*upload)->object_id)
		return finish_small(upload, later, ret_answer);
	if (cache->disk_full || cache->lost) {
		upload_abort(upload);
		*ret_answer = answer_error(
			cache->lost ? ERROR_SHUTTING_DOWN : ERROR_DISK_FULL, 0, NULL);
		return CACHE_NOW;
	}
	op.namespace = core_namespace(cache, &op.put.target, ret_answer);
	if (!op.namespace || submit_part(*upload, ret_answer)) {
		upload_abort(upload);
		return CACHE_NOW;
	}
	(*upload)->complete = true;
	op.upload = *upload;
	*upload = NULL;
	return op_run(cache, &op, ret_answer);
}
