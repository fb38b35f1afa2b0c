/* SPDX-License-Identifier: MIT */
/* What the parts of the verdict share. */
#ifndef TESTS_WORLD_VERDICT_INTERNAL_H
#define TESTS_WORLD_VERDICT_INTERNAL_H

#include "verdict.h"
#include "world_internal.h"

void w_fault_found(w_verdict *v, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Is there a finished file of that name; its bytes, unpacked. free() them. NULL if there is none. */
uint8_t *w_load(w_world *world, w_verdict *v, const char *key, size_t *size);
/* How many there are under a name that begins and ends like this: files or versions; markers, uploads and parts.
 */
void w_count(w_world *world, const char *prefix, const char *suffix, w_store_seen *seen);
/* verdict_kept.c: the call is stored, whole and once. */
void w_check_kept(w_world *world, w_verdict *v, uint32_t call);

#endif
