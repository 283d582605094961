/* test_message.c - headers: what is read, what is refused, what is written.
 *
 * The oracle is msgpack-c's own unpacker: on random headers, valid and mutated, both must take the same
 * ones, read the same values, and differ only where PROTOCOL.md says so. */
#include "tests/unit/unit.h"

#include <string.h>

#include <msgpack.h>
#include <sys/random.h>

#include "proto/message.h"

static int
decode(struct slice from, struct message *ret_message)
{
	unsigned field = 0;

	return message_decode(from, ret_message, &field);
}

#define DECODE(text, ret_message) decode(slice(text, sizeof(text) - 1), ret_message)

static void
an_empty_header_is_an_empty_map(void **state)
{
	struct message message;

	(void)state;
	assert_int_equal(decode(slice(NULL, 0), &message), MESSAGE_OK);
	assert_true(message.present[0] == 0 && message.present[1] == 0);
	assert_int_equal(DECODE("\x80", &message), MESSAGE_OK);
	assert_int_equal(DECODE("\xde\x00\x00", &message), MESSAGE_OK);
}

static void
fields_arrive_in_their_members(void **state)
{
	struct message message;

	(void)state;
	assert_int_equal(
		DECODE("\x84\x01\xa3web\x02\xc4\x02k\xff\x03\xcd\x03\xe8\x51\x2a",
		       &message),
		MESSAGE_OK);
	assert_true(message_has(&message, FIELD_NAMESPACE));
	assert_true(slice_equal(message.namespace, slice_text("web")));
	assert_true(slice_equal(message.key, slice_text("k\xff")));
	assert_int_equal(message.ttl_ms, 1000);
	assert_true(message_has(&message, FIELD_FEATURES));
	assert_int_equal(message.features, 42);
	assert_false(message_has(&message, FIELD_CODEC));
	assert_int_equal(message.codec, 0);
}

static void
a_number_may_have_any_format_that_holds_it(void **state)
{
	static const struct slice forms[] = {
		{ "\x81\x03\x05", 3 },
		{ "\x81\x03\xcc\x05", 4 },
		{ "\x81\x03\xcd\x00\x05", 5 },
		{ "\x81\x03\xce\x00\x00\x00\x05", 7 },
		{ "\x81\x03\xcf\x00\x00\x00\x00\x00\x00\x00\x05", 11 },
		{ "\x81\x03\xd0\x05", 4 },
		{ "\x81\x03\xd1\x00\x05", 5 },
		{ "\x81\x03\xd2\x00\x00\x00\x05", 7 },
		{ "\x81\x03\xd3\x00\x00\x00\x00\x00\x00\x00\x05", 11 },
		{ "\x81\xcd\x00\x03\x05", 5 }, /* the field's number too */
		{ "\xde\x00\x01\x03\x05", 5 },
	};
	struct message message;

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		assert_int_equal(decode(forms[i], &message), MESSAGE_OK);
		assert_int_equal(message.ttl_ms, 5);
	}
}

static void
what_is_not_a_plain_number_is_malformed(void **state)
{
	static const struct slice forms[] = {
		{ "\x81\x03\xff", 3 },
		{ "\x81\x03\xd0\x80", 4 },
		{ "\x81\x03\xd1\xff\xff", 5 },
		{ "\x81\x03\xd2\x80\x00\x00\x00", 7 },
		{ "\x81\x03\xc0", 3 },
		{ "\x81\x03\xc3", 3 },
		{ "\x81\x03\xa1"
		  "5",
		  4 },
		{ "\x81\x03\xca\x40\xa0\x00\x00", 7 },
		{ "\x81\x03\x90", 3 },
		{ "\x81\x03\xd3\xff\0\0\0\0\0\0\0", 11 },
		{ "\x81\xff\x05", 3 },
		{ "\x81\xa1"
		  "3\x05",
		  4 },
	};
	struct message message;

	(void)state;
	for (size_t i = 0; i < sizeof(forms) / sizeof(forms[0]); i++)
		assert_int_equal(decode(forms[i], &message), MESSAGE_MALFORMED);
}

