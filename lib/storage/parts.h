/* SPDX-License-Identifier: MIT */
/* Where the parts of an upload lie in its file, so that a part sent again lands where it was. */
#ifndef RCO_STORAGE_PARTS_H
#define RCO_STORAGE_PARTS_H

#include "../base/env.h"

typedef struct rco__parts {
	uint64_t *ends; /* ends[i]: where part i + 1 ends */
	uint32_t count, cap;
} rco__parts;

/* Where part `part` (from 1) of `size` bytes goes. The next one, the last one again with any size, or an earlier
 * one again with the size it had; RCO_E_INVALID otherwise, RCO_E_NO_MEMORY. Changes nothing that can be seen. */
int rco__parts_place(rco__parts *parts, const rco__env *env, uint32_t part, uint64_t size, uint64_t *offset);
/* The part has been written there. Cannot fail after rco__parts_place(). */
void rco__parts_done(rco__parts *parts, uint32_t part, uint64_t offset, uint64_t size);
/* Bytes of all parts. */
uint64_t rco__parts_total(const rco__parts *parts);
void rco__parts_clear(rco__parts *parts, const rco__env *env);

#endif
