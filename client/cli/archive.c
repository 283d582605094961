/* archive.c - the blocks of an export. Owns the hash of the block under way. */
#include "client/cli/archive.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "proto/blake2b.h"
#include "proto/bytes.h"

/* A first byte that is no text, and line ends that a transfer as text would change. */
static const uint8_t magic[8] = { 0x89, 'B', 'R', 'I', 'N', 'E', '\r', '\n' };

#define VERSION 1
#define HEAD 24
#define OBJECT_HEAD 48
#define END_BLOCK 24
#define WORD 4

enum block { BLOCK_OBJECT = 1, BLOCK_END = 2 };
enum mark { MARK_MORE = 1, MARK_LAST = 2, MARK_VOID = 3 };
#define MARK_SHIFT 30
#define LENGTH_MASK ((UINT32_C(1) << MARK_SHIFT) - 1)

struct archive_hash {
	struct blake2b state;
};

/* The checksum of a block goes on from that of the block before. */
static void
begin_block(struct archive_hash *hash, const uint8_t before[static ARCHIVE_DIGEST])
{
	blake2b_begin(&hash->state);
	blake2b_add(&hash->state, before, ARCHIVE_DIGEST);
}

static void
end_block(struct archive_hash *hash, uint8_t to[static ARCHIVE_DIGEST])
{
	uint8_t digest[BLAKE2B_DIGEST];

	blake2b_end(&hash->state, digest);
	memcpy(to, digest, ARCHIVE_DIGEST);
}

/* ---- writing */

static int
write_hashed(struct archive_writer *writer, const void *bytes, size_t len)
{
	blake2b_add(&writer->hash->state, bytes, len);
	return sink_write(writer->sink, bytes, len);
}

static int
write_digest(struct archive_writer *writer)
{
	end_block(writer->hash, writer->digest);
	return sink_write(writer->sink, writer->digest, ARCHIVE_DIGEST);
}

int
archive_begin(struct archive_writer *writer, struct sink *sink, const char *name,
	      uint64_t now_ms)
{
	uint8_t head[HEAD] = { 0 };
	size_t len = strlen(name);
	int result;

	*writer = (struct archive_writer){ .sink = sink,
					   .hash = malloc(sizeof(*writer->hash)) };
	if (!writer->hash)
		return -ENOMEM;
	memcpy(head, magic, sizeof(magic));
	le16_store(head + 8, VERSION);
	le16_store(head + 10, (uint16_t)len);
	le64_store(head + 16, now_ms);
	begin_block(writer->hash, writer->digest);
	result = write_hashed(writer, head, sizeof(head));
	if (result == 0)
		result = write_hashed(writer, name, len);
	return result ? result : write_digest(writer);
}

int
archive_object(struct archive_writer *writer, const struct archive_object *object)
{
	uint8_t head[OBJECT_HEAD] = { BLOCK_OBJECT, (uint8_t)object->kind };
	int result;

	le16_store(head + 2, (uint16_t)object->key_len);
	le32_store(head + 4, object->codec);
	le32_store(head + 8, object->writer);
	le64_store(head + 16, object->length);
	le64_store(head + 24, object->cost_us);
	le64_store(head + 32, object->expires_ms);
	le64_store(head + 40, object->stale_for_ms);
	writer->value_bytes = 0;
	begin_block(writer->hash, writer->digest);
	result = write_hashed(writer, head, sizeof(head));
	return result ? result : write_hashed(writer, object->key, object->key_len);
}

static int
write_word(struct archive_writer *writer, enum mark mark, size_t len)
{
	uint8_t word[WORD];

	le32_store(word, (uint32_t)mark << MARK_SHIFT | (uint32_t)len);
	return write_hashed(writer, word, sizeof(word));
}

int
archive_piece(struct archive_writer *writer, const void *bytes, size_t len)
{
	const char *from = bytes;
	int result = 0;

	while (len && result == 0) {
		size_t part = len < ARCHIVE_PIECE_MAX ? len : ARCHIVE_PIECE_MAX;

		result = write_word(writer, MARK_MORE, part);
		if (result == 0)
			result = write_hashed(writer, from, part);
		from += part;
		len -= part;
		writer->value_bytes += part;
	}
	return result;
}

int
archive_object_end(struct archive_writer *writer, bool void_value)
{
	int result = write_word(writer, void_value ? MARK_VOID : MARK_LAST, 0);

	writer->objects += !void_value;
	writer->bytes += void_value ? 0 : writer->value_bytes;
	return result ? result : write_digest(writer);
}

int
archive_end(struct archive_writer *writer)
{
	uint8_t block[END_BLOCK] = { BLOCK_END };
	int result;

	le64_store(block + 8, writer->objects);
	le64_store(block + 16, writer->bytes);
	begin_block(writer->hash, writer->digest);
	result = write_hashed(writer, block, sizeof(block));
	return result ? result : write_digest(writer);
}

void
archive_writer_done(struct archive_writer *writer)
{
	free(writer->hash);
	writer->hash = NULL;
}

/* ---- reading */

/* So many bytes. ARCHIVE_MORE, or why not. */
static enum archive_answer
read_bytes(struct archive_reader *reader, void *to, size_t len)
{
	int64_t count = len ? source_read(reader->source, to, len, -1) : 0;

	if (count < 0) {
		reader->error = (int)-count;
		return ARCHIVE_FAILED;
	}
	reader->at += (uint64_t)count;
	return (size_t)count < len ? ARCHIVE_CUT : ARCHIVE_MORE;
}

