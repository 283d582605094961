/* codec.h - the codec numbers that this client reads or writes (PROTOCOL.md, "Values"). Pure. */
#ifndef PYTHON_CODEC_H
#define PYTHON_CODEC_H

#include <stdint.h>

enum codec_id {
	CODEC_BYTES = 0,
	CODEC_PICKLE = 1,
	CODEC_TEXT = 2,
	CODEC_MSGPACK = 3,
	CODEC_JSON = 4,
	CODEC_CLOUDPICKLE = 5,
	CODEC_COUNTER = 6,
};

#define PICKLE_PROTOCOL 5

static inline enum codec_id
codec_id(uint32_t codec)
{
	return (enum codec_id)(codec & 0xff);
}

/* Loading it runs what its writer wants. So does, for all that is known, what is not registered. */
static inline int
codec_runs_code(uint32_t codec)
{
	switch (codec_id(codec)) {
	case CODEC_BYTES:
	case CODEC_TEXT:
	case CODEC_MSGPACK:
	case CODEC_JSON:
	case CODEC_COUNTER:
		return 0;
	default:
		return 1;
	}
}

/* May a cache whose own values are of codec `ours` try this one? A pickle of this Python or an earlier one, and
 * of a protocol that it knows; a cloudpickle, which holds bytecode, of this very Python; of the other codecs all. */
static inline int
codec_loadable(uint32_t codec, uint32_t ours)
{
	uint32_t version = (codec >> 16 & 0xff) << 8 | codec >> 24;
	uint32_t our_version = (ours >> 16 & 0xff) << 8 | ours >> 24;

	if (codec_id(codec) == CODEC_PICKLE)
		return (codec >> 8 & 0xff) <= (ours >> 8 & 0xff) &&
		       version <= our_version;
	return codec == ours;
}

#endif
