/* reader.c - the reader threads and their queues. */
#include "daemon/reader.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>

#include "daemon/log.h"
#include "daemon/stamp.h"
#include "proto/bytes.h"

/* Where cores are short, the loop comes before those who copy large values. */
#define READER_NICE 5

/* What waits for a reader. */
struct lane {
	uint32_t uid; /* whose jobs they are; also others', where all lanes are taken */
	struct read_job *first;
	struct read_job *last;
};

struct readers {
	struct store *store;
	int wake_fd;
	unsigned count;
	pthread_t threads[READER_THREADS_MAX];
	pthread_mutex_t mutex;
	pthread_cond_t work;
	struct lane lanes[READER_LANES]; /* to do */
	size_t waiting;                  /* in all of them */
	unsigned turn;                   /* of the lane after this one */
	struct read_job *done;
	bool stop;
};

/* Asks the disk for all the rows at once, by one request each. Without this the map's advice against
 * read-ahead makes the kernel fetch page by page, each after the one before. Finding a chunk row touches
 * none of its pages. */
static void
ask_ahead(struct snapshot *snapshot, uint64_t object_id, uint32_t index, uint32_t limit)
{
	uint8_t first[CHUNK_KEY_SIZE];
	struct slice key, row, pages;
	int found;

	chunk_key(object_id, index, first);
	found = snapshot_seek(snapshot, STORE_CHUNKS, slice(first, sizeof(first)), &key,
			      &row);
	for (; index < limit && found == STORE_HIT; index++) {
		pages = store_pages_of(row);
		madvise((void *)pages.data, pages.len, MADV_WILLNEED);
		found = snapshot_next(snapshot, STORE_CHUNKS, &key, &row);
	}
}

static bool
in_memory(struct slice row)
{
	unsigned char resident[CHUNK_BIG_PAGES + 1];
	struct slice pages = store_pages_of(row);
	size_t count = (pages.len + PAGE_SIZE_BYTES - 1) / PAGE_SIZE_BYTES;

	if (count > sizeof(resident) || mincore((void *)pages.data, pages.len, resident))
		return false;
	for (size_t i = 0; i < count; i++)
		if (!(resident[i] & 1))
			return false;
	return true;
}

/* Makes the row's pages ready to be touched; false if they are not and should not be waited for. */
static bool
prepare(struct slice row, enum reader_rows how)
{
	if (how == ROWS_PROBE)
		return in_memory(row);
	if (how == ROWS_FETCH)
		store_populate(row);
	return true;
}

/* Appends chunk rows from *index up to limit, as long as they fit into room bytes. */
static int
read_rows(struct snapshot *snapshot, uint64_t object_id, uint32_t *index, uint32_t limit,
	  enum reader_rows how, uint8_t *to, size_t room, size_t *ret_len)
{
	uint8_t first[CHUNK_KEY_SIZE];
	struct slice key, row, payload;
	size_t len = 0;
	int found;

	if (how == ROWS_FETCH)
		ask_ahead(snapshot, object_id, *index, limit);
	chunk_key(object_id, *index, first);
	found = snapshot_seek(snapshot, STORE_CHUNKS, slice(first, sizeof(first)), &key,
			      &row);
	while (*index < limit) {
		if (found != STORE_HIT)
			return found;
		chunk_key(object_id, *index, first);
		if (!slice_equal(key, slice(first, sizeof(first))))
			return STORE_MISS;
		if (!prepare(row, how))
			return READER_COLD;
		if (!chunk_read(row, object_id, *index, &payload))
			return STORE_DAMAGED;
		if (payload.len > room - len)
			break;
		memcpy(to + len, payload.data, payload.len);
		len += payload.len;
		(*index)++;
		if (*index < limit)
			found = snapshot_next(snapshot, STORE_CHUNKS, &key, &row);
	}
	*ret_len = len;
	return STORE_HIT;
}

int
reader_assemble(struct snapshot *snapshot, const struct record *record,
		enum reader_rows how, uint8_t **ret_value)
{
	uint8_t *value = malloc(record->length ? record->length : 1);
	uint32_t index = 0;
	size_t len = 0;
	int done;

	if (!value)
		return STORE_FAILED;
	done = read_rows(snapshot, record->object_id, &index,
			 record->big_rows + record->small_rows, how, value,
			 record->length, &len);
	if (done == STORE_HIT && len != record->length)
		done = STORE_DAMAGED;
	if (done != STORE_HIT) {
		free(value);
		return done;
	}
	*ret_value = value;
	return STORE_HIT;
}

static long
major_faults(void)
{
	struct rusage usage;

	return getrusage(RUSAGE_THREAD, &usage) ? 0 : usage.ru_majflt;
}

