/* SPDX-License-Identifier: MIT */
#include "kernels.h"

#include "put.h"
#include "take.h"

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

static void window(const int16_t *x, const int16_t *w, size_t n, int shift, int16_t *out)
{
	size_t i;

	for (i = 0; i < n; i++)
		out[i] = (int16_t)(((x[i] * w[i] + (1 << 14)) >> 15) >> shift);
}

static int32_t bits_of(const int16_t *x, size_t n)
{
	int32_t any = 0;
	size_t i;

	for (i = 0; i < n; i++)
		any |= x[i] ^ (x[i] >> 15);
	return any;
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

static uint8_t group_of(const uint32_t *folded, const uint8_t *shift, size_t n)
{
	uint8_t found = 0;
	size_t i;

	for (i = 0; i < n; i++) {
		if (folded[i] != 0)
			found |= RCO__GROUP_NOT_ZERO;
		if (folded[i] >> shift[i] >= RCO__FAST)
			found |= RCO__GROUP_SLOW;
	}
	return found;
}

static void slots(rco__line line, const int32_t *off, const uint8_t *octave4, const uint32_t *folded, size_t n,
                  uint16_t *slot, uint8_t *shift, uint8_t *group)
{
	int32_t sum8 = 0, sum32 = 0;
	uint32_t number;
	rco__row row;
	size_t i;
	int j;

	for (j = 1; j <= 32; j++) {
		sum32 += off[-j];
		sum8 += j <= 8 ? off[-j] : 0;
	}
	for (i = 0; i < n; i++) {
		row = rco__row_of(line, rco__level(sum8, sum32), octave4[i]);
		number = folded[i] >> row.shift;
		slot[i] = (uint16_t)(row.row * RCO__FAST + (number < RCO__FAST ? number : RCO__FAST - 1));
		shift[i] = row.shift;
		sum8 += off[i] - *(off + i - 8);
		sum32 += off[i] - *(off + i - 32);
	}
	for (i = 0; i < n; i += RCO__GROUP)
		group[i / RCO__GROUP] = group_of(folded + i, shift + i, n - i < RCO__GROUP ? n - i : RCO__GROUP);
}

static void put(rco__line line, const rco__codebook *book, rco__bit_writer *w, const uint16_t *slot,
                const uint8_t *shift, const uint32_t *folded, size_t n)
{
	if (line == RCO__LINE_LINEAR)
		rco__put(RCO__LINE_LINEAR, book, w, slot, shift, folded, n);
	else
		rco__put(RCO__LINE_MU, book, w, slot, shift, folded, n);
}

static size_t take(rco__take *t, size_t i, size_t n)
{
	return rco__take_samples(0, t, i, n);
}

static size_t take_zeros(rco__take *t, size_t i, size_t n)
{
	return rco__take_samples(1, t, i, n);
}

__attribute__((noinline, cold)) uint32_t rco__take_slowly(const rco__take *t, size_t *bit, rco__row row)
{
	rco__bit_reader r = {t->from, t->size, *bit};
	uint32_t v = rco__symbol_take(t->book, &r, row);

	*bit = r.bit;
	return v;
}

const rco__kernels rco__kernels_plain = {in_book,  places, window, bits_of, correlate,
                                         residual, slots,  put,    take,    take_zeros};

const rco__kernels *rco__kernels_best(void)
{
	const rco__kernels *avx2 = rco__kernels_avx2();

	return avx2 != NULL ? avx2 : &rco__kernels_plain;
}
