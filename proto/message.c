/* message.c - headers to structs and back. Pure; owns nothing; any thread.
 *
 * Writing uses msgpack-c's packer. Reading does not use its unpacker: hostile bytes would have to be
 * walked before it may see them (depth, array sizes: it allocates what five bytes ask for), and that
 * walk already meets every field. tests/unit/test_message.c holds the walk against msgpack-c's. */
#include "proto/message.h"

#include <assert.h>

#include <msgpack/pack.h>

#include "proto/bytes.h"

enum field_type {
	TYPE_NONE,
	TYPE_NUMBER,
	TYPE_BYTES,
	TYPE_TEXT,
};

#define FIELDS_END 128

static const struct {
	uint16_t offset;
	uint8_t type;
} fields[FIELDS_END] = {
#define F(name, member, number, type, text)                                              \
	[number] = { offsetof(struct message, member), TYPE_##type },
#include "proto/fields.def"
#undef F
};

static const struct {
	uint64_t fields;
	const char *name;
	enum right right;
} commands[] = {
/* Fields from 64 on are no request's: naming one here does not compile. */
#define F(name) (1ull << FIELD_##name)
#define C(name, number, scope, right, text, fields)                                      \
	[number] = { fields, #name, RIGHT_##right },
#include "proto/commands.def"
#undef C
#undef F
};

/* What is still to be read. */
struct walk {
	const uint8_t *at;
	const uint8_t *end;
};

static bool
take(struct walk *walk, uint64_t len, const uint8_t **ret_at)
{
	if ((uint64_t)(walk->end - walk->at) < len)
		return false;
	*ret_at = walk->at;
	walk->at += len;
	return true;
}

/* A big-endian integer of 1, 2, 4 or 8 bytes. */
static bool
take_number(struct walk *walk, size_t len, uint64_t *ret)
{
	const uint8_t *at;
	uint64_t value = 0;

	if (!take(walk, len, &at))
		return false;
	for (size_t i = 0; i < len; i++)
		value = value << 8 | at[i];
	*ret = value;
	return true;
}

/* Non-negative integers only: no field has a sign. Some languages' encoders write them in the signed
 * formats all the same. */
static bool
read_number(struct walk *walk, uint64_t *ret)
{
	uint64_t tag;
	size_t size;

	if (!take_number(walk, 1, &tag))
		return false;
	if (tag < 0x80) {
		*ret = tag;
		return true;
	}
	if (tag >= 0xcc && tag <= 0xcf)
		return take_number(walk, (size_t)1 << (tag - 0xcc), ret);
	if (tag < 0xd0 || tag > 0xd3)
		return false;
	size = (size_t)1 << (tag - 0xd0);
	return take_number(walk, size, ret) && *ret >> (8 * size - 1) == 0;
}

static bool
read_run(struct walk *walk, uint64_t len, struct slice *ret)
{
	const uint8_t *at;

	if (!take(walk, len, &at))
		return false;
	*ret = slice(at, len);
	return true;
}

/* str or bin. Which of the two does not matter for bytes; text must be str. */
static bool
read_bytes(struct walk *walk, bool text, struct slice *ret)
{
	uint64_t tag, len;

	if (!take_number(walk, 1, &tag))
		return false;
	if (tag >= 0xa0 && tag <= 0xbf)
		return read_run(walk, tag & 0x1f, ret);
	if (tag >= 0xd9 && tag <= 0xdb)
		return take_number(walk, (size_t)1 << (tag - 0xd9), &len) &&
		       read_run(walk, len, ret);
	if (text || tag < 0xc4 || tag > 0xc6)
		return false;
	return take_number(walk, (size_t)1 << (tag - 0xc4), &len) &&
	       read_run(walk, len, ret);
}

static bool skip(struct walk *walk, unsigned depth);

static bool
skip_many(struct walk *walk, uint64_t count, unsigned depth)
{
	if (depth >= MESSAGE_DEPTH_MAX)
		return false;
	while (count--)
		if (!skip(walk, depth + 1))
			return false;
	return true;
}

/* Passes over any value. 32-bit arrays and maps are refused; each element takes a byte at least, so
 * the header's length bounds the work. */
static bool
skip(struct walk *walk, unsigned depth)
{
	static const uint8_t fixed[] = {
		[0xca - 0xc0] = 4, [0xcb - 0xc0] = 8, [0xcc - 0xc0] = 1,
		[0xcd - 0xc0] = 2, [0xce - 0xc0] = 4, [0xcf - 0xc0] = 8,
		[0xd0 - 0xc0] = 1, [0xd1 - 0xc0] = 2, [0xd2 - 0xc0] = 4,
		[0xd3 - 0xc0] = 8, [0xd4 - 0xc0] = 2, [0xd5 - 0xc0] = 3,
		[0xd6 - 0xc0] = 5, [0xd7 - 0xc0] = 9, [0xd8 - 0xc0] = 17,
	};
	struct slice run;
	uint64_t tag, len;

	if (!take_number(walk, 1, &tag))
		return false;
	if (tag < 0x80 || tag >= 0xe0)
		return true;
	if (tag < 0xa0)
		return skip_many(walk, (tag & 0x0f) * (tag < 0x90 ? 2 : 1), depth);
	if (tag < 0xc0)
		return read_run(walk, tag & 0x1f, &run);
	switch (tag) {
	case 0xc1: /* never used */
	case 0xdd: /* array 32 */
	case 0xdf: /* map 32 */
		return false;
	case 0xc4:
	case 0xc5:
	case 0xc6: /* bin */
		return take_number(walk, (size_t)1 << (tag - 0xc4), &len) &&
		       read_run(walk, len, &run);
	case 0xc7:
	case 0xc8:
	case 0xc9: /* ext: a type byte follows the length */
		return take_number(walk, (size_t)1 << (tag - 0xc7), &len) &&
		       read_run(walk, len + 1, &run);
	case 0xd9:
	case 0xda:
	case 0xdb: /* str */
		return take_number(walk, (size_t)1 << (tag - 0xd9), &len) &&
		       read_run(walk, len, &run);
	case 0xdc:
		return take_number(walk, 2, &len) && skip_many(walk, len, depth);
	case 0xde:
		return take_number(walk, 2, &len) && skip_many(walk, 2 * len, depth);
	default:
		return read_run(walk, fixed[tag - 0xc0], &run);
	}
}

static bool
read_map_size(struct walk *walk, uint64_t *ret_count)
{
	uint64_t tag;

	if (!take_number(walk, 1, &tag))
		return false;
	if (tag >= 0x80 && tag <= 0x8f) {
		*ret_count = tag & 0x0f;
		return true;
	}
	return tag == 0xde && take_number(walk, 2, ret_count);
}

static bool
read_field(struct walk *walk, uint64_t field, struct message *message)
{
	char *member = (char *)message + fields[field].offset;

	if (message_has(message, (enum field)field))
		return false; /* twice */
	message_mark(message, (enum field)field);
	switch (fields[field].type) {
	case TYPE_NUMBER:
		return read_number(walk, (uint64_t *)member);
	case TYPE_BYTES:
		return read_bytes(walk, false, (struct slice *)member);
	default:
		return read_bytes(walk, true, (struct slice *)member);
	}
}

int
message_decode(struct slice from, struct message *ret_message, unsigned *ret_field)
{
	struct walk walk = { .at = from.data };
	uint64_t count, field;
	int result = MESSAGE_OK;

	memset(ret_message, 0, sizeof(*ret_message));
	if (from.len == 0)
		return MESSAGE_OK;
	walk.end = walk.at + from.len;
	if (!read_map_size(&walk, &count) || count > MESSAGE_FIELDS_MAX)
		return MESSAGE_MALFORMED;
	while (count--) {
		if (!read_number(&walk, &field))
			return MESSAGE_MALFORMED;
		if (field < FIELDS_END && fields[field].type != TYPE_NONE) {
			if (!read_field(&walk, field, ret_message))
				return MESSAGE_MALFORMED;
			continue;
		}
		if (field < FIELD_OPTIONAL && result == MESSAGE_OK) {
			result = MESSAGE_UNKNOWN;
			*ret_field = (unsigned)field;
		}
		if (!skip(&walk, 1))
			return MESSAGE_MALFORMED;
	}
	return walk.at == walk.end ? result : MESSAGE_MALFORMED;
}

/* Where the packer writes; a write that does not fit makes the whole encoding fail. */
struct output {
	uint8_t *at;
	uint8_t *end;
};

static int
append(void *to, const char *from, size_t len)
{
	struct output *output = to;

	if ((size_t)(output->end - output->at) < len)
		return -1;
	memcpy(output->at, from, len);
	output->at += len;
	return 0;
}

static int
pack_field(msgpack_packer *packer, const struct message *message, unsigned field)
{
	const char *member = (const char *)message + fields[field].offset;
	const struct slice *run = (const struct slice *)member;

	assert(fields[field].type != TYPE_NONE);
	if (msgpack_pack_uint8(packer, (uint8_t)field))
		return -1;
	switch (fields[field].type) {
	case TYPE_NUMBER:
		return msgpack_pack_uint64(packer, *(const uint64_t *)member);
	case TYPE_BYTES:
		return msgpack_pack_bin(packer, run->len) ||
		       (run->len && msgpack_pack_bin_body(packer, run->data, run->len));
	default:
		return msgpack_pack_str(packer, run->len) ||
		       (run->len && msgpack_pack_str_body(packer, run->data, run->len));
	}
}

size_t
message_encode(const struct message *message, uint8_t *to, size_t size)
{
	struct output output = { to, to + size };
	msgpack_packer packer;
	int count = __builtin_popcountll(message->present[0]) +
		    __builtin_popcountll(message->present[1]);

	msgpack_packer_init(&packer, &output, append);
	if (msgpack_pack_map(&packer, (size_t)count))
		return 0;
	for (unsigned word = 0; word < 2; word++) {
		for (uint64_t left = message->present[word]; left; left &= left - 1) {
			unsigned field = 64 * word + (unsigned)__builtin_ctzll(left);

			if (pack_field(&packer, message, field))
				return 0;
		}
	}
	return (size_t)(output.at - to);
}

#define COMMAND_COUNT (sizeof(commands) / sizeof(commands[0]))

enum right
message_command_right(unsigned kind)
{
	return kind < sizeof(commands) / sizeof(commands[0]) ? commands[kind].right
							     : RIGHT_WRITE;
}

bool
message_command_fields(unsigned kind, uint64_t *ret_fields)
{
	if (kind >= COMMAND_COUNT || !commands[kind].name)
		return false;
	*ret_fields = commands[kind].fields;
	return true;
}

const char *
message_command_name(unsigned kind)
{
	if (kind >= COMMAND_COUNT || !commands[kind].name)
		return "UNKNOWN";
	return commands[kind].name;
}

unsigned
message_surplus(const struct message *message, uint64_t allowed)
{
	uint64_t surplus = message->present[0] & ~allowed;

	if (surplus)
		return (unsigned)__builtin_ctzll(surplus);
	if (message->present[1])
		return 64 + (unsigned)__builtin_ctzll(message->present[1]);
	return 0;
}
