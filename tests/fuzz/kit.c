/* SPDX-License-Identifier: MIT */
/* What the targets share: their list, random numbers that are none, and changes of files. */
#include "fuzz.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static fuzz_target *targets;
static const char *input_name = "";
static const fuzz_target *running;
static uint64_t random_state;

/* In the order of their names, however they were linked. */
void fuzz_register(fuzz_target *target)
{
	fuzz_target **at = &targets;

	while (*at != NULL && strcmp((*at)->name, target->name) < 0)
		at = &(*at)->next;
	target->next = *at;
	*at = target;
}

fuzz_target *fuzz_targets(void)
{
	return targets;
}

void fuzz_name_input(const char *name)
{
	input_name = name;
}

_Noreturn void fuzz_broken(const char *what, const char *file, int line)
{
	(void)fprintf(stderr, "%s:%d: target %s, input %s: does not hold: %s\n", file, line,
	              running != NULL ? running->name : "?", input_name, what);
	abort();
}

/* ---- random numbers ---- */

static uint64_t next_random(void)
{
	uint64_t z = random_state += UINT64_C(0x9e3779b97f4a7c15); /* splitmix64 */

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static const char *random_name(void)
{
	return "fuzz";
}

static uint32_t random_32(void)
{
	return (uint32_t)next_random();
}

static void random_buf(void *const buf, const size_t size)
{
	uint8_t *out = buf;
	size_t i;

	for (i = 0; i < size; i++)
		out[i] = (uint8_t)(next_random() >> 56);
}

static randombytes_implementation implementation = {
	.implementation_name = random_name, .random = random_32, .buf = random_buf};

void fuzz_random_reset(uint64_t seed)
{
	random_state = seed;
}

void fuzz_run(const fuzz_target *target, const uint8_t *data, size_t size)
{
	static int set_up;

	if (!set_up) {
		set_up = 1;
		FUZZ_CHECK(randombytes_set_implementation(&implementation) == 0);
		FUZZ_CHECK(sodium_init() >= 0);
	}
	running = target;
	fuzz_random_reset(1);
	target->one(data, size);
}

/* ---- inputs ---- */

uint8_t fuzz_8(fuzz_input *in)
{
	return in->at < in->end ? *in->at++ : 0;
}

uint16_t fuzz_16(fuzz_input *in)
{
	uint8_t low = fuzz_8(in);

	return (uint16_t)(low | fuzz_8(in) << 8);
}

uint32_t fuzz_32(fuzz_input *in)
{
	uint32_t low = fuzz_16(in);

	return low | (uint32_t)fuzz_16(in) << 16;
}

uint64_t fuzz_64(fuzz_input *in)
{
	uint64_t low = fuzz_32(in);

	return low | (uint64_t)fuzz_32(in) << 32;
}

size_t fuzz_bytes(fuzz_input *in, size_t most, const uint8_t **out)
{
	size_t left = (size_t)(in->end - in->at), n = most < left ? most : left;

	*out = in->at;
	in->at += n;
	return n;
}

/* ---- changes ---- */

static size_t place(fuzz_input *in, size_t size)
{
	return fuzz_16(in) % (size + 1);
}

static void put(uint8_t *buf, size_t at, size_t room, const uint8_t *bytes, size_t n)
{
	if (n > room - at)
		n = room - at;
	if (n > 0)
		memcpy(buf + at, bytes, n);
}

static void copy(fuzz_input *in, uint8_t *buf, size_t size)
{
	size_t from = place(in, size), to = place(in, size), n = fuzz_16(in);
	size_t room = size - (from > to ? from : to);

	memmove(buf + to, buf + from, n < room ? n : room);
}

static void change(fuzz_input *in, uint8_t *buf, size_t *size, size_t cap)
{
	const uint8_t *bytes;
	uint8_t op = fuzz_8(in) & 7, word[4];
	size_t at, n;

	switch (op) {
	case FUZZ_SET:
		at = place(in, *size);
		n = fuzz_bytes(in, fuzz_8(in), &bytes);
		put(buf, at, *size, bytes, n);
		break;
	case FUZZ_XOR:
		at = place(in, *size);
		if (at < *size)
			buf[at] ^= fuzz_8(in);
		break;
	case FUZZ_CUT:
		*size = place(in, *size);
		break;
	case FUZZ_COPY:
		copy(in, buf, *size);
		break;
	case FUZZ_SET32:
		at = place(in, *size);
		for (n = 0; n < sizeof word; n++)
			word[n] = fuzz_8(in);
		put(buf, at, *size, word, sizeof word);
		break;
	case FUZZ_ZERO:
		at = place(in, *size);
		n = fuzz_16(in);
		memset(buf + at, 0, n < *size - at ? n : *size - at);
		break;
	default: /* FUZZ_ADD, FUZZ_ALL */
		at = op == FUZZ_ALL ? 0 : *size;
		n = fuzz_bytes(in, op == FUZZ_ALL ? cap : fuzz_8(in), &bytes);
		put(buf, at, cap, bytes, n);
		*size = n < cap - at ? at + n : cap;
		break;
	}
}

void fuzz_edit(fuzz_input *in, uint8_t *buf, size_t *size, size_t cap)
{
	while (fuzz_more(in))
		change(in, buf, size, cap);
}

uint64_t fuzz_hash(uint64_t hash, const void *data, size_t size)
{
	const uint8_t *p = data;
	size_t i;

	if (hash == 0)
		hash = UINT64_C(0xcbf29ce484222325);
	for (i = 0; i < size; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return hash;
}

void fuzz_noise(uint64_t seed, uint64_t at, void *out, size_t size)
{
	uint8_t *to = out;
	size_t i;

	for (i = 0; i < size; i++, at++) {
		uint64_t z = (seed + 1) * UINT64_C(0x9e3779b97f4a7c15) ^ at * UINT64_C(0xbf58476d1ce4e5b9);

		to[i] = (uint8_t)((z ^ z >> 29) * UINT64_C(0x94d049bb133111eb) >> 56);
	}
}
