/* SPDX-License-Identifier: MIT */
/*
 * The two laws of ITU-T G.711, and the line on which the codec puts their codes:
 * a code's place is the higher the higher its sample is, without gaps, so that
 * the difference of two places is small when the samples are near each other.
 *
 *   magnitude  the 7 bits of a code that are not its sign, 0 the quietest
 *   place      magnitude for what is not negative; below zero -1 - magnitude, or
 *              -magnitude on the closed line, which has no place for minus zero
 *   octave     the step between neighbours is 8 << octave at this place
 */
#ifndef RCO_MEDIA_G711_H
#define RCO_MEDIA_G711_H

#include <stdint.h>
#include <string.h>

typedef enum rco__line {
	RCO__LINE_LINEAR = 0,    /* no law: samples as they are */
	RCO__LINE_MU_CLOSED = 1, /* mu-law without its minus zero */
	RCO__LINE_MU = 2,        /* mu-law, minus zero has the place -1 */
	RCO__LINE_A = 3          /* A-law, which has no zero at all */
} rco__line;

enum { RCO__MU_BIAS = 132, RCO__MU_CLIP = 32635, RCO__A_SMALL = 256 };

/* The exponent and the four bits behind the leading one of t, 1 to 2^24: 16 * floor(log2 t) + those bits. A float
 * is exact in that range on any machine, and vectors have no other fast way. */
static inline int32_t rco__log16(int32_t t)
{
	float f = (float)t;
	uint32_t bits;

	memcpy(&bits, &f, sizeof bits);
	return (int32_t)(bits >> 19) - 127 * 16;
}

/* The magnitude of the code nearest to a sample. */
static inline int32_t rco__g711_magnitude(rco__line line, int32_t sample)
{
	int32_t t = sample < 0 ? -sample : sample;

	if (line != RCO__LINE_A)
		return rco__log16((t < RCO__MU_CLIP ? t : RCO__MU_CLIP) + RCO__MU_BIAS) - 7 * 16;
	t = t < INT16_MAX ? t : INT16_MAX;
	return t < RCO__A_SMALL ? t >> 4 : rco__log16(t) - 7 * 16;
}

static inline int32_t rco__g711_octave(rco__line line, int32_t magnitude)
{
	return line == RCO__LINE_A && magnitude < 16 ? 1 : magnitude >> 4;
}

static inline int32_t rco__g711_place(rco__line line, int32_t magnitude, int negative)
{
	return !negative ? magnitude : line == RCO__LINE_MU_CLOSED ? -magnitude : -1 - magnitude;
}

/* The sample of a place; the place is on the line. */
int16_t rco__g711_sample(rco__line line, int32_t place);
/* The place of a code as it is sent, and back. Not for the closed line. */
int16_t rco__g711_of_code(rco__line line, uint8_t code);
uint8_t rco__g711_to_code(rco__line line, int32_t place);

#endif
