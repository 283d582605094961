/* record.c - packs, seals and reads rows. Pure; owns nothing; any thread. */
#include "daemon/record.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

#include "proto/bytes.h"

#define RECORD_FORMAT 1

enum offset {
	AT_FORMAT = 0,
	AT_KIND = 1,
	AT_FLAGS = 2,
	AT_TAGS = 3,
	AT_CODEC = 4,
	AT_VERSION = 8,
	AT_CREATED = 16,
	AT_COST = 24,
	AT_WRITER = 32,
	AT_KEY_LEN = 36,
	AT_ZERO = 38,
};

static size_t
head_size(const struct record *record)
{
	return RECORD_FIXED + (record->flags & RECORD_EXPIRES ? RECORD_EXPIRY : 0) +
	       (record->flags & RECORD_CHUNKED ? RECORD_CHUNKS : 0) +
	       (size_t)record->tag_count * RECORD_TAG_SIZE;
}

size_t
record_size(const struct record *record)
{
	return head_size(record) + record->key.len + record->value.len + RECORD_CHECKSUM;
}

bool
record_fits(const struct record *record, size_t value_len)
{
	struct record inline_record = *record;

	inline_record.flags &= (uint8_t)~RECORD_CHUNKED;
	return head_size(&inline_record) + record->key.len + RECORD_CHECKSUM +
		       value_len <=
	       RECORD_MAX;
}

static uint8_t *
append(uint8_t *to, const void *from, size_t len)
{
	if (len)
		memcpy(to, from, len);
	return to + len;
}

size_t
record_write(const struct record *record, uint8_t *to)
{
	uint8_t *at = to + RECORD_FIXED;

	to[AT_FORMAT] = RECORD_FORMAT;
	to[AT_KIND] = record->kind;
	to[AT_FLAGS] = record->flags;
	to[AT_TAGS] = record->tag_count;
	le32_store(to + AT_CODEC, record->codec);
	le64_store(to + AT_VERSION, record->version);
	le64_store(to + AT_CREATED, record->created_ms);
	le64_store(to + AT_COST, record->cost_us);
	le32_store(to + AT_WRITER, record->writer_uid);
	le16_store(to + AT_KEY_LEN, (uint16_t)record->key.len);
	le16_store(to + AT_ZERO, 0);
	if (record->flags & RECORD_EXPIRES) {
		le64_store(at, record->expires_ms);
		le64_store(at + 8, record->stale_until_ms);
		le64_store(at + 16, record->ttl_ms);
		le64_store(at + 24, record->armed_ms);
		at += RECORD_EXPIRY;
	}
	if (record->flags & RECORD_CHUNKED) {
		le64_store(at, record->object_id);
		le64_store(at + 8, record->length);
		le64_store(at + 16, record->stored);
		le32_store(at + 24, record->big_rows);
		le32_store(at + 28, record->small_rows);
		at += RECORD_CHUNKS;
	}
	at = append(at, record->tags, (size_t)record->tag_count * RECORD_TAG_SIZE);
	at = append(at, record->key.data, record->key.len);
	at = append(at, record->value.data, record->value.len);
	memset(at, 0, RECORD_CHECKSUM);
	return (size_t)(at + RECORD_CHECKSUM - to);
}

static uint64_t
checksum(const uint8_t *bytes, size_t len, uint64_t seed)
{
	return XXH3_64bits_withSeed(bytes, len, seed);
}

static uint64_t
row_seed(const uint8_t row_key[static ROW_KEY_SIZE])
{
	return le64_load(row_key) * 0x9e3779b97f4a7c15 ^ le64_load(row_key + 8);
}

void
record_seal(uint8_t *bytes, size_t len, const uint8_t row_key[static ROW_KEY_SIZE])
{
	len -= RECORD_CHECKSUM;
	le64_store(bytes + len, checksum(bytes, len, row_seed(row_key)));
}

bool
record_sound(struct slice bytes, const uint8_t row_key[static ROW_KEY_SIZE])
{
	const uint8_t *at = bytes.data;
	size_t len = bytes.len - RECORD_CHECKSUM;

	return bytes.len >= RECORD_FIXED + RECORD_CHECKSUM &&
	       le64_load(at + len) == checksum(at, len, row_seed(row_key));
}

void
record_set_armed(uint8_t *bytes, uint64_t armed_ms)
{
	if (bytes[AT_FLAGS] & RECORD_EXPIRES)
		le64_store(bytes + RECORD_FIXED + 24, armed_ms);
}

void
record_set_rows(uint8_t *bytes, uint32_t big_rows, uint32_t small_rows)
{
	uint8_t *at = bytes + RECORD_FIXED;

	if (bytes[AT_FLAGS] & RECORD_EXPIRES)
		at += RECORD_EXPIRY;
	le32_store(at + 24, big_rows);
	le32_store(at + 28, small_rows);
}

