/* SPDX-License-Identifier: MIT */
#include "chance.h"

#include <sodium.h>
#include <string.h>

static w_random drawn;

uint64_t w_mix(uint64_t x)
{
	x += UINT64_C(0x9e3779b97f4a7c15);
	x = (x ^ (x >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
	x = (x ^ (x >> 27)) * UINT64_C(0x94d049bb133111eb);
	return x ^ (x >> 31);
}

uint64_t w_hash(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *at = data;
	uint64_t word;

	for (; size >= sizeof word; size -= sizeof word, at += sizeof word) {
		memcpy(&word, at, sizeof word);
		hash = (hash ^ word) * UINT64_C(0x9fb21c651e98df25);
		hash ^= hash >> 32;
	}
	word = size;
	if (size > 0)
		memcpy((uint8_t *)&word + 1, at, size);
	return w_mix(hash ^ word);
}

uint64_t w_next(w_random *random)
{
	random->state += UINT64_C(0x9e3779b97f4a7c15);
	return w_mix(random->state);
}

uint32_t w_below(w_random *random, uint32_t n)
{
	return (uint32_t)((w_next(random) >> 32) * n >> 32);
}

int w_likely(w_random *random, uint32_t percent)
{
	return w_below(random, 100) < percent;
}

/* ---- libsodium and libuuid ---- */

void w_chance_fill(void *out, size_t size)
{
	uint8_t *at = out;

	while (size > 0) {
		uint64_t word = w_next(&drawn);
		size_t n = size < sizeof word ? size : sizeof word;

		memcpy(at, &word, n);
		at += n;
		size -= n;
	}
}

static const char *name(void)
{
	return "seeded";
}

static uint32_t one_number(void)
{
	return (uint32_t)w_next(&drawn);
}

void w_chance_seed(uint64_t seed)
{
	static randombytes_implementation seeded = {
		.implementation_name = name, .random = one_number, .buf = w_chance_fill};

	drawn.state = seed;
	(void)randombytes_set_implementation(&seeded);
}

uint64_t w_chance_state(void)
{
	return drawn.state;
}
