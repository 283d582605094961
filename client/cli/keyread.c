/* keyread.c - reads keys that people wrote, Python's literals among them. Pure. */
#include "client/cli/keytext.h"

#include <ctype.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/base64.h"
#include "client/cli/units.h"
#include "client/cli/utf8.h"

/* Tuples within tuples. */
#define DEPTH_MAX 64

/* An encoding as it grows. No piece of a literal is shorter than a third of what it encodes to. */
struct literal {
	const char *next;
	const char *start;
	uint8_t *bytes;
	size_t len, size;
	char *why; /* KEYTEXT_WHY_MAX */
};

static int
refuse(char *why, const char *format, ...)
{
	va_list list;

	va_start(list, format);
	vsnprintf(why, KEYTEXT_WHY_MAX, format, list);
	va_end(list);
	return -1;
}

static int
refuse_literal(struct literal *literal)
{
	size_t at = (size_t)(literal->next - literal->start);

	return refuse(
		literal->why,
		"not a Python literal (at character %zu); write 'a', b'a', 1, 1.5, True, "
		"None or (1, 'a')",
		at + 1);
}

static int
add(struct literal *literal, const void *bytes, size_t len)
{
	if (len > literal->size - literal->len)
		return refuse_literal(literal);
	memcpy(literal->bytes + literal->len, bytes, len);
	literal->len += len;
	return 0;
}

static int
add_byte(struct literal *literal, uint8_t byte)
{
	return add(literal, &byte, 1);
}

static void
skip_blanks(struct literal *literal)
{
	literal->next += strspn(literal->next, " \t\r\n");
}

/* `count` hexadecimal digits. */
static int
read_hex(struct literal *literal, unsigned count, uint32_t *ret_number)
{
	uint32_t number = 0;

	for (unsigned i = 0; i < count; i++, literal->next++) {
		unsigned char letter = (unsigned char)*literal->next;

		if (!isxdigit(letter))
			return refuse_literal(literal);
		number = number << 4 |
			 (uint32_t)(isdigit(letter) ? letter - '0'
						    : (letter | 32) - 'a' + 10);
	}
	*ret_number = number;
	return 0;
}

static int
add_character(struct literal *literal, uint32_t character)
{
	char utf8[4];

	if (character > 0x10ffff || (character >= 0xd800 && character <= 0xdfff))
		return refuse_literal(literal);
	return add(literal, utf8, utf8_write(character, utf8));
}

/* What stands behind a backslash. */
static int
read_escape(struct literal *literal, bool text)
{
	static const char named[] = "n\nr\rt\t'\'\"\"\\\\a\ab\bf\fv\v";
	char letter = *literal->next;
	uint32_t number = 0;

	for (const char *name = named; *name; name += 2)
		if (*name == letter) {
			literal->next++;
			return add_byte(literal, (uint8_t)name[1]);
		}
	if (letter != 'x' && (!text || (letter != 'u' && letter != 'U')))
		return refuse_literal(literal);
	literal->next++;
	if (read_hex(literal, letter == 'x' ? 2 : letter == 'u' ? 4 : 8, &number))
		return -1;
	return text ? add_character(literal, number) : add_byte(literal, (uint8_t)number);
}

static int
read_quoted(struct literal *literal, bool text)
{
	char quote = *literal->next++;

	while (*literal->next != quote) {
		uint8_t byte = (uint8_t)*literal->next;

		if (!byte || (!text && byte >= 0x80))
			return refuse_literal(literal);
		literal->next++;
		if (byte == '\\' ? read_escape(literal, text) : add_byte(literal, byte))
			return -1;
	}
	literal->next++;
	return 0;
}

/* The byte in front of an integer says the sign; it is left out where the next one does, and zero has none. */
static void
drop_sign_bytes(struct literal *literal, size_t at)
{
	uint8_t *bytes = literal->bytes + at;
	size_t len = literal->len - at;

	if (len == 1)
		literal->len--;
	if (len == 1 || (bytes[1] & 0x80) != (bytes[0] & 0x80))
		return;
	memmove(bytes, bytes + 1, len - 1);
	literal->len--;
}

