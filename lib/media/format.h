/* SPDX-License-Identifier: MIT */
/* Facts about the audio formats of recoptout.h beyond the public ones. */
#ifndef RCO_MEDIA_FORMAT_H
#define RCO_MEDIA_FORMAT_H

#include <recoptout.h>

typedef struct rco__format {
	const char *name; /* "pcmu/8000", for call records */
	uint32_t rate_hz;
	uint16_t sample_bytes; /* 1, or 2 of linear PCM: push.c, chunk.c and wav.c count on it */
	uint16_t wav_tag;      /* 1 PCM, 6 A-law, 7 mu-law (RFC 2361) */
	uint8_t silence;       /* byte that is silence when repeated: 0xFF mu-law, 0xD5 A-law, 0 PCM */
} rco__format;

/* NULL if unknown. */
const rco__format *rco__format_of(uint32_t format);

#endif
