/* test_golden.c - the examples of PROTOCOL.md: the bytes mean the fields, and the fields give the bytes.
 *
 * The files of tests/golden are read from the folder that the tests run in, the top of the source tree. How a file
 * looks, PROTOCOL.md says on its first page. */
#include "tests/unit/unit.h"

#include <glob.h>
#include <stdbool.h>
#include <string.h>
#include <strings.h>

#include "proto/batch.h"
#include "proto/bytes.h"
#include "proto/frame.h"
#include "proto/key.h"
#include "proto/message.h"
#include "proto/tag.h"

#define FOLDER "tests/golden/"
#define RUN_MAX 4096
#define SEGMENTS_MAX 8
#define TEXTS_MAX 16
#define ITEMS_MAX 4

/* Bytes that a line gave. */
struct run {
	uint8_t bytes[RUN_MAX];
	size_t len;
};

static void
run_add(struct run *run, const void *bytes, size_t len)
{
	assert_true(len <= sizeof(run->bytes) - run->len);
	memcpy(run->bytes + run->len, bytes, len);
	run->len += len;
}

static struct slice
run_slice(const struct run *run)
{
	return slice(run->bytes, run->len);
}

/* An entry of a batch. */
struct item {
	uint8_t kind;
	struct message message;
	struct run value;
};

/* One frame as the file describes it. */
struct example {
	const char *file;
	bool open;
	struct frame frame;
	struct message message;
	unsigned strangers;          /* fields that this release does not know */
	struct run texts[TEXTS_MAX]; /* what the slices of messages borrow */
	size_t text_count;
	struct frame_segment segments[SEGMENTS_MAX];
	size_t segment_count;
	struct run body;
	struct run entries;
	struct item items[ITEMS_MAX];
	size_t item_count;
	struct run tags; /* what TAGS of the last message must be */
	struct run wire;
};

/* The message that a line is about: the last item's, or the frame's. */
static struct message *
last_message(struct example *example)
{
	return example->item_count ? &example->items[example->item_count - 1].message
				   : &example->message;
}

/* ---- words of a line */

/* Reads "text", "text"*N, hex digits or N*hh and steps over it. */
static void
read_run(const char **at, struct run *ret_run)
{
	struct run unit = { .len = 0 };
	unsigned long times = 1;
	int used = 0;
	char *end;

	if (**at == '"') {
		end = strchr(*at + 1, '"');
		assert_non_null(end);
		run_add(&unit, *at + 1, (size_t)(end - *at - 1));
		*at = end + 1;
		if (**at == '*') {
			times = strtoul(*at + 1, &end, 10);
			*at = end;
		}
	} else {
		unsigned byte;

		/* A count with a star before the digits? */
		if (sscanf(*at, "%lu*%n", &times, &used) == 1 && used > 0)
			*at += used;
		else
			times = 1;
		while (sscanf(*at, "%2x%n", &byte, &used) == 1 && used == 2) {
			run_add(&unit, &(uint8_t){ (uint8_t)byte }, 1);
			*at += 2;
			if (**at == ' ')
				break;
		}
	}
	while (times--)
		run_add(ret_run, unit.bytes, unit.len);
}

/* "= 00 11 22  33": all of a line's bytes. */
static void
read_wire(const char *line, struct run *ret_run)
{
	for (line += strspn(line, " "); *line; line += strspn(line, " "))
		read_run(&line, ret_run);
}

/* ---- lines of a frame */

