/* SPDX-License-Identifier: MIT */
#include "kernels.h"

#if defined(__x86_64__) && defined(__GNUC__)

#include "put.h"
#include "take.h"

#include <cpuid.h>
#include <immintrin.h>

#define AVX2   __attribute__((target("avx2,bmi2")))
#define TAKE   __attribute__((target("avx2,bmi2,lzcnt"))) static
#define INLINE static inline __attribute__((always_inline, target("avx2,bmi2")))

enum { LANES = 16 };

INLINE __m256i load(const void *p)
{
	return _mm256_loadu_si256(p);
}

/* rco__log16() of 16 numbers without sign. */
INLINE __m256i log16_of(__m256i t)
{
	__m256i zero = _mm256_setzero_si256();
	__m256 low = _mm256_cvtepi32_ps(_mm256_unpacklo_epi16(t, zero));
	__m256 high = _mm256_cvtepi32_ps(_mm256_unpackhi_epi16(t, zero));
	__m256i logs = _mm256_packs_epi32(_mm256_srli_epi32(_mm256_castps_si256(low), 19),
	                                  _mm256_srli_epi32(_mm256_castps_si256(high), 19));

	return _mm256_sub_epi16(logs, _mm256_set1_epi16(127 * 16));
}

/* |x| is 0x8000 for the lowest sample, which the unsigned minimum takes as the large number it is. */
INLINE __m256i magnitude_of(rco__line line, __m256i x)
{
	__m256i t = _mm256_abs_epi16(x), small, base = _mm256_set1_epi16(7 * 16);

	if (line != RCO__LINE_A) {
		t = _mm256_min_epu16(t, _mm256_set1_epi16(RCO__MU_CLIP));
		return _mm256_sub_epi16(log16_of(_mm256_add_epi16(t, _mm256_set1_epi16(RCO__MU_BIAS))), base);
	}
	t = _mm256_min_epu16(t, _mm256_set1_epi16(INT16_MAX));
	small = _mm256_cmpgt_epi16(_mm256_set1_epi16(RCO__A_SMALL), t);
	return _mm256_blendv_epi8(_mm256_sub_epi16(log16_of(t), base), _mm256_srli_epi16(t, 4), small);
}

INLINE __m256i place_of(rco__line line, __m256i magnitude, __m256i x)
{
	__m256i negative = _mm256_srai_epi16(x, 15), place;

	/* ~m is -1 - m; taking the mask off once more makes it -m */
	place = _mm256_xor_si256(magnitude, negative);
	return line == RCO__LINE_MU_CLOSED ? _mm256_sub_epi16(place, negative) : place;
}

/*
 * Samples of a book, less their sign, have a one and four free bits behind it and then 100..0. As a float that is
 * a fraction whose lower 19 bits are 100..0: with A-law from 256 on, with mu-law after its bias is added. The
 * smallest of A-law are 8 and multiples of 16 more.
 */
INLINE __m256i fraction_is_middle(__m256i t32)
{
	__m256i bits = _mm256_castps_si256(_mm256_cvtepi32_ps(t32));

	return _mm256_cmpeq_epi32(_mm256_and_si256(bits, _mm256_set1_epi32(0x7ffff)), _mm256_set1_epi32(0x40000));
}

INLINE __m256i middles(__m256i t)
{
	__m256i zero = _mm256_setzero_si256();

	return _mm256_packs_epi32(fraction_is_middle(_mm256_unpacklo_epi16(t, zero)),
	                          fraction_is_middle(_mm256_unpackhi_epi16(t, zero)));
}

INLINE int all_in_book(rco__line line, __m256i x)
{
	__m256i t = _mm256_abs_epi16(x), ok, small, fits;

	if (line != RCO__LINE_A) {
		/* the loudest is 32124 */
		fits = _mm256_cmpeq_epi16(t, _mm256_min_epu16(t, _mm256_set1_epi16(32124)));
		ok = _mm256_and_si256(fits, middles(_mm256_add_epi16(t, _mm256_set1_epi16(RCO__MU_BIAS))));
		return _mm256_movemask_epi8(ok) == -1;
	}
	fits = _mm256_cmpeq_epi16(t, _mm256_min_epu16(t, _mm256_set1_epi16(32256)));
	small = _mm256_cmpgt_epi16(_mm256_set1_epi16(RCO__A_SMALL), t);
	ok = _mm256_cmpeq_epi16(_mm256_and_si256(t, _mm256_set1_epi16(15)), _mm256_set1_epi16(8));
	ok = _mm256_blendv_epi8(middles(t), ok, small);
	return _mm256_movemask_epi8(_mm256_and_si256(ok, fits)) == -1;
}