/* The newest stamp of the record's tags, if it may be one that counts. */
static int
find_stamp(struct snapshot *snapshot, const struct read_job *job,
	   const struct record *record, uint64_t *ret_stamp)
{
	*ret_stamp = 0;
	if (!record->tag_count || record->version > job->stamped)
		return STORE_HIT;
	return stamp_newest(snapshot, record->tags, record->tag_count, ret_stamp);
}

static int
read_object(struct snapshot *snapshot, struct read_job *job)
{
	struct slice row;
	struct record record;
	long faults = major_faults();
	int found = snapshot_get(snapshot, STORE_RECORDS,
				 slice(job->row_key, ROW_KEY_SIZE), &row);

	job->waited = major_faults() > faults;
	if (found != STORE_HIT)
		return found;
	if (row.len > RECORD_MAX || !record_sound(row, job->row_key) ||
	    !record_read(row, &record))
		return STORE_DAMAGED;
	memcpy(job->record, row.data, row.len);
	job->record_len = row.len;
	found = find_stamp(snapshot, job, &record, &job->stamp);
	if (found < 0)
		return found;
	if (!job->value_wanted || job->stamp >= record.version ||
	    !(record.flags & RECORD_CHUNKED) || record.length > READER_WHOLE_MAX)
		return STORE_HIT;
	job->value_len = record.length;
	return reader_assemble(snapshot, &record, ROWS_FETCH, &job->value);
}

/* The pages that a decision on the loop will touch. */
static int
warm(struct snapshot *snapshot, struct read_job *job)
{
	struct slice row;
	struct record record;
	uint64_t stamp;
	int done = STORE_HIT;

	for (size_t i = 0; i < job->key_count && done >= 0; i++) {
		done = snapshot_get(snapshot, STORE_RECORDS,
				    slice(job->row_keys[i], ROW_KEY_SIZE), &row);
		if (done == STORE_HIT && record_read(row, &record))
			done = find_stamp(snapshot, job, &record, &stamp);
	}
	return done < 0 ? done : STORE_HIT;
}

static int
read_part(struct snapshot *snapshot, struct read_job *job)
{
	size_t room = reader_part_size(job->row_count);
	uint32_t limit = job->row_limit - job->index > job->row_count
				 ? job->index + job->row_count
				 : job->row_limit;
	int done;

	if (job->value_room < room) {
		free(job->value);
		job->value = malloc(room);
		job->value_room = job->value ? room : 0;
	}
	if (!job->value)
		return STORE_FAILED;
	done = read_rows(snapshot, job->object_id, &job->index, limit, ROWS_FETCH,
			 job->value, room, &job->value_len);
	return done == STORE_HIT && job->value_len == 0 ? STORE_DAMAGED : done;
}

/* Is there an object in this row, and does it count? STORE_HIT, STORE_MISS or an error. */
static int
look_at(struct snapshot *snapshot, struct read_job *job, struct slice key,
	struct slice row, struct record *ret_record)
{
	uint64_t stamp;
	int done;

	if (!record_sound(row, key.data) || !record_read(row, ret_record)) {
		job->unsound++;
		return STORE_MISS;
	}
	done = find_stamp(snapshot, job, ret_record, &stamp);
	if (done < 0)
		return done;
	return stamp >= ret_record->version ? STORE_MISS : STORE_HIT;
}

static int
scan(struct snapshot *snapshot, struct read_job *job)
{
	uint32_t incarnation = be32_load(job->row_key);
	struct slice key, row;
	struct record record;
	int found = snapshot_seek(snapshot, STORE_RECORDS,
				  slice(job->row_key, ROW_KEY_SIZE), &key, &row);

	job->more = false;
	job->unsound = 0;
	for (unsigned looked = 0; found == STORE_HIT; looked++) {
		int there = STORE_MISS;

		if (key.len != ROW_KEY_SIZE || be32_load(key.data) != incarnation)
			return STORE_HIT;
		if (looked < READER_SCAN_LOOK)
			there = look_at(snapshot, job, key, row, &record);
		if (there < 0)
			return there;
		if (looked == READER_SCAN_LOOK ||
		    (there == STORE_HIT && !job->visit(job->owner, key.data, &record))) {
			memcpy(job->row_key, key.data, ROW_KEY_SIZE);
			job->more = true;
			return STORE_HIT;
		}
		found = snapshot_next(snapshot, STORE_RECORDS, &key, &row);
	}
	return found < 0 ? found : STORE_HIT;
}

static int
perform(struct snapshot *snapshot, struct read_job *job)
{
	int done = snapshot_take(snapshot);
	struct slice row;

	if (done < 0)
		return done;
	switch (job->kind) {
	case READ_OBJECT:
		done = read_object(snapshot, job);
		break;
	case READ_PART:
		done = read_part(snapshot, job);
		break;
	case READ_WARM:
		done = warm(snapshot, job);
		break;
	case READ_SCAN:
		done = scan(snapshot, job);
		break;
	case READ_PROBE:
		done = snapshot_get(snapshot, STORE_RECORDS,
				    slice(job->row_key, ROW_KEY_SIZE), &row);
		break;
	case READ_VERIFY:
		done = verify_page(snapshot, job->verify);
		break;
	}
	snapshot_release(snapshot);
	return done;
}

