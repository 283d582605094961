/* script.h - finds in a pickle what only the script that made it can load: a class or function of __main__. Pure. */
#ifndef PYTHON_SCRIPT_H
#define PYTHON_SCRIPT_H

#include <stddef.h>

/* Looks at the pickle's beginning only, where such a name stands if the object, or the first item of a container, is of
 * such a class; it costs less than a microsecond. The name, borrowed from the pickle, and its length; NULL: there is none. */
const char *script_name(const char *pickle, size_t len, size_t *ret_len);

#endif
