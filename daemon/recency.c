/* recency.c - the slots. The loop writes, the writer reads. Owns its mapping.
 *
 * The table grows with the keys in it, some sets at a time, by linear hashing (Litwin, VLDB 1980): so it stays small,
 * and near, beside a small store, and no key waits for a table to be doubled. */
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
/* A set's number takes this many bits of the key's hash, by how many sets there are. */
#define SET_BITS_MIN 9
#define SET_BITS_MAX 22
#define SETS_MIN (UINT64_C(1) << SET_BITS_MIN)
#define SETS_MAX (UINT64_C(1) << SET_BITS_MAX) /* 256 MiB */
/* Slots of a set that are in use, on average, when the table begins to double: few sets are full then. */
#define LOAD 4
/* Sets that each new key splits until it has: those that wait for it fill up. */
#define SPLITS 4
#define FILE_MAGIC 0x32746e6563657242 /* "Brecent2" */
#define FILE_HEAD 4096                /* keeps the table on a page of its own */
#define PATH_LEN_MAX 4096
/* A frequency halves for each of these that passes without a use. */
#define HALF_LIFE_S 3600
/* Below this a use counts one; above, one in (frequency - this). */
#define EXACT_UNTIL 16

/* check (23 bits) | parity (1: of the process that used it last) | frequency (8) | last use, seconds (32)
 *
 * The check is those bits of the hash that follow the first SET_BITS_MIN: it tells in which set the slot belongs,
 * however many there are, and, by the bits that no set's number has, whose it is. */
#define CHECK_SHIFT 41
#define CHECK_BITS 23
#define PARITY_SHIFT 40
#define FREQUENCY_SHIFT 32

struct recency {
	_Atomic uint64_t *slots;
	_Atomic uint64_t sets; /* in use */
	uint64_t sets_max;
	uint64_t used; /* slots that are not empty */
	void *mapping;
	size_t mapped;
	uint64_t chance; /* state of a small random generator */
	uint64_t parity; /* the other one than that of the process that saved the table */
};

_Static_assert(SET_BITS_MAX < SET_BITS_MIN + CHECK_BITS,
	       "a check has all bits of a set's number but the first");

static uint64_t
sets_of(const struct recency *recency)
{
	/* Pairs with the release in split(): the slots of all these sets are there. */
	return atomic_load_explicit(&recency->sets, memory_order_acquire);
}

static uint64_t
table_bytes(uint64_t sets)
{
	return sets * SET_SLOTS * sizeof(uint64_t);
}

/* The file's first page: magic, sets in use, parity, used slots. */
enum head { HEAD_MAGIC, HEAD_SETS, HEAD_PARITY, HEAD_USED, HEAD_WORDS };

static bool
head_fits(const struct recency *recency, const uint64_t head[static HEAD_WORDS], int fd)
{
	struct stat status;

	return head[HEAD_MAGIC] == FILE_MAGIC && head[HEAD_SETS] >= SETS_MIN &&
	       head[HEAD_SETS] <= recency->sets_max && head[HEAD_SETS] % SPLITS == 0 &&
	       fstat(fd, &status) == 0 &&
	       (uint64_t)status.st_size == FILE_HEAD + table_bytes(head[HEAD_SETS]);
}

/* Lays the file over the beginning of the mapping. What this process has not used itself is not known to be in
 * memory. */
static void
map_file(struct recency *recency, const char *file)
{
	uint64_t head[HEAD_WORDS];
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);

	if (fd < 0)
		return;
	if (read(fd, head, sizeof(head)) == sizeof(head) &&
	    head_fits(recency, head, fd) &&
	    mmap(recency->mapping, FILE_HEAD + table_bytes(head[HEAD_SETS]),
		 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
		 0) != MAP_FAILED) {
		recency->sets = head[HEAD_SETS];
		recency->parity = !head[HEAD_PARITY];
		recency->used = head[HEAD_USED];
	}
	close(fd);
	unlink(file);
}

/* Rounded down: the table must stay small beside what it describes. */
static uint64_t
most_sets(uint64_t max_size)
{
	uint64_t sets = SETS_MIN;

	while (sets < SETS_MAX && 2 * sets * SET_SLOTS < max_size / BYTES_PER_SLOT)
		sets *= 2;
	return sets;
}

