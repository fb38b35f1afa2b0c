/* SPDX-License-Identifier: MIT */
/*
 * Units in blocks of powers of two, by the buddy system (Knuth, The Art of Computer Programming 1, 2.5): taking
 * and giving back cost the same for a hundred and for fifty thousand. Not locked.
 */
#ifndef RCO_MEDIA_BUDDY_H
#define RCO_MEDIA_BUDDY_H

#include "../base/env.h"

enum { RCO__BUDDY_ORDERS = 32 };

typedef struct rco__buddy {
	uint32_t units;
	uint32_t free_units;
	uint8_t *state;        /* of each unit: see buddy.c */
	uint32_t *next, *prev; /* free blocks of one order */
	uint32_t heads[RCO__BUDDY_ORDERS];
} rco__buddy;

/* None of them is free yet. RCO_E_NO_MEMORY: to be freed all the same. */
int rco__buddy_make(rco__buddy *b, const rco__env *env, uint32_t units);
void rco__buddy_free(rco__buddy *b, const rco__env *env);
/* Before rco__buddy_fill(): these units are somebody's. 0 if one of them is already. */
int rco__buddy_hold(rco__buddy *b, uint32_t unit, uint32_t units);
int rco__buddy_held(const rco__buddy *b, uint32_t unit); /* is it somebody's? */
/* All that nobody holds is free. */
void rco__buddy_fill(rco__buddy *b);

/* The smallest order with room for that many units. */
uint8_t rco__buddy_order(uint32_t units);
/* `units`, a power of two. 0: there is no such block. */
int rco__buddy_take(rco__buddy *b, uint32_t units, uint32_t *unit);
void rco__buddy_give(rco__buddy *b, uint32_t unit, uint32_t units);

#endif
