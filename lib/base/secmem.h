/* SPDX-License-Identifier: MIT */
/*
 * Locked memory for many small secrets: 32-byte cells in slabs that are
 * mlock()ed, left out of core dumps and wiped in a forked child. sodium_malloc()
 * takes four pages for each secret, too many for ten thousand calls.
 */
#ifndef RCO_BASE_SECMEM_H
#define RCO_BASE_SECMEM_H

#include "env.h"

typedef struct rco__secmem rco__secmem;

/* Also starts libsodium (sodium_init); the holder of a secmem may use it. */
int rco__secmem_create(const rco__env *env, rco__secmem **mem);
/* A zeroed 32-byte cell, NULL if out of memory. Any thread. If memory cannot be locked it is logged once and used
 * unlocked. */
uint8_t *rco__secmem_get(rco__secmem *mem);
/* Wipe and give back. NULL is ignored. Any thread. */
void rco__secmem_put(rco__secmem *mem, uint8_t *cell);
/* Wipes everything. */
void rco__secmem_free(rco__secmem *mem);

#endif
