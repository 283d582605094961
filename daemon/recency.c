/* recency.c - the slots. The loop writes, the writer reads. Owns its mapping. */
#include "daemon/recency.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SET_SLOTS 8
/* One slot for this many bytes of cache: about one for each object of 100 bytes as it is charged. */
#define BYTES_PER_SLOT 512
#define SLOTS_MIN 4096
#define FILE_MAGIC 0x31746e6563657242 /* "Brecent1" */
#define FILE_HEAD 4096                /* keeps the table on a page of its own */
#define PATH_LEN_MAX 4096
/* A frequency halves for each of these that passes without a use. */
#define HALF_LIFE_S 3600
/* Below this a use counts one; above, one in (frequency - this). */
#define EXACT_UNTIL 16

/* check (23 bits) | parity (1: of the process that used it last) | frequency (8) | last use, seconds (32) */
#define CHECK_SHIFT 41
#define PARITY_SHIFT 40
#define FREQUENCY_SHIFT 32

struct recency {
	_Atomic uint64_t *slots;
	uint64_t sets; /* a power of two */
	void *mapping;
	size_t mapped;
	uint64_t chance; /* state of a small random generator */
	uint64_t parity; /* the other one than that of the process that saved the table */
};

static uint64_t
table_bytes(const struct recency *recency)
{
	return recency->sets * SET_SLOTS * sizeof(uint64_t);
}

/* What this process has not used itself is not known to be in memory. */
static bool
map_file(struct recency *recency, const char *file)
{
	uint64_t head[3];
	struct stat status;
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	bool fits;

	if (fd < 0)
		return false;
	fits = read(fd, head, sizeof(head)) == sizeof(head) && head[0] == FILE_MAGIC &&
	       head[1] == recency->sets && fstat(fd, &status) == 0 &&
	       (uint64_t)status.st_size == FILE_HEAD + table_bytes(recency);
	if (fits) {
		recency->mapped = FILE_HEAD + table_bytes(recency);
		recency->mapping = mmap(NULL, recency->mapped, PROT_READ | PROT_WRITE,
					MAP_PRIVATE | MAP_NORESERVE, fd, 0);
		fits = recency->mapping != MAP_FAILED;
	}
	close(fd);
	unlink(file);
	if (fits) {
		recency->parity = !head[2];
		recency->slots = (void *)((char *)recency->mapping + FILE_HEAD);
	}
	return fits;
}

