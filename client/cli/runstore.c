/* runstore.c - stores runs and loads them, in bounded memory. Owns nothing. */
#include "client/cli/runstore.h"

#include <stdlib.h>
#include <string.h>

#define BLOCK 65536

/* Fetches pieces that are a value of their own. Returns 0 or a negative number. */
static int
fetch(struct brine *brine, const struct runkey *run, const struct transcript_head *head,
      struct hoard *pieces)
{
	struct brine_download *download;
	struct operand_key key;
	char *buffer = malloc(BLOCK);
	int64_t count = -1;

	runkey_pieces(run, head->digest, &key);
	if (buffer &&
	    brine_get_begin(brine, key.bytes, key.len, NULL, &download) == BRINE_HIT) {
		while ((count = brine_get_read(download, buffer, BLOCK)) > 0)
			if (hoard_add(pieces, buffer, (size_t)count) < 0)
				break;
		brine_get_end(&download);
	}
	free(buffer);
	return count == 0 ? 0 : -1;
}

static bool
is_whole(const struct hoard *pieces, const struct transcript_head *head)
{
	uint8_t digest[BLAKE2B_DIGEST];

	hoard_digest(pieces, digest);
	return pieces->len == head->len &&
	       memcmp(digest, head->digest, sizeof(digest)) == 0 &&
	       transcript_walk(pieces, NULL, NULL) == 0;
}

int
runstore_load(struct brine *brine, const struct runkey *key,
	      const struct brine_value *value, int *ret_status, struct hoard *ret_pieces)
{
	const char *bytes = brine_value_data(value);
	size_t len = brine_value_len(value);
	struct transcript_head head;
	struct hoard pieces;
	int result;

	if (transcript_read_head(bytes, len, &head) < 0 ||
	    hoard_open(&pieces, head.len) < 0)
		return -1;
	result = head.apart ? fetch(brine, key, &head, &pieces)
			    : hoard_add(&pieces, bytes + TRANSCRIPT_HEAD,
					len - TRANSCRIPT_HEAD);
	if (result < 0 || !is_whole(&pieces, &head)) {
		hoard_close(&pieces);
		return -1;
	}
	*ret_status = head.status;
	*ret_pieces = pieces;
	return 0;
}

/* buffer: BLOCK bytes. Returns 0 or a negative error. */
static int
send_pieces(struct brine_upload *upload, const struct hoard *pieces, char *buffer)
{
	uint64_t position = 0;
	int64_t count;

	while ((count = hoard_read(pieces, position, buffer, BLOCK)) > 0) {
		int result = brine_put_write(upload, buffer, (size_t)count);

		if (result < 0)
			return result;
		position += (uint64_t)count;
	}
	return count < 0 ? -BRINE_ERROR_SOURCE_FAILED : 0;
}

static int
put_pieces(struct brine *brine, const struct runkey *run, const struct hoard *pieces,
	   const struct transcript_head *head, const struct brine_put_options *options,
	   char *buffer)
{
	struct brine_put_options plain = *options;
	struct brine_upload *upload;
	struct operand_key key;
	int result;

	plain.token = NULL;
	runkey_pieces(run, head->digest, &key);
	result = brine_put_begin(brine, key.bytes, key.len, pieces->len, &plain, &upload);
	if (result < 0)
		return result;
	result = send_pieces(upload, pieces, buffer);
	if (result < 0) {
		brine_put_abort(&upload);
		return result;
	}
	return brine_put_finish(&upload, NULL);
}

/* value has room for HOARD_MEMORY bytes, the head and what may stand behind it. */
static int
put(struct brine *brine, const struct runkey *key, const struct hoard *pieces,
    struct transcript_head *head, const struct brine_put_options *options, char *value)
{
	size_t len = TRANSCRIPT_HEAD;
	int result = 0;

	if (head->apart)
		result = put_pieces(brine, key, pieces, head, options, value);
	if (result < 0)
		return result;
	transcript_write_head(head, (uint8_t *)value);
	if (!head->apart) {
		if (hoard_read(pieces, 0, value + len, (size_t)pieces->len) !=
		    (int64_t)pieces->len)
			return -BRINE_ERROR_SOURCE_FAILED;
		len += (size_t)pieces->len;
	}
	return brine_put(brine, key->key.bytes, key->key.len, value, len, options, NULL);
}

int
runstore_put(struct brine *brine, const struct runkey *key, const struct hoard *pieces,
	     int status, const struct brine_put_options *options)
{
	struct transcript_head head = {
		.status = status,
		.apart = pieces->len > TRANSCRIPT_INLINE,
		.len = pieces->len,
	};
	char *value = malloc(HOARD_MEMORY);
	int result;

	if (!value)
		return -BRINE_ERROR_LOCAL_MEMORY;
	hoard_digest(pieces, head.digest);
	result = put(brine, key, pieces, &head, options, value);
	free(value);
	return result;
}
