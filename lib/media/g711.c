/* SPDX-License-Identifier: MIT */
#include "g711.h"

enum { SIGN = 0x80, MU_FLIP = 0xff, A_FLIP = 0x55 };

/* The middle of the interval that the magnitude stands for. */
static int32_t expand(rco__line line, int32_t magnitude)
{
	int32_t segment = magnitude >> 4, step = magnitude & 15;

	if (line != RCO__LINE_A)
		return (((step << 3) + RCO__MU_BIAS) << segment) - RCO__MU_BIAS;
	if (segment == 0)
		return (step << 4) + 8;
	return ((step << 4) + 0x108) << (segment - 1);
}

int16_t rco__g711_sample(rco__line line, int32_t place)
{
	if (place >= 0)
		return (int16_t)expand(line, place);
	return (int16_t)-expand(line, line == RCO__LINE_MU_CLOSED ? -place : -1 - place);
}

int16_t rco__g711_of_code(rco__line line, uint8_t code)
{
	/* A-law sends the sign bit set for positive, mu-law inverts everything, which comes to the same. */
	int positive = (code & SIGN) != 0;
	int32_t magnitude = (code ^ (line == RCO__LINE_A ? A_FLIP : MU_FLIP)) & 0x7f;

	return (int16_t)rco__g711_place(line, magnitude, !positive);
}

uint8_t rco__g711_to_code(rco__line line, int32_t place)
{
	int32_t magnitude = place >= 0 ? place : -1 - place;
	int32_t flip = line == RCO__LINE_A ? A_FLIP : MU_FLIP & 0x7f;

	return (uint8_t)((place >= 0 ? SIGN : 0) | (magnitude ^ flip));
}
