/* SPDX-License-Identifier: MIT */
/*
 * The innermost loop of the decoder, compiled for more than one machine: included by the kernels only. Each sample
 * waits for the one before it, so that what counts is the way from a sample to the next, and the fewest steps on
 * it. What is wrong with a sample is only noted, and is looked at behind each group: none of it leads out of a
 * table.
 */
#ifndef RCO_MEDIA_TAKE_H
#define RCO_MEDIA_TAKE_H

#include "kernels.h"

#if defined(__SSE2__)
#include <emmintrin.h>
#endif

#define TAKE_INLINE static inline __attribute__((always_inline))

TAKE_INLINE uint32_t take_top_bit(uint32_t v)
{
	return 31u - (uint32_t)__builtin_clz(v);
}

/* ---- the samples before the last, times their coefficients ---- */

#if defined(__SSE2__)

/* The last is at the lowest place. */
typedef struct take_past {
	__m128i x[2], coefficient[2];
} take_past;

TAKE_INLINE take_past take_past_of(const rco__predictor *p, const int16_t *x)
{
	int16_t c[16] = {0}, before[16];
	take_past past;
	int i;

	for (i = 0; i < 16; i++) {
		before[i] = x[-2 - i];
		if (i < RCO__ORDER_MAX - 1)
			c[i] = p->coefficient[i + 1];
	}
	for (i = 0; i < 2; i++) {
		past.x[i] = _mm_loadu_si128((const void *)(before + 8 * i));
		past.coefficient[i] = _mm_loadu_si128((const void *)(c + 8 * i));
	}
	return past;
}

TAKE_INLINE uint32_t take_past_sum(const take_past *past, int wide)
{
	__m128i sum = _mm_madd_epi16(past->x[0], past->coefficient[0]);

	if (wide)
		sum = _mm_add_epi32(sum, _mm_madd_epi16(past->x[1], past->coefficient[1]));
	sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0x4e));
	sum = _mm_add_epi32(sum, _mm_shuffle_epi32(sum, 0xb1));
	return (uint32_t)_mm_cvtsi128_si32(sum);
}

TAKE_INLINE void take_past_push(take_past *past, int wide, int32_t last, const int16_t *x)
{
	(void)x;
	if (wide)
		past->x[1] = _mm_or_si128(_mm_slli_si128(past->x[1], 2), _mm_srli_si128(past->x[0], 14));
	past->x[0] = _mm_insert_epi16(_mm_slli_si128(past->x[0], 2), last, 0);
}

#else

typedef struct take_past {
	const int16_t *x;
	int32_t coefficient[RCO__ORDER_MAX];
} take_past;

TAKE_INLINE take_past take_past_of(const rco__predictor *p, const int16_t *x)
{
	take_past past = {.x = x};
	int i;

	for (i = 0; i < RCO__ORDER_MAX; i++)
		past.coefficient[i] = p->coefficient[i];
	return past;
}

TAKE_INLINE uint32_t take_past_sum(const take_past *past, int wide)
{
	uint32_t sum = 0;
	int i;

	for (i = 1; i < (wide ? RCO__ORDER_MAX : RCO__TAPS_NARROW); i++)
		sum += (uint32_t)(past->coefficient[i] * past->x[-1 - i]);
	return sum;
}

TAKE_INLINE void take_past_push(take_past *past, int wide, int32_t last, const int16_t *x)
{
	(void)wide;
	(void)last;
	past->x = x + 1;
}

#endif

/* ---- a sample ---- */

/* What changes from sample to sample. */
typedef struct take_state {
	take_past past;
	uint32_t sum; /* what is before the last sample, in the prediction, and half of its unit */
	int32_t last;
	uint32_t t; /* the level is its logarithm */
	size_t bit;
	int32_t any;   /* not 0 if a number was not */
	uint32_t high; /* bits from RCO__TAKE_BAD on if a sample was impossible */
} take_state;

/* Where a prediction lies, on a law. The way to `octave` is the longest there is. */
typedef struct take_spot {
	int32_t place;
	int32_t octave4;
} take_spot;

/* `p` may have more than 16 bits: both laws end before. The formula for A-law's small magnitudes is the same, if
 * they are taken for numbers with eight bits behind their leading one. */
TAKE_INLINE take_spot take_spot_of(rco__line line, int32_t closed, int32_t p)
{
	uint32_t limit = line == RCO__LINE_A ? INT16_MAX : RCO__MU_CLIP, t, top;
	int32_t sign = p >> 31, magnitude;

	t = p < 0 ? -(uint32_t)p : (uint32_t)p;
	t = t < limit ? t : limit;
	if (line != RCO__LINE_A)
		t += RCO__MU_BIAS;
	top = take_top_bit(line == RCO__LINE_A ? t | RCO__A_SMALL : t);
	magnitude = (int32_t)(16 * top - 128 + (t >> (top - 4)));
	return (take_spot){(magnitude ^ sign) - (sign & closed), (int32_t)(4 * top) - 28};
}

TAKE_INLINE int32_t take_level(uint32_t t)
{
	uint32_t top = take_top_bit(t);

	return (int32_t)(4 * top - 4 + (t >> (top - 2)));
}

TAKE_INLINE uint64_t take_bits(const uint8_t *from, size_t bit)
{
	uint64_t v;

	memcpy(&v, from + (bit >> 3), sizeof v);
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	v = __builtin_bswap64(v);
#endif
	return v << (bit & 7);
}