static const struct {
	const char *name, *type;
	unsigned number;
	size_t offset;
} fields[] = {
#define F(name, member, number, type, text)                                              \
	{ #name, #type, number, offsetof(struct message, member) },
#include "proto/fields.def"
#undef F
};

static void
read_field(struct example *example, const char *line)
{
	char name[32], type[16];
	unsigned number;
	int used;

	assert_int_equal(
		sscanf(line, "field %u %31s %15s %n", &number, name, type, &used), 3);
	line += used;
	if (name[0] == '?') {
		example->strangers++;
		return;
	}
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		char *member = (char *)last_message(example) + fields[i].offset;
		struct run *text = &example->texts[example->text_count];

		if (strcmp(fields[i].name, name) != 0)
			continue;
		assert_int_equal(fields[i].number, number);
		assert_int_equal(strcasecmp(fields[i].type, type), 0);
		message_mark(last_message(example), (enum field)number);
		if (strcmp(type, "number") == 0) {
			*(uint64_t *)member = strtoull(line, NULL, 10);
			return;
		}
		assert_true(++example->text_count < TEXTS_MAX);
		read_run(&line, text);
		*(struct slice *)member = run_slice(text);
		return;
	}
	fail_msg("%s: no field has the name %s", example->file, name);
}

static void
read_body(struct example *example, const char *line)
{
	struct frame_segment *segment = &example->segments[example->segment_count++];
	size_t before = example->body.len;
	char mark[8];
	int used;

	assert_int_equal(sscanf(line, "body %7s %n", mark, &used), 1);
	line += used;
	if (strcmp(mark, "abort") == 0) {
		segment->mark = FRAME_ABORT;
		segment->error = (uint32_t)strtoul(line, NULL, 10);
		return;
	}
	segment->mark = strcmp(mark, "more") == 0 ? FRAME_MORE : FRAME_LAST;
	read_run(&line, &example->body);
	segment->len = (uint32_t)(example->body.len - before);
}

/* A tag of the field TAGS that the lines before gave. */
static void
read_tag(struct example *example, const char *line)
{
	struct run tag = { .len = 0 };

	line += strlen("tag ");
	read_run(&line, &tag);
	assert_in_range(tag.len, 1, TAG_MAX);
	run_add(&example->tags, &(uint8_t){ (uint8_t)tag.len }, 1);
	run_add(&example->tags, tag.bytes, tag.len);
}

/* What the tags say is what the field has; read one by one they are the same again. */
static void
check_tags(struct example *example)
{
	struct slice field = last_message(example)->tags, tag;
	struct run again = { .len = 0 };
	size_t position = 0, count = 0;

	assert_true(slice_equal(run_slice(&example->tags), field));
	while (tags_next(field, &position, &tag)) {
		run_add(&again, &(uint8_t){ (uint8_t)tag.len }, 1);
		run_add(&again, tag.data, tag.len);
		count++;
	}
	assert_true(slice_equal(run_slice(&again), field));
	assert_int_equal(count, tags_count(field));
	example->tags.len = 0;
}

static void
read_item(struct example *example, const char *line)
{
	unsigned kind;

	if (last_message(example)->tags.len)
		check_tags(example);
	assert_true(example->item_count < ITEMS_MAX);
	assert_int_equal(sscanf(line, "item kind=%u", &kind), 1);
	example->items[example->item_count++].kind = (uint8_t)kind;
}

static void
read_value(struct example *example, const char *line)
{
	assert_true(example->item_count > 0);
	line += strlen("value ");
	read_run(&line, &example->items[example->item_count - 1].value);
}

#define ENTRY_SIZE 40

static void
read_entry(struct example *example, const char *line)
{
	unsigned long long flags, codec, writer, length, version, ttl = UINT64_MAX;
	struct run key = { .len = 0 };
	uint8_t head[ENTRY_SIZE];
	const char *at = strstr(line, "ttl="), *of_key = strstr(line, "key=");

	assert_true(at && of_key);
	assert_int_equal(sscanf(line,
				"entry flags=%llu codec=%llu writer=%llu length=%llu "
				"version=%llu",
				&flags, &codec, &writer, &length, &version),
			 5);
	if (strncmp(at, "ttl=never", 9) != 0)
		ttl = strtoull(at + 4, NULL, 10);
	of_key += 4;
	read_run(&of_key, &key);
	le16_store(head, (uint16_t)(ENTRY_SIZE + key.len));
	le16_store(head + 2, (uint16_t)key.len);
	le32_store(head + 4, (uint32_t)flags);
	le32_store(head + 8, (uint32_t)codec);
	le32_store(head + 12, (uint32_t)writer);
	le64_store(head + 16, length);
	le64_store(head + 24, version);
	le64_store(head + 32, ttl);
	run_add(&example->entries, head, sizeof(head));
	run_add(&example->entries, key.bytes, key.len);
}

