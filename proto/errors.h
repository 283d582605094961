/* errors.h - names, classes and sentences of errors.def. Pure; any thread. */
#ifndef PROTO_ERRORS_H
#define PROTO_ERRORS_H

enum error {
	ERROR_NONE = 0,
#define E(name, number, class, text) ERROR_##name = number,
#include "proto/errors.def"
#undef E
};

enum error_class {
	CLASS_OUTAGE,
	CLASS_REFUSAL,
	CLASS_CONDITION,
};

/* A number that this release does not know has the class of its range; outside of all ranges it is an
 * outage, the safe reading. */
enum error_class error_class(int error);

/* "TOO_LARGE"; "UNKNOWN" for a number that this release does not know. Static storage. */
const char *error_name(int error);

/* The sentence of errors.def. Static storage. */
const char *error_text(int error);

#endif