static enum archive_answer
read_hashed(struct archive_reader *reader, void *to, size_t len)
{
	enum archive_answer answer = read_bytes(reader, to, len);

	if (answer == ARCHIVE_MORE)
		blake2b_add(&reader->hash->state, to, len);
	return answer;
}

static enum archive_answer
check_digest(struct archive_reader *reader)
{
	uint8_t read[ARCHIVE_DIGEST];
	enum archive_answer answer;

	end_block(reader->hash, reader->digest);
	answer = read_bytes(reader, read, sizeof(read));
	if (answer == ARCHIVE_MORE && memcmp(read, reader->digest, sizeof(read)) != 0)
		return ARCHIVE_WRONG;
	return answer;
}

enum archive_answer
archive_open(struct archive_reader *reader, struct source *source)
{
	enum archive_answer answer;
	uint8_t head[HEAD];
	size_t len;

	*reader = (struct archive_reader){ .source = source,
					   .hash = malloc(sizeof(*reader->hash)) };
	if (!reader->hash)
		return ARCHIVE_MEMORY;
	begin_block(reader->hash, reader->digest);
	answer = read_hashed(reader, head, sizeof(head));
	if (answer != ARCHIVE_MORE)
		return answer;
	if (memcmp(head, magic, sizeof(magic)) != 0)
		return ARCHIVE_WRONG;
	if (le16_load(head + 8) != VERSION)
		return ARCHIVE_OTHER;
	len = le16_load(head + 10);
	if (len == 0 || len > ARCHIVE_NAME_MAX)
		return ARCHIVE_WRONG;
	reader->begun_ms = le64_load(head + 16);
	answer = read_hashed(reader, reader->name, len);
	if (answer == ARCHIVE_MORE && memchr(reader->name, 0, len))
		return ARCHIVE_WRONG;
	return answer == ARCHIVE_MORE ? check_digest(reader) : answer;
}

/* The last block counts what was read, and nothing stands behind it. */
static enum archive_answer
finish(struct archive_reader *reader, const uint8_t start[static 8])
{
	enum archive_answer answer;
	uint8_t rest[END_BLOCK - 8], more;

	(void)start;
	answer = read_hashed(reader, rest, sizeof(rest));
	if (answer == ARCHIVE_MORE)
		answer = check_digest(reader);
	if (answer != ARCHIVE_MORE)
		return answer;
	if (le64_load(rest) != reader->objects || le64_load(rest + 8) != reader->bytes)
		return ARCHIVE_WRONG;
	answer = read_bytes(reader, &more, 1);
	return answer == ARCHIVE_CUT ? ARCHIVE_LAST
				     : (answer == ARCHIVE_MORE ? ARCHIVE_WRONG : answer);
}

enum archive_answer
archive_next(struct archive_reader *reader, struct archive_object *ret_object)
{
	struct archive_object object = { .key_len = 0 };
	enum archive_answer answer;
	uint8_t head[OBJECT_HEAD];

	begin_block(reader->hash, reader->digest);
	answer = read_hashed(reader, head, 8);
	if (answer != ARCHIVE_MORE)
		return answer;
	if (head[0] == BLOCK_END)
		return finish(reader, head);
	if (head[0] != BLOCK_OBJECT || head[1] > BRINE_COUNTER)
		return ARCHIVE_WRONG;
	answer = read_hashed(reader, head + 8, OBJECT_HEAD - 8);
	if (answer != ARCHIVE_MORE)
		return answer;
	object.kind = head[1];
	object.key_len = le16_load(head + 2);
	object.codec = le32_load(head + 4);
	object.writer = le32_load(head + 8);
	object.length = le64_load(head + 16);
	object.cost_us = le64_load(head + 24);
	object.expires_ms = le64_load(head + 32);
	object.stale_for_ms = le64_load(head + 40);
	if (object.key_len == 0 || object.key_len > BRINE_KEY_MAX)
		return ARCHIVE_WRONG;
	answer = read_hashed(reader, object.key, object.key_len);
	if (answer != ARCHIVE_MORE)
		return answer;
	reader->value_bytes = 0;
	*ret_object = object;
	return ARCHIVE_MORE;
}

enum archive_answer
archive_read(struct archive_reader *reader, void *to, size_t *ret_len)
{
	uint8_t bytes[WORD];
	enum archive_answer answer = read_hashed(reader, bytes, sizeof(bytes));
	uint32_t word, len;
	enum mark mark;

	if (answer != ARCHIVE_MORE)
		return answer;
	word = le32_load(bytes);
	mark = (enum mark)(word >> MARK_SHIFT);
	len = word & LENGTH_MASK;
	if (mark == MARK_MORE && len && len <= ARCHIVE_PIECE_MAX) {
		*ret_len = len;
		reader->value_bytes += len;
		return read_hashed(reader, to, len);
	}
	if ((mark != MARK_LAST && mark != MARK_VOID) || len)
		return ARCHIVE_WRONG;
	answer = check_digest(reader);
	if (answer != ARCHIVE_MORE)
		return answer;
	if (mark == MARK_VOID)
		return ARCHIVE_VOID;
	reader->objects++;
	reader->bytes += reader->value_bytes;
	return ARCHIVE_LAST;
}

void
archive_reader_done(struct archive_reader *reader)
{
	free(reader->hash);
	reader->hash = NULL;
}
