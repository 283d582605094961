/* utf8.h - characters in UTF-8. Pure. */
#ifndef CLI_UTF8_H
#define CLI_UTF8_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The size of the character at the start of the len bytes, or 0 where none stands (len 0, bytes that are
 * not UTF-8, a cut character). *ret_character is its number. */
size_t utf8_read(const void *bytes, size_t len, uint32_t *ret_character);

/* Writes a character (not a surrogate, at most 10FFFF) and returns its size. */
size_t utf8_write(uint32_t character, char to[static 4]);

bool utf8_valid(const void *bytes, size_t len);

/* May a terminal show it as it is? Not controls, and not what changes the direction of the text around it. */
bool utf8_shows(uint32_t character);

#endif
