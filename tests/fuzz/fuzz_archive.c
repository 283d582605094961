/* fuzz_archive.c - any bytes as a file that brine export wrote; and the same with checksums that are right, which is as far
 * as one comes who makes up such a file. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/archive.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

/* Blocks whose checksum is put right: each takes reading the file from its beginning. */
#define SEALED_MAX 32

struct read {
	uint64_t objects, bytes;
};

/* One value to its end. */
static enum archive_answer
read_value(struct archive_reader *reader, uint8_t *piece, struct read *read)
{
	enum archive_answer answer;
	uint64_t value = 0;
	size_t count = 0;

	while ((answer = archive_read(reader, piece, &count)) == ARCHIVE_MORE) {
		assert(count > 0 && count <= ARCHIVE_PIECE_MAX);
		value += count;
	}
	if (answer == ARCHIVE_LAST) {
		read->objects++;
		read->bytes += value;
	}
	return answer;
}

static enum archive_answer
read_objects(struct archive_reader *reader, uint8_t *piece, struct read *read)
{
	struct archive_object object;
	enum archive_answer answer;

	while ((answer = archive_next(reader, &object)) == ARCHIVE_MORE) {
		assert(object.key_len > 0 && object.key_len <= BRINE_KEY_MAX);
		assert(object.kind <= BRINE_COUNTER);
		answer = read_value(reader, piece, read);
		if (answer != ARCHIVE_LAST && answer != ARCHIVE_VOID)
			return answer;
	}
	return answer;
}

/* Reads the file to its end, or to what is wrong with it. Where that may be a checksum, puts it right: then true. */
static bool
read_file(uint8_t *bytes, size_t len, uint8_t *piece)
{
	struct source source = { .fd = -1, .text = (const char *)bytes, .text_len = len };
	struct archive_reader reader;
	struct read read = { 0 };
	enum archive_answer answer = archive_open(&reader, &source);
	uint8_t *digest;
	bool sealed = false;

	if (answer == ARCHIVE_MORE) {
		assert(strlen(reader.name) > 0 &&
		       strlen(reader.name) <= ARCHIVE_NAME_MAX);
		answer = read_objects(&reader, piece, &read);
	}
	assert(reader.at <= len);
	assert(answer != ARCHIVE_MORE && answer != ARCHIVE_FAILED);
	if (answer == ARCHIVE_LAST)
		assert(reader.at == len && reader.objects == read.objects &&
		       reader.bytes == read.bytes);
	if (answer == ARCHIVE_WRONG && reader.at >= ARCHIVE_DIGEST) {
		digest = bytes + reader.at - ARCHIVE_DIGEST;
		sealed = memcmp(digest, reader.digest, ARCHIVE_DIGEST) != 0;
		memcpy(digest, reader.digest, ARCHIVE_DIGEST);
	}
	archive_reader_done(&reader);
	return sealed;
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static uint8_t piece[ARCHIVE_PIECE_MAX];
	uint8_t *copy = malloc(len + !len);

	if (!copy)
		return 0;
	if (len)
		memcpy(copy, bytes, len);
	for (unsigned i = 0; i < SEALED_MAX && read_file(copy, len, piece); i++)
		;
	free(copy);
	return 0;
}
