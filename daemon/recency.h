/* recency.h - when and how often objects were used, in RAM and by guess.
 *
 * Sets of eight slots found by bits of the row key; a slot holds a check of the key, a frequency and a
 * time. Small errors are harmless: they cost quality of eviction and nothing else. The loop alone
 * writes, the writer reads, both by atomics. Saved at an orderly exit, empty after a crash. */
#ifndef DAEMON_RECENCY_H
#define DAEMON_RECENCY_H

#include <stdbool.h>
#include <stdint.h>

#define RECENCY_KEY_SIZE 16
#define RECENCY_FREQUENCY_MAX 255

struct recency;

/* At most as many slots as max_size bytes of cache need, 33 million (256 MiB) in any case; of these, two for each key
 * that was used lately take memory. file is mapped privately if it fits and then removed; NULL: start empty. NULL when
 * there is no memory. */
struct recency *recency_new(uint64_t max_size, const char *file);
void recency_free(struct recency **recency);
/* Writes the table beside and renames. Returns 0 or -1 with errno. */
int recency_save(const struct recency *recency, const char *file);
/* The most bytes that recency_save() may take on the disk. */
uint64_t recency_file_size(const struct recency *recency);

/* A use at now_s (seconds of daemon time). Returns true when the slot says that the key was used before
 * in this process, so that its pages are likely in memory. */
bool recency_touch(struct recency *recency,
		   const uint8_t row_key[static RECENCY_KEY_SIZE], uint32_t now_s);

/* Was it used in this process, within the last within_s seconds? */
bool recency_is_fresh(const struct recency *recency,
		      const uint8_t row_key[static RECENCY_KEY_SIZE], uint32_t now_s,
		      uint32_t within_s);

struct recency_use {
	uint32_t last_s;
	uint8_t frequency; /* 0: not known */
};

struct recency_use recency_look(const struct recency *recency,
				const uint8_t row_key[static RECENCY_KEY_SIZE]);

#endif
