/* SPDX-License-Identifier: MIT */
/*
 * Prefix codes for folded residuals. A row is a code for one spread; which row
 * a residual is coded with follows from the residuals before it, so that no
 * table and no parameter is ever sent.
 */
#ifndef RCO_MEDIA_ENTROPY_H
#define RCO_MEDIA_ENTROPY_H

#include "bits.h"

enum {
	RCO__SYMBOLS = 27, /* 0 to 15; two for each octave up to 511, with the bits below; escape */
	RCO__ESCAPE = 26,  /* 17 bits follow: any number there can be */
	RCO__ESCAPE_BITS = 17,
	RCO__CODE_MAX = 12, /* bits of a symbol */

	/* Rows for places of a law, and for samples. */
	RCO__LAW_LOW = 20, /* the level of the first law row: none below has one of its own */
	RCO__LAW_HIGH = 60,
	RCO__LAW_ROWS = RCO__LAW_HIGH - RCO__LAW_LOW + 1,
	RCO__LINEAR_LOW = 16,
	RCO__LINEAR_TOP = 38, /* from here on the rows of one octave repeat, and low bits are sent as they are */
	RCO__LINEAR_HIGH = 92,
	RCO__LINEAR_ROWS = RCO__LINEAR_TOP + 4 - RCO__LINEAR_LOW,
	RCO__ROWS = RCO__LAW_ROWS + RCO__LINEAR_ROWS,
	RCO__FAST_BITS = 8,
	RCO__FAST = 1 << RCO__FAST_BITS, /* numbers below have their whole code in one place */
	RCO__TAKE_BITS = 10,
	RCO__TAKE = 1 << RCO__TAKE_BITS /* the decoder looks that many bits up at once */
};

typedef struct rco__codebook {
	uint32_t fast[RCO__ROWS][RCO__FAST]; /* code << 8 | bits */
	uint16_t code[RCO__ROWS][RCO__SYMBOLS];
	uint8_t bits[RCO__ROWS][RCO__SYMBOLS];
	uint8_t order[RCO__ROWS][RCO__SYMBOLS];       /* symbols by their codes */
	uint8_t rank[RCO__ROWS][RCO__CODE_MAX + 1];   /* of the first with i bits in `order` */
	uint16_t first[RCO__ROWS][RCO__CODE_MAX + 1]; /* its code */
	uint64_t end[RCO__ROWS][RCO__CODE_MAX + 1];   /* behind the codes of i bits, on the left of 32 bits */
} rco__codebook;

void rco__codebook_make(rco__codebook *book);

/* A row and how many low bits go beside it. */
typedef struct rco__row {
	uint8_t row;
	uint8_t shift;
} rco__row;

/* For level - RCO__LINEAR_LOW. */
static inline rco__row rco__linear_row(unsigned level)
{
	const unsigned top = RCO__LINEAR_TOP - RCO__LINEAR_LOW;
	unsigned over = level < top ? 0 : (level - top) >> 2;

	return (rco__row){(uint8_t)(RCO__LAW_ROWS + level - 4 * over), (uint8_t)over};
}

/* What begins with the index's bits: number << RCO__TAKE_SHIFT | its bits; 0 if it has more. The numbers of places
 * are unfolded. */
enum { RCO__TAKE_SHIFT = 4 };

typedef int16_t rco__take_row[RCO__TAKE];

void rco__take_rows_make(rco__take_row *rows);

/* v below 2^17; the writer has been flushed. */
void rco__symbol_put(const rco__codebook *book, rco__bit_writer *w, rco__row row, uint32_t v);
uint32_t rco__symbol_take(const rco__codebook *book, rco__bit_reader *r, rco__row row);

#endif
