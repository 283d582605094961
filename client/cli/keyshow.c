/* keyshow.c - shows encoded keys as Python would write them. Pure; keys come from anywhere. */
#include "client/cli/keytext.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "client/cli/base64.h"
#include "client/cli/utf8.h"

#define DIGEST_SIZE 32
/* Tuples within tuples; deeper ones are shown by their bytes. */
#define DEPTH_MAX 64
#define CALL_FORMAT 1
#define CALL_HASH_SHOWN 8

struct shown {
	char *to; /* KEYTEXT_MAX */
	size_t len;
};

static void
put_bytes(struct shown *shown, const void *bytes, size_t len)
{
	if (len > KEYTEXT_MAX - 1 - shown->len)
		len = KEYTEXT_MAX - 1 - shown->len;
	memcpy(shown->to + shown->len, bytes, len);
	shown->len += len;
}

static void
put_text(struct shown *shown, const char *text)
{
	put_bytes(shown, text, strlen(text));
}

static void
put_hex(struct shown *shown, const uint8_t *bytes, size_t len)
{
	char pair[3];

	for (size_t i = 0; i < len; i++) {
		snprintf(pair, sizeof(pair), "%02x", bytes[i]);
		put_text(shown, pair);
	}
}

/* What stands for no value that we know: <call 0a0b0c>. */
static void
put_unknown(struct shown *shown, const char *name, const uint8_t *bytes, size_t len)
{
	put_text(shown, "<");
	put_text(shown, name);
	put_text(shown, " ");
	put_hex(shown, bytes, len);
	put_text(shown, ">");
}

static bool
shows_plainly(const uint8_t *bytes, size_t len)
{
	uint32_t character;

	while (len) {
		size_t size = utf8_read(bytes, len, &character);

		if (!size || !utf8_shows(character))
			return false;
		bytes += size;
		len -= size;
	}
	return true;
}

/* Python prefers single quotes, unless only they occur within. */
static char
quote_for(const uint8_t *bytes, size_t len)
{
	return memchr(bytes, '\'', len) && !memchr(bytes, '"', len) ? '"' : '\'';
}

static void
put_escaped(struct shown *shown, uint32_t character, char quote)
{
	char escape[12];

	if (character == (uint32_t)quote || character == '\\')
		snprintf(escape, sizeof(escape), "\\%c", (char)character);
	else if (character == '\n' || character == '\r' || character == '\t')
		snprintf(escape, sizeof(escape), "\\%c",
			 character == '\n'   ? 'n'
			 : character == '\r' ? 'r'
					     : 't');
	else if (character < 0x100)
		snprintf(escape, sizeof(escape), "\\x%02x", (unsigned)character);
	else
		snprintf(escape, sizeof(escape), "\\u%04x", (unsigned)character);
	put_text(shown, escape);
}

/* text tells characters from bytes. */
static void
put_quoted(struct shown *shown, const uint8_t *bytes, size_t len, bool text)
{
	char quote = quote_for(bytes, len);
	uint32_t character;
	size_t size;

	put_bytes(shown, &quote, 1);
	for (; len; bytes += size, len -= size) {
		size = text ? utf8_read(bytes, len, &character) : 1;
		if (!text || !size) {
			character = *bytes;
			size = 1;
		}
		if (character == (uint32_t)quote || character == '\\' ||
		    !utf8_shows(character) || (!text && character >= 0x7f))
			put_escaped(shown, character, quote);
		else
			put_bytes(shown, bytes, size);
	}
	put_bytes(shown, &quote, 1);
}

/* An integer of more than 64 bits, in hexadecimal, which Python reads as well. */
static bool
put_big_int(struct shown *shown, const uint8_t *bytes, size_t len)
{
	uint8_t magnitude[BRINE_KEY_MAX];
	bool negative = bytes[0] & 0x80;
	unsigned carry = negative;
	uint8_t repeated = negative ? 0xff : 0x00;
	size_t at;

	if (bytes[0] == repeated && (bytes[1] & 0x80) == (repeated & 0x80))
		return false;
	for (size_t i = len; i-- > 0;) {
		carry += negative ? (uint8_t)~bytes[i] : bytes[i];
		magnitude[i] = (uint8_t)carry;
		carry >>= 8;
	}
	put_text(shown, negative ? "-0x" : "0x");
	at = shown->len;
	put_hex(shown, magnitude + !magnitude[0], len - !magnitude[0]);
	/* Python writes no zero in front. */
	if (shown->to[at] == '0')
		memmove(shown->to + at, shown->to + at + 1, --shown->len - at);
	return true;
}

