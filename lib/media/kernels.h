/* SPDX-License-Identifier: MIT */
/*
 * The loops that cost the encoder its time, in plain C and with AVX2. All give
 * the same numbers; which are used is found at run time.
 */
#ifndef RCO_MEDIA_KERNELS_H
#define RCO_MEDIA_KERNELS_H

#include "entropy.h"
#include "g711.h"
#include "predict.h"

enum {
	RCO__KERNEL_PAST = 32,  /* elements before a buffer's begin that a kernel may look at */
	RCO__KERNEL_BEYOND = 32 /* elements behind its end that it may read and write: nothing in them counts */
};

/* What rco__kernels.slots tells of a group of 16. */
enum { RCO__GROUP = 16, RCO__GROUP_NOT_ZERO = 1, RCO__GROUP_SLOW = 2 };

enum {
	RCO__RUN_AFTER = 2, /* groups of nothing but zeros before a run */
	RCO__TAKE_ROOM =
		96, /* bytes that the bits of a group do not go beyond, and the reader does not look beyond */
	RCO__TAKE_BAD = 256,
	RCO__TAPS_NARROW = 9,
	RCO__LEVELS = 128 /* more than there are */
};

/* What decoders look up, the same for all. */
typedef struct rco__take_tables {
	rco__take_row rows[RCO__ROWS];
	rco__row linear[RCO__LEVELS]; /* of levels */
	int16_t sample[4][256];       /* of a line's places, below zero from 128 on */
	uint8_t code[4][256];
} rco__take_tables;

/* A block that is decoded. */
typedef struct rco__take {
	const rco__take_tables *tables;
	const rco__codebook *book;
	rco__line line;
	const rco__predictor *p;
	uint32_t half; /* a half of the unit of p's sums */
	int16_t *x, *place;
	int32_t *off;
	uint32_t t; /* the level is its logarithm */
	/* Bits: a group begins only up to from[safe], and from there RCO__TAKE_ROOM can be read. */
	const uint8_t *from;
	size_t size, bit, safe;
	unsigned quiet; /* groups of zeros just passed */
	int bad;        /* a sample was out of range */
} rco__take;

typedef struct rco__kernels {
	/* Are all samples in the law's code book? Looks at x[0..n) only. */
	int (*in_book)(rco__line line, const int16_t *x, size_t n);
	/* Places of samples, which are in the book; +0 for zero. */
	void (*places)(rco__line line, const int16_t *x, size_t n, int16_t *place);
	/* x under a window of 0 to 32767, which is 1; then a 2^shift-th of it. */
	void (*window)(const int16_t *x, const int16_t *w, size_t n, int shift, int16_t *out);
	/* All bits that any |x| has, or nearly: those of -x are of -1 - x. */
	int32_t (*bits_of)(const int16_t *x, size_t n);
	/* sum x[i] * x[i + lag], i + lag < n, for each lag. Zeros are behind x[n). No n / 16 pairs of products
	 * have a sum of 2^31. */
	void (*correlate)(const int16_t *x, size_t n, int lags, int64_t *sums);
	/* For each sample what there is to code, folded (0, -1, 1, -2, 2 to 0 to 4), how far off the prediction
	 * is, and the octave at the predicted place times 4. x looks back 16 samples. `place` is NULL for LINEAR.
	 */
	void (*residual)(rco__line line, const rco__predictor *p, const int16_t *x, const int16_t *place, size_t n,
	                 uint32_t *folded, int32_t *off, uint8_t *octave4);
	/* The row for each, from the 32 `off` before it, and what is coded with it: row * RCO__FAST + a number
	 * below RCO__FAST; `shift` bits go beside it. A group where a number is larger is SLOW. Behind folded[n)
	 * are zeros. */
	void (*slots)(rco__line line, const int32_t *off, const uint8_t *octave4, const uint32_t *folded, size_t n,
	              uint16_t *slot, uint8_t *shift, uint8_t *group);
	/* n of groups that are not slow, a multiple of 8. */
	void (*put)(rco__line line, const rco__codebook *book, rco__bit_writer *w, const uint16_t *slot,
	            const uint8_t *shift, const uint32_t *folded, size_t n);
	/* Samples i to n of a block, to where a run may begin, or the bits may end, or something is bad. Returns
	 * to where. */
	size_t (*take)(rco__take *t, size_t i, size_t n);
	/* The same with samples that are as predicted, for which nothing was sent. */
	size_t (*take_zeros)(rco__take *t, size_t i, size_t n);
} rco__kernels;

/* A number that the tables do not have, folded. */
uint32_t rco__take_slowly(const rco__take *t, size_t *bit, rco__row row);

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

/* The row of a level, at a place of that octave. */
static inline rco__row rco__row_of(rco__line line, int32_t level, int32_t octave4)
{
	int32_t low = line == RCO__LINE_LINEAR ? RCO__LINEAR_LOW : RCO__LAW_LOW;
	int32_t high = line == RCO__LINE_LINEAR ? RCO__LINEAR_HIGH : RCO__LAW_HIGH;

	level -= octave4;
	level = (level < low ? low : level > high ? high : level) - low;
	return line == RCO__LINE_LINEAR ? rco__linear_row((unsigned)level) : (rco__row){(uint8_t)level, 0};
}

#endif