static void
bytes_may_be_bin_or_str_but_text_is_str(void **state)
{
	struct message message;

	(void)state;
	assert_int_equal(DECODE("\x81\x02\xa1k", &message), MESSAGE_OK);
	assert_int_equal(DECODE("\x81\x02\xd9\x01k", &message), MESSAGE_OK);
	assert_int_equal(DECODE("\x81\x02\xda\x00\x01k", &message), MESSAGE_OK);
	assert_int_equal(DECODE("\x81\x02\xdb\x00\x00\x00\x01k", &message), MESSAGE_OK);
	assert_int_equal(DECODE("\x81\x02\xc4\x01k", &message), MESSAGE_OK);
	assert_int_equal(DECODE("\x81\x02\xc5\x00\x01k", &message), MESSAGE_OK);
	assert_int_equal(DECODE("\x81\x02\xc6\x00\x00\x00\x01k", &message), MESSAGE_OK);
	assert_true(slice_equal(message.key, slice_text("k")));
	assert_int_equal(DECODE("\x81\x01\xd9\x01n", &message), MESSAGE_OK);
	assert_int_equal(DECODE("\x81\x01\xc4\x01n", &message), MESSAGE_MALFORMED);
	assert_int_equal(DECODE("\x81\x02\x05", &message), MESSAGE_MALFORMED);
}

static void
a_run_longer_than_the_header_is_malformed(void **state)
{
	struct message message;

	(void)state;
	assert_int_equal(DECODE("\x81\x02\xc4\x02k", &message), MESSAGE_MALFORMED);
	assert_int_equal(DECODE("\x81\x02\xc6\xff\xff\xff\xffk", &message),
			 MESSAGE_MALFORMED);
	assert_int_equal(DECODE("\x81\x28\xc9\xff\xff\xff\xff\x01k", &message),
			 MESSAGE_MALFORMED);
	assert_int_equal(DECODE("\x81\x28\xdb\xff\xff\xff\xff", &message),
			 MESSAGE_MALFORMED);
}

static void
a_field_given_twice_is_malformed(void **state)
{
	struct message message;

	(void)state;
	assert_int_equal(DECODE("\x82\x03\x05\x03\x05", &message), MESSAGE_MALFORMED);
}

static void
trailing_bytes_are_malformed(void **state)
{
	struct message message;

	(void)state;
	assert_int_equal(DECODE("\x81\x03\x05\x00", &message), MESSAGE_MALFORMED);
	assert_int_equal(DECODE("\x80\xc0", &message), MESSAGE_MALFORMED);
}

static void
a_header_that_is_no_map_is_malformed(void **state)
{
	struct message message;

	(void)state;
	assert_int_equal(DECODE("\x90", &message), MESSAGE_MALFORMED);
	assert_int_equal(DECODE("\xc0", &message), MESSAGE_MALFORMED);
	assert_int_equal(DECODE("\x05", &message), MESSAGE_MALFORMED);
	assert_int_equal(DECODE("\xdf\x00\x00\x00\x00", &message), MESSAGE_MALFORMED);
}

static void
arrays_and_maps_of_32_bits_are_malformed_anywhere(void **state)
{
	struct message message;

	(void)state;
	assert_int_equal(DECODE("\x81\xcc\x82\xdc\x00\x00", &message), MESSAGE_OK);
	assert_int_equal(DECODE("\x81\xcc\x82\xdd\x00\x00\x00\x00", &message),
			 MESSAGE_MALFORMED);
	assert_int_equal(DECODE("\x81\xcc\x82\x91\xdf\x00\x00\x00\x00", &message),
			 MESSAGE_MALFORMED);
}

