/* codec.h - names of codecs. Pure; PROTOCOL.md, "Values". */
#ifndef CLI_CODEC_H
#define CLI_CODEC_H

#include <stdbool.h>
#include <stdint.h>

/* Of the choice of --codec. */
uint32_t codec_of_choice(uint64_t choice);
#define CODEC_BYTES 0
#define CODEC_INTEGER 6

#define CODEC_TEXT_MAX 64
/* "bytes"; "codec 9" for one without a name */
void codec_show(uint32_t codec, char to[static CODEC_TEXT_MAX]);
/* The same with what the codec adds: "pickle 5 (Python 3.11)" */
void codec_show_long(uint32_t codec, char to[static CODEC_TEXT_MAX]);

/* May loading a value of this codec run code of its writer's choice? What is not registered counts as pickle. */
bool codec_runs_code(uint32_t codec);

#endif
