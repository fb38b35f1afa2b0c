/* SPDX-License-Identifier: MIT */
/*
 * Coding 2 of a chunk: each sample as its distance from a prediction. What has
 * been through G.711, whichever format it comes in, is coded as places on the
 * line of its law. docs/spool-format.md describes the bytes.
 */
#ifndef RCO_MEDIA_PREDICTED_H
#define RCO_MEDIA_PREDICTED_H

#include "../base/env.h"
#include "kernels.h"

typedef struct rco__predicted rco__predicted; /* scratch and tables, below 200 KiB */

rco__predicted *rco__predicted_create(const rco__env *env);       /* NULL: no memory */
void rco__predicted_free(const rco__env *env, rco__predicted *s); /* wipes it */
/* For tests: code with these. */
void rco__predicted_use(rco__predicted *s, const rco__kernels *kernels);

/* Neither leaves anything of the chunk in the scratch. */
/* The coded size, less than `size`; 0 if there is none. Arguments were checked. */
size_t rco__predicted_encode(rco__predicted *s, uint32_t format, const void *data, size_t size, void *out);
/* NULL, or what is wrong with `data`. `out` has any contents then. */
const char *rco__predicted_decode(rco__predicted *s, uint32_t format, const void *data, size_t size, void *out,
                                  size_t raw_size);

#endif