static void
containers_nest_four_deep_and_no_deeper(void **state)
{
	struct message message;

	(void)state;
	assert_int_equal(DECODE("\x81\xcc\x82\x91\x91\x91\x05", &message), MESSAGE_OK);
	assert_int_equal(DECODE("\x81\xcc\x82\x91\x81\x05\xdc\x00\x00", &message),
			 MESSAGE_OK);
	assert_int_equal(DECODE("\x81\xcc\x82\x91\x91\x91\x90", &message),
			 MESSAGE_MALFORMED);
	assert_int_equal(DECODE("\x81\xcc\x82\x91\x91\x91\x80", &message),
			 MESSAGE_MALFORMED);
}

static void
more_than_64_fields_are_malformed(void **state)
{
	uint8_t bytes[3 + 3 * 65] = { 0xde, 0 };
	struct message message;

	(void)state;
	for (size_t i = 0; i < 65; i++)
		memcpy(bytes + 3 + 3 * i, (uint8_t[]){ 0xcc, (uint8_t)(128 + i), 0xc0 },
		       3);
	bytes[2] = 64;
	assert_int_equal(decode(slice(bytes, 3 + 3 * 64), &message), MESSAGE_OK);
	bytes[2] = 65;
	assert_int_equal(decode(slice(bytes, 3 + 3 * 65), &message), MESSAGE_MALFORMED);
}

static void
an_unknown_field_below_128_is_told_and_the_rest_is_read(void **state)
{
	static const char bytes[] = "\x84\x1e\x91\xc0\x03\x05\x7f\x01\x04\x06";
	struct message message;
	unsigned field = 0;

	(void)state;
	assert_int_equal(
		message_decode(slice(bytes, sizeof(bytes) - 1), &message, &field),
		MESSAGE_UNKNOWN);
	assert_int_equal(field, 30);
	assert_int_equal(message.ttl_ms, 5);
	assert_int_equal(message.codec, 6);
}

static void
an_unknown_field_from_128_on_is_passed_over(void **state)
{
	struct message message;
	unsigned field = 4711;
	static const char bytes[] =
		"\x83\xcc\x80\x91\xc0\xcf\xff\xff\xff\xff\xff\xff\xff\xff\xa1x"
		"\x03\x05";

	(void)state;
	assert_int_equal(
		message_decode(slice(bytes, sizeof(bytes) - 1), &message, &field),
		MESSAGE_OK);
	assert_int_equal(field, 4711);
	assert_int_equal(message.ttl_ms, 5);
}

static void
rubbish_in_a_passed_over_field_is_still_malformed(void **state)
{
	struct message message;

	(void)state;
	assert_int_equal(DECODE("\x81\xcc\x80\xc1", &message), MESSAGE_MALFORMED);
	assert_int_equal(DECODE("\x81\xcc\x80", &message), MESSAGE_MALFORMED);
	assert_int_equal(DECODE("\x81\xcc\x80\x92\xc0", &message), MESSAGE_MALFORMED);
}

static void
fields_are_written_in_ascending_order_and_shortest_form(void **state)
{
	static const char expected[] =
		"\x85\x01\xa1n\x02\xc4\x01k\x03\xcd\x01\x00\x40\x00\x51\x7f";
	struct message message = { 0 };
	uint8_t bytes[64];

	(void)state;
	MESSAGE_SET(&message, FEATURES, features, 127);
	MESSAGE_SET(&message, STATUS, status, 0);
	MESSAGE_SET(&message, TTL, ttl_ms, 256);
	MESSAGE_SET(&message, KEY, key, slice_text("k"));
	MESSAGE_SET(&message, NAMESPACE, namespace, slice_text("n"));
	assert_int_equal(message_encode(&message, bytes, sizeof(bytes)),
			 sizeof(expected) - 1);
	assert_memory_equal(bytes, expected, sizeof(expected) - 1);
}

static void
a_message_without_fields_is_one_byte(void **state)
{
	struct message message = { 0 };
	uint8_t byte;

	(void)state;
	assert_int_equal(message_encode(&message, &byte, 1), 1);
	assert_int_equal(byte, 0x80);
	assert_int_equal(message_encode(&message, &byte, 0), 0);
}

