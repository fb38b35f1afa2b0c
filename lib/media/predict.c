/* SPDX-License-Identifier: MIT */
#include "predict.h"

#include "kernels.h"

#include <recoptout.h>

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
	ONE = 32767,
	ONE_REFLECTION = 32768
};

static int32_t reflection_value(int order, int quantised)
{
	int i = quantised < 0 ? -quantised : quantised;
	int32_t v = sines[rco__reflection_max(order) == RCO__REFLECTION_MAX ? i : 2 * i];

	return quantised < 0 ? -v : v;
}

static int64_t stepped(int64_t a, int64_t mirror, int32_t k)
{
	return a - ((k * mirror + (1 << 14)) >> 15);
}

/* Reflections to coefficients, by the step-up recursion: each becomes itself less its mirror image, reflected. */
static void step_up(const rco__predictor *p, int64_t *a)
{
	int64_t left;
	int32_t k;
	int m, i, j;

	for (m = 0; m < p->order; m++) {
		k = reflection_value(m, p->reflection[m]);
		for (i = 0, j = m - 1; i <= j; i++, j--) {
			left = a[i];
			a[i] = stepped(left, a[j], k);
			if (i < j)
				a[j] = stepped(a[j], left, k);
		}
		a[m] = (int64_t)k * (1 << (WIDE - 15));
	}
}

static int64_t rounded(int64_t a, int shift)
{
	return (a + (INT64_C(1) << (WIDE - shift - 1))) >> (WIDE - shift);
}

/* The largest shift at which every coefficient has 16 bits. The largest and the smallest coefficient tell; no
 * coefficient of a stable predictor of 16 taps reaches 2^14, so that there is one. */
static void narrow(rco__predictor *p, const int64_t *a)
{
	int64_t least = 0, most = 0;
	int i;

	for (i = 0; i < p->taps; i++) {
		least = a[i] < least ? a[i] : least;
		most = a[i] > most ? a[i] : most;
	}
	p->shift = SHIFT_MAX;
	while (rounded(least, p->shift) < -INT16_MAX || rounded(most, p->shift) > INT16_MAX)
		p->shift--;
	for (i = 0; i < p->taps; i++)
		p->coefficient[i] = (int16_t)rounded(a[i], p->shift);
}

void rco__predictor_finish(rco__predictor *p)
{
	int64_t wide[RCO__ORDER_MAX] = {0};

	memset(p->coefficient, 0, sizeof p->coefficient);
	p->shift = 0;
	p->taps = p->order;
	if (p->order == 0)
		return;
	step_up(p, wide);
	narrow(p, wide);
}

/* 3t^2 - 2t^3: nearly a cosine's flank, in integers. */
static void make_window(int16_t *window, size_t n)
{
	uint64_t size = n / TAPER_PART, t, w;
	size_t i;

	for (i = 0; i < n; i++)
		window[i] = ONE;
	for (i = 0; i < size; i++) {
		t = (2 * i + 1) * (1 << 15) / (2 * size);
		w = (((t * t) >> 15) * (3 * (1 << 15) - 2 * t)) >> 15;
		window[i] = window[n - 1 - i] = (int16_t)(w < ONE ? w : ONE);
	}
}

static const int16_t *window_of(rco__analysis *a, size_t n)
{
	int i;

	for (i = 0; i < 2; i++)
		if (a->window_of[i] == n)
			return a->window[i];
	i = a->window_oldest;
	make_window(a->window[i], n);
	a->window_of[i] = n;
	a->window_oldest = !i;
	return a->window[i];
}

/* The block under the window, made small enough that sums of n / 16 pairs of products fit 32 bits. */
static void window(rco__analysis *a, const rco__kernels *kernels, const int16_t *x, size_t n)
{
	int64_t peak = kernels->bits_of(x, n) + 1, limit = (INT64_C(1) << 31) / (int64_t)(n / 8 + 4);
	int shift = 0;

	while ((peak >> shift) * (peak >> shift) >= limit)
		shift++;
	kernels->window(x, window_of(a, n), n, shift, a->windowed);
	memset(a->windowed + n, 0, RCO__KERNEL_BEYOND * sizeof *x);
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

static int nearest(int order, int32_t value)
{
	int i = 0;

	while (i < rco__reflection_max(order) &&
	       2 * value >= reflection_value(order, i) + reflection_value(order, i + 1))
		i++;
	return i;
}

/* By the first 9 bits of a reflection's amount, or from 15/16 on by the 9 behind the first four. */
void rco__analysis_make(rco__analysis *a)
{
	int32_t i, half;
	int kind;

	for (kind = 0; kind < 2; kind++)
		for (i = 0; i <= RCO__STEPS; i++) {
			half = ONE_REFLECTION / RCO__STEPS / 2;
			a->nearest[kind][0][i] =
				(int8_t)nearest(2 * kind, i * (ONE_REFLECTION / RCO__STEPS) + half);
			half = ONE_REFLECTION - ONE_REFLECTION / RCO__FINE;
			a->nearest[kind][1][i] =
				(int8_t)nearest(2 * kind, half + i * (ONE_REFLECTION / RCO__FINE / RCO__STEPS));
		}
}

static int quantise(const rco__analysis *a, int order, double k)
{
	const int8_t(*table)[RCO__STEPS + 1] = a->nearest[rco__reflection_max(order) != RCO__REFLECTION_MAX];
	double amount = k < 0 ? -k : k;
	int q;

	if (amount > 1)
		amount = 1; /* by rounding */
	if (amount < 1 - 1.0 / RCO__FINE)
		q = table[0][(int)(amount * RCO__STEPS)];
	else
		q = table[1][(int)((amount - (1 - 1.0 / RCO__FINE)) * RCO__FINE * RCO__STEPS)];
	return k < 0 ? -q : q;
}

void rco__analysis_wipe(rco__analysis *a, size_t n)
{
	size_t room = sizeof a->windowed / sizeof a->windowed[0];

	rco_memzero(a->windowed,
	            (n + RCO__KERNEL_BEYOND < room ? n + RCO__KERNEL_BEYOND : room) * sizeof a->windowed[0]);
	rco_memzero(a->correlation, sizeof a->correlation);
	rco_memzero(a->error, sizeof a->error);
}

void rco__analyse(rco__analysis *a, const rco__kernels *kernels, const int16_t *x, size_t n, int most,
                  rco__predictor *p)
{
	double reflection[RCO__ORDER_MAX];
	int m;

	window(a, kernels, x, n);
	kernels->correlate(a->windowed, n, most + 1, a->correlation);
	schur(a, most, reflection);
	p->order = choose_order(a, n, most);
	for (m = 0; m < p->order; m++)
		p->reflection[m] = (int8_t)quantise(a, m, reflection[m]);
	rco__predictor_finish(p);
}
