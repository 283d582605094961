/* datadir.h - the data directory around the store: its lock, its schema folders, its clock file. Start and
 * loop thread; owns nothing but what it returns. */
#ifndef DAEMON_DATADIR_H
#define DAEMON_DATADIR_H

#include <stdint.h>

#define DATADIR_SCHEMA "/v1"
#define DATADIR_RECENCY "/recency"
#define DATADIR_LEASES "/leases"
#define DATADIR_DAMAGED ".damaged"
#define DATADIR_SUSPECT "/suspect"
#define DATADIR_FAULTED "/faulted"
#define DATADIR_ERROR_MAX 512

/* Takes the one lock that admits a daemon, whatever its schema; waits up to wait_ms for a predecessor
 * that is dying. Returns 0, or -1 with a sentence. */
int datadir_lock(const char *path, unsigned wait_ms, int *ret_fd,
		 char error[static DATADIR_ERROR_MAX]);

/* Makes dir (the schema's folder in path) ready: created, a suspect store moved aside, folders of other
 * schemas said. Returns 0, or -1 with a sentence. */
int datadir_prepare(const char *path, const char *dir,
		    char error[static DATADIR_ERROR_MAX]);
/* mkdir, mode 0700, flushed. Returns 0 or -1 with errno. */
int datadir_make(const char *dir);
/* Renames dir to dir.damaged, of which at most one is kept. Returns 0 or -1 with errno. */
int datadir_move_aside(const char *dir);
/* Leaves word for the next start that the store in dir is not to be trusted. Async-signal-safe. */
void datadir_mark_suspect(const char *dir);

/* The daemon is dying of a fault: the second time within a day the store is marked suspect, because it may
 * be what kills it. Async-signal-safe. */
void datadir_note_fault(const char *dir);

/* Bytes on the disk below a folder, a few levels deep. */
uint64_t datadir_bytes(const char *dir);
/* Bytes of what else of ours lies in path: other schemas, a damaged store. */
uint64_t datadir_beside(const char *path);
/* Deletes other schemas' folders, before anything live is evicted. Returns the bytes freed. */
uint64_t datadir_delete_others(const char *path);

/* The highest number that was given out, kept beside the store; 0 if not known. */
uint64_t datadir_read_clock(const char *path);
void datadir_write_clock(const char *path, uint64_t clock);

#endif
