/* SPDX-License-Identifier: MIT */
#include "format.h"

enum { TAG_PCM = 1, TAG_ALAW = 6, TAG_MULAW = 7 };

const rco__format *rco__format_of(uint32_t format)
{
	static const rco__format formats[] = {
		[RCO_FORMAT_PCMU_8K] = {"pcmu/8000", 8000, 1, TAG_MULAW, 0xff},
		[RCO_FORMAT_PCMA_8K] = {"pcma/8000", 8000, 1, TAG_ALAW, 0xd5},
		[RCO_FORMAT_S16_8K] = {"s16/8000", 8000, 2, TAG_PCM, 0},
		[RCO_FORMAT_S16_16K] = {"s16/16000", 16000, 2, TAG_PCM, 0},
		[RCO_FORMAT_S16_24K] = {"s16/24000", 24000, 2, TAG_PCM, 0},
		[RCO_FORMAT_S16_48K] = {"s16/48000", 48000, 2, TAG_PCM, 0},
	};

	if (format >= sizeof formats / sizeof formats[0] || formats[format].name == NULL)
		return NULL;
	return &formats[format];
}

uint32_t rco_format_rate_hz(uint32_t format)
{
	const rco__format *f = rco__format_of(format);

	return f != NULL ? f->rate_hz : 0;
}

uint32_t rco_format_sample_bytes(uint32_t format)
{
	const rco__format *f = rco__format_of(format);

	return f != NULL ? f->sample_bytes : 0;
}