static bool
put_int(struct shown *shown, const uint8_t *bytes, size_t len)
{
	uint8_t again[BRINE_KEY_PIECE_MAX];
	uint64_t value;
	char text[24];

	if (len > 8)
		return put_big_int(shown, bytes, len);
	value = len && bytes[0] & 0x80 ? UINT64_MAX : 0;
	for (size_t i = 0; i < len; i++)
		value = value << 8 | bytes[i];
	/* Only the shortest form is that integer's key. */
	if (brine_key_put_int((int64_t)value, again) != len + 1)
		return false;
	snprintf(text, sizeof(text), "%lld", (long long)value);
	put_text(shown, text);
	return true;
}

/* Lays digits ("12345", of which the point stands behind the first at exponent 0) out as Python does. */
static void
put_digits(struct shown *shown, const char *digits, int exponent)
{
	int count = (int)strlen(digits);
	char tail[8];

	if (exponent < -4 || exponent >= 16) {
		put_bytes(shown, digits, 1);
		if (count > 1)
			put_text(shown, ".");
		put_text(shown, digits + 1);
		snprintf(tail, sizeof(tail), "e%+03d", exponent);
		put_text(shown, tail);
		return;
	}
	if (exponent < 0) {
		put_text(shown, "0.");
		for (int i = -1; i > exponent; i--)
			put_text(shown, "0");
		put_text(shown, digits);
		return;
	}
	for (int i = 0; i <= exponent || i < count; i++) {
		if (i == exponent + 1)
			put_text(shown, ".");
		put_bytes(shown, i < count ? digits + i : "0", 1);
	}
	if (count <= exponent + 1)
		put_text(shown, ".0");
}

static bool
put_float(struct shown *shown, const uint8_t *bytes, size_t len)
{
	char text[40], digits[20];
	uint64_t bits = 0;
	double value;
	size_t count = 0;

	if (len != sizeof(bits))
		return false;
	for (size_t i = 0; i < len; i++)
		bits = bits << 8 | bytes[i];
	memcpy(&value, &bits, sizeof(value));
	if (value != value || value - value != 0) {
		if (value != value && bits != 0x7ff8000000000000)
			return false;
		put_text(shown, value != value ? "nan" : value < 0 ? "-inf" : "inf");
		return true;
	}
	/* The fewest digits that give the same number back. */
	for (int precision = 0; precision < 17; precision++) {
		snprintf(text, sizeof(text), "%.*e", precision, value);
		if (strtod(text, NULL) == value)
			break;
	}
	if (text[0] == '-')
		put_text(shown, "-");
	for (const char *at = text; *at && *at != 'e'; at++)
		if (*at >= '0' && *at <= '9')
			digits[count++] = *at;
	digits[count] = 0;
	put_digits(shown, digits, atoi(strchr(text, 'e') + 1));
	return true;
}

/* A memoized call of Python: a format, the length and name of the function, a hash. */
static bool
put_call(struct shown *shown, const uint8_t *bytes, size_t len)
{
	size_t name_len;

	if (len < 2 || bytes[0] != CALL_FORMAT || bytes[1] >= 0x80)
		return false;
	name_len = bytes[1];
	if (len - 2 < name_len + CALL_HASH_SHOWN || !shows_plainly(bytes + 2, name_len))
		return false;
	put_text(shown, "<call ");
	put_bytes(shown, bytes + 2, name_len);
	put_text(shown, " ");
	put_hex(shown, bytes + len - CALL_HASH_SHOWN, CALL_HASH_SHOWN);
	put_text(shown, ">");
	return true;
}

static bool put_value(struct shown *shown, const uint8_t *key, size_t len,
		      unsigned depth);

