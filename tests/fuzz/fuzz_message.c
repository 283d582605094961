/* fuzz_message.c - any bytes as a header. What is read lies within them, and written it is read the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "proto/message.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void
expect_within(struct slice run, const uint8_t *bytes, size_t len)
{
	const uint8_t *data = run.data;

	assert(!data || (data >= bytes && data + run.len <= bytes + len));
}

/* Members are equal, slices by content. */
static void
expect_same(const struct message *a, const struct message *b)
{
	assert(memcmp(a->present, b->present, sizeof(a->present)) == 0);
#define SAME_NUMBER(member) assert(a->member == b->member);
#define SAME_BYTES(member) assert(slice_equal(a->member, b->member));
#define SAME_TEXT(member) SAME_BYTES(member)
#define F(name, member, number, type, text) SAME_##type(member)
#include "proto/fields.def"
#undef F
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	/* Formats shrink when they are written again; only a short str that stands for bytes becomes a
	 * bin, which takes a byte more, and there are few such fields. */
	size_t size = len + 8, written;
	struct message message, again;
	unsigned field = 0;
	uint8_t *to;
	int result = message_decode(slice(bytes, len), &message, &field);

	assert(result <= 0 && result >= MESSAGE_UNKNOWN);
	if (result == MESSAGE_MALFORMED)
		return 0;
	assert(result != MESSAGE_UNKNOWN || field < FIELD_OPTIONAL);
	expect_within(message.namespace, bytes, len);
	expect_within(message.key, bytes, len);
	expect_within(message.text, bytes, len);
	to = malloc(size);
	if (!to)
		return 0;
	written = message_encode(&message, to, size);
	assert(written > 0);
	assert(message_decode(slice(to, written), &again, &field) == MESSAGE_OK);
	expect_same(&message, &again);
	free(to);
	return 0;
}