AVX2 static int in_book(rco__line line, const int16_t *x, size_t n)
{
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES)
		if (!all_in_book(line, load(x + i)))
			return 0;
	return rco__kernels_plain.in_book(line, x + i, n - i);
}

AVX2 static void places(rco__line line, const int16_t *x, size_t n, int16_t *place)
{
	__m256i v;
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES) {
		v = load(x + i);
		_mm256_storeu_si256((void *)(place + i), place_of(line, magnitude_of(line, v), v));
	}
	rco__kernels_plain.places(line, x + i, n - i, place + i);
}

INLINE int64_t sum_of(__m256i v)
{
	__m256i wide = _mm256_add_epi64(_mm256_cvtepi32_epi64(_mm256_castsi256_si128(v)),
	                                _mm256_cvtepi32_epi64(_mm256_extracti128_si256(v, 1)));
	__m128i half = _mm_add_epi64(_mm256_castsi256_si128(wide), _mm256_extracti128_si256(wide, 1));

	return _mm_cvtsi128_si64(half) + _mm_extract_epi64(half, 1);
}

INLINE __m256i products(__m256i v, const int16_t *later)
{
	return _mm256_madd_epi16(v, load(later));
}

enum { LAGS_AT_ONCE = 7 };

/* As many lags at a time as keep all in registers; what is behind the block is zero. */
INLINE void correlate7(const int16_t *x, size_t n, int lag, int64_t *sums)
{
	__m256i s[LAGS_AT_ONCE], v;
	size_t i;
	int j;

	for (j = 0; j < LAGS_AT_ONCE; j++)
		s[j] = _mm256_setzero_si256();
	for (i = 0; i < n; i += LANES) {
		v = load(x + i);
		s[0] = _mm256_add_epi32(s[0], products(v, x + i + lag));
		s[1] = _mm256_add_epi32(s[1], products(v, x + i + lag + 1));
		s[2] = _mm256_add_epi32(s[2], products(v, x + i + lag + 2));
		s[3] = _mm256_add_epi32(s[3], products(v, x + i + lag + 3));
		s[4] = _mm256_add_epi32(s[4], products(v, x + i + lag + 4));
		s[5] = _mm256_add_epi32(s[5], products(v, x + i + lag + 5));
		s[6] = _mm256_add_epi32(s[6], products(v, x + i + lag + 6));
	}
	for (j = 0; j < LAGS_AT_ONCE; j++)
		sums[j] = sum_of(s[j]);
}

AVX2 static void correlate(const int16_t *x, size_t n, int lags, int64_t *sums)
{
	int64_t room[21];
	int lag;

	for (lag = 0; lag < lags; lag += LAGS_AT_ONCE)
		correlate7(x, n, lag, room + lag);
	memcpy(sums, room, (size_t)lags * sizeof *sums);
}

/* Predictions of 16 samples: those at even places and those at odd ones, since products come in pairs of
 * neighbours. */
INLINE __m256i predict16(const rco__predictor *p, const __m256i *pairs, const int16_t *x)
{
	__m256i even = _mm256_set1_epi32(p->shift > 0 ? 1 << (p->shift - 1) : 0), odd = even;
	__m128i shift = _mm_cvtsi32_si128(p->shift);
	int i;

	for (i = 0; 2 * i < p->taps; i++) {
		even = _mm256_add_epi32(even, products(pairs[i], x - 2 - 2 * i));
		odd = _mm256_add_epi32(odd, products(pairs[i], x - 1 - 2 * i));
	}
	even = _mm256_sra_epi32(even, shift);
	odd = _mm256_sra_epi32(odd, shift);
	return _mm256_unpacklo_epi16(_mm256_packs_epi32(even, even), _mm256_packs_epi32(odd, odd));
}