/* The next lane's first: who has asked for thousands of pages does not hold up who asks for one. */
static struct read_job *
take_next(struct readers *readers)
{
	struct lane *lane;
	struct read_job *job;

	do
		lane = &readers->lanes[++readers->turn % READER_LANES];
	while (!lane->first);
	job = lane->first;
	lane->first = job->next;
	if (!lane->first)
		lane->last = NULL;
	readers->waiting--;
	return job;
}

static struct read_job *
take_job(struct readers *readers)
{
	struct read_job *job = NULL;

	pthread_mutex_lock(&readers->mutex);
	while (!readers->waiting && !readers->stop)
		pthread_cond_wait(&readers->work, &readers->mutex);
	if (!readers->stop)
		job = take_next(readers);
	pthread_mutex_unlock(&readers->mutex);
	return job;
}

static void
hand_back(struct readers *readers, struct read_job *job)
{
	uint64_t one = 1;
	bool tell;

	pthread_mutex_lock(&readers->mutex);
	tell = !readers->done;
	job->next = readers->done;
	readers->done = job;
	pthread_mutex_unlock(&readers->mutex);
	if (tell && write(readers->wake_fd, &one, sizeof(one)) < 0)
		log_error("reader: cannot wake the loop: %m");
}

static void *
run(void *arg)
{
	struct readers *readers = arg;
	struct snapshot *snapshot;
	struct read_job *job;

	pthread_setname_np(pthread_self(), "brined-reader");
	setpriority(PRIO_PROCESS, 0, getpriority(PRIO_PROCESS, 0) + READER_NICE);
	if (snapshot_new(readers->store, &snapshot) != STORE_HIT)
		snapshot = NULL;
	while ((job = take_job(readers))) {
		job->result = snapshot ? perform(snapshot, job) : STORE_FAILED;
		hand_back(readers, job);
	}
	snapshot_free(&snapshot);
	return NULL;
}

struct readers *
readers_start(struct store *store, unsigned threads, int wake_fd)
{
	struct readers *readers = calloc(1, sizeof(*readers));
	struct read_job *left;

	if (!readers)
		return NULL;
	readers->store = store;
	readers->wake_fd = wake_fd;
	pthread_mutex_init(&readers->mutex, NULL);
	pthread_cond_init(&readers->work, NULL);
	while (readers->count < threads && readers->count < READER_THREADS_MAX &&
	       pthread_create(&readers->threads[readers->count], NULL, run, readers) == 0)
		readers->count++;
	if (readers->count == 0)
		readers_stop(&readers, &left);
	return readers;
}

void
readers_stop(struct readers **readers, struct read_job **ret_left)
{
	struct readers *gone = *readers;

	pthread_mutex_lock(&gone->mutex);
	gone->stop = true;
	pthread_cond_broadcast(&gone->work);
	pthread_mutex_unlock(&gone->mutex);
	for (unsigned i = 0; i < gone->count; i++)
		pthread_join(gone->threads[i], NULL);
	*ret_left = gone->done;
	while (gone->waiting) {
		struct read_job *job = take_next(gone);

		job->next = *ret_left;
		*ret_left = job;
	}
	pthread_cond_destroy(&gone->work);
	pthread_mutex_destroy(&gone->mutex);
	free(gone);
	*readers = NULL;
}

/* The uid's own, or one that nobody needs just now. */
static struct lane *
find_lane(struct readers *readers, uint32_t uid)
{
	struct lane *empty = NULL;

	for (struct lane *at = readers->lanes; at < readers->lanes + READER_LANES; at++) {
		if (at->first && at->uid == uid)
			return at;
		if (!at->first && !empty)
			empty = at;
	}
	return empty ? empty : &readers->lanes[uid % READER_LANES];
}

void
readers_submit(struct readers *readers, struct read_job *job)
{
	struct lane *lane;

	pthread_mutex_lock(&readers->mutex);
	lane = find_lane(readers, job->uid);
	job->next = NULL;
	if (lane->last)
		lane->last->next = job;
	else
		lane->first = job;
	if (lane->first == job)
		lane->uid = job->uid;
	lane->last = job;
	readers->waiting++;
	pthread_cond_signal(&readers->work);
	pthread_mutex_unlock(&readers->mutex);
}

struct read_job *
readers_collect(struct readers *readers)
{
	struct read_job *done;

	pthread_mutex_lock(&readers->mutex);
	done = readers->done;
	readers->done = NULL;
	pthread_mutex_unlock(&readers->mutex);
	return done;
}
