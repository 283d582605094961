/* silence.h - a daemon that does not answer in time: until when nobody waits for it again. Pure; any thread. */
#ifndef CLIENT_SILENCE_H
#define CLIENT_SILENCE_H

#include <stdbool.h>
#include <stdint.h>

#include "client/brine.h"

/* The pause after the first silence is first_ms long, each after it twice as long, and at most so many times. */
#define SILENCE_LONGEST 16

/* Somebody waited for the timeout in vain. */
void silence_begin(struct brine_silence *silence, uint32_t first_ms, uint64_t now_ms);
/* The daemon answered. */
void silence_end(struct brine_silence *silence);
/* Shall this caller not even ask? Once a pause is over one caller is let through, and the others wait for what becomes
 * of it, or for the end of another pause. */
bool silence_holds(struct brine_silence *silence, uint32_t first_ms, uint64_t now_ms);

#endif