/* ---- checks of a frame */

static void
check_fields(const struct message *a, const struct message *b)
{
	assert_memory_equal(a->present, b->present, sizeof(a->present));
	for (size_t i = 0; i < sizeof(fields) / sizeof(fields[0]); i++) {
		const char *in_a = (const char *)a + fields[i].offset;
		const char *in_b = (const char *)b + fields[i].offset;

		if (strcmp(fields[i].type, "NUMBER") == 0)
			assert_memory_equal(in_a, in_b, sizeof(uint64_t));
		else
			assert_true(slice_equal(*(const struct slice *)in_a,
						*(const struct slice *)in_b));
	}
}

static void
check_segment(const struct frame_segment *a, const struct frame_segment *b)
{
	assert_int_equal(a->mark, b->mark);
	assert_int_equal(a->len, b->len);
	assert_int_equal(a->error, b->error);
}

static void
check_decoding(const struct example *example)
{
	const uint8_t *at = example->wire.bytes, *body = example->body.bytes;
	struct message message;
	struct frame frame;
	unsigned field = 0;
	int result;

	assert_true(example->wire.len >= FRAME_PREAMBLE_SIZE);
	assert_int_equal(frame_read(at, &frame), 0);
	at += FRAME_PREAMBLE_SIZE;
	assert_int_equal(frame.version, FRAME_VERSION);
	assert_int_equal(frame.flags, 0);
	assert_int_equal(frame.kind, example->frame.kind);
	assert_int_equal(frame.id, example->frame.id);
	result = message_decode(slice(at, frame.header_len), &message, &field);
	assert_int_equal(result, example->strangers && example->frame.kind < 128 &&
						 strstr(example->file, "unknown")
					 ? MESSAGE_UNKNOWN
					 : MESSAGE_OK);
	check_fields(&message, &example->message);
	at += frame.header_len;
	check_segment(&frame.first, &example->segments[0]);
	for (size_t i = 0; i < example->segment_count; i++) {
		struct frame_segment segment = example->segments[i];

		if (i) {
			assert_int_equal(frame_read_segment(at, &segment), 0);
			at += FRAME_WORD_SIZE;
			check_segment(&segment, &example->segments[i]);
		}
		assert_memory_equal(at, body, segment.len);
		at += segment.len;
		body += segment.len;
	}
	assert_true(at == example->wire.bytes + example->wire.len);
	assert_true(body == example->body.bytes + example->body.len);
}

static void
check_encoding(const struct example *example)
{
	uint8_t header[RUN_MAX], preamble[FRAME_PREAMBLE_SIZE], word[FRAME_WORD_SIZE];
	const uint8_t *body = example->body.bytes;
	struct frame frame = example->frame;
	struct run wire = { .len = 0 };

	frame.header_len =
		(uint32_t)message_encode(&example->message, header, sizeof(header));
	frame.first = example->segments[0];
	frame_write(preamble, &frame);
	run_add(&wire, preamble, sizeof(preamble));
	run_add(&wire, header, frame.header_len);
	for (size_t i = 0; i < example->segment_count; i++) {
		if (i) {
			frame_write_segment(word, &example->segments[i]);
			run_add(&wire, word, sizeof(word));
		}
		run_add(&wire, body, example->segments[i].len);
		body += example->segments[i].len;
	}
	assert_int_equal(wire.len, example->wire.len);
	assert_memory_equal(wire.bytes, example->wire.bytes, wire.len);
}