struct recency *
recency_new(uint64_t max_size, const char *file)
{
	struct recency *recency = calloc(1, sizeof(*recency));

	if (!recency)
		return NULL;
	recency->sets = SETS_MIN;
	recency->sets_max = most_sets(max_size);
	recency->chance = 0x9e3779b97f4a7c15;
	recency->mapped = FILE_HEAD + table_bytes(recency->sets_max);
	recency->mapping = mmap(NULL, recency->mapped, PROT_READ | PROT_WRITE,
				MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (recency->mapping == MAP_FAILED) {
		free(recency);
		return NULL;
	}
	recency->slots = (void *)((char *)recency->mapping + FILE_HEAD);
	if (file)
		map_file(recency, file);
	return recency;
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
	return FILE_HEAD + table_bytes(recency->sets_max);
}

/* Writes the table, leaving holes where a page holds nothing. */
static int
write_table(const struct recency *recency, int fd)
{
	static const char nothing[FILE_HEAD];
	const char *table = (const char *)recency->slots;
	const uint64_t head[HEAD_WORDS] = { FILE_MAGIC, sets_of(recency), recency->parity,
					    recency->used };
	uint64_t bytes = table_bytes(head[HEAD_SETS]), len;

	if (pwrite(fd, head, sizeof(head), 0) != sizeof(head))
		return -1;
	for (uint64_t at = 0; at < bytes; at += len) {
		len = bytes - at < FILE_HEAD ? bytes - at : FILE_HEAD;
		if (memcmp(table + at, nothing, len) != 0 &&
		    pwrite(fd, table + at, len, (off_t)(FILE_HEAD + at)) != (ssize_t)len)
			return -1;
	}
	return ftruncate(fd, (off_t)(FILE_HEAD + bytes));
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

/* The highest power of two that is not above. */
static uint64_t
power_below(uint64_t sets)
{
	return UINT64_C(1) << (63 - __builtin_clzll(sets));
}

/* Sets from the power of two on are those that were split so far, into themselves and one of these. */
static uint64_t
number_of_set(uint64_t hash, uint64_t sets)
{
	uint64_t power = power_below(sets), number = hash & (2 * power - 1);

	return number < sets ? number : number & (power - 1);
}

struct place {
	_Atomic uint64_t *set;
	uint64_t check;
};

static struct place
find_set(const struct recency *recency, const uint8_t row_key[static RECENCY_KEY_SIZE])
{
	uint32_t incarnation;
	uint64_t hash;

	memcpy(&incarnation, row_key, sizeof(incarnation));
	memcpy(&hash, row_key + sizeof(incarnation), sizeof(hash));
	hash ^= incarnation * UINT64_C(0x9e3779b97f4a7c15);
	return (struct place){
		recency->slots + number_of_set(hash, sets_of(recency)) * SET_SLOTS,
		(hash >> SET_BITS_MIN) & ((UINT64_C(1) << CHECK_BITS) - 1)
	};
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

/* Splits the next set in turn: what belongs there goes to a new one behind the last. */
static void
split(struct recency *recency)
{
	uint64_t sets = sets_of(recency), power = power_below(sets);
	_Atomic uint64_t *from = recency->slots + (sets - power) * SET_SLOTS;
	_Atomic uint64_t *to = recency->slots + sets * SET_SLOTS;
	/* The bit of the hash that tells the two apart, as the check has it. */
	uint64_t bit = (power >> SET_BITS_MIN) << CHECK_SHIFT;

	for (unsigned i = 0; i < SET_SLOTS; i++) {
		uint64_t slot = atomic_load_explicit(&from[i], memory_order_relaxed);

		atomic_store_explicit(&to[i], slot & bit ? slot : 0,
				      memory_order_relaxed);
	}
	atomic_store_explicit(&recency->sets, sets + 1, memory_order_release);
	for (unsigned i = 0; i < SET_SLOTS; i++)
		if (atomic_load_explicit(&from[i], memory_order_relaxed) & bit)
			atomic_store_explicit(&from[i], 0, memory_order_relaxed);
}

/* There is one more key. */
static void
grow(struct recency *recency)
{
	uint64_t sets = sets_of(recency);
	bool doubling = sets != power_below(sets);

	if (sets == recency->sets_max || (!doubling && recency->used <= sets * LOAD))
		return;
	for (unsigned i = 0; i < SPLITS; i++)
		split(recency); /* the powers of two are multiples of it */
}

/* Empties the slots whose frequency has come down to nothing: they say no more than none would. */
static void
tidy(struct recency *recency, _Atomic uint64_t *set, uint32_t now_s)
{
	for (unsigned i = 0; i < SET_SLOTS; i++) {
		uint64_t slot = atomic_load_explicit(&set[i], memory_order_relaxed);

		if (!slot || decayed(frequency_of(slot), idle(slot, now_s)))
			continue;
		atomic_store_explicit(&set[i], 0, memory_order_relaxed);
		recency->used--;
	}
}

/* An empty slot; else the one that was not used for longest. */
static _Atomic uint64_t *
find_oldest(_Atomic uint64_t *set)
{
	_Atomic uint64_t *oldest = set;
	uint32_t oldest_s = UINT32_MAX;

	for (unsigned i = 0; i < SET_SLOTS; i++) {
		uint32_t last_s =
			(uint32_t)atomic_load_explicit(&set[i], memory_order_relaxed);

		if (last_s < oldest_s) {
			oldest = &set[i];
			oldest_s = last_s;
		}
	}
	return oldest;
}

static void
insert(struct recency *recency, const struct place *place, uint32_t now_s)
{
	_Atomic uint64_t *to;

	tidy(recency, place->set, now_s);
	to = find_oldest(place->set);
	recency->used += atomic_load_explicit(to, memory_order_relaxed) == 0;
	atomic_store_explicit(to, pack(recency, place->check, 1, now_s),
			      memory_order_relaxed);
	grow(recency);
}

bool
recency_touch(struct recency *recency, const uint8_t row_key[static RECENCY_KEY_SIZE],
	      uint32_t now_s)
{
	struct place place = find_set(recency, row_key);

	for (unsigned i = 0; i < SET_SLOTS; i++) {
		uint64_t slot = atomic_load_explicit(&place.set[i], memory_order_relaxed);
		uint8_t frequency;

		if (slot >> CHECK_SHIFT != place.check || !frequency_of(slot))
			continue;
		frequency = decayed(frequency_of(slot), idle(slot, now_s));
		atomic_store_explicit(
			&place.set[i],
			pack(recency, place.check, counted(recency, frequency), now_s),
			memory_order_relaxed);
		return (slot >> PARITY_SHIFT & 1) == recency->parity;
	}
	insert(recency, &place, now_s);
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
