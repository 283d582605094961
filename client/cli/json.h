/* json.h - writes JSON, one object or one line at a time. Errors stay in the stream: see ferror(). */
#ifndef CLI_JSON_H
#define CLI_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *to;
	bool comma; /* the next member is not the first */
};

void json_begin(struct json *json, FILE *to);
/* Closes the object and ends the line. */
void json_end(struct json *json);

/* Members. What is not UTF-8 in a string becomes U+FFFD: bytes belong into json_base64(). */
void json_string(struct json *json, const char *name, const void *text, size_t len);
void json_number(struct json *json, const char *name, uint64_t number);
void json_integer(struct json *json, const char *name, int64_t number);
void json_bool(struct json *json, const char *name, bool value);
void json_null(struct json *json, const char *name);
void json_base64(struct json *json, const char *name, const void *bytes, size_t len);
/* value as it stands, which the caller knows to be JSON. */
void json_raw(struct json *json, const char *name, size_t name_len, const char *value,
	      size_t len);

/* An object within the object. */
void json_open(struct json *json, const char *name, size_t name_len);
void json_close(struct json *json);

#endif
