/* batch.h - the entries in the body of BATCH and of its reply. Pure; PROTOCOL.md, "BATCH".
 *
 *   0 kind | 1 zero | 2 header length (2) | 4 value length (4) | header | value        little-endian
 *
 * The kind is a command in a request, FRAME_REPLY in a reply. An entry stands right behind the one before. */
#ifndef PROTO_BATCH_H
#define PROTO_BATCH_H

#include <stddef.h>
#include <stdint.h>

#include "proto/slice.h"

#define BATCH_HEAD 8
#define BATCH_ENTRIES_MAX 1024
/* The body of a request, and of a reply. */
#define BATCH_SIZE_MAX (8u << 20)
#define BATCH_REPLY_MAX (16u << 20)
#define BATCH_HEADER_MAX 65535u

struct batch_entry {
	uint8_t kind;
	struct slice header;
	struct slice value;
};

/* The entry at *position, which then points behind it. 1; 0 at the end; -1 when the bytes are no entry.
 * Borrows the body. */
int batch_next(struct slice body, size_t *position, struct batch_entry *ret_entry);

void batch_write_head(uint8_t to[static BATCH_HEAD], uint8_t kind, size_t header_len,
		      size_t value_len);

#endif
