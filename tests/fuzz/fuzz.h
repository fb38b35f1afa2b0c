/* SPDX-License-Identifier: MIT */
/*
 * Fuzz targets: each parser of bytes that come from a disk, from shared memory or from the host. A target is one
 * file, fuzz_NAME.c, which ends with FUZZ_TARGET(); nothing else has to be told of it. It is linked twice: with
 * libFuzzer (run.sh), and with all others into test_corpus, which `make check` runs.
 *
 * What a target is given says how to change a file that the library has just written (fuzz_edit), so that inputs
 * are short, and reach what checksums and seals would keep from it: a repair makes these right again.
 */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include <stddef.h>
#include <stdint.h>

typedef struct fuzz_target {
	const char *name;
	/* Every property that does not hold ends the process: FUZZ_CHECK(). */
	void (*one)(const uint8_t *data, size_t size);
	/* Input number i to begin with: its size, 0 if there are no more. */
	size_t (*seed)(unsigned i, uint8_t *out, size_t cap);
	size_t max;        /* longer inputs bring nothing */
	const char *files; /* the parsers, for the table of coverage: files of lib/ with a space between */
	/* NULL, or the size of the file that inputs change, if they are a byte that says how, 0 for "repair
	 * nothing", and then changes: test_damage flips every bit of it, and cuts it everywhere. */
	size_t (*file)(void);
	struct fuzz_target *next;
} fuzz_target;

void fuzz_register(fuzz_target *target);
fuzz_target *fuzz_targets(void);
/* Run one input, from the same random numbers each time. */
void fuzz_run(const fuzz_target *target, const uint8_t *data, size_t size);
/* What is being run, for the text of a failure. */
void fuzz_name_input(const char *name);

#define FUZZ_TARGET(id, ...)                                                                                      \
	static fuzz_target target_##id = {#id, __VA_ARGS__, NULL};                                                \
	__attribute__((constructor)) static void register_##id(void)                                              \
	{                                                                                                         \
		fuzz_register(&target_##id);                                                                      \
	}

_Noreturn void fuzz_broken(const char *what, const char *file, int line);

#define FUZZ_CHECK(x)                                                                                             \
	do {                                                                                                      \
		if (!(x))                                                                                         \
			fuzz_broken(#x, __FILE__, __LINE__);                                                      \
	} while (0)

/* ---- random numbers of libsodium, the same in every run ---- */

void fuzz_random_reset(uint64_t seed);

/* ---- what an input says ---- */

/* Takes an input apart; behind its end everything is zero. */
typedef struct fuzz_input {
	const uint8_t *at, *end;
} fuzz_input;

uint8_t fuzz_8(fuzz_input *in);
uint16_t fuzz_16(fuzz_input *in);
uint32_t fuzz_32(fuzz_input *in);
uint64_t fuzz_64(fuzz_input *in);
/* At most `most` bytes, as many as there are. */
size_t fuzz_bytes(fuzz_input *in, size_t most, const uint8_t **out);
static inline int fuzz_more(const fuzz_input *in)
{
	return in->at < in->end;
}

/* Changes of a file. Each is an operation and its numbers, little-endian; places are taken modulo the size. */
enum {
	FUZZ_SET = 0,   /* place 16, number of bytes 8, the bytes */
	FUZZ_XOR = 1,   /* place 16, what 8 */
	FUZZ_CUT = 2,   /* size 16 */
	FUZZ_COPY = 3,  /* from 16, to 16, size 16 */
	FUZZ_SET32 = 4, /* place 16, what 32 */
	FUZZ_ADD = 5,   /* number of bytes 8, the bytes: at the end */
	FUZZ_ZERO = 6,  /* place 16, size 16 */
	FUZZ_ALL = 7    /* what is left of the input is the file */
};

/* Change buf[*size], which has room for `cap`, as the rest of the input says. */
void fuzz_edit(fuzz_input *in, uint8_t *buf, size_t *size, size_t cap);

/* A hash of results, to compare two runs. FNV-1a, to be begun with 0. */
uint64_t fuzz_hash(uint64_t hash, const void *data, size_t size);
/* Bytes that are told from others: the same for the same seed and place. */
void fuzz_noise(uint64_t seed, uint64_t place, void *out, size_t size);

#endif
