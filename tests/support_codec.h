/* SPDX-License-Identifier: MIT */
/* Sounds for the codec's tests: everything is made by integers, so that every machine hears the same. */
#ifndef TESTS_SUPPORT_CODEC_H
#define TESTS_SUPPORT_CODEC_H

#include "support_base.h"

#include "../lib/media/codec.h"
#include "../lib/media/predicted.h"

static inline uint32_t sound_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

static inline int16_t sound_clip(int64_t v)
{
	return (int16_t)(v < INT16_MIN ? INT16_MIN : v > INT16_MAX ? INT16_MAX : v);
}

/* Pulses through two resonances, at a pitch that wanders, in syllables: it is coded much as speech is. */
static inline void sound_speech(int16_t *x, size_t n, int32_t loudness)
{
	int64_t a1 = 0, a2 = 0, b1 = 0, b2 = 0, y, z, drive;
	uint32_t seed = 7;
	size_t i, pulse = 0;

	for (i = 0; i < n; i++) {
		drive = (int32_t)(sound_random(&seed) % 64) - 32;
		if (i == pulse) {
			drive += 4000;
			pulse += 60 + sound_random(&seed) % 30;
		}
		drive = drive * (int64_t)(i / 20 % 200) / 200;
		y = drive + (a1 * 29000 - a2 * 15000) / 16384;
		a2 = a1;
		a1 = y;
		z = y + (b1 * 9000 - b2 * 14000) / 16384;
		b2 = b1;
		b1 = z;
		x[i] = sound_clip(z * loudness / 16384);
	}
}

static inline void sound_silence(int16_t *x, size_t n, int32_t loudness)
{
	(void)loudness;
	memset(x, 0, n * sizeof *x);
}

static inline void sound_constant(int16_t *x, size_t n, int32_t loudness)
{
	size_t i;

	for (i = 0; i < n; i++)
		x[i] = sound_clip(-loudness);
}

static inline void sound_noise(int16_t *x, size_t n, int32_t loudness)
{
	uint32_t seed = 3;
	size_t i;

	for (i = 0; i < n; i++)
		x[i] = (int16_t)(((int32_t)(sound_random(&seed) & 0xffff) - 32768) * (loudness / 256) / 128);
}

/* Two samples high, two samples low; at full scale nothing is further from its prediction. */
static inline void sound_square(int16_t *x, size_t n, int32_t loudness)
{
	size_t i;

	for (i = 0; i < n; i++)
		x[i] = (int16_t)(i & 2 ? INT16_MIN : INT16_MAX - (loudness & 1));
}

static inline void sound_alternating(int16_t *x, size_t n, int32_t loudness)
{
	size_t i;

	(void)loudness;
	for (i = 0; i < n; i++)
		x[i] = i & 1 ? INT16_MAX : INT16_MIN;
}

static inline void sound_ramp(int16_t *x, size_t n, int32_t loudness)
{
	size_t i;

	for (i = 0; i < n; i++)
		x[i] = (int16_t)(uint16_t)(i * (size_t)(loudness / 100 + 1));
}

/* A tone, from one point on a hundred times as loud, and then another sound altogether. */
static inline void sound_changes(int16_t *x, size_t n, int32_t loudness)
{
	int32_t a = 0, b = loudness / 4;
	size_t i;

	for (i = 0; i < n; i++) {
		b -= a / 9;
		a += b / 9;
		x[i] = sound_clip(i < n / 3 ? a / 100 : a);
	}
	if (n > 4)
		sound_noise(x + 2 * n / 3, n - 2 * n / 3, loudness);
}

/* Nothing, now and then for a while a click. */
static inline void sound_clicks(int16_t *x, size_t n, int32_t loudness)
{
	uint32_t seed = 11;
	size_t i = 0;

	memset(x, 0, n * sizeof *x);
	for (i = sound_random(&seed) % 90; i < n; i += 1 + sound_random(&seed) % 200)
		x[i] = sound_clip((int64_t)loudness * ((int32_t)(i % 5) - 2) / 2);
}

typedef void sound_fn(int16_t *x, size_t n, int32_t loudness);

static sound_fn *const sounds[] = {sound_speech, sound_silence,     sound_constant, sound_noise, sound_square,
                                   sound_ramp,   sound_alternating, sound_changes,  sound_clicks};

enum { SOUNDS = sizeof sounds / sizeof sounds[0] };

/* The nearest sample of a code book. */
static inline int16_t sound_through(rco__line line, int16_t x)
{
	return rco__g711_sample(line, rco__g711_place(line, rco__g711_magnitude(line, x), x < 0));
}

/* In the format: codes for G.711, else samples; through mu-law or A-law before, unless `line` is LINEAR. */
static inline void sound_in_format(uint32_t format, rco__line line, const int16_t *x, size_t n, void *out)
{
	rco__line law = format == RCO_FORMAT_PCMA_8K ? RCO__LINE_A : RCO__LINE_MU;
	uint8_t *code = out;
	int16_t *sample = out;
	size_t i;

	for (i = 0; i < n; i++) {
		if (format == RCO_FORMAT_PCMU_8K || format == RCO_FORMAT_PCMA_8K)
			code[i] = rco__g711_to_code(
				law, rco__g711_place(law, rco__g711_magnitude(law, x[i]), x[i] < 0));
		else
			sample[i] = line == RCO__LINE_LINEAR ? x[i] : sound_through(line, x[i]);
	}
}

#endif
