/* download.c - values that leave in parts. Loop thread. Owns the downloads. */
#include <stdlib.h>

#include "daemon/cache_core.h"
#include "daemon/log.h"

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
download_pins(const struct cache *cache, uint64_t *to, size_t *ret_count)
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
download_cut(struct cache *cache, const uint64_t *object_ids, size_t count)
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
