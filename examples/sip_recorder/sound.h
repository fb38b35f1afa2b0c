/* SPDX-License-Identifier: MIT */
/* What the server says, in G.711, and conversions between its two laws. */
#ifndef SIP_RECORDER_SOUND_H
#define SIP_RECORDER_SOUND_H

#include <stddef.h>
#include <stdint.h>

enum { LAW_MU = 0, LAW_A = 1, LAWS = 2, FRAME = 160 };

typedef struct sound {
	uint8_t *law[LAWS];
	size_t size; /* a whole number of frames */
} sound;

/* A WAV file of 8 kHz, one channel, 16 bit. 0, or an errno after a line on stderr. */
int sound_load(sound *s, const char *path);
void sound_free(sound *s);

uint8_t sound_silence(int law);
void sound_convert(uint8_t *data, size_t size, int from, int to);

#endif
