/* SPDX-License-Identifier: MIT */
#include "kernels.h"

static int in_book(rco__line line, const int16_t *x, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (rco__g711_sample(line, rco__g711_magnitude(line, x[i])) != (x[i] < 0 ? -x[i] : x[i]))
			return 0;
	return 1;
}

static void places(rco__line line, const int16_t *x, size_t n, int16_t *place)
{
	size_t i;

	for (i = 0; i < n; i++)
		place[i] = (int16_t)rco__g711_place(line, rco__g711_magnitude(line, x[i]), x[i] < 0);
}

static void correlate(const int16_t *x, size_t n, int lags, int64_t *sums)
{
	size_t i;
	int lag;

	for (lag = 0; lag < lags; lag++) {
		sums[lag] = 0;
		for (i = 0; i < n; i++) /* zeros are behind x[n) */
			sums[lag] += x[i] * x[i + (size_t)lag];
	}
}

static uint32_t fold(int32_t e)
{
	return e >= 0 ? 2 * (uint32_t)e : 2 * (uint32_t)-e - 1;
}

static void residual(rco__line line, const rco__predictor *p, const int16_t *x, const int16_t *place, size_t n,
                     uint32_t *folded, int32_t *off, uint8_t *octave4)
{
	int32_t expected, magnitude;
	size_t i;

	for (i = 0; i < n; i++) {
		expected = rco__predict(p, x + i);
		off[i] = x[i] > expected ? x[i] - expected : expected - x[i];
		octave4[i] = 0;
		if (line == RCO__LINE_LINEAR) {
			folded[i] = fold(x[i] - expected);
			continue;
		}
		magnitude = rco__g711_magnitude(line, expected);
		octave4[i] = (uint8_t)(4 * rco__g711_octave(line, magnitude));
		folded[i] = fold(place[i] - rco__g711_place(line, magnitude, expected < 0));
	}
}

static void levels(const int32_t *off, const uint8_t *octave4, size_t n, int low, int high, uint8_t *level)
{
	int32_t sum8 = 0, sum32 = 0, found;
	size_t i;
	int j;

	for (j = 1; j <= 32; j++) {
		sum32 += off[-j];
		sum8 += j <= 8 ? off[-j] : 0;
	}
	for (i = 0; i < n; i++) {
		found = rco__level(sum8, sum32) - octave4[i];
		level[i] = (uint8_t)((found < low ? low : found > high ? high : found) - low);
		sum8 += off[i] - *(off + i - 8);
		sum32 += off[i] - *(off + i - 32);
	}
}

const rco__kernels rco__kernels_plain = {in_book, places, correlate, residual, levels};

const rco__kernels *rco__kernels_best(void)
{
	const rco__kernels *avx2 = rco__kernels_avx2();

	return avx2 != NULL ? avx2 : &rco__kernels_plain;
}
