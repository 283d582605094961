/* bytes.h - little-endian and big-endian integers at any address. */
#ifndef PROTO_BYTES_H
#define PROTO_BYTES_H

#include <endian.h>
#include <stdint.h>
#include <string.h>

#define BYTES_ACCESS(bits)                                                               \
	static inline uint##bits##_t le##bits##_load(const void *from)                   \
	{                                                                                \
		uint##bits##_t value;                                                    \
		memcpy(&value, from, sizeof(value));                                     \
		return le##bits##toh(value);                                             \
	}                                                                                \
	static inline void le##bits##_store(void *to, uint##bits##_t value)              \
	{                                                                                \
		value = htole##bits(value);                                              \
		memcpy(to, &value, sizeof(value));                                       \
	}                                                                                \
	static inline uint##bits##_t be##bits##_load(const void *from)                   \
	{                                                                                \
		uint##bits##_t value;                                                    \
		memcpy(&value, from, sizeof(value));                                     \
		return be##bits##toh(value);                                             \
	}                                                                                \
	static inline void be##bits##_store(void *to, uint##bits##_t value)              \
	{                                                                                \
		value = htobe##bits(value);                                              \
		memcpy(to, &value, sizeof(value));                                       \
	}

BYTES_ACCESS(16)
BYTES_ACCESS(32)
BYTES_ACCESS(64)
#undef BYTES_ACCESS

#endif