static void
a_command_knows_its_fields_and_no_others(void **state)
{
	uint64_t fields;

	(void)state;
	assert_true(message_command_fields(COMMAND_SCAN, &fields));
	assert_true(fields == (1ull << FIELD_NAMESPACE | 1ull << FIELD_PREFIX |
			       1ull << FIELD_CURSOR | 1ull << FIELD_LIMIT));
	assert_true(message_command_fields(COMMAND_DELETE, &fields));
	assert_true(fields == (1ull << FIELD_NAMESPACE | 1ull << FIELD_KEY |
			       1ull << FIELD_VERSION | 1ull << FIELD_ACK));
	assert_true(message_command_fields(COMMAND_PING, &fields));
	assert_true(fields == 0);
	assert_false(message_command_fields(0, &fields));
	assert_false(message_command_fields(99, &fields));
	assert_false(message_command_fields(255, &fields));
	assert_false(message_command_fields(UINT32_MAX, &fields));
	assert_string_equal(message_command_name(COMMAND_GET), "GET");
	assert_string_equal(message_command_name(0), "UNKNOWN");
	assert_string_equal(message_command_name(200), "UNKNOWN");
}

/* ---- random headers */

static uint64_t random_state;

static uint64_t
random_next(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 7;
	random_state ^= random_state << 17;
	return random_state * 0x2545f4914f6cdd1d;
}

/* Below n. */
static uint64_t
random_below(uint64_t n)
{
	return (random_next() >> 16) % n;
}

static int
start_random(void **state)
{
	const char *given = getenv("BRINE_SEED");

	(void)state;
	if (given)
		random_state = strtoull(given, NULL, 0);
	else if (getrandom(&random_state, sizeof(random_state), 0) !=
		 sizeof(random_state))
		return -1;
	random_state |= 1;
	print_message("BRINE_SEED=%#llx\n", (unsigned long long)random_state);
	return 0;
}

enum oracle_type {
	NUMBER,
	BYTES,
	TEXT,
};

/* A second reading of fields.def, so that the test does not believe the tables of message.c. */
static const struct oracle_field {
	unsigned number;
	enum oracle_type type;
	size_t offset;
} oracle_fields[] = {
#define F(name, member, number, type, text)                                              \
	{ number, type, offsetof(struct message, member) },
#include "proto/fields.def"
#undef F
};

#define ORACLE_FIELDS (sizeof(oracle_fields) / sizeof(oracle_fields[0]))

static const struct oracle_field *
oracle_find(uint64_t number)
{
	for (size_t i = 0; i < ORACLE_FIELDS; i++)
		if (oracle_fields[i].number == number)
			return &oracle_fields[i];
	return NULL;
}

#define HEADER_MAX 4096

static void
pack_random_run(msgpack_packer *packer)
{
	static const char filler[300];
	size_t len = random_below(8) ? random_below(40) : random_below(sizeof(filler));

	if (random_below(2)) {
		msgpack_pack_bin(packer, len);
		msgpack_pack_bin_body(packer, filler, len);
	} else {
		msgpack_pack_str(packer, len);
		msgpack_pack_str_body(packer, filler, len);
	}
}

static void pack_random(msgpack_packer *packer, unsigned depth);

static void
pack_random_container(msgpack_packer *packer, unsigned depth)
{
	size_t count = random_below(10) ? random_below(3) : 16 + random_below(4);
	bool map = random_below(2);

	if (map)
		msgpack_pack_map(packer, count);
	else
		msgpack_pack_array(packer, count);
	for (size_t i = 0; i < count * (map ? 2 : 1); i++)
		pack_random(packer, depth + 1);
}

