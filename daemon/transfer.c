/* transfer.c - values that arrive or leave in parts. Loop thread. Owns uploads and downloads. */
#include <stdlib.h>
#include <string.h>

#include "daemon/cache_core.h"
#include "daemon/log.h"

/* ---- uploads ---- */

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

/* ---- downloads ---- */

struct buffer {
	struct read_job job;
	bool reading; /* the reader has it */
	bool full;    /* read, and not yet given out or still in the receiver's hands */
};

/* Two buffers: while one is sent, the other is read. */
struct download {
	struct cache *cache;
	struct download *next; /* all of them */
	uint64_t object_id;
	uint32_t uid; /* who gets it */
	uint32_t rows;
	uint32_t index;   /* next row to ask for */
	uint64_t left;    /* bytes of the value not yet given out */
	unsigned current; /* the buffer that is given out next, or was given out last */
	bool given;       /* the current buffer is in the receiver's hands */
	bool closed;      /* by the receiver, while a reader was still at it */
	enum error error;
	struct buffer buffers[2];
	void (*ready)(void *arg, const struct part *part);
	void *arg;
};

struct download *
download_new(struct cache *cache, const struct record *record, uint32_t uid)
{
	struct download *download = calloc(1, sizeof(*download));

	if (!download)
		return NULL;
	download->cache = cache;
	download->uid = uid;
	download->object_id = record->object_id;
	download->rows = record->big_rows + record->small_rows;
	download->left = record->length;
	download->next = cache->downloads;
	cache->downloads = download;
	return download;
}

/* What is in the buffers, or being read into them, needs no pin. */
static bool
needs_rows(const struct download *download)
{
	return !download->error && download->index < download->rows;
}

bool
transfer_pins(const struct cache *cache, uint64_t *to, size_t *ret_count)
{
	size_t count = 0;

	for (const struct download *at = cache->downloads; at; at = at->next) {
		if (!needs_rows(at))
			continue;
		if (count == WRITER_PINS_MAX)
			return false;
		to[count++] = at->object_id;
	}
	*ret_count = count;
	return true;
}

void
transfer_cut(struct cache *cache, const uint64_t *object_ids, size_t count)
{
	for (struct download *at = cache->downloads; count && at; at = at->next)
		for (size_t i = 0; i < count && needs_rows(at); i++)
			if (at->object_id == object_ids[i])
				at->error = ERROR_BUSY;
}

static void
free_buffers(struct download *download)
{
	for (unsigned i = 0; i < 2; i++) {
		download->cache->download_bytes -= download->buffers[i].job.value_room;
		free(download->buffers[i].job.value);
	}
}

static void
free_download(struct download *download)
{
	struct download **at = &download->cache->downloads;

	while (*at != download)
		at = &(*at)->next;
	*at = download->next;
	free_buffers(download);
	free(download);
}

/* Reads ahead as far as memory allows: whole parts while there is plenty, a row at a time otherwise. */
static void
read_ahead(struct download *download, unsigned which)
{
	struct buffer *buffer = &download->buffers[which];
	struct cache *cache = download->cache;
	uint32_t rows = cache->download_bytes < DOWNLOAD_BYTES_MAX ? READER_PART_ROWS : 1;

	if (download->index >= download->rows || download->error || buffer->reading ||
	    buffer->full || download->buffers[!which].reading)
		return;
	if (rows > download->rows - download->index)
		rows = download->rows - download->index;
	if (buffer->job.value_room < reader_part_size(rows)) {
		cache->download_bytes += reader_part_size(rows) - buffer->job.value_room;
		free(buffer->job.value);
		buffer->job.value = malloc(reader_part_size(rows));
		buffer->job.value_room = reader_part_size(rows);
	}
	buffer->job.kind = READ_PART;
	buffer->job.owner = download;
	buffer->job.uid = download->uid;
	buffer->job.object_id = download->object_id;
	buffer->job.index = download->index;
	buffer->job.row_limit = download->rows;
	buffer->job.row_count = rows;
	buffer->reading = true;
	core_submit_job(cache, &buffer->job);
}

static void
give_part(struct download *download)
{
	struct buffer *buffer = &download->buffers[download->current];
	void (*ready)(void *, const struct part *) = download->ready;
	struct part part = { .error = download->error };

	if (!download->error) {
		part.bytes = slice(buffer->job.value, buffer->job.value_len);
		if (part.bytes.len > download->left)
			part.error = download->error = ERROR_DAMAGED;
		download->left -= part.error ? 0 : part.bytes.len;
		part.last = download->left == 0;
		if (!part.last && download->index >= download->rows &&
		    !download->buffers[!download->current].full &&
		    !download->buffers[!download->current].reading)
			part.error = download->error =
				ERROR_DAMAGED; /* rows ended too early */
	}
	download->ready = NULL;
	download->given = true;
	read_ahead(download, !download->current);
	ready(download->arg, &part);
}

void
download_next(struct download *download,
	      void (*ready)(void *arg, const struct part *part), void *arg)
{
	CHECK(!download->ready);
	download->ready = ready;
	download->arg = arg;
	if (download->given) {
		download->buffers[download->current].full = false;
		download->given = false;
		download->current = !download->current;
	}
	if (download->buffers[download->current].full || download->error) {
		give_part(download);
		return;
	}
	read_ahead(download, download->current);
}

void
download_job_done(struct cache *cache, struct download *download, struct read_job *job)
{
	struct buffer *buffer = &download->buffers[job == &download->buffers[1].job];

	buffer->reading = false;
	if (download->closed) {
		if (!download->buffers[0].reading && !download->buffers[1].reading)
			free_download(download);
		return;
	}
	if (job->result != STORE_HIT) {
		if (job->result == STORE_DAMAGED)
			core_note_damage(cache, "a chunk");
		download->error =
			job->result == STORE_FAILED || job->result == STORE_NO_MEMORY
				? ERROR_NO_MEMORY
				: ERROR_DAMAGED;
	}
	buffer->full = true;
	download->index = job->index;
	if (download->ready && buffer == &download->buffers[download->current])
		give_part(download);
}

void
download_close(struct download **download)
{
	struct download *gone = *download;

	if (!gone)
		return;
	*download = NULL;
	gone->closed = true;
	gone->ready = NULL;
	if (!gone->buffers[0].reading && !gone->buffers[1].reading)
		free_download(gone);
}
