/* verify.h - reads what is stored, page by page, to find what is not as it was written; and recounts what namespaces
 * hold. A reader's thread, inside its snapshot; owns nothing.
 *
 * Four walks, one after the other: the records, each against its checksum, its row key and the last of its chunks; the
 * chunk rows; the stamps; the reclaim list. So each row is read once, in the order in which the file has it. What is found is
 * as it was in the snapshot of its page. */
#ifndef DAEMON_VERIFY_H
#define DAEMON_VERIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "daemon/namespace.h"
#include "daemon/record.h"
#include "daemon/store.h"

/* A page ends with the first of these. */
#define VERIFY_ROWS_MAX 4096
#define VERIFY_BYTES_MAX (UINT32_C(1) << 20)
#define VERIFY_PAGE_NS UINT64_C(100000000) /* a slow disk: no snapshot is held for long */
#define VERIFY_DOUBTS_MAX 64

enum verify_part {
	VERIFY_RECORDS,
	VERIFY_CHUNKS,
	VERIFY_STAMPS,
	VERIFY_LIST,
	VERIFY_DONE,
};

enum verify_figure {
	VERIFY_OBJECTS,
	VERIFY_LOGICAL,
	VERIFY_LEAF_BYTES, /* of records and their expiry rows */
	VERIFY_CHUNK_PAGES,
	VERIFY_FIGURES,
};
#define VERIFY_STAMP_COUNT 0 /* the only figure of VERIFY_STAMPS */

/* A namespace whose row says something else than was counted. */
struct verify_doubt {
	enum verify_part part; /* which figures: of VERIFY_RECORDS or VERIFY_STAMPS */
	uint32_t incarnation;
	uint32_t uid;
	/* Transactions: of the snapshot in which counting began, and of the one in which it ended. What was written between
	 * them may be the reason. */
	uint64_t began, ended;
	uint64_t recorded[VERIFY_FIGURES];
	uint64_t counted[VERIFY_FIGURES];
	size_t name_len;
	char name[NAMESPACE_NAME_MAX];
};

/* Where a walk stands: what goes from page to page. All zero: at the beginning. */
struct verify_place {
	enum verify_part part;
	uint8_t at[ROW_KEY_SIZE]; /* the first row that was not looked at, or before it */
	/* Of the namespace in whose range that is: when counting began (VERIFY_UNCOUNTED: a row of it cannot be read), and
	 * what came before `at`. */
	uint64_t began;
	uint64_t counted[VERIFY_FIGURES];
};
#define VERIFY_UNCOUNTED UINT64_MAX

#define VERIFY_PLACE_SIZE (1 + ROW_KEY_SIZE + 8 + 8 * VERIFY_FIGURES)
void verify_place_write(const struct verify_place *place,
			uint8_t to[static VERIFY_PLACE_SIZE]);
/* False if it is none. One that was made up leads to rows of no interest, and no further. */
bool verify_place_read(struct slice bytes, struct verify_place *ret_place);

struct verify {
	const struct store *store;
	struct verify_place place; /* of this page; then, of the next */

	/* filled: what this page came to */
	uint64_t rows;
	uint64_t bytes;
	uint64_t damaged;    /* rows that do not match their checksum, or are no row */
	uint64_t misplaced;  /* records that stand where their key does not belong */
	uint64_t incomplete; /* chunked values of which rows are missing */
	uint64_t unowned;    /* rows of no namespace */
	unsigned doubt_count;
	struct verify_doubt doubts[VERIFY_DOUBTS_MAX];
};

/* Looks at one page. STORE_HIT, or an error: also STORE_DAMAGED, of what cannot be walked over. */
int verify_page(struct snapshot *snapshot, struct verify *verify);

#endif
