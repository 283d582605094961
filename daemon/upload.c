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
	uint64_t object_id;     /* 0: nothing was submitted yet */
	struct change *filling; /* the part that gathers; room for READER_PART_MAX */
	uint8_t key[KEY_MAX];
	char name[NAMESPACE_NAME_MAX];
	uint8_t tags[]; /* as long as they are */
};

uint64_t
upload_length(const struct upload *upload)
{
	return upload->length;
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

/* What a uid may have under way, unpublished: a quarter of what it may hold, or one value. */
static bool
within_share(const struct cache *cache, uint32_t uid, uint64_t more)
{
	uint64_t sum = more, most = core_user_quota(cache, uid) / 4;

	for (const struct upload *at = cache->uploads; at; at = at->next)
		if (at->put.target.uid == uid)
			sum += at->length;
	return sum <= (most > cache->max_value ? most : cache->max_value);
}

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
	payer_release(&(*upload)->put.payer);
	free((*upload)->filling);
	free(*upload);
	*upload = NULL;
}

void
upload_abort(struct upload **upload)
{
	struct change *change;

	if (!*upload)
		return;
	/* Without memory for the word, the rows wait on the reclaim list for the next start. */
	change = (*upload)->object_id ? change_new(CHANGE_ABANDON, 0) : NULL;
	if (change) {
		change->object_id = (*upload)->object_id;
		core_accept((*upload)->cache, change, NULL);
	}
	upload_free(upload);
}

static void
submit_part(struct upload *upload)
{
	struct change *change = upload->filling;

	if (!upload->object_id)
		upload->object_id = core_number(upload->cache);
	change->object_id = upload->object_id;
	change->uid = upload->put.target.uid;
	upload->filling = NULL;
	core_accept(upload->cache, change, upload->put.payer);
	upload->cache->hurry = true;
}

int
upload_write(struct upload *upload, struct slice part, struct answer *ret_answer)
{
	const uint8_t *at = part.data;
	struct cache *cache = upload->cache;
	uint64_t most = core_value_max(cache, &upload->put.target);

	/* The limit may have become less than what is here already. */
	if (upload->length > most || part.len > most - upload->length) {
		*ret_answer = answer_error(ERROR_TOO_LARGE, most, NULL);
		return -1;
	}
	if (!within_share(cache, upload->put.target.uid, part.len)) {
		*ret_answer =
			answer_error(ERROR_BUSY, 0,
				     "this uid has too many bytes of unfinished values "
				     "under way; ask again");
		return -1;
	}
	upload->length += part.len;
	while (part.len) {
		struct change *filling = upload->filling;
		size_t take;

		if (!filling)
			filling = upload->filling =
				change_new(CHANGE_CHUNKS, READER_PART_MAX);
		if (!filling) {
			*ret_answer = answer_error(ERROR_NO_MEMORY, 0, NULL);
			return -1;
		}
		take = READER_PART_MAX - filling->value_len;
		if (take > part.len)
			take = part.len;
		memcpy(filling->bytes + filling->value_len, at, take);
		filling->value_len += take;
		at += take;
		part.len -= take;
		/* A full part may be the last: then it could go with its record. */
		if (filling->value_len == READER_PART_MAX && part.len)
			submit_part(upload);
	}
	return 0;
}

bool
upload_ready(const struct upload *upload)
{
	bool (*admits)(struct cache *, const struct payer *, size_t) =
		upload->put.tokened ? cache_admits_awaited : cache_admits;

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
	submit_part(*upload);
	op.namespace = core_namespace(cache, &op.put.target, ret_answer);
	if (!op.namespace) {
		upload_abort(upload);
		return CACHE_NOW;
	}
	op.upload = *upload;
	*upload = NULL;
	return op_run(cache, &op, ret_answer);
}
