/* SPDX-License-Identifier: MIT */
/* What coder and decoder of coding 2 share. */
#ifndef RCO_MEDIA_PREDICTED_INTERNAL_H
#define RCO_MEDIA_PREDICTED_INTERNAL_H

#include "entropy.h"
#include "format.h"
#include "predicted.h"

enum {
	HEADER = 2,
	BLOCK_LEAST = 544, /* smaller ones cost more to analyse than they gain */
	LINE_BITS = 2,
	START_MAX = 15,
	ORDER_BITS = 5,
	ORDER_SLOW = 11,    /* what the encoder tries at 8 kHz; more costs more than it gains */
	ORDER_FAST = 13,    /* and at the other rates */
	GROUP = RCO__GROUP, /* samples between two places where a run of zeros can begin; blocks are multiples of
	                       it */
	RUN_AFTER = RCO__RUN_AFTER,
	SAMPLE_CODED = 4 /* bytes that one sample needs at most */
};

typedef struct predicted_block {
	int16_t x_room[RCO__KERNEL_PAST + RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	int32_t off_room[RCO__KERNEL_PAST + RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	int16_t place[RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	uint32_t folded[RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	uint8_t octave4[RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	uint16_t slot[RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	uint8_t shift[RCO__BLOCK_MAX + RCO__KERNEL_BEYOND];
	uint8_t group[RCO__BLOCK_MAX / GROUP + 1];
	uint8_t coded[RCO__BLOCK_MAX * SAMPLE_CODED + 128];
} predicted_block;

struct rco__predicted {
	const rco__kernels *kernels;
	rco__codebook book;
	int16_t sample_of[2][256]; /* of mu-law and A-law codes */
	int16_t place_of[2][256];
	rco__analysis analysis;
	predicted_block block;
};

/* What goes on from block to block of one chunk. */
typedef struct predicted_chunk {
	const rco__format *format;
	rco__line line;
	unsigned start; /* the level before the first sample */
	unsigned quiet; /* groups of zeros just passed */
} predicted_chunk;

/* How a reflection is mostly, and the row for what it differs by. */
typedef struct predicted_habit {
	int8_t centre;
	uint8_t row;
} predicted_habit;

extern const predicted_habit rco__predicted_habits[RCO__ORDER_MAX];

void rco__predicted_wipe(rco__predicted *s, size_t n);
void rco__predicted_set_start(rco__predicted *s, predicted_chunk *c, unsigned start);
/* memcpy and memmove of the C library. Where compilers know something of the size they put in its place what is
 * slower. */
void rco__predicted_copy(void *to, const void *from, size_t size);

static inline int16_t *rco__samples(rco__predicted *s)
{
	return s->block.x_room + RCO__KERNEL_PAST;
}

static inline int32_t *rco__distances(rco__predicted *s)
{
	return s->block.off_room + RCO__KERNEL_PAST;
}

/* The end of this block is the past of the next. */
static inline void rco__predicted_pass(rco__predicted *s, size_t n)
{
	predicted_block *b = &s->block;

	rco__predicted_copy(b->x_room, b->x_room + n, RCO__KERNEL_PAST * sizeof b->x_room[0]);
	rco__predicted_copy(b->off_room, b->off_room + n, RCO__KERNEL_PAST * sizeof b->off_room[0]);
}

static inline void rco__predicted_begin(rco__predicted *s)
{
	memset(s->block.x_room, 0, RCO__KERNEL_PAST * sizeof s->block.x_room[0]);
}

#endif
