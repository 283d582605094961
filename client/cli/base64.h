/* base64.h - bytes as letters (RFC 4648, with padding). Pure. */
#ifndef CLI_BASE64_H
#define CLI_BASE64_H

#include <stddef.h>

/* Of the encoding of len bytes, without a NUL. */
#define BASE64_SIZE(len) (((len) + 2) / 3 * 4)

/* Returns the length written, BASE64_SIZE(len). Pieces may be encoded one by one if all but the last
 * are a multiple of three long. */
size_t base64_encode(const void *bytes, size_t len, char *to);

/* Decodes len letters into at most size bytes. Returns 0, or -1 for what is not base64, or too long. */
int base64_decode(const char *text, size_t len, void *to, size_t size, size_t *ret_len);

#endif
