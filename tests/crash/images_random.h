/* SPDX-License-Identifier: MIT */
/*
 * Randomness from a seed for the program that includes this, once: libsodium is told, libuuid's function is
 * defined here, before the shared library's. Not for anything that keeps secrets.
 */
#ifndef TESTS_CRASH_IMAGES_RANDOM_H
#define TESTS_CRASH_IMAGES_RANDOM_H

#include "images_calls.h"

#include <sodium.h>
#include <stdlib.h>
#include <string.h>
#include <uuid/uuid.h>

static uint64_t random_state = 1;

static uint32_t random_next(void)
{
	uint64_t x = random_state += 0x9e3779b97f4a7c15u;

	x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
	x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
	return (uint32_t)(x >> 32);
}

static void random_fill(void *const buf, const size_t size)
{
	uint8_t *to = buf;
	size_t i;

	for (i = 0; i < size; i++)
		to[i] = (uint8_t)random_next();
}

static const char *random_name(void)
{
	return "seeded, for tests";
}

static void random_reseed(uint64_t seed)
{
	random_state = seed;
}

void uuid_generate_random(uuid_t out)
{
	random_fill(out, 16);
	out[6] = (uint8_t)((out[6] & 0x0f) | 0x40);
	out[8] = (uint8_t)((out[8] & 0x3f) | 0x80);
}

static void random_from_seed(void)
{
	static randombytes_implementation seeded = {
		.implementation_name = random_name, .random = random_next, .buf = random_fill};

	(void)randombytes_set_implementation(&seeded);
	if (sodium_init() < 0) /* draws, the first time */
		abort();
	images_reseed = random_reseed;
}

#endif
