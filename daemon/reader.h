/* reader.h - threads that touch the disk so that the loop does not have to.
 *
 * The loop submits jobs and collects them when they are done, in any order. A job's fields are the
 * reader's in between. All functions here are the loop's; no snapshot outlives a job. */
#ifndef DAEMON_READER_H
#define DAEMON_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "daemon/record.h"
#include "daemon/store.h"
#include "daemon/verify.h"

#define READER_THREADS_MAX 16
/* Values up to this are read whole with their record. */
#define READER_WHOLE_MAX CHUNK_BIG
/* Chunk rows read by one job of kind READ_PART: a part is at most 16 * 65,496 bytes. */
#define READER_PART_ROWS 16
#define READER_PART_MAX (READER_PART_ROWS * CHUNK_BIG)
#define READER_SCAN_BYTES (UINT32_C(1) << 19)
/* Queues: one for each uid that waits or, where more of them do, for some. */
#define READER_LANES 64
#define READER_SCAN_LOOK 16384 /* rows that one scan job walks over */

enum read_kind {
	READ_OBJECT, /* the record of row_key and its value if it is not too large */
	READ_PART,   /* the next chunk rows of object_id from index on */
	READ_WARM,   /* nothing but touch the records of row_keys */
	READ_SCAN,   /* records of one incarnation from row_key on, through visit */
	READ_PROBE,  /* nothing but look for row_key, to show that it can be done */
	READ_VERIFY, /* one page of `verify` */
};

struct read_job {
	struct read_job *next;     /* W while submitted */
	struct read_job *previous; /* in the list of outstanding jobs: the loop's */
	struct read_job *following;
	enum read_kind kind;
	uint32_t uid; /* for whom: uids have their turns, whatever each has asked for */
	uint64_t
		began; /* the last transaction that was known when it was submitted: its snapshot is no
			   older */
	void *owner; /* whose job it is */

	uint8_t row_key[ROW_KEY_SIZE];
	bool value_wanted;
	uint64_t
		stamped; /* READ_OBJECT, READ_SCAN, READ_WARM: what is newer has no newer stamp in the store */
	uint64_t
		stamp; /* READ_OBJECT: the newest of the record's tags in the store, 0: none */
	uint64_t object_id;
	uint32_t
		index; /* READ_PART: first row; then the one after the last that was read */
	uint32_t row_limit; /* READ_PART: rows that the object has */
	uint32_t row_count; /* READ_PART: rows to read at most, up to READER_PART_ROWS */

	/* READ_WARM: owned by whose job it is */
	uint8_t (*row_keys)[ROW_KEY_SIZE];
	size_t key_count;

	/* READ_SCAN: called in the reader for each record that no stamp voids; false ends the job before this
	 * row. */
	bool (*visit)(void *owner, const uint8_t *row_key, const struct record *record);
	bool more;        /* READ_SCAN: row_key is where to go on */
	unsigned unsound; /* READ_SCAN: rows that did not match their checksum */

	struct verify *verify; /* READ_VERIFY: malloc()ed; owned by whose job it is */

	int result; /* STORE_HIT, STORE_MISS or an error; STORE_DAMAGED also for a wrong checksum */
	bool waited;    /* READ_OBJECT: the disk was waited for to find the record */
	uint8_t *value; /* malloc()ed: the loop's to free */
	size_t value_len;
	size_t value_room; /* READ_PART: bytes at value */
	size_t record_len;
	uint8_t record[RECORD_MAX]; /* last: it need not be zeroed */
};

struct readers;

/* NULL when threads or memory are short. Borrows store. wake_fd is written when something is done. */
struct readers *readers_start(struct store *store, unsigned threads, int wake_fd);
/* Ends the threads; jobs that were not begun are dropped. Collect before: what is outstanding stays the
 * caller's (readers_collect() gives all of it). */
void readers_stop(struct readers **readers, struct read_job **ret_left);
void readers_submit(struct readers *readers, struct read_job *job);
/* The finished jobs, linked by next; NULL if there are none. */
struct read_job *readers_collect(struct readers *readers);

/* How chunk rows are read. */
enum reader_rows {
	ROWS_FETCH, /* the disk is asked for all of them at once, then they are waited for */
	ROWS_TOUCH, /* they are in memory most likely */
	ROWS_PROBE, /* only if they are in memory, which costs a system call a row to find out */
};

#define READER_COLD 2 /* of ROWS_PROBE: the disk would be waited for */

/* Reads a whole chunked value of at most READER_WHOLE_MAX bytes inside a snapshot. *ret_value is
 * malloc()ed. STORE_MISS if rows are missing, STORE_DAMAGED for a wrong checksum. Any thread. */
int reader_assemble(struct snapshot *snapshot, const struct record *record,
		    enum reader_rows how, uint8_t **ret_value);
/* Room for a part of that many rows. */
static inline size_t
reader_part_size(uint32_t rows)
{
	return (size_t)rows * CHUNK_BIG;
}

#endif
