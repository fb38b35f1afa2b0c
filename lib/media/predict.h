/* SPDX-License-Identifier: MIT */
/*
 * Linear prediction of a block of samples. The analysis is the encoder's own
 * affair; what follows from the quantised reflection coefficients is integer
 * arithmetic that every decoder repeats exactly.
 */
#ifndef RCO_MEDIA_PREDICT_H
#define RCO_MEDIA_PREDICT_H

#include <stddef.h>
#include <stdint.h>

enum {
	RCO__ORDER_MAX = 16,
	RCO__REFLECTION_MAX = 63, /* quantised: -63 to 63 */
	RCO__BLOCK_MAX = 4080
};

typedef struct rco__predictor {
	int order;                           /* 0 to 16 */
	int8_t reflection[RCO__ORDER_MAX];   /* quantised, of orders 1 to 16 */
	int taps;                            /* how many coefficients count */
	int shift;                           /* they are multiples of 2^-shift */
	int16_t coefficient[RCO__ORDER_MAX]; /* [0] is that of the sample before; zeros behind `taps` */
} rco__predictor;

/* The largest quantised reflection of an order, counted from 0; the smallest is the same below zero. */
static inline int rco__reflection_max(int order)
{
	return order < 2 ? RCO__REFLECTION_MAX : RCO__REFLECTION_MAX / 2;
}

/* Taps, shift and coefficients from order and reflections. */
void rco__predictor_finish(rco__predictor *p);

/* The prediction of *x from the 16 samples before it; sums wrap around at 32 bits. */
static inline int32_t rco__predict(const rco__predictor *p, const int16_t *x)
{
	uint32_t sum = 0;
	int32_t value;
	int i;

	for (i = 0; i < p->taps; i++)
		sum += (uint32_t)(p->coefficient[i] * x[-1 - i]);
	if (p->shift > 0)
		sum += UINT32_C(1) << (p->shift - 1);
	value = (int32_t)sum >> p->shift;
	return value < INT16_MIN ? INT16_MIN : value > INT16_MAX ? INT16_MAX : value;
}

enum { RCO__STEPS = 512, RCO__FINE = 16 };

typedef struct rco__analysis {
	/* For two block sizes: a chunk's last block is mostly of another one than those before it. */
	size_t window_of[2];
	int window_oldest;
	int16_t window[2][RCO__BLOCK_MAX];
	int16_t windowed[RCO__BLOCK_MAX + 64];
	int64_t correlation[RCO__ORDER_MAX + 1];
	double error[RCO__ORDER_MAX + 1];
	int8_t nearest[2][2][RCO__STEPS + 1]; /* quantised reflections, see predict.c */
} rco__analysis;

void rco__analysis_make(rco__analysis *a);
/* What it knows of blocks of up to n samples. */
void rco__analysis_wipe(rco__analysis *a, size_t n);

struct rco__kernels;

/* Choose a predictor of at most `most` reflections for x[0..n), n up to RCO__BLOCK_MAX. */
void rco__analyse(rco__analysis *a, const struct rco__kernels *kernels, const int16_t *x, size_t n, int most,
                  rco__predictor *p);

#endif
