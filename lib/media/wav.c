/* SPDX-License-Identifier: MIT */
#include "wav.h"

#include "../base/bytes.h"

enum { TAG_PCM = 1, FMT_PCM = 16, FMT_OTHER = 18, CHUNK_HEAD = 8, PCM_HEADER = 44, OTHER_HEADER = 58 };

int rco__wav_pad(uint64_t data_bytes)
{
	return (int)(data_bytes & 1);
}

static void put_fmt(rco__cursor *c, const rco__format *f, uint32_t channels)
{
	uint16_t block = (uint16_t)(channels * f->sample_bytes);

	rco__wbytes(c, "fmt ", 4);
	rco__w32(c, f->wav_tag == TAG_PCM ? FMT_PCM : FMT_OTHER);
	rco__w16(c, f->wav_tag);
	rco__w16(c, (uint16_t)channels);
	rco__w32(c, f->rate_hz);
	rco__w32(c, f->rate_hz * block);
	rco__w16(c, block);
	rco__w16(c, (uint16_t)(8 * f->sample_bytes));
	if (f->wav_tag != TAG_PCM)
		rco__w16(c, 0); /* no extension */
}

/* Samples of each channel: required for everything that is not PCM. */
static void put_fact(rco__cursor *c, const rco__format *f, uint32_t channels, uint64_t data_bytes)
{
	uint64_t samples = data_bytes / (channels * f->sample_bytes);

	rco__wbytes(c, "fact", 4);
	rco__w32(c, 4);
	rco__w32(c, samples < UINT32_MAX ? (uint32_t)samples : UINT32_MAX);
}

size_t rco__wav_header(uint8_t out[RCO__WAV_HEADER_MAX], uint32_t format, uint32_t channels, uint64_t data_bytes)
{
	const rco__format *f = rco__format_of(format);
	uint32_t size = UINT32_MAX, riff = UINT32_MAX; /* players read such a file up to its end */
	rco__cursor c;
	uint32_t header;

	if (f == NULL || channels < 1 || channels > 2)
		return 0;
	header = f->wav_tag == TAG_PCM ? PCM_HEADER : OTHER_HEADER;
	if (data_bytes <= UINT32_MAX - header) {
		size = (uint32_t)data_bytes;
		riff = header - CHUNK_HEAD + size + (uint32_t)rco__wav_pad(data_bytes);
	}
	rco__cursor_writer(&c, out, RCO__WAV_HEADER_MAX);
	rco__wbytes(&c, "RIFF", 4);
	rco__w32(&c, riff);
	rco__wbytes(&c, "WAVE", 4);
	put_fmt(&c, f, channels);
	if (f->wav_tag != TAG_PCM)
		put_fact(&c, f, channels, data_bytes);
	rco__wbytes(&c, "data", 4);
	rco__w32(&c, size);
	return rco__cursor_used(&c, out);
}

void rco__wav_swap(uint32_t format, void *data, size_t size)
{
	const uint16_t one = 1;
	uint8_t *p = data, first;
	uint16_t v;
	size_t i;

	memcpy(&first, &one, 1);
	if (first == 1 || rco_format_sample_bytes(format) != 2)
		return; /* in order as they are */
	for (i = 0; i + 2 <= size; i += 2) {
		memcpy(&v, p + i, sizeof v);
		rco__put16(p + i, v);
	}
}

/* One side of the interleaved samples. */
static void put_side(const rco__format *f, const uint8_t *from, size_t samples, uint8_t *to)
{
	size_t width = f->sample_bytes, i;

	for (i = 0; i < samples; i++, to += 2 * width) {
		if (from == NULL)
			memset(to, f->silence, width);
		else
			memcpy(to, from + i * width, width);
	}
}

void rco__wav_interleave(uint32_t format, const void *left, const void *right, size_t samples, void *out)
{
	const rco__format *f = rco__format_of(format);
	uint8_t *to = out;

	if (f == NULL)
		return;
	put_side(f, left, samples, to);
	put_side(f, right, samples, to + f->sample_bytes);
}
