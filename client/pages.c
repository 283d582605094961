/* pages.c - the entries of scan pages and the lines of statistics; the scan that fetches page after page. A scan owns
 * its options and the page at hand. One thread at a time. */
#include <stdlib.h>
#include <string.h>

#include "client/calls.h"
#include "client/value.h"
#include "proto/bytes.h"
#include "proto/key.h"

#define PAGE_DEFAULT 1000
#define PAGE_MAX 4096

/* An entry: what stands before the key. */
enum {
	AT_SIZE = 0,
	AT_KEY_LEN = 2,
	AT_FLAGS = 4,
	AT_CODEC = 8,
	AT_WRITER = 12,
	AT_LENGTH = 16,
	AT_VERSION = 24,
	AT_TTL_LEFT = 32,
	ENTRY_HEAD = 40,
};
#define ENTRY_SHORTENED 1
#define ENTRY_COUNTER 2

int
brine_page_next(const struct brine_value *page, size_t *position,
		struct brine_entry *ret_entry)
{
	const uint8_t *at = page->data + *position;
	size_t left = page->len - *position, size, key_len;
	uint32_t flags;

	if (left == 0)
		return BRINE_MISS;
	if (left < ENTRY_HEAD)
		return -BRINE_ERROR_BAD_PEER;
	size = le16_load(at + AT_SIZE);
	key_len = le16_load(at + AT_KEY_LEN);
	/* A longer entry has fields that this release does not know, behind the key. */
	if (size > left || size < ENTRY_HEAD + key_len || key_len == 0 ||
	    key_len > KEY_MAX)
		return -BRINE_ERROR_BAD_PEER;
	flags = le32_load(at + AT_FLAGS);
	*ret_entry = (struct brine_entry){
		.key = at + ENTRY_HEAD,
		.key_len = key_len,
		.shortened = (flags & ENTRY_SHORTENED) != 0,
		.meta = {
			.version = le64_load(at + AT_VERSION),
			.length = le64_load(at + AT_LENGTH),
			.ttl_left_ms = le64_load(at + AT_TTL_LEFT),
			.codec = le32_load(at + AT_CODEC),
			.kind = flags & ENTRY_COUNTER ? BRINE_COUNTER : BRINE_BLOB,
			.writer_uid = le32_load(at + AT_WRITER),
		},
	};
	*position += size;
	return BRINE_HIT;
}

struct brine_scan {
	struct brine *brine;
	struct brine_value *page;
	size_t position;
	size_t held;
	bool finished;
	uint64_t damaged; /* rows that the pages so far left out */
	uint32_t limit;
	size_t cursor_len, prefix_len;
	unsigned char cursor[MESSAGE_CURSOR_MAX];
	unsigned char prefix[KEY_MAX];
	char *namespace_name;
};

int
brine_scan_begin(struct brine *brine, const struct brine_scan_options *options,
		 struct brine_scan **ret_scan)
{
	static const struct brine_scan_options defaults;
	const struct brine_scan_options *o = options ? options : &defaults;
	struct brine_scan *scan;

	if (o->prefix_len > KEY_MAX)
		return handle_fail(brine, BRINE_ERROR_BAD_ARGUMENT,
				   "the prefix is longer than any key");
	scan = calloc(1, sizeof(*scan));
	if (scan)
		scan->namespace_name = strdup(o->namespace_name ? o->namespace_name
								: brine->namespace_name);
	if (!scan || !scan->namespace_name) {
		free(scan);
		return handle_fail(brine, BRINE_ERROR_LOCAL_MEMORY,
				   "no memory for a scan");
	}
	scan->brine = brine;
	scan->limit = o->page ? o->page : PAGE_DEFAULT;
	if (scan->limit > PAGE_MAX)
		scan->limit = PAGE_MAX;
	scan->prefix_len = o->prefix_len;
	if (o->prefix_len)
		memcpy(scan->prefix, o->prefix, o->prefix_len);
	*ret_scan = scan;
	return 0;
}