TAKE_INLINE int32_t take_unfold(uint32_t v)
{
	return (int32_t)(v >> 1) ^ -(int32_t)(v & 1);
}

/* Of a law: the number itself. */
TAKE_INLINE int32_t take_law_number(const rco__take *t, take_state *s, int32_t level)
{
	int32_t entry;

	level = level < RCO__LAW_LOW ? RCO__LAW_LOW : level;
	level = (level > RCO__LAW_HIGH ? RCO__LAW_HIGH : level) - RCO__LAW_LOW;
	entry = t->tables->rows[level][take_bits(t->from, s->bit) >> (64 - RCO__TAKE_BITS)];
	if (__builtin_expect(entry == 0, 0))
		return take_unfold(rco__take_slowly(t, &s->bit, (rco__row){(uint8_t)level, 0}));
	s->bit += (uint32_t)entry & ((1 << RCO__TAKE_SHIFT) - 1);
	return entry >> RCO__TAKE_SHIFT;
}

TAKE_INLINE int32_t take_linear_number(const rco__take *t, take_state *s, int32_t level)
{
	rco__row row = t->tables->linear[level];
	uint64_t bits = take_bits(t->from, s->bit);
	uint32_t entry = (uint16_t)t->tables->rows[row.row][bits >> (64 - RCO__TAKE_BITS)], size;

	if (__builtin_expect(entry == 0, 0))
		return take_unfold(rco__take_slowly(t, &s->bit, row));
	size = entry & ((1 << RCO__TAKE_SHIFT) - 1);
	s->bit += size + row.shift;
	/* shifted in two steps, for the second may have nothing to leave */
	return take_unfold((entry >> RCO__TAKE_SHIFT) << row.shift |
	                   (uint32_t)((bits << size) >> 32 >> (32 - row.shift)));
}

TAKE_INLINE void take_sample(rco__line line, int wide, int zero, const rco__take *t, take_state *s, size_t i)
{
	int32_t expected, value, number = 0, *off = t->off + i;
	int32_t closed = t->line == RCO__LINE_MU_CLOSED ? -1 : 0;
	take_spot spot = {0, 0};
	uint32_t distance;

	expected = (int32_t)(s->sum + (uint32_t)(t->p->coefficient[0] * s->last)) >> t->p->shift;
	if (line != RCO__LINE_LINEAR)
		spot = take_spot_of(line, closed, expected);
	expected = expected < INT16_MIN ? INT16_MIN : expected > INT16_MAX ? INT16_MAX : expected;
	if (!zero && line == RCO__LINE_LINEAR)
		number = take_linear_number(t, s, take_level(s->t));
	else if (!zero)
		number = take_law_number(t, s, take_level(s->t) - spot.octave4);
	s->any |= number;
	if (line == RCO__LINE_LINEAR) {
		value = expected + number;
		s->high |= (uint32_t)(value + 0x8000) >> 8;
		value = (int16_t)value;
	} else {
		value = spot.place + number;
		s->high |= (uint32_t)(value + 128) | (uint32_t)(value + 128 + closed);
		t->place[i] = (int16_t)value;
		value = t->tables->sample[t->line][(uint8_t)value];
	}
	take_past_push(&s->past, wide, s->last, t->x + i);
	s->sum = take_past_sum(&s->past, wide) + t->half;
	s->last = value;
	t->x[i] = (int16_t)value;
	distance = (uint32_t)(value > expected ? value - expected : expected - value);
	s->t += 9 * distance - 8 * (uint32_t)off[-8] - (uint32_t) * (off - 32);
	*off = (int32_t)distance;
}

/* ---- samples in a row ---- */

TAKE_INLINE size_t take_on(rco__line line, int wide, int zero, rco__take *t, size_t i, size_t n)
{
	take_state s = {
		.past = take_past_of(t->p, t->x + i), .last = t->x[(ptrdiff_t)i - 1], .t = t->t, .bit = t->bit};
	size_t from, to;

	s.sum = take_past_sum(&s.past, wide) + t->half;
	while (i < n && s.high < RCO__TAKE_BAD && (zero || s.bit >> 3 <= t->safe)) {
		if (!zero && i % RCO__GROUP == 0 && t->quiet >= RCO__RUN_AFTER)
			break;
		from = i;
		to = (i / RCO__GROUP + 1) * RCO__GROUP;
		s.any = 0;
		for (to = to < n ? to : n; i < to; i++)
			take_sample(line, wide, zero, t, &s, i);
		if (!zero && from % RCO__GROUP == 0)
			t->quiet = s.any != 0 ? 0 : t->quiet + 1;
	}
	t->t = s.t;
	t->bit = s.bit;
	t->bad = s.high >= RCO__TAKE_BAD;
	return i;
}

TAKE_INLINE size_t take_wide_or_not(rco__line line, int zero, rco__take *t, size_t i, size_t n)
{
	if (t->p->taps <= RCO__TAPS_NARROW)
		return take_on(line, 0, zero, t, i, n);
	return take_on(line, 1, zero, t, i, n);
}

TAKE_INLINE size_t rco__take_samples(int zero, rco__take *t, size_t i, size_t n)
{
	if (t->line == RCO__LINE_LINEAR)
		return take_wide_or_not(RCO__LINE_LINEAR, zero, t, i, n);
	if (t->line == RCO__LINE_A)
		return take_wide_or_not(RCO__LINE_A, zero, t, i, n);
	return take_wide_or_not(RCO__LINE_MU, zero, t, i, n);
}

#endif
