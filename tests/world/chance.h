/* SPDX-License-Identifier: MIT */
/*
 * Chance that comes from a seed: numbers for scenarios, and in a world also what libsodium and libuuid draw. The
 * latter need the macro below, once, in the program: its definition takes the place of the library's.
 */
#ifndef TESTS_WORLD_CHANCE_H
#define TESTS_WORLD_CHANCE_H

#include <stddef.h>
#include <stdint.h>

typedef struct w_random {
	uint64_t state;
} w_random;

uint64_t w_mix(uint64_t x);
/* The hash of some bytes, going on from `hash`. */
uint64_t w_hash(uint64_t hash, const void *data, size_t size);
uint64_t w_next(w_random *random);
/* From 0 to n - 1. */
uint32_t w_below(w_random *random, uint32_t n);
/* True in `percent` of a hundred cases. */
int w_likely(w_random *random, uint32_t percent);

/* From now on libsodium, and libuuid in programs that say W_CHANCE_UUID, draw from this seed. */
void w_chance_seed(uint64_t seed);
/* Where that stands: to be given to w_chance_seed() later. */
uint64_t w_chance_state(void);
void w_chance_fill(void *out, size_t size);

/* Defines libuuid's random ids for the program. */
#define W_CHANCE_UUID                                                                                             \
	void uuid_generate_random(unsigned char out[16]);                                                         \
	void uuid_generate_random(unsigned char out[16])                                                          \
	{                                                                                                         \
		w_chance_fill(out, 16);                                                                           \
		out[6] = (unsigned char)((out[6] & 0x0f) | 0x40);                                                 \
		out[8] = (unsigned char)((out[8] & 0x3f) | 0x80);                                                 \
	}

#endif