static bool
put_tuple(struct shown *shown, const uint8_t *bytes, size_t len, unsigned depth)
{
	size_t at = 0, items = 0;

	put_text(shown, "(");
	for (; at < len; items++) {
		size_t size = bytes[at++];

		if (size >= 0x80) {
			if (at == len || bytes[at] == 0 || bytes[at] >= 0x80)
				return false;
			size = (size & 0x7f) | (size_t)bytes[at++] << 7;
		}
		if (size > len - at)
			return false;
		if (items)
			put_text(shown, ", ");
		if (!put_value(shown, bytes + at, size, depth + 1))
			return false;
		at += size;
	}
	put_text(shown, items == 1 ? ",)" : ")");
	return true;
}

/* The bytes behind the tag of a key that was not shortened. */
static bool
put_typed(struct shown *shown, uint8_t tag, const uint8_t *bytes, size_t len,
	  unsigned depth)
{
	switch (tag) {
	case BRINE_KEY_BYTES:
		put_text(shown, "b");
		put_quoted(shown, bytes, len, false);
		return true;
	case BRINE_KEY_INT:
		return put_int(shown, bytes, len);
	case BRINE_KEY_FLOAT:
		return put_float(shown, bytes, len);
	case BRINE_KEY_BOOL:
		if (len == 1 && bytes[0] <= 1)
			put_text(shown, bytes[0] ? "True" : "False");
		return len == 1 && bytes[0] <= 1;
	case BRINE_KEY_NONE:
		if (!len)
			put_text(shown, "None");
		return !len;
	case BRINE_KEY_TUPLE:
		return put_tuple(shown, bytes, len, depth);
	case BRINE_KEY_CALL:
		return put_call(shown, bytes, len);
	default:
		return false;
	}
}

/* Python's form; false, with anything shown, for what no client writes. An empty text is possible
 * in a tuple only. */
static bool
put_value(struct shown *shown, const uint8_t *key, size_t len, unsigned depth)
{
	if (depth > DEPTH_MAX)
		return false;
	if (len && key[0] >= BRINE_KEY_BYTES)
		return put_typed(shown, key[0], key + 1, len - 1, depth);
	if (!utf8_valid(key, len))
		return false;
	put_quoted(shown, key, len, true);
	return true;
}

const char *
keytext_type(const void *key, size_t len)
{
	static const char *const names[] = { "bytes", "int",   "float", "bool",
					     "none",  "tuple", "call" };
	const uint8_t *bytes = key;

	if (!len || bytes[0] < BRINE_KEY_BYTES)
		return "text";
	return bytes[0] <= BRINE_KEY_CALL ? names[bytes[0] - BRINE_KEY_BYTES] : "unknown";
}

/* Its beginning, and enough of its hash to tell it from its like. */
static void
put_shortened(struct shown *shown, const uint8_t *key, enum keytext_form form)
{
	size_t head = BRINE_KEY_MAX - DIGEST_SIZE, cut = head;
	bool text = key[0] < BRINE_KEY_BYTES;

	if (text) {
		/* The last character may be cut. */
		while (cut > head - 4 && !utf8_valid(key, cut))
			cut--;
		if (form == KEYTEXT_TEXT && shows_plainly(key, cut))
			put_bytes(shown, key, cut);
		else
			put_quoted(shown, key, cut, true);
	} else if (key[0] == BRINE_KEY_BYTES) {
		put_text(shown, "b");
		put_quoted(shown, key + 1, head - 1, false);
	} else {
		put_unknown(shown, keytext_type(key, head), key + 1, head - 1);
	}
	put_text(shown, "...");
	put_hex(shown, key + head, 4);
}

size_t
keytext_show(const void *key, size_t len, enum keytext_form form,
	     char to[static KEYTEXT_MAX])
{
	struct shown shown = { .to = to };
	const uint8_t *bytes = key;

	if (form == KEYTEXT_BASE64) {
		shown.len =
			base64_encode(key, len < BRINE_KEY_MAX ? len : BRINE_KEY_MAX, to);
	} else if (keytext_shortened(len)) {
		put_shortened(&shown, bytes, form);
	} else if (form == KEYTEXT_TEXT && bytes[0] < BRINE_KEY_BYTES &&
		   shows_plainly(bytes, len)) {
		put_bytes(&shown, bytes, len);
	} else if (!put_value(&shown, bytes, len, 0)) {
		shown.len = 0;
		put_unknown(&shown, keytext_type(bytes, len), bytes + 1, len - 1);
	}
	to[shown.len] = 0;
	return shown.len;
}
