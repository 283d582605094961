/* codec.h - the codec numbers that this client reads or writes (PROTOCOL.md, "Values"). Pure. */
#ifndef PYTHON_CODEC_H
#define PYTHON_CODEC_H

#include <stdint.h>

enum codec_id {
	CODEC_BYTES = 0,
	CODEC_PICKLE = 1,
	CODEC_TEXT = 2,
	CODEC_COUNTER = 6,
};

#define PICKLE_PROTOCOL 5

static inline enum codec_id
codec_id(uint32_t codec)
{
	return (enum codec_id)(codec & 0xff);
}

/* Of pickles made by the Python whose Py_Version or PY_VERSION_HEX this is. */
static inline uint32_t
codec_pickle(uint32_t python)
{
	uint32_t major = python >> 24 & 0xff, minor = python >> 16 & 0xff;

	return CODEC_PICKLE | PICKLE_PROTOCOL << 8 | major << 16 | minor << 24;
}

/* May a Python whose own pickles are `ours` try these? */
static inline int
codec_pickle_loadable(uint32_t codec, uint32_t ours)
{
	uint32_t version = (codec >> 16 & 0xff) << 8 | codec >> 24;
	uint32_t our_version = (ours >> 16 & 0xff) << 8 | ours >> 24;

	return (codec >> 8 & 0xff) <= PICKLE_PROTOCOL && version <= our_version;
}

#endif