INLINE void store16(void *to, __m256i unsigned16)
{
	_mm256_storeu_si256(to, _mm256_cvtepu16_epi32(_mm256_castsi256_si128(unsigned16)));
	_mm256_storeu_si256((__m256i *)to + 1, _mm256_cvtepu16_epi32(_mm256_extracti128_si256(unsigned16, 1)));
}

/* Distances have up to 16 bits: the greater less the smaller. */
INLINE __m256i distance_of(__m256i x, __m256i expected)
{
	return _mm256_sub_epi16(_mm256_max_epi16(x, expected), _mm256_min_epi16(x, expected));
}

/* Twice the distance, and one less when the sample is below. */
INLINE void fold_linear(__m256i x, __m256i expected, uint32_t *folded)
{
	__m256i distance = distance_of(x, expected), below = _mm256_cmpgt_epi16(expected, x), wide, minus;
	int i;

	for (i = 0; i < 2; i++) {
		wide = _mm256_cvtepu16_epi32(i == 0 ? _mm256_castsi256_si128(distance)
		                                    : _mm256_extracti128_si256(distance, 1));
		minus = _mm256_cvtepi16_epi32(i == 0 ? _mm256_castsi256_si128(below)
		                                     : _mm256_extracti128_si256(below, 1));
		_mm256_storeu_si256((void *)(folded + 8 * i), _mm256_add_epi32(_mm256_slli_epi32(wide, 1), minus));
	}
}

INLINE void store_octaves(rco__line line, __m256i magnitude, uint8_t *octave4)
{
	__m256i octave = _mm256_srli_epi16(magnitude, 4);

	if (line == RCO__LINE_A)
		octave = _mm256_max_epi16(octave, _mm256_set1_epi16(1));
	octave = _mm256_slli_epi16(octave, 2);
	_mm_storeu_si128((void *)octave4,
	                 _mm_packus_epi16(_mm256_castsi256_si128(octave), _mm256_extracti128_si256(octave, 1)));
}

INLINE void residual_on(rco__line line, const rco__predictor *p, const int16_t *x, const int16_t *place, size_t n,
                        uint32_t *folded, int32_t *off, uint8_t *octave4)
{
	__m256i pairs[RCO__ORDER_MAX / 2], now, expected, magnitude, e;
	size_t i;
	int j;

	for (j = 0; j < RCO__ORDER_MAX / 2; j++)
		pairs[j] = _mm256_set1_epi32((int32_t)((uint32_t)(uint16_t)p->coefficient[2 * j + 1] |
		                                       (uint32_t)(uint16_t)p->coefficient[2 * j] << 16));
	for (i = 0; i < n; i += LANES) {
		now = load(x + i);
		expected = predict16(p, pairs, x + i);
		store16(off + i, distance_of(now, expected));
		if (line == RCO__LINE_LINEAR) {
			fold_linear(now, expected, folded + i);
			continue;
		}
		magnitude = magnitude_of(line, expected);
		e = _mm256_sub_epi16(load(place + i), place_of(line, magnitude, expected));
		store16(folded + i, _mm256_xor_si256(_mm256_slli_epi16(e, 1), _mm256_srai_epi16(e, 15)));
		store_octaves(line, magnitude, octave4 + i);
	}
}

AVX2 static void residual(rco__line line, const rco__predictor *p, const int16_t *x, const int16_t *place,
                          size_t n, uint32_t *folded, int32_t *off, uint8_t *octave4)
{
	switch (line) {
	case RCO__LINE_LINEAR:
		memset(octave4, 0, n);
		residual_on(RCO__LINE_LINEAR, p, x, place, n, folded, off, octave4);
		break;
	case RCO__LINE_MU_CLOSED:
		residual_on(RCO__LINE_MU_CLOSED, p, x, place, n, folded, off, octave4);
		break;
	case RCO__LINE_MU:
		residual_on(RCO__LINE_MU, p, x, place, n, folded, off, octave4);
		break;
	case RCO__LINE_A:
		residual_on(RCO__LINE_A, p, x, place, n, folded, off, octave4);
		break;
	}
}

