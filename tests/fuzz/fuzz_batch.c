/* fuzz_batch.c - any bytes as the body of a batch. Its entries lie within it, each behind the one before, and
 * written again they are the same bytes. */
#include <assert.h>
#include <stdint.h>
#include <string.h>

#include "proto/batch.h"
#include "proto/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
expect_sound(const struct batch_entry *entry, const uint8_t *at, size_t size)
{
	const uint8_t *header = entry->header.data, *value = entry->value.data;
	uint8_t head[BATCH_HEAD];

	assert(entry->header.len <= BATCH_HEADER_MAX);
	assert(header == at + BATCH_HEAD && value == header + entry->header.len);
	assert(value + entry->value.len == at + size);
	batch_write_head(head, entry->kind, entry->header.len, entry->value.len);
	assert(memcmp(head, at, sizeof(head)) == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	struct batch_entry entry;
	struct message message;
	size_t position = 0, before = 0;
	unsigned field;
	int next;

	while ((next = batch_next(slice(bytes, len), &position, &entry)) > 0) {
		assert(position > before && position <= len);
		expect_sound(&entry, bytes + before, position - before);
		assert(message_decode(entry.header, &message, &field) <= 0);
		before = position;
	}
	/* Where it is no entry, nothing moved. */
	assert(position == before && (next < 0 || position == len));
	return 0;
}
