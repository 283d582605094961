/* units.h - durations, sizes and numbers as people write and read them. Pure. */
#ifndef CLI_UNITS_H
#define CLI_UNITS_H

#include <stddef.h>
#include <stdint.h>

/* "300ms", "1h30m": whole numbers with the units us, ms, s, m, h, d, from the largest down. Refuses signs,
 * blanks, fractions and a number without its unit. Returns 0 or one of these. */
#define DURATION_WRONG -1 /* no duration */
#define DURATION_LONG -2  /* does not fit */
int duration_parse(const char *text, uint64_t *ret_us);

/* "64M", "817": bytes, with K, M, G or T as powers of 1024. Returns 0 or -1. */
int size_parse(const char *text, uint64_t *ret_bytes);

/* Digits alone. Returns 0 or -1. */
int number_parse(const char *text, uint64_t *ret_number);
/* The same of a text that ends with its length. */
int counted_parse(const char *text, size_t len, uint64_t *ret_number);
/* The same with a sign, of 64 bits; blanks around it are passed over. */
int integer_parse(const char *text, int64_t *ret_integer);

#define UNITS_TEXT_MAX 32
/* Rounded, two units at most: "3d4h", "1m30s", "1.5s", "250ms". UINT64_MAX is "never". */
void duration_show(uint64_t us, char ret_text[static UNITS_TEXT_MAX]);
/* Below a microsecond in nanoseconds, "850ns"; else as a duration, to a tenth below ten: "1.2us". */
void nanoseconds_show(uint64_t ns, char ret_text[static UNITS_TEXT_MAX]);
void milliseconds_show(uint64_t ms, char ret_text[static UNITS_TEXT_MAX]);
/* "817", "1.5K", "12M": powers of 1024, two digits at least. */
void size_show(uint64_t bytes, char ret_text[static UNITS_TEXT_MAX]);
/* "1,234,567" */
void number_show(uint64_t number, char ret_text[static UNITS_TEXT_MAX]);

#endif
