/* batch.c - reads and writes the entries of a batch. Pure; owns nothing. */
#include "proto/batch.h"

#include "proto/bytes.h"

int
batch_next(struct slice body, size_t *position, struct batch_entry *ret_entry)
{
	const uint8_t *at = (const uint8_t *)body.data + *position;
	size_t left = body.len - *position, header_len, value_len;

	if (left == 0)
		return 0;
	if (left < BATCH_HEAD || at[1] != 0)
		return -1;
	header_len = le16_load(at + 2);
	value_len = le32_load(at + 4);
	left -= BATCH_HEAD;
	if (header_len > left || value_len > left - header_len)
		return -1;
	*ret_entry = (struct batch_entry){ .kind = at[0],
					   .header = slice(at + BATCH_HEAD, header_len),
					   .value = slice(at + BATCH_HEAD + header_len,
							  value_len) };
	*position += BATCH_HEAD + header_len + value_len;
	return 1;
}

void
batch_write_head(uint8_t to[static BATCH_HEAD], uint8_t kind, size_t header_len,
		 size_t value_len)
{
	to[0] = kind;
	to[1] = 0;
	le16_store(to + 2, (uint16_t)header_len);
	le32_store(to + 4, (uint32_t)value_len);
}