/* The body is the items one behind the other, and is read as them. */
static void
check_items(const struct example *example)
{
	struct slice body = run_slice(&example->body);
	struct run whole = { .len = 0 };
	struct batch_entry entry;
	struct message message;
	size_t position = 0;
	unsigned field = 0;

	for (size_t i = 0; i < example->item_count; i++) {
		const struct item *item = &example->items[i];
		uint8_t head[BATCH_HEAD], header[RUN_MAX];
		size_t len = message_encode(&item->message, header, sizeof(header));

		batch_write_head(head, item->kind, len, item->value.len);
		run_add(&whole, head, sizeof(head));
		run_add(&whole, header, len);
		run_add(&whole, item->value.bytes, item->value.len);
		assert_int_equal(batch_next(body, &position, &entry), 1);
		assert_int_equal(entry.kind, item->kind);
		assert_int_equal(message_decode(entry.header, &message, &field),
				 MESSAGE_OK);
		check_fields(&message, &item->message);
		assert_true(slice_equal(entry.value, run_slice(&item->value)));
	}
	assert_int_equal(batch_next(body, &position, &entry), 0);
	assert_true(slice_equal(run_slice(&whole), body));
}

static unsigned frames_checked;

static void
finish_frame(struct example *example)
{
	const char *file = example->file;

	if (!example->open)
		return;
	if (last_message(example)->tags.len)
		check_tags(example);
	check_decoding(example);
	if (example->item_count)
		check_items(example);
	if (!example->strangers)
		check_encoding(example);
	if (example->entries.len)
		assert_true(slice_equal(run_slice(&example->entries),
					run_slice(&example->body)));
	frames_checked++;
	memset(example, 0, sizeof(*example));
	example->file = file;
}

static void
start_frame(struct example *example, const char *line)
{
	unsigned kind;

	finish_frame(example);
	example->open = true;
	example->frame.version = FRAME_VERSION;
	assert_int_equal(sscanf(line, "%*s id=%u kind=%u", &example->frame.id, &kind), 2);
	example->frame.kind = (uint8_t)kind;
}

static bool
starts(const char *line, const char *word)
{
	return strncmp(line, word, strlen(word)) == 0;
}

static void
read_line(struct example *example, char *line)
{
	line[strcspn(line, "\n")] = 0;
	line += strspn(line, " ");
	if (starts(line, "client ") || starts(line, "daemon "))
		start_frame(example, line);
	else if (starts(line, "field "))
		read_field(example, line);
	else if (starts(line, "body "))
		read_body(example, line);
	else if (starts(line, "entry "))
		read_entry(example, line);
	else if (starts(line, "tag "))
		read_tag(example, line);
	else if (starts(line, "item "))
		read_item(example, line);
	else if (starts(line, "value "))
		read_value(example, line);
	else if (starts(line, "= "))
		read_wire(line + 1, &example->wire);
	else if (*line && *line != '#')
		fail_msg("%s: %s", example->file, line);
}

static void
check_file(const char *path)
{
	struct example *example = calloc(1, sizeof(*example));
	FILE *file = fopen(path, "r");
	char line[RUN_MAX];

	assert_non_null(example);
	assert_non_null(file);
	print_message("%s\n", path);
	example->file = path;
	while (fgets(line, sizeof(line), file))
		read_line(example, line);
	finish_frame(example);
	fclose(file);
	free(example);
}

static void
every_example_is_read_and_written_byte_for_byte(void **state)
{
	glob_t files;

	(void)state;
	assert_int_equal(glob(FOLDER "*.txt", 0, NULL, &files), 0);
	for (size_t i = 0; i < files.gl_pathc; i++)
		if (strcmp(files.gl_pathv[i], FOLDER "keys.txt") != 0)
			check_file(files.gl_pathv[i]);
	globfree(&files);
	assert_true(frames_checked >= 80);
}

/* ---- keys */