static void
pack_random(msgpack_packer *packer, unsigned depth)
{
	size_t len;

	switch (random_below(depth < 6 ? 11 : 8)) {
	case 0:
		msgpack_pack_nil(packer);
		break;
	case 1:
		msgpack_pack_true(packer);
		break;
	case 2:
		msgpack_pack_double(packer, 0.5);
		break;
	case 3:
		msgpack_pack_int64(packer, (int64_t)(random_next() >> random_below(64)));
		break;
	case 4:
		msgpack_pack_int64(packer,
				   -(int64_t)random_below(1u << random_below(32)));
		break;
	case 5:
		len = 1 + random_below(20);
		msgpack_pack_ext(packer, len, 5);
		msgpack_pack_ext_body(packer, "twenty bytes at least", len);
		break;
	case 6:
		msgpack_pack_float(packer, 0.5f);
		break;
	case 7:
		pack_random_run(packer);
		break;
	default:
		pack_random_container(packer, depth);
	}
}

static void
pack_random_field(msgpack_packer *packer)
{
	const struct oracle_field *field = &oracle_fields[random_below(ORACLE_FIELDS)];

	if (random_below(6) == 0) {
		msgpack_pack_uint64(packer, random_below(300));
		pack_random(packer, 1);
		return;
	}
	msgpack_pack_uint64(packer, field->number);
	if (random_below(30) == 0) {
		pack_random(packer, 1);
	} else if (field->type == NUMBER) {
		msgpack_pack_uint64(packer, random_next() >> random_below(64));
	} else if (field->type == TEXT) {
		msgpack_pack_str(packer, 3);
		msgpack_pack_str_body(packer, "abc", 3);
	} else {
		pack_random_run(packer);
	}
}

static void
mutate(uint8_t *bytes, size_t *len)
{
	switch (random_below(4)) {
	case 0:
		*len = random_below(*len + 1);
		break;
	case 1:
		if (*len < HEADER_MAX)
			bytes[(*len)++] = (uint8_t)random_next();
		break;
	case 2:
		if (*len)
			bytes[random_below(*len)] = (uint8_t)random_next();
		break;
	default:
		if (*len)
			bytes[random_below(*len)] ^= (uint8_t)(1u << random_below(8));
	}
}

/* One random header. msgpack-c allocates what a 32-bit array or map announces, gigabytes even, so these
 * two tags never come before it; the tests above have them. */
static size_t
random_header(uint8_t bytes[HEADER_MAX])
{
	msgpack_sbuffer buffer;
	msgpack_packer packer;
	size_t count = random_below(random_below(20) ? 5 : 70), len;

	msgpack_sbuffer_init(&buffer);
	msgpack_packer_init(&packer, &buffer, msgpack_sbuffer_write);
	msgpack_pack_map(&packer, count);
	for (size_t i = 0; i < count; i++)
		pack_random_field(&packer);
	len = buffer.size < HEADER_MAX ? buffer.size : HEADER_MAX;
	memcpy(bytes, buffer.data, len);
	msgpack_sbuffer_destroy(&buffer);
	if (random_below(2))
		for (size_t i = random_below(4); i > 0; i--)
			mutate(bytes, &len);
	for (size_t i = 0; i < len; i++)
		if (bytes[i] == 0xdd || bytes[i] == 0xdf)
			bytes[i]--;
	return len;
}

static unsigned
tree_depth(const msgpack_object *object)
{
	unsigned deepest = 0, depth;

	if (object->type == MSGPACK_OBJECT_ARRAY) {
		for (uint32_t i = 0; i < object->via.array.size; i++) {
			depth = tree_depth(&object->via.array.ptr[i]);
			deepest = depth > deepest ? depth : deepest;
		}
		return deepest + 1;
	}
	if (object->type == MSGPACK_OBJECT_MAP) {
		for (uint32_t i = 0; i < object->via.map.size; i++) {
			depth = tree_depth(&object->via.map.ptr[i].key);
			deepest = depth > deepest ? depth : deepest;
			depth = tree_depth(&object->via.map.ptr[i].val);
			deepest = depth > deepest ? depth : deepest;
		}
		return deepest + 1;
	}
	return 0;
}