/* The sum of the eight before each of eight. */
INLINE __m256i eight_before(const int32_t *off)
{
	__m256i a = _mm256_add_epi32(load(off - 8), load(off - 7)),
		b = _mm256_add_epi32(load(off - 6), load(off - 5));
	__m256i c = _mm256_add_epi32(load(off - 4), load(off - 3)),
		d = _mm256_add_epi32(load(off - 2), load(off - 1));

	return _mm256_add_epi32(_mm256_add_epi32(a, b), _mm256_add_epi32(c, d));
}

/* What rco__level() finds, of eight. `before` are the sums of eight that end 24, 16 and 8 before these. */
INLINE __m256i levels8(const int32_t *off, __m256i *before)
{
	__m256i sum8 = eight_before(off), sum, level;

	sum = _mm256_add_epi32(_mm256_add_epi32(before[0], before[1]), _mm256_add_epi32(before[2], sum8));
	sum = _mm256_add_epi32(_mm256_add_epi32(sum, _mm256_slli_epi32(sum8, 3)), _mm256_set1_epi32(4));
	level = _mm256_srli_epi32(_mm256_castps_si256(_mm256_cvtepi32_ps(sum)), 19);
	before[0] = before[1];
	before[1] = before[2];
	before[2] = sum8;
	return _mm256_srli_epi32(_mm256_sub_epi32(level, _mm256_set1_epi32(127 * 16)), 2);
}

/* Rows and shifts of eight levels; see rco__row_of(). */
INLINE __m256i rows8(rco__line line, __m256i level, __m256i octave4, __m256i *shift)
{
	__m256i low = _mm256_set1_epi32(line == RCO__LINE_LINEAR ? RCO__LINEAR_LOW : RCO__LAW_LOW);
	__m256i high = _mm256_set1_epi32(line == RCO__LINE_LINEAR ? RCO__LINEAR_HIGH : RCO__LAW_HIGH), over;

	*shift = _mm256_setzero_si256();
	if (line != RCO__LINE_LINEAR)
		level = _mm256_sub_epi32(level, octave4);
	level = _mm256_sub_epi32(_mm256_min_epi32(_mm256_max_epi32(level, low), high), low);
	if (line != RCO__LINE_LINEAR)
		return level;
	over = _mm256_sub_epi32(level, _mm256_set1_epi32(RCO__LINEAR_TOP - RCO__LINEAR_LOW));
	*shift = _mm256_srli_epi32(_mm256_max_epi32(over, _mm256_setzero_si256()), 2);
	level = _mm256_sub_epi32(level, _mm256_slli_epi32(*shift, 2));
	return _mm256_add_epi32(level, _mm256_set1_epi32(RCO__LAW_ROWS));
}

/* Eight slots and shifts; gathers in `any` the bits of all numbers, and in `large` those of the shifted ones. */
INLINE __m256i slots8(rco__line line, __m256i level, const uint8_t *octave4, const uint32_t *folded,
                      __m256i *shift, __m256i *any, __m256i *large)
{
	__m256i v = load(folded), row, number;

	row = rows8(line, level, _mm256_cvtepu8_epi32(_mm_loadl_epi64((const void *)octave4)), shift);
	number = line == RCO__LINE_LINEAR ? _mm256_srlv_epi32(v, *shift) : v;
	*any = _mm256_or_si256(*any, v);
	*large = _mm256_or_si256(*large, number);
	number = _mm256_min_epu32(number, _mm256_set1_epi32(RCO__FAST - 1));
	return _mm256_add_epi32(_mm256_slli_epi32(row, RCO__FAST_BITS), number);
}

INLINE __m256i in_order(__m256i a, __m256i b)
{
	return _mm256_permute4x64_epi64(_mm256_packs_epi32(a, b), 0xd8);
}

