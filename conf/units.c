/* units.c - sizes and durations as text. Pure. */
#include "conf/conf.h"

#include <string.h>

struct unit {
	const char *suffix;
	uint64_t worth;
};

/* Both from the largest down, so that a composed duration descends. */
static const struct unit size_units[] = {
	{ "T", UINT64_C(1) << 40 },
	{ "G", UINT64_C(1) << 30 },
	{ "M", UINT64_C(1) << 20 },
	{ "K", UINT64_C(1) << 10 },
	{ "", 1 },
};
static const struct unit duration_units[] = {
	{ "d", UINT64_C(86400000000000) }, { "h", UINT64_C(3600000000000) },
	{ "m", UINT64_C(60000000000) },    { "s", UINT64_C(1000000000) },
	{ "ms", UINT64_C(1000000) },       { "us", UINT64_C(1000) },
};

#define COUNT_OF(array) (sizeof(array) / sizeof((array)[0]))

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

int
conf_parse_size(const char *text, uint64_t *ret_bytes)
{
	uint64_t number;

	if (take_digits(&text, &number))
		return -1;
	for (size_t i = 0; i < COUNT_OF(size_units); i++)
		if (strcmp(text, size_units[i].suffix) == 0) {
			if (__builtin_mul_overflow(number, size_units[i].worth, &number))
				return -1;
			*ret_bytes = number;
			return 0;
		}
	return -1;
}

/* The unit whose letters stand at text up to a digit or the end, no earlier than units[from]. */
static size_t
find_unit(const char *text, size_t from)
{
	size_t len = strcspn(text, "0123456789");

	for (size_t i = from; i < COUNT_OF(duration_units); i++)
		if (strlen(duration_units[i].suffix) == len &&
		    memcmp(duration_units[i].suffix, text, len) == 0)
			return i;
	return COUNT_OF(duration_units);
}

int
conf_parse_duration(const char *text, uint64_t *ret_ns)
{
	uint64_t sum = 0, number;
	size_t unit = 0;

	if (strcmp(text, "0") == 0) {
		*ret_ns = 0;
		return 0;
	}
	do {
		if (take_digits(&text, &number))
			return -1;
		unit = find_unit(text, unit);
		if (unit == COUNT_OF(duration_units))
			return -1;
		if (__builtin_mul_overflow(number, duration_units[unit].worth, &number) ||
		    __builtin_add_overflow(sum, number, &sum))
			return -1;
		text += strlen(duration_units[unit].suffix);
		unit++; /* the next part must be of a smaller unit */
	} while (*text);
	*ret_ns = sum;
	return 0;
}

void
conf_format_size(uint64_t bytes, char ret_text[static CONF_NUMBER_MAX])
{
	size_t i = 0;

	while (bytes % size_units[i].worth || (!bytes && size_units[i].worth > 1))
		i++;
	snprintf(ret_text, CONF_NUMBER_MAX, "%llu%s",
		 (unsigned long long)(bytes / size_units[i].worth), size_units[i].suffix);
}

void
conf_format_duration(uint64_t ns, char ret_text[static CONF_NUMBER_MAX])
{
	size_t len = 0;

	snprintf(ret_text, CONF_NUMBER_MAX, "0");
	for (size_t i = 0; i < COUNT_OF(duration_units); i++) {
		uint64_t count = ns / duration_units[i].worth;

		if (!count)
			continue;
		len += (size_t)snprintf(ret_text + len, CONF_NUMBER_MAX - len, "%llu%s",
					(unsigned long long)count,
					duration_units[i].suffix);
		ns %= duration_units[i].worth;
	}
}
