/* SPDX-License-Identifier: MIT */
#include "predict.h"

#include "kernels.h"

#include <string.h>

/* The reflection coefficient of a quantised one: round(32768 * sin(pi / 2 * i / 64)). Steps are even in the arc
 * sine, for a predictor is the more sensitive the nearer a reflection is to 1. */
static const int16_t sines[RCO__REFLECTION_MAX + 1] = {
	0,     804,   1608,  2411,  3212,  4011,  4808,  5602,  6393,  7180,  7962,  8740,  9512,
	10279, 11039, 11793, 12540, 13279, 14010, 14733, 15447, 16151, 16846, 17531, 18205, 18868,
	19520, 20160, 20788, 21403, 22006, 22595, 23170, 23732, 24279, 24812, 25330, 25833, 26320,
	26791, 27246, 27684, 28106, 28511, 28899, 29269, 29622, 29957, 30274, 30572, 30853, 31114,
	31357, 31581, 31786, 31972, 32138, 32286, 32413, 32522, 32610, 32679, 32729, 32758};

enum {
	WIDE = 20, /* fraction bits of coefficients while they are made */
	SHIFT_MAX = 13,
	TAPER_PART = 4, /* the window rises over a quarter of the block, and falls over another */
	ONE = 32767
};

static int32_t reflection_value(int order, int quantised)
{
	int i = quantised < 0 ? -quantised : quantised;
	int32_t v = sines[rco__reflection_max(order) == RCO__REFLECTION_MAX ? i : 2 * i];

	return quantised < 0 ? -v : v;
}

/* Reflections to coefficients, by the step-up recursion. */
static void step_up(const rco__predictor *p, int64_t *a)
{
	int64_t before[RCO__ORDER_MAX];
	int32_t k;
	int m, j;

	for (m = 0; m < p->order; m++) {
		memcpy(before, a, sizeof before);
		k = reflection_value(m, p->reflection[m]);
		for (j = 0; j < m; j++)
			a[j] = before[j] - ((k * before[m - 1 - j] + (1 << 14)) >> 15);
		a[m] = (int64_t)k * (1 << (WIDE - 15));
	}
}

/* The largest shift at which every coefficient has 16 bits. */
static int narrow(rco__predictor *p, const int64_t *a)
{
	int64_t v;
	int i;

	for (i = 0; i < p->taps; i++) {
		v = (a[i] + (INT64_C(1) << (WIDE - p->shift - 1))) >> (WIDE - p->shift);
		if (v < -INT16_MAX || v > INT16_MAX)
			return 0;
		p->coefficient[i] = (int16_t)v;
	}
	return 1;
}

static void finish_fixed(rco__predictor *p)
{
	static const int16_t polynomials[RCO__ORDERS - RCO__ORDER_FIXED][3] = {{1, 0, 0}, {2, -1, 0}, {3, -3, 1}};

	p->taps = p->order - RCO__ORDER_FIXED + 1;
	memcpy(p->coefficient, polynomials[p->order - RCO__ORDER_FIXED], sizeof polynomials[0]);
}

void rco__predictor_finish(rco__predictor *p)
{
	int64_t wide[RCO__ORDER_MAX] = {0};

	memset(p->coefficient, 0, sizeof p->coefficient);
	p->shift = 0;
	p->taps = p->order;
	if (p->order >= RCO__ORDER_FIXED) {
		finish_fixed(p);
		return;
	}
	if (p->order == 0)
		return;
	step_up(p, wide);
	/* No coefficient of a stable predictor of 16 taps reaches 2^14, so that this ends. */
	for (p->shift = SHIFT_MAX; !narrow(p, wide); p->shift--)
		;
}

/* 3t^2 - 2t^3: nearly a cosine's flank, in integers. */
static void make_taper(rco__analysis *a, size_t n)
{
	uint64_t size = n / TAPER_PART, t, i;

	if (a->taper_of == n)
		return;
	for (i = 0; i < size; i++) {
		t = (2 * i + 1) * (1 << 15) / (2 * size);
		a->taper[i] = (uint16_t)((((t * t) >> 15) * (3 * (1 << 15) - 2 * t)) >> 15);
		if (a->taper[i] > ONE)
			a->taper[i] = ONE;
	}
	a->taper_of = n;
	a->taper_size = (size_t)size;
}