static void encode_item(const char **at, struct run *ret_run);

static void
encode_tuple(const char **at, struct run *ret_run)
{
	run_add(ret_run, &(uint8_t){ KEY_TUPLE }, 1);
	for (*at += 1; **at != ')'; *at += strspn(*at, " ")) {
		struct run *item = calloc(1, sizeof(*item));
		uint8_t len[KEY_LENGTH_MAX];

		encode_item(at, item);
		run_add(ret_run, len, key_encode_length(item->len, len));
		run_add(ret_run, item->bytes, item->len);
		free(item);
	}
	*at += 1;
}

/* An item of a tuple: its form tells its type. */
static void
encode_item(const char **at, struct run *ret_run)
{
	uint8_t bytes[KEY_INT_MAX];
	char *end;

	if (**at == '(') {
		encode_tuple(at, ret_run);
	} else if (**at == '"') {
		read_run(at, ret_run);
	} else if (starts(*at, "true")) {
		run_add(ret_run, (uint8_t[]){ KEY_BOOL, 1 }, 2);
		*at += strlen("true");
	} else if (starts(*at, "none")) {
		run_add(ret_run, &(uint8_t){ KEY_NONE }, 1);
		*at += strlen("none");
	} else {
		run_add(ret_run, bytes, key_encode_int(strtoll(*at, &end, 10), bytes));
		assert_true(end != *at);
		*at = end;
	}
}

static void
encode_typed(const char *type, const char *value, struct run *ret_run)
{
	uint8_t bytes[KEY_FLOAT_SIZE];

	if (strcmp(type, "text") == 0) {
		read_run(&value, ret_run);
	} else if (strcmp(type, "bytes") == 0) {
		run_add(ret_run, &(uint8_t){ KEY_BYTES }, 1);
		read_run(&value, ret_run);
	} else if (strcmp(type, "int") == 0) {
		run_add(ret_run, bytes, key_encode_int(strtoll(value, NULL, 10), bytes));
	} else if (strcmp(type, "float") == 0) {
		run_add(ret_run, bytes, key_encode_float(strtod(value, NULL), bytes));
	} else if (strcmp(type, "bool") == 0) {
		run_add(ret_run, (uint8_t[]){ KEY_BOOL, starts(value, "true") }, 2);
	} else if (strcmp(type, "none") == 0) {
		run_add(ret_run, &(uint8_t){ KEY_NONE }, 1);
	} else {
		assert_string_equal(type, "tuple");
		encode_tuple(&value, ret_run);
	}
}

static void
check_key(char *line)
{
	struct run encoding = { .len = 0 }, expected = { .len = 0 };
	struct key_builder builder;
	char *bytes = strstr(line, " = "), type[8];
	struct slice key;
	int used = 0;

	assert_non_null(bytes);
	*bytes = 0;
	read_wire(bytes + 2, &expected);
	assert_int_equal(sscanf(line, "key %7s %n", type, &used), 1);
	encode_typed(type, used ? line + used : "", &encoding);
	key_begin(&builder);
	key_add(&builder, encoding.bytes, encoding.len);
	key = key_end(&builder);
	if (!slice_equal(key, run_slice(&expected)))
		fail_msg("%s", line);
	assert_true(key_valid(key));
}

static void
every_example_of_a_key_is_encoded_byte_for_byte(void **state)
{
	FILE *file = fopen(FOLDER "keys.txt", "r");
	char line[RUN_MAX];
	unsigned checked = 0;

	(void)state;
	assert_non_null(file);
	while (fgets(line, sizeof(line), file)) {
		line[strcspn(line, "\n")] = 0;
		if (line[0] == '#')
			continue;
		check_key(line);
		checked++;
	}
	fclose(file);
	assert_true(checked >= 30);
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_example_is_read_and_written_byte_for_byte),
		cmocka_unit_test(every_example_of_a_key_is_encoded_byte_for_byte),
	};

	return unit_run(tests);
}