static const uint8_t *
read_groups(const uint8_t *at, struct record *record)
{
	if (record->flags & RECORD_EXPIRES) {
		record->expires_ms = le64_load(at);
		record->stale_until_ms = le64_load(at + 8);
		record->ttl_ms = le64_load(at + 16);
		record->armed_ms = le64_load(at + 24);
		at += RECORD_EXPIRY;
	} else {
		record->expires_ms = record->stale_until_ms = 0;
		record->ttl_ms = record->armed_ms = 0;
	}
	if (record->flags & RECORD_CHUNKED) {
		record->object_id = le64_load(at);
		record->length = le64_load(at + 8);
		record->stored = le64_load(at + 16);
		record->big_rows = le32_load(at + 24);
		record->small_rows = le32_load(at + 28);
		at += RECORD_CHUNKS;
	} else {
		record->object_id = 0;
		record->big_rows = record->small_rows = 0;
	}
	return at;
}

bool
record_read(struct slice bytes, struct record *ret_record)
{
	const uint8_t *from = bytes.data, *at;
	struct record record;
	size_t rest;

	if (bytes.len < RECORD_FIXED + RECORD_CHECKSUM ||
	    from[AT_FORMAT] != RECORD_FORMAT || from[AT_TAGS] > RECORD_TAGS_MAX)
		return false;
	record.kind = from[AT_KIND];
	record.flags = from[AT_FLAGS];
	record.tag_count = from[AT_TAGS];
	record.codec = le32_load(from + AT_CODEC);
	record.version = le64_load(from + AT_VERSION);
	record.created_ms = le64_load(from + AT_CREATED);
	record.cost_us = le64_load(from + AT_COST);
	record.writer_uid = le32_load(from + AT_WRITER);
	record.key.len = le16_load(from + AT_KEY_LEN);
	rest = head_size(&record) + record.key.len + RECORD_CHECKSUM;
	if (record.key.len == 0 || record.key.len > KEY_MAX || bytes.len < rest)
		return false;
	at = read_groups(from + RECORD_FIXED, &record);
	record.tags = at;
	record.key.data = at + (size_t)record.tag_count * RECORD_TAG_SIZE;
	record.value = slice((const uint8_t *)record.key.data + record.key.len,
			     bytes.len - rest);
	if (!(record.flags & RECORD_CHUNKED))
		record.length = record.stored = record.value.len;
	else if (record.value.len)
		return false;
	*ret_record = record;
	return true;
}

void
stamp_write(uint64_t number, const uint8_t tag_key[static RECORD_TAG_SIZE],
	    uint8_t to[static STAMP_ROW_SIZE])
{
	le64_store(to, number);
	record_seal(to, STAMP_ROW_SIZE, tag_key);
}

bool
stamp_read(struct slice row, const uint8_t tag_key[static RECORD_TAG_SIZE],
	   uint64_t *ret_number)
{
	const uint8_t *at = row.data;

	if (row.len != STAMP_ROW_SIZE ||
	    le64_load(at + 8) != checksum(at, 8, row_seed(tag_key)))
		return false;
	*ret_number = le64_load(at);
	return true;
}

void
chunk_key(uint64_t object_id, uint32_t index, uint8_t to[static CHUNK_KEY_SIZE])
{
	be64_store(to, object_id);
	be32_store(to + 8, index);
}

static uint64_t
chunk_seed(uint64_t object_id, uint32_t index)
{
	return object_id * 0x9e3779b97f4a7c15 ^ index;
}

void
chunk_write(uint64_t object_id, uint32_t index, struct slice payload, size_t row_size,
	    uint8_t *to)
{
	size_t sum_at = row_size - RECORD_CHECKSUM;

	le64_store(to, object_id);
	le32_store(to + 8, index);
	le32_store(to + 12, (uint32_t)payload.len);
	memcpy(to + CHUNK_HEAD, payload.data, payload.len);
	memset(to + CHUNK_HEAD + payload.len, 0, sum_at - CHUNK_HEAD - payload.len);
	le64_store(to + sum_at, checksum(to, sum_at, chunk_seed(object_id, index)));
}

bool
chunk_read(struct slice row, uint64_t object_id, uint32_t index,
	   struct slice *ret_payload)
{
	const uint8_t *from = row.data;
	size_t sum_at = row.len - RECORD_CHECKSUM;
	uint32_t len;

	if (row.len != CHUNK_BIG_ROW && row.len != CHUNK_SMALL_ROW)
		return false;
	len = le32_load(from + 12);
	if (le64_load(from) != object_id || le32_load(from + 8) != index ||
	    len > row.len - CHUNK_OVERHEAD)
		return false;
	if (le64_load(from + sum_at) !=
	    checksum(from, sum_at, chunk_seed(object_id, index)))
		return false;
	*ret_payload = slice(from + CHUNK_HEAD, len);
	return true;
}

void
chunk_layout(uint64_t len, uint32_t *ret_big, uint32_t *ret_small)
{
	uint64_t big = len / CHUNK_BIG, rest = len % CHUNK_BIG;

	*ret_big = (uint32_t)big;
	*ret_small = (uint32_t)((rest + CHUNK_SMALL - 1) / CHUNK_SMALL);
	if (*ret_small >= CHUNK_BIG_PAGES) {
		(*ret_big)++;
		*ret_small = 0;
	}
}