static int16_t scaled(int16_t x, uint16_t w)
{
	return (int16_t)((x * w + (1 << 14)) >> 15);
}

static int32_t bits_of(const int16_t *x, size_t n)
{
	int32_t any = 0;
	size_t i;

	for (i = 0; i < n; i++)
		any |= x[i] ^ (x[i] >> 15);
	return any;
}

/* The block under the window, made small enough that the correlations of n of them fit 32 bits in each of 8 lanes.
 */
static void window(rco__analysis *a, const int16_t *x, size_t n)
{
	int64_t peak = bits_of(x, n) + 1, limit = (INT64_C(1) << 31) / (int64_t)(n / 8 + 4);
	size_t edge = a->taper_size, i;
	int shift = 0;

	memcpy(a->windowed, x, n * sizeof *x);
	memset(a->windowed + n, 0, RCO__KERNEL_BEYOND * sizeof *x);
	for (i = 0; i < edge; i++) {
		a->windowed[i] = scaled(x[i], a->taper[i]);
		a->windowed[n - 1 - i] = scaled(x[n - 1 - i], a->taper[i]);
	}
	while ((peak >> shift) * (peak >> shift) >= limit)
		shift++;
	if (shift == 0)
		return;
	for (i = 0; i < n; i++)
		a->windowed[i] = (int16_t)(a->windowed[i] >> shift);
}

/* Schur's recursion: reflections, and what is left of the energy behind each. */
static void schur(rco__analysis *a, int most, double *reflection)
{
	double u[RCO__ORDER_MAX + 1] = {0}, v[RCO__ORDER_MAX + 1] = {0}, k, t;
	int m, j;

	for (m = 0; m <= most; m++)
		u[m] = v[m] = (double)a->correlation[m];
	u[0] = v[0] = v[0] * (1 + 1e-9) + 1;
	a->error[0] = v[0];
	for (m = 1; m <= most; m++) {
		k = u[m] / v[0];
		reflection[m - 1] = k;
		for (j = 0; j <= most - m; j++) {
			t = u[j + m];
			u[j + m] = t - k * v[j];
			v[j] -= k * t;
		}
		a->error[m] = v[0];
	}
}

/* The order whose gain outweighs its cost best. */
static int choose_order(const rco__analysis *a, size_t n, int most)
{
	/* One order more costs about 4.5 bits, a halving of the energy saves n / 2: what counts for as much. */
	double price = 2 * 4.5 * 0.6931 / (double)n, noise = 0.3 * (double)n, best = a->error[0] + noise, e;
	int m, order = 0;

	for (m = 1; m <= most; m++) {
		e = a->error[m] + noise;
		if (e >= best * (1 - price * (m - order)))
			continue;
		best = e;
		order = m;
	}
	return order;
}

static int quantise(int order, double k)
{
	double v = (k < 0 ? -k : k) * 65536;
	int low = 0, high = rco__reflection_max(order), middle;

	while (low < high) {
		middle = (low + high) / 2;
		if (v >= reflection_value(order, middle) + reflection_value(order, middle + 1))
			low = middle + 1;
		else
			high = middle;
	}
	return k < 0 ? -low : low;
}

void rco__analyse(rco__analysis *a, const rco__kernels *kernels, const int16_t *x, size_t n, int most,
                  rco__predictor *p)
{
	double reflection[RCO__ORDER_MAX];
	int m;

	make_taper(a, n);
	window(a, x, n);
	kernels->correlate(a->windowed, n, most + 1, a->correlation);
	schur(a, most, reflection);
	p->order = choose_order(a, n, most);
	for (m = 0; m < p->order; m++)
		p->reflection[m] = (int8_t)quantise(m, reflection[m]);
	rco__predictor_finish(p);
}