static bool
map_empty(struct recency *recency)
{
	recency->mapped = table_bytes(recency);
	recency->mapping = mmap(NULL, recency->mapped, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	recency->slots = recency->mapping;
	return recency->mapping != MAP_FAILED;
}

struct recency *
recency_new(uint64_t max_size, const char *file)
{
	struct recency *recency = calloc(1, sizeof(*recency));
	uint64_t slots = SLOTS_MIN;

	if (!recency)
		return NULL;
	while (slots < max_size / BYTES_PER_SLOT)
		slots *= 2;
	if (slots > SLOTS_MIN)
		slots /=
			2; /* rounded down: the table must stay small beside what it describes */
	recency->sets = slots / SET_SLOTS;
	recency->chance = 0x9e3779b97f4a7c15;
	if ((file && map_file(recency, file)) || map_empty(recency))
		return recency;
	free(recency);
	return NULL;
}

void
recency_free(struct recency **recency)
{
	if (!*recency)
		return;
	munmap((*recency)->mapping, (*recency)->mapped);
	free(*recency);
	*recency = NULL;
}

uint64_t
recency_file_size(const struct recency *recency)
{
	return FILE_HEAD + table_bytes(recency);
}

/* Writes the table, leaving holes where a page holds nothing. */
static int
write_table(const struct recency *recency, int fd)
{
	static const char nothing[FILE_HEAD];
	const char *table = (const char *)recency->slots;
	uint64_t head[FILE_HEAD / sizeof(uint64_t)] = { FILE_MAGIC, recency->sets,
							recency->parity };

	if (pwrite(fd, head, sizeof(head), 0) != sizeof(head))
		return -1;
	for (uint64_t at = 0; at < table_bytes(recency); at += FILE_HEAD) {
		if (memcmp(table + at, nothing, FILE_HEAD) == 0)
			continue;
		if (pwrite(fd, table + at, FILE_HEAD, (off_t)(FILE_HEAD + at)) !=
		    FILE_HEAD)
			return -1;
	}
	return ftruncate(fd, (off_t)(FILE_HEAD + table_bytes(recency)));
}

int
recency_save(const struct recency *recency, const char *file)
{
	char beside[PATH_LEN_MAX];
	int fd, done;

	if (snprintf(beside, sizeof(beside), "%s.new", file) >= (int)sizeof(beside)) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = open(beside, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -1;
	done = write_table(recency, fd);
	close(fd);
	if (done == 0)
		done = rename(beside, file);
	if (done)
		unlink(beside);
	return done;
}

struct place {
	_Atomic uint64_t *set;
	uint64_t check;
};

static struct place
find_set(const struct recency *recency, const uint8_t row_key[static RECENCY_KEY_SIZE])
{
	uint64_t low, high;
	uint32_t incarnation;

	memcpy(&incarnation, row_key, sizeof(incarnation));
	memcpy(&low, row_key + 4, sizeof(low));
	memcpy(&high, row_key + 8, sizeof(high));
	low ^= incarnation * 0x9e3779b97f4a7c15;
	return (struct place){ recency->slots + (low & (recency->sets - 1)) * SET_SLOTS,
			       (high >> 32) & ((1u << 23) - 1) };
}

static uint64_t
pack(const struct recency *recency, uint64_t check, uint8_t frequency, uint32_t last_s)
{
	return check << CHECK_SHIFT | recency->parity << PARITY_SHIFT |
	       (uint64_t)frequency << FREQUENCY_SHIFT | last_s;
}

static uint8_t
frequency_of(uint64_t slot)
{
	return (uint8_t)(slot >> FREQUENCY_SHIFT);
}

static uint8_t
decayed(uint8_t frequency, uint32_t idle_s)
{
	uint32_t halvings = idle_s / HALF_LIFE_S;

	return halvings > 7 ? 0 : (uint8_t)(frequency >> halvings);
}

/* xorshift64 (Marsaglia 2003): good enough to thin out counting. */
static uint64_t
chance(struct recency *recency)
{
	recency->chance ^= recency->chance << 13;
	recency->chance ^= recency->chance >> 7;
	recency->chance ^= recency->chance << 17;
	return recency->chance;
}

static uint8_t
counted(struct recency *recency, uint8_t frequency)
{
	if (frequency < EXACT_UNTIL)
		return (uint8_t)(frequency + 1);
	if (frequency < RECENCY_FREQUENCY_MAX &&
	    chance(recency) % (frequency - EXACT_UNTIL + 1u) == 0)
		return (uint8_t)(frequency + 1);
	return frequency;
}

static uint32_t
idle(uint64_t slot, uint32_t now_s)
{
	uint32_t last_s = (uint32_t)slot;

	return now_s > last_s ? now_s - last_s : 0;
}

bool
recency_touch(struct recency *recency, const uint8_t row_key[static RECENCY_KEY_SIZE],
	      uint32_t now_s)
{
	struct place place = find_set(recency, row_key);
	_Atomic uint64_t *oldest = place.set;
	uint64_t oldest_slot = UINT64_MAX;

	for (unsigned i = 0; i < SET_SLOTS; i++) {
		uint64_t slot = atomic_load_explicit(&place.set[i], memory_order_relaxed);

		if (slot >> CHECK_SHIFT == place.check && frequency_of(slot)) {
			uint8_t frequency =
				decayed(frequency_of(slot), idle(slot, now_s));

			atomic_store_explicit(&place.set[i],
					      pack(recency, place.check,
						   counted(recency, frequency), now_s),
					      memory_order_relaxed);
			return (slot >> PARITY_SHIFT & 1) == recency->parity;
		}
		if ((uint32_t)slot < (uint32_t)oldest_slot) {
			oldest = &place.set[i];
			oldest_slot = slot;
		}
	}
	atomic_store_explicit(oldest, pack(recency, place.check, 1, now_s),
			      memory_order_relaxed);
	return false;
}

/* The key's slot; 0 where there is none. */
static uint64_t
find_slot(const struct recency *recency, const uint8_t row_key[static RECENCY_KEY_SIZE])
{
	struct place place = find_set(recency, row_key);

	for (unsigned i = 0; i < SET_SLOTS; i++) {
		uint64_t slot = atomic_load_explicit(&place.set[i], memory_order_relaxed);

		if (slot >> CHECK_SHIFT == place.check && frequency_of(slot))
			return slot;
	}
	return 0;
}

bool
recency_is_fresh(const struct recency *recency,
		 const uint8_t row_key[static RECENCY_KEY_SIZE], uint32_t now_s,
		 uint32_t within_s)
{
	uint64_t slot = find_slot(recency, row_key);

	return slot && (slot >> PARITY_SHIFT & 1) == recency->parity &&
	       idle(slot, now_s) <= within_s;
}

struct recency_use
recency_look(const struct recency *recency,
	     const uint8_t row_key[static RECENCY_KEY_SIZE])
{
	uint64_t slot = find_slot(recency, row_key);

	return (struct recency_use){ (uint32_t)slot, frequency_of(slot) };
}