static bool
oracle_value(const struct oracle_field *field, const msgpack_object *value,
	     struct message *message)
{
	char *member = (char *)message + field->offset;

	if (field->type == NUMBER) {
		memcpy(member, &value->via.u64, sizeof(value->via.u64));
		return value->type == MSGPACK_OBJECT_POSITIVE_INTEGER;
	}
	if (value->type == MSGPACK_OBJECT_STR)
		*(struct slice *)member = slice(value->via.str.ptr, value->via.str.size);
	else if (value->type == MSGPACK_OBJECT_BIN && field->type == BYTES)
		*(struct slice *)member = slice(value->via.bin.ptr, value->via.bin.size);
	else
		return false;
	return true;
}

/* What PROTOCOL.md says about the tree that msgpack-c made. */
static int
oracle_judge(const msgpack_object *root, struct message *ret_message, unsigned *ret_field)
{
	int result = MESSAGE_OK;

	if (root->type != MSGPACK_OBJECT_MAP || root->via.map.size > MESSAGE_FIELDS_MAX ||
	    tree_depth(root) > MESSAGE_DEPTH_MAX)
		return MESSAGE_MALFORMED;
	for (uint32_t i = 0; i < root->via.map.size; i++) {
		const msgpack_object_kv *pair = &root->via.map.ptr[i];
		const struct oracle_field *field;

		if (pair->key.type != MSGPACK_OBJECT_POSITIVE_INTEGER)
			return MESSAGE_MALFORMED;
		field = oracle_find(pair->key.via.u64);
		if (!field && pair->key.via.u64 < 128 && result == MESSAGE_OK) {
			result = MESSAGE_UNKNOWN;
			*ret_field = (unsigned)pair->key.via.u64;
		}
		if (!field)
			continue;
		if (message_has(ret_message, (enum field)field->number) ||
		    !oracle_value(field, &pair->val, ret_message))
			return MESSAGE_MALFORMED;
		message_mark(ret_message, (enum field)field->number);
	}
	return result;
}

static int
oracle_decode(struct slice from, struct message *ret_message, unsigned *ret_field)
{
	msgpack_unpacked unpacked;
	size_t offset = 0;
	int result = MESSAGE_MALFORMED;

	memset(ret_message, 0, sizeof(*ret_message));
	if (from.len == 0)
		return MESSAGE_OK;
	msgpack_unpacked_init(&unpacked);
	if (msgpack_unpack_next(&unpacked, from.data, from.len, &offset) ==
		    MSGPACK_UNPACK_SUCCESS &&
	    offset == from.len)
		result = oracle_judge(&unpacked.data, ret_message, ret_field);
	msgpack_unpacked_destroy(&unpacked);
	return result;
}

static void
check_same(const struct message *a, const struct message *b)
{
	assert_memory_equal(a->present, b->present, sizeof(a->present));
	for (size_t i = 0; i < ORACLE_FIELDS; i++) {
		const char *in_a = (const char *)a + oracle_fields[i].offset;
		const char *in_b = (const char *)b + oracle_fields[i].offset;

		if (oracle_fields[i].type == NUMBER)
			assert_memory_equal(in_a, in_b, sizeof(uint64_t));
		else
			assert_true(slice_equal(*(const struct slice *)in_a,
						*(const struct slice *)in_b));
	}
}

#define ROUNDS 100000

static void
the_walk_takes_what_msgpack_c_takes(void **state)
{
	unsigned outcomes[3] = { 0 };

	(void)state;
	for (unsigned round = 0; round < ROUNDS; round++) {
		uint8_t bytes[HEADER_MAX];
		size_t len = random_header(bytes);
		/* Its own allocation, so that a read past the end is seen. */
		uint8_t *exact = malloc(len ? len : 1);
		struct message message, expected;
		unsigned field = 0, expected_field = 0;
		int result, expected_result;

		memcpy(exact, bytes, len);
		result = message_decode(slice(exact, len), &message, &field);
		expected_result =
			oracle_decode(slice(exact, len), &expected, &expected_field);
		assert_int_equal(result, expected_result);
		if (result == MESSAGE_UNKNOWN)
			assert_int_equal(field, expected_field);
		if (result != MESSAGE_MALFORMED)
			check_same(&message, &expected);
		outcomes[-result]++;
		free(exact);
	}
	/* All three must have been tried in earnest. */
	for (unsigned i = 0; i < 3; i++)
		assert_in_range(outcomes[i], ROUNDS / 50, ROUNDS);
}