/* Hexadecimal digits of any count, as the shortest two's complement. */
static int
read_hexadecimal(struct literal *literal, bool negative)
{
	size_t digits, len, at;
	uint32_t byte;
	unsigned carry = negative;

	literal->next += 2;
	if (!isxdigit((unsigned char)*literal->next))
		return refuse_literal(literal);
	literal->next += strspn(literal->next, "0");
	digits = strspn(literal->next, "0123456789abcdefABCDEF");
	if (add_byte(literal, BRINE_KEY_INT) || add_byte(literal, 0))
		return -1;
	at = literal->len - 1;
	for (size_t i = 0; i < digits; i += i ? 2 : 2 - digits % 2)
		if (read_hex(literal, i || digits % 2 == 0 ? 2 : 1, &byte) ||
		    add_byte(literal, (uint8_t)byte))
			return -1;
	len = literal->len - at;
	for (size_t i = len; negative && i-- > 0;) {
		carry += (uint8_t)~literal->bytes[at + i];
		literal->bytes[at + i] = (uint8_t)carry;
		carry >>= 8;
	}
	drop_sign_bytes(literal, at);
	return 0;
}

static int
read_number(struct literal *literal)
{
	uint8_t piece[BRINE_KEY_PIECE_MAX];
	size_t len = strspn(literal->next, "+-0123456789.eEinfa");
	char text[64], *end;
	int64_t integer;
	double value;

	if (strncmp(literal->next, "0x", 2) == 0)
		return read_hexadecimal(literal, false);
	if (strncmp(literal->next, "-0x", 3) == 0) {
		literal->next++;
		return read_hexadecimal(literal, true);
	}
	if (!len || len >= sizeof(text))
		return refuse_literal(literal);
	memcpy(text, literal->next, len);
	text[len] = 0;
	if (integer_parse(text, &integer) == 0) {
		literal->next += len;
		return add(literal, piece, brine_key_put_int(integer, piece));
	}
	if (!strpbrk(text, ".einfa"))
		return refuse(
			literal->why,
			"write integers of more than 64 bits in hexadecimal, as 0x1f");
	value = strtod(text, &end);
	if (*end)
		return refuse_literal(literal);
	literal->next += len;
	return add(literal, piece, brine_key_put_float(value, piece));
}

static int read_value(struct literal *literal, unsigned depth);

/* An item is encoded where it will stand, and then makes room for its length. */
static int
read_item(struct literal *literal, unsigned depth)
{
	uint8_t piece[BRINE_KEY_PIECE_MAX];
	size_t at = literal->len, len, size;

	if (read_value(literal, depth))
		return -1;
	len = literal->len - at;
	size = brine_key_put_length(len, piece);
	if (add(literal, piece, size))
		return -1;
	memmove(literal->bytes + at + size, literal->bytes + at, len);
	memcpy(literal->bytes + at, piece, size);
	return 0;
}

static int
read_tuple(struct literal *literal, unsigned depth)
{
	bool comma = true;
	size_t items = 0;

	literal->next++;
	if (depth == DEPTH_MAX)
		return refuse(literal->why, "tuples nested deeper than %d", DEPTH_MAX);
	if (add_byte(literal, BRINE_KEY_TUPLE))
		return -1;
	for (skip_blanks(literal); *literal->next != ')'; skip_blanks(literal)) {
		if (!comma || read_item(literal, depth + 1))
			return comma ? -1 : refuse_literal(literal);
		items++;
		skip_blanks(literal);
		comma = *literal->next == ',';
		literal->next += comma;
	}
	/* (1) is 1, which nobody would write so. */
	if (items == 1 && !comma)
		return refuse(literal->why, "a tuple of one item has a comma: (1,)");
	literal->next++;
	return 0;
}

static bool
take_word(struct literal *literal, const char *word)
{
	size_t len = strlen(word);

	if (strncmp(literal->next, word, len) != 0 ||
	    isalnum((unsigned char)literal->next[len]))
		return false;
	literal->next += len;
	return true;
}