/* Counts a page's entries, which proves them readable as well. */
static int
count_page(struct brine_scan *scan)
{
	struct brine_entry entry;
	size_t position = 0;
	int result = BRINE_MISS;

	scan->held = 0;
	while (scan->page &&
	       (result = brine_page_next(scan->page, &position, &entry)) == BRINE_HIT)
		scan->held++;
	if (result >= 0)
		return 0;
	brine_value_release(&scan->page);
	scan->held = 0;
	return handle_fail(scan->brine, BRINE_ERROR_BAD_PEER,
			   "the daemon's page of keys is malformed");
}

static int
fetch_page(struct brine_scan *scan)
{
	struct brine_request request = {
		.command = BRINE_SCAN,
		.namespace_name = scan->namespace_name,
		.prefix = scan->prefix,
		.prefix_len = scan->prefix_len,
		.cursor = scan->cursor,
		.cursor_len = scan->cursor_len,
		.limit = scan->limit,
	};
	struct brine_reply reply;
	int result = call_request(scan->brine, &request, false, &reply);

	if (result < 0)
		return result;
	brine_value_release(&scan->page);
	scan->page = reply.value;
	scan->position = 0;
	scan->cursor_len = reply.cursor_len;
	memcpy(scan->cursor, reply.cursor, reply.cursor_len);
	scan->finished = reply.cursor_len == 0;
	scan->damaged += reply.detail;
	return count_page(scan);
}

int
brine_scan_next(struct brine_scan *scan, struct brine_entry *ret_entry)
{
	struct brine_entry entry;
	int error;

	if (scan->brine->env.disabled)
		return BRINE_MISS;
	/* A page may be empty and the scan go on: the daemon bounds what one request looks at. */
	while (scan->held == 0) {
		if (scan->finished)
			return BRINE_MISS;
		error = fetch_page(scan);
		if (error)
			return error;
	}
	scan->held--;
	brine_page_next(scan->page, &scan->position, &entry);
	if (ret_entry)
		*ret_entry = entry;
	return BRINE_HIT;
}

size_t
brine_scan_held(const struct brine_scan *scan)
{
	return scan->held;
}

uint64_t
brine_scan_damaged(const struct brine_scan *scan)
{
	return scan->damaged;
}

void
brine_scan_end(struct brine_scan **scan)
{
	if (!scan || !*scan)
		return;
	brine_value_release(&(*scan)->page);
	free((*scan)->namespace_name);
	free(*scan);
	*scan = NULL;
}

/* ---- statistics */

/* Cuts one field off the line; false when its end is missing. */
static bool
cut(const char **at, const char *end, char stop, const char **ret_field, size_t *ret_len)
{
	const char *found = memchr(*at, stop, (size_t)(end - *at));

	if (!found)
		return false;
	*ret_field = *at;
	*ret_len = (size_t)(found - *at);
	*at = found + 1;
	return true;
}

static bool
read_line(const char *line, size_t len, struct brine_stat *ret_stat)
{
	const char *end = line + len;
	struct brine_stat stat;

	if (!cut(&line, end, '\t', &stat.scope, &stat.scope_len) ||
	    !cut(&line, end, '\t', &stat.name, &stat.name_len))
		return false;
	stat.value = line;
	stat.value_len = (size_t)(end - line);
	*ret_stat = stat;
	return true;
}

int
brine_stats_next(const struct brine_value *text, size_t *position,
		 struct brine_stat *ret_stat)
{
	const char *at = (const char *)text->data + *position;
	const char *end = (const char *)text->data + text->len;
	const char *line;
	size_t len;

	while (cut(&at, end, '\n', &line, &len)) {
		*position = (size_t)(at - (const char *)text->data);
		if (read_line(line, len, ret_stat))
			return BRINE_HIT;
	}
	return BRINE_MISS;
}