INLINE void slots_on(rco__line line, const int32_t *off, const uint8_t *octave4, const uint32_t *folded, size_t n,
                     uint16_t *slot, uint8_t *shift, uint8_t *group)
{
	__m256i before[3] = {eight_before(off - 24), eight_before(off - 16), eight_before(off - 8)};
	__m256i any, large, a, b, shift_a, shift_b, fast = _mm256_set1_epi32(RCO__FAST - 1);
	size_t i;

	for (i = 0; i < n; i += LANES) {
		any = large = _mm256_setzero_si256();
		a = slots8(line, levels8(off + i, before), octave4 + i, folded + i, &shift_a, &any, &large);
		b = slots8(line, levels8(off + i + 8, before), octave4 + i + 8, folded + i + 8, &shift_b, &any,
		           &large);
		_mm256_storeu_si256((void *)(slot + i), in_order(a, b));
		if (line == RCO__LINE_LINEAR) {
			shift_a = in_order(shift_a, shift_b);
			_mm_storeu_si128((void *)(shift + i),
			                 _mm_packus_epi16(_mm256_castsi256_si128(shift_a),
			                                  _mm256_extracti128_si256(shift_a, 1)));
		}
		/* testz: nothing of them; testc: nothing of them outside `fast` */
		group[i / LANES] = (uint8_t)((_mm256_testz_si256(any, any) ? 0 : RCO__GROUP_NOT_ZERO) |
		                             (_mm256_testc_si256(fast, large) ? 0 : RCO__GROUP_SLOW));
	}
}

AVX2 static void slots(rco__line line, const int32_t *off, const uint8_t *octave4, const uint32_t *folded,
                       size_t n, uint16_t *slot, uint8_t *shift, uint8_t *group)
{
	if (line == RCO__LINE_LINEAR) {
		slots_on(RCO__LINE_LINEAR, off, octave4, folded, n, slot, shift, group);
		return;
	}
	memset(shift, 0, n);
	slots_on(RCO__LINE_MU, off, octave4, folded, n, slot, shift, group);
}

AVX2 static void put(rco__line line, const rco__codebook *book, rco__bit_writer *w, const uint16_t *slot,
                     const uint8_t *shift, const uint32_t *folded, size_t n)
{
	if (line == RCO__LINE_LINEAR)
		rco__put(RCO__LINE_LINEAR, book, w, slot, shift, folded, n);
	else
		rco__put(RCO__LINE_MU, book, w, slot, shift, folded, n);
}

AVX2 static void window(const int16_t *x, const int16_t *w, size_t n, int shift, int16_t *out)
{
	__m128i by = _mm_cvtsi32_si128(shift);
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES)
		_mm256_storeu_si256((void *)(out + i),
		                    _mm256_sra_epi16(_mm256_mulhrs_epi16(load(x + i), load(w + i)), by));
	rco__kernels_plain.window(x + i, w + i, n - i, shift, out + i);
}

AVX2 static int32_t bits_of(const int16_t *x, size_t n)
{
	__m256i any = _mm256_setzero_si256(), v;
	__m128i half;
	size_t i;

	for (i = 0; i + LANES <= n; i += LANES) {
		v = load(x + i);
		any = _mm256_or_si256(any, _mm256_xor_si256(v, _mm256_srai_epi16(v, 15)));
	}
	half = _mm_or_si128(_mm256_castsi256_si128(any), _mm256_extracti128_si256(any, 1));
	half = _mm_or_si128(half, _mm_srli_si128(half, 8));
	half = _mm_or_si128(half, _mm_srli_si128(half, 4));
	half = _mm_or_si128(half, _mm_srli_si128(half, 2));
	return (_mm_cvtsi128_si32(half) & 0xffff) | rco__kernels_plain.bits_of(x + i, n - i);
}

/* The machine's own count of leading zeros is half of the way from sample to sample shorter than the other. */
TAKE size_t take(rco__take *t, size_t i, size_t n)
{
	return rco__take_samples(0, t, i, n);
}

TAKE size_t take_zeros(rco__take *t, size_t i, size_t n)
{
	return rco__take_samples(1, t, i, n);
}

static const rco__kernels kernels = {in_book,  places, window, bits_of, correlate,
                                     residual, slots,  put,    take,    take_zeros};

/* Not every compiler can be asked for it. */
static int has_lzcnt(void)
{
	unsigned a, b, c, d;

	return __get_cpuid(0x80000001, &a, &b, &c, &d) != 0 && (c & bit_LZCNT) != 0;
}

const rco__kernels *rco__kernels_avx2(void)
{
	return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi2") && has_lzcnt() ? &kernels : NULL;
}

#else

const rco__kernels *rco__kernels_avx2(void)
{
	return NULL;
}

#endif
