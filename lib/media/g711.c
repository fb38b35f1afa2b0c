/* SPDX-License-Identifier: MIT */
#include "g711.h"

#include <recoptout.h>

#include <pthread.h>
#include <string.h>

enum { SIGN = 0x80, MU_FLIP = 0xff, A_FLIP = 0x55, MU_BIAS = 132, A_LOW = 256, CODES = 256 };

static int16_t table[2][CODES];
static pthread_once_t once = PTHREAD_ONCE_INIT;

/* The middle of the interval that the magnitude, the 7 bits that are not the sign, stands for. */
static int expand(rco__law law, int magnitude)
{
	int segment = magnitude >> 4, step = magnitude & 15;

	if (law == RCO__MU_LAW)
		return (((step << 3) + MU_BIAS) << segment) - MU_BIAS;
	if (segment == 0)
		return (step << 4) + 8;
	return ((step << 4) + 0x108) << (segment - 1);
}

static int16_t sample_of(rco__law law, uint8_t code)
{
	int bits = code ^ (law == RCO__MU_LAW ? MU_FLIP : A_FLIP);
	int magnitude = expand(law, bits & ~SIGN);
	/* A set bit is minus for mu-law as its bits are turned over here, and plus for A-law. */
	int minus = ((bits & SIGN) != 0) == (law == RCO__MU_LAW);

	return (int16_t)(minus ? -magnitude : magnitude);
}

static void make_table(void)
{
	int law, code;

	for (law = RCO__MU_LAW; law <= RCO__A_LAW; law++)
		for (code = 0; code < CODES; code++)
			table[law][code] = sample_of((rco__law)law, (uint8_t)code);
}

void rco__g711_samples(rco__law law, const uint8_t *codes, size_t n, void *out)
{
	uint8_t *at = out;
	size_t i;

	(void)pthread_once(&once, make_table);
	for (i = 0; i < n; i++)
		memcpy(at + 2 * i, &table[law][codes[i]], sizeof(int16_t));
}

/* ---- codes ---- */

enum { PAIRS = 4, BLOCK = 64 };

typedef uint16_t shorts __attribute__((vector_size(2 * PAIRS)));
typedef int32_t ints __attribute__((vector_size(4 * PAIRS)));
typedef float floats __attribute__((vector_size(4 * PAIRS)));

/*
 * As a float, the magnitude with the law's bias has the segment in its exponent and the step in the upper four
 * bits of its mantissa; of the bits below the first is set and no other, or else it is the sample of no code.
 * There is no magnitude that is too large and has such bits.
 */
static inline __attribute__((always_inline)) void several(rco__law law, const ints *samples, ints *codes,
                                                          ints *wrong)
{
	enum { STEP_AT = 19, BELOW = (1 << STEP_AT) - 1, MIDDLE = 1 << (STEP_AT - 1), FIRST = (127 + 7) << 4 };
	ints minus = *samples >> 31, x = (*samples ^ minus) - minus, low = x ^ x, bits;
	floats magnitude;

	if (law == RCO__A_LAW) /* whose first segment is as long as the second, without its leading one */
		low = (x - A_LOW) >> 31;
	x += law == RCO__A_LAW ? low & A_LOW : low + MU_BIAS;
	magnitude = __builtin_convertvector(x, floats);
	memcpy(&bits, &magnitude, sizeof bits);
	*wrong |= (bits & BELOW) ^ MIDDLE;
	*codes = (bits >> STEP_AT) - FIRST - (low & 16);
	*codes ^= law == RCO__A_LAW ? (~minus & SIGN) ^ A_FLIP : (minus & SIGN) ^ MU_FLIP;
}

/* Two samples in 32 bits, so that their codes need not change places. The upper one of them stays the upper one,
 * whichever comes first in memory. */
static inline __attribute__((always_inline)) void pairs(rco__law law, const uint8_t *samples, uint8_t *out,
                                                        ints *wrong)
{
	ints both, upper, lower;
	shorts codes;

	memcpy(&both, samples, sizeof both);
	upper = both >> 16;
	lower = (both << 16) >> 16;
	several(law, &upper, &upper, wrong);
	several(law, &lower, &lower, wrong);
	lower |= upper << 8;
	codes = __builtin_convertvector(lower & 0xffff, shorts);
	memcpy(out, &codes, sizeof codes);
}

/* Found out once a block, so that the loop has no branch; most true 16-bit audio ends in the first. */
static inline __attribute__((always_inline)) int block(rco__law law, const uint8_t *samples, uint8_t *out)
{
	ints wrong = {0};
	int any = 0;
	size_t i;

	for (i = 0; i < BLOCK; i += 2 * PAIRS)
		pairs(law, samples + 2 * i, out + i, &wrong);
	for (i = 0; i < PAIRS; i++)
		any |= wrong[i];
	return any == 0;
}

static int one_block(rco__law law, const uint8_t *samples, uint8_t *out)
{
	return law == RCO__MU_LAW ? block(RCO__MU_LAW, samples, out) : block(RCO__A_LAW, samples, out);
}

int rco__g711_codes(rco__law law, const void *samples, size_t n, uint8_t *out)
{
	const uint8_t *at = samples;
	uint8_t last[2 * BLOCK], codes[BLOCK];
	size_t i, k;
	int rc;

	for (i = 0; i + BLOCK <= n; i += BLOCK)
		if (!one_block(law, at + 2 * i, out + i))
			return 0;
	if (i == n)
		return 1;
	for (k = 0; k < BLOCK; k++) /* made a block by the last of them */
		memcpy(last + 2 * k, at + 2 * (i + k < n ? i + k : n - 1), 2);
	rc = one_block(law, last, codes);
	memcpy(out + i, codes, n - i);
	rco_memzero(last, sizeof last);
	rco_memzero(codes, sizeof codes);
	return rc;
}