static int
read_value(struct literal *literal, unsigned depth)
{
	const char *next = literal->next;

	if (*next == '\'' || *next == '"')
		return read_quoted(literal, true);
	if (*next == 'b' && (next[1] == '\'' || next[1] == '"')) {
		literal->next++;
		return add_byte(literal, BRINE_KEY_BYTES) || read_quoted(literal, false);
	}
	if (*next == '(')
		return read_tuple(literal, depth);
	if (take_word(literal, "None"))
		return add_byte(literal, BRINE_KEY_NONE);
	if (take_word(literal, "True"))
		return add_byte(literal, BRINE_KEY_BOOL) || add_byte(literal, 1);
	if (take_word(literal, "False"))
		return add_byte(literal, BRINE_KEY_BOOL) || add_byte(literal, 0);
	return read_number(literal);
}

/* Text that was no UTF-8 when it was written is none when it is encoded. */
static int
read_whole(struct literal *literal)
{
	if (!utf8_valid(literal->start, strlen(literal->start)))
		return refuse(literal->why, "not UTF-8");
	skip_blanks(literal);
	if (read_value(literal, 0))
		return literal->why[0] ? -1 : refuse_literal(literal);
	skip_blanks(literal);
	if (*literal->next)
		return refuse_literal(literal);
	if (!literal->len)
		return refuse(literal->why, "an empty text is no key");
	return 0;
}

static int
read_python(const char *written, struct brine_key *key, const void **ret_key,
	    size_t *ret_len, char *why)
{
	struct literal literal = { .next = written, .start = written, .why = why };
	int result;

	/* The worst is (1,1,1): three bytes for two letters. A float takes at least two letters. */
	literal.size = 5 * strlen(written) + 64;
	literal.bytes = malloc(literal.size);
	if (!literal.bytes)
		return refuse(why, "out of memory");
	result = read_whole(&literal);
	if (result == 0) {
		brine_key_begin(key);
		brine_key_add(key, literal.bytes, literal.len);
		*ret_len = brine_key_end(key, ret_key);
	}
	free(literal.bytes);
	return result ? -1 : 0;
}

static int
read_base64(const char *written, struct brine_key *key, const void **ret_key,
	    size_t *ret_len, char *why)
{
	unsigned char *bytes = key->opaque.bytes;
	size_t len;

	_Static_assert(sizeof(key->opaque.bytes) >= BRINE_KEY_MAX, "a key fits");
	if (base64_decode(written, strlen(written), bytes, BRINE_KEY_MAX, &len))
		return refuse(why, "not base64, or of more than %d bytes", BRINE_KEY_MAX);
	*ret_key = bytes;
	*ret_len = len;
	return 0;
}

/* What is not UTF-8 but a key can only have come from keys --null. */
static int
read_text(const char *written, struct brine_key *key, const void **ret_key,
	  size_t *ret_len, char *why)
{
	size_t len = strlen(written);

	if (utf8_valid(written, len)) {
		*ret_len = brine_key_text(key, written, len, ret_key);
		return 0;
	}
	if (!brine_key_valid(written, len))
		return refuse(why, "not UTF-8; for a key of other bytes see --key-as");
	*ret_key = written;
	*ret_len = len;
	return 0;
}

int
keytext_read(const char *written, enum keytext_form form, struct brine_key *key,
	     const void **ret_key, size_t *ret_len, char why[static KEYTEXT_WHY_MAX])
{
	why[0] = 0;
	if (!*written)
		return refuse(why, "an empty text is no key");
	if (form == KEYTEXT_TEXT)
		return read_text(written, key, ret_key, ret_len, why);
	if (form == KEYTEXT_PYTHON)
		return read_python(written, key, ret_key, ret_len, why);
	if (read_base64(written, key, ret_key, ret_len, why))
		return -1;
	if (!brine_key_valid(*ret_key, *ret_len))
		return refuse(why, "these bytes are no key");
	return 0;
}

int
keytext_read_prefix(const char *written, enum keytext_form form, struct brine_key *key,
		    const void **ret_prefix, size_t *ret_len,
		    char why[static KEYTEXT_WHY_MAX])
{
	why[0] = 0;
	if (form == KEYTEXT_PYTHON && *written) {
		if (*written != '\'' && *written != '"' && *written != 'b')
			return refuse(why,
				      "only a text or bytes, 'a' or b'a', begin a key");
		return read_python(written, key, ret_prefix, ret_len, why);
	}
	*ret_prefix = written;
	*ret_len = strlen(written);
	return 0;
}
