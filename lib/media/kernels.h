/* SPDX-License-Identifier: MIT */
/*
 * The loops that cost the encoder its time, in plain C and with AVX2. All give
 * the same numbers; which are used is found at run time.
 */
#ifndef RCO_MEDIA_KERNELS_H
#define RCO_MEDIA_KERNELS_H

#include "g711.h"
#include "predict.h"

enum {
	RCO__KERNEL_PAST = 32,  /* elements before a buffer's begin that a kernel may look at */
	RCO__KERNEL_BEYOND = 32 /* elements behind its end that it may read and write: nothing in them counts */
};

typedef struct rco__kernels {
	/* Are all samples in the law's code book? Looks at x[0..n) only. */
	int (*in_book)(rco__line line, const int16_t *x, size_t n);
	/* Places of samples, which are in the book; +0 for zero. */
	void (*places)(rco__line line, const int16_t *x, size_t n, int16_t *place);
	/* sum x[i] * x[i + lag], i + lag < n, for each lag; n squares have a sum below 2^34. Behind x[n) are
	 * RCO__KERNEL_BEYOND zeros. */
	void (*correlate)(const int16_t *x, size_t n, int lags, int64_t *sums);
	/* For each sample what there is to code, folded (0, -1, 1, -2, 2 to 0 to 4), how far off the prediction
	 * is, and the octave at the predicted place times 4. x looks back 16 samples. `place` is NULL for LINEAR.
	 */
	void (*residual)(rco__line line, const rco__predictor *p, const int16_t *x, const int16_t *place, size_t n,
	                 uint32_t *folded, int32_t *off, uint8_t *octave4);
	/* rco__level() of the values of `off` before each one, less its octave4, held between low and high, less
	 * low. */
	void (*levels)(const int32_t *off, const uint8_t *octave4, size_t n, int low, int high, uint8_t *level);
} rco__kernels;

extern const rco__kernels rco__kernels_plain;

/* The best of this machine. */
const rco__kernels *rco__kernels_best(void);
/* NULL unless this machine has AVX2. */
const rco__kernels *rco__kernels_avx2(void);

/* How much is expected, from the 8 and the 32 distances before: in quarters of an octave, 8 for none. */
static inline int32_t rco__level(int32_t sum8, int32_t sum32)
{
	return rco__log16(8 * sum8 + sum32 + 4) >> 2;
}

#endif