static void
random_message(struct message *ret_message)
{
	static const char filler[200] = "filler";
	struct message message = { 0 };

	for (size_t i = 0; i < ORACLE_FIELDS; i++) {
		char *member = (char *)&message + oracle_fields[i].offset;

		if (random_below(3))
			continue;
		message_mark(&message, (enum field)oracle_fields[i].number);
		if (oracle_fields[i].type == NUMBER)
			*(uint64_t *)member = random_next() >> random_below(64);
		else
			*(struct slice *)member =
				slice(filler, random_below(sizeof(filler)));
	}
	*ret_message = message;
}

static void
a_message_that_was_written_is_read_as_it_was(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 20000; round++) {
		uint8_t bytes[HEADER_MAX], again[HEADER_MAX];
		struct message message, read;
		size_t len;

		random_message(&message);
		len = message_encode(&message, bytes, sizeof(bytes));
		assert_true(len > 0);
		assert_int_equal(decode(slice(bytes, len), &read), MESSAGE_OK);
		check_same(&read, &message);
		assert_int_equal(message_encode(&read, again, len), len);
		assert_memory_equal(again, bytes, len);
	}
}

static void
a_message_that_does_not_fit_writes_nothing_past_the_end(void **state)
{
	(void)state;
	for (unsigned round = 0; round < 100; round++) {
		uint8_t bytes[HEADER_MAX];
		struct message message;
		size_t len;

		random_message(&message);
		len = message_encode(&message, bytes, sizeof(bytes));
		for (size_t size = 0; size < len; size++) {
			bytes[size] = 0x5a;
			assert_int_equal(message_encode(&message, bytes, size), 0);
			assert_int_equal(bytes[size], 0x5a);
		}
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_empty_header_is_an_empty_map),
		cmocka_unit_test(fields_arrive_in_their_members),
		cmocka_unit_test(a_number_may_have_any_format_that_holds_it),
		cmocka_unit_test(what_is_not_a_plain_number_is_malformed),
		cmocka_unit_test(bytes_may_be_bin_or_str_but_text_is_str),
		cmocka_unit_test(a_run_longer_than_the_header_is_malformed),
		cmocka_unit_test(a_field_given_twice_is_malformed),
		cmocka_unit_test(trailing_bytes_are_malformed),
		cmocka_unit_test(a_header_that_is_no_map_is_malformed),
		cmocka_unit_test(arrays_and_maps_of_32_bits_are_malformed_anywhere),
		cmocka_unit_test(containers_nest_four_deep_and_no_deeper),
		cmocka_unit_test(more_than_64_fields_are_malformed),
		cmocka_unit_test(an_unknown_field_below_128_is_told_and_the_rest_is_read),
		cmocka_unit_test(an_unknown_field_from_128_on_is_passed_over),
		cmocka_unit_test(rubbish_in_a_passed_over_field_is_still_malformed),
		cmocka_unit_test(fields_are_written_in_ascending_order_and_shortest_form),
		cmocka_unit_test(a_message_without_fields_is_one_byte),
		cmocka_unit_test(a_command_knows_its_fields_and_no_others),
		cmocka_unit_test(the_walk_takes_what_msgpack_c_takes),
		cmocka_unit_test(a_message_that_was_written_is_read_as_it_was),
		cmocka_unit_test(a_message_that_does_not_fit_writes_nothing_past_the_end),
	};

	return unit_run_with(tests, start_random, NULL);
}
