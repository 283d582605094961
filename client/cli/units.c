/* units.c - durations, sizes and numbers as text. Pure. */
#include "client/cli/units.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct unit {
	const char *suffix;
	uint64_t us;
} durations[] = {
	{ "d", UINT64_C(86400000000) }, { "h", UINT64_C(3600000000) },
	{ "m", UINT64_C(60000000) },    { "s", UINT64_C(1000000) },
	{ "ms", UINT64_C(1000) },       { "us", UINT64_C(1) },
};

#define SECONDS 3 /* the index of s */

/* Reads digits at *text, and passes over them. Returns 0, or -1 for none or too many. */
static int
take_digits(const char **text, uint64_t *ret_number)
{
	uint64_t number = 0;
	const char *next = *text;

	if (*next < '0' || *next > '9')
		return -1;
	for (; *next >= '0' && *next <= '9'; next++)
		if (__builtin_mul_overflow(number, 10, &number) ||
		    __builtin_add_overflow(number, (unsigned)(*next - '0'), &number))
			return -1;
	*text = next;
	*ret_number = number;
	return 0;
}

/* The unit whose letters stand at text up to a digit or the end, no earlier than durations[from]. */
static size_t
find_unit(const char *text, size_t from)
{
	size_t len = strcspn(text, "0123456789");

	for (size_t i = from; i < COUNT_OF(durations); i++)
		if (strlen(durations[i].suffix) == len &&
		    memcmp(durations[i].suffix, text, len) == 0)
			return i;
	return COUNT_OF(durations);
}

int
duration_parse(const char *text, uint64_t *ret_us)
{
	uint64_t sum = 0, number;
	size_t unit = 0;

	do {
		if (take_digits(&text, &number))
			return DURATION_WRONG;
		unit = find_unit(text, unit);
		if (unit == COUNT_OF(durations))
			return DURATION_WRONG;
		if (__builtin_mul_overflow(number, durations[unit].us, &number) ||
		    __builtin_add_overflow(sum, number, &sum))
			return DURATION_LONG;
		text += strlen(durations[unit].suffix);
		unit++; /* the next part must be of a smaller unit */
	} while (*text);
	*ret_us = sum;
	return 0;
}

int
number_parse(const char *text, uint64_t *ret_number)
{
	uint64_t number;

	if (take_digits(&text, &number) || *text)
		return -1;
	*ret_number = number;
	return 0;
}

int
counted_parse(const char *text, size_t len, uint64_t *ret_number)
{
	char copy[UNITS_TEXT_MAX];

	if (len >= sizeof(copy))
		return -1;
	memcpy(copy, text, len);
	copy[len] = 0;
	return number_parse(copy, ret_number);
}

static const char *
skip_blanks(const char *text)
{
	return text + strspn(text, " \t\r\n");
}

int
size_parse(const char *text, uint64_t *ret_bytes)
{
	static const char units[] = "KMGT";
	const char *unit;
	uint64_t number;

	if (take_digits(&text, &number))
		return -1;
	if (*text) {
		unit = strchr(units, *text);
		if (!unit || text[1] ||
		    __builtin_mul_overflow(
			    number, UINT64_C(1) << (10 * (unit - units + 1)), &number))
			return -1;
	}
	*ret_bytes = number;
	return 0;
}

int
integer_parse(const char *text, int64_t *ret_integer)
{
	uint64_t number, most = INT64_MAX;
	int negative;

	text = skip_blanks(text);
	negative = *text == '-';
	if (*text == '-' || *text == '+')
		text++;
	if (take_digits(&text, &number) || *skip_blanks(text))
		return -1;
	if (number > most + (unsigned)negative)
		return -1;
	*ret_integer = negative ? (int64_t)(0 - number) : (int64_t)number;
	return 0;
}

/* The step in which so long a time is shown: a minute for hours, a tenth of a second for seconds. */
static uint64_t
step_of(size_t unit, uint64_t us)
{
	if (unit < SECONDS)
		return durations[unit + 1].us;
	if (unit + 1 < COUNT_OF(durations) && us < 10 * durations[unit].us)
		return durations[unit].us / 10;
	return durations[unit].us;
}

static size_t
largest_unit(uint64_t us)
{
	size_t unit = 0;

	while (us < durations[unit].us)
		unit++;
	return unit;
}

void
duration_show(uint64_t us, char ret_text[static UNITS_TEXT_MAX])
{
	uint64_t step, count, rest;
	size_t unit;
	int len;

	if (us == UINT64_MAX || us == 0) {
		snprintf(ret_text, UNITS_TEXT_MAX, "%s", us ? "never" : "0s");
		return;
	}
	step = step_of(largest_unit(us), us);
	if (us < UINT64_MAX - step)
		us += step / 2;
	us -= us % step;
	unit = largest_unit(us); /* 59.9 seconds are a minute by now */
	count = us / durations[unit].us;
	rest = us % durations[unit].us;
	len = snprintf(ret_text, UNITS_TEXT_MAX, "%llu", (unsigned long long)count);
	if (rest && unit >= SECONDS)
		len += snprintf(ret_text + len, UNITS_TEXT_MAX - (size_t)len, ".%u",
				(unsigned)(rest / (durations[unit].us / 10)));
	len += snprintf(ret_text + len, UNITS_TEXT_MAX - (size_t)len, "%s",
			durations[unit].suffix);
	if (rest && unit < SECONDS)
		snprintf(ret_text + len, UNITS_TEXT_MAX - (size_t)len, "%llu%s",
			 (unsigned long long)(rest / durations[unit + 1].us),
			 durations[unit + 1].suffix);
}

void
nanoseconds_show(uint64_t ns, char ret_text[static UNITS_TEXT_MAX])
{
	uint64_t tenths = ns / 100 + (ns % 100 >= 50);

	if (ns < 1000)
		snprintf(ret_text, UNITS_TEXT_MAX, "%uns", (unsigned)ns);
	else if (tenths < 100)
		snprintf(ret_text, UNITS_TEXT_MAX, "%u.%uus", (unsigned)tenths / 10,
			 (unsigned)tenths % 10);
	else
		duration_show(ns / 1000 + (ns % 1000 >= 500), ret_text);
}

void
milliseconds_show(uint64_t ms, char ret_text[static UNITS_TEXT_MAX])
{
	uint64_t us;

	if (__builtin_mul_overflow(ms, 1000, &us))
		us = UINT64_MAX;
	duration_show(us, ret_text);
}

void
size_show(uint64_t bytes, char ret_text[static UNITS_TEXT_MAX])
{
	static const char units[] = "KMGTPE";
	double size = (double)bytes;
	size_t i = 0;

	if (bytes < 1024) {
		snprintf(ret_text, UNITS_TEXT_MAX, "%u", (unsigned)bytes);
		return;
	}
	/* What would be shown as 1024 belongs to the next unit. */
	for (size /= 1024; size >= 1023.5 && i < sizeof(units) - 2; i++)
		size /= 1024;
	snprintf(ret_text, UNITS_TEXT_MAX, size < 9.95 ? "%.1f%c" : "%.0f%c", size,
		 units[i]);
}

void
number_show(uint64_t number, char ret_text[static UNITS_TEXT_MAX])
{
	char plain[UNITS_TEXT_MAX];
	size_t len = (size_t)snprintf(plain, sizeof(plain), "%llu",
				      (unsigned long long)number);
	size_t at = 0;

	for (size_t i = 0; i < len; i++) {
		if (i && (len - i) % 3 == 0)
			ret_text[at++] = ',';
		ret_text[at++] = plain[i];
	}
	ret_text[at] = 0;
}
