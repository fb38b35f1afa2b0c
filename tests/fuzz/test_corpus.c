/* SPDX-License-Identifier: MIT */
/*
 * Every fuzz target, without a fuzzer: over its seeds, the inputs in corpus/NAME (what fuzzing kept as worth
 * having, and whatever once found a defect), and some thousand changes of these, the same in every run.
 *
 *   test_corpus                  all of that, as tests
 *   test_corpus NAME FILE...     one target over these files (.hex: an input in hexadecimal; .lines:
 *                                one in each line; else as they are)
 */
#include "../support.h"

#include "fuzz.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

enum { INPUT_MAX = 1 << 16, INPUTS = 4096 };

typedef struct inputs {
	uint8_t *data[INPUTS];
	size_t size[INPUTS];
	size_t n;
} inputs;

static int digit(int c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Lines of digits, and comments from a '#' to the end of the line. In place. */
static size_t from_hex(uint8_t *text, size_t size)
{
	int comment = 0, half = -1;
	size_t i, n = 0;

	for (i = 0; i < size; i++) {
		int d = digit(text[i]);

		comment = (comment || text[i] == '#') && text[i] != '\n';
		if (comment || text[i] == '\n')
			continue;
		assert_true(d >= 0);
		if (half >= 0)
			text[n++] = (uint8_t)(half << 4 | d);
		half = half >= 0 ? -1 : d;
	}
	assert_true(half < 0);
	return n;
}

/* Run it, and keep a copy to be varied. */
static void run_input(const fuzz_target *target, const uint8_t *data, size_t size, inputs *all)
{
	fuzz_run(target, data, size);
	if (all == NULL)
		return;
	assert_true(all->n < INPUTS);
	all->data[all->n] = malloc(size + 1);
	assert_non_null(all->data[all->n]);
	memcpy(all->data[all->n], data, size);
	all->size[all->n++] = size;
}

static int ends_with(const char *path, const char *end)
{
	size_t length = strlen(path), n = strlen(end);

	return length > n && strcmp(path + length - n, end) == 0;
}

static void run_file(const fuzz_target *target, const char *path, inputs *all)
{
	size_t size = 0;
	uint8_t *data = t_read_file(path, &size), *line, *end;

	if (data == NULL)
		print_error("%s cannot be read\n", path);
	assert_non_null(data);
	fuzz_name_input(path);
	if (ends_with(path, ".lines")) {
		for (line = data; (end = memchr(line, '\n', size - (size_t)(line - data))) != NULL; line = end + 1)
			run_input(target, line, from_hex(line, (size_t)(end - line)), all);
	} else {
		if (ends_with(path, ".hex"))
			size = from_hex(data, size);
		run_input(target, data, size, all);
	}
	free(data);
}

static void run_seeds(const fuzz_target *target, inputs *all)
{
	uint8_t *data = malloc(INPUT_MAX);
	char name[64];
	unsigned i;
	size_t n;

	assert_non_null(data);
	for (i = 0; (n = target->seed(i, data, INPUT_MAX)) > 0; i++) {
		(void)snprintf(name, sizeof name, "seed %u", i);
		fuzz_name_input(name);
		run_input(target, data, n, all);
	}
	assert_true(i > 0);
	free(data);
}

/* The folder beside this file; the tests are run where they are built. */
static void run_folder(const fuzz_target *target, inputs *all)
{
	char folder[512], path[1024];
	size_t here = strlen(__FILE__) - strlen("test_corpus.c");
	const struct dirent *e;
	DIR *d;

	(void)snprintf(folder, sizeof folder, "%.*s", (int)here, __FILE__);
	d = opendir(here > 0 ? folder : ".");
	assert_non_null(d); /* run it where the sources are */
	(void)closedir(d);
	(void)snprintf(folder, sizeof folder, "%.*scorpus/%s", (int)here, __FILE__, target->name);
	d = opendir(folder);
	while (d != NULL && (e = readdir(d)) != NULL) {
		if (e->d_name[0] == '.')
			continue;
		t_join(path, sizeof path, folder, e->d_name);
		run_file(target, path, all);
	}
	if (d != NULL)
		(void)closedir(d);
}

static uint32_t chance(uint64_t *state)
{
	*state = *state * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(*state >> 33);
}

/* A few bytes other, gone, or more, or an end of another input: blind, but the same each time. */
static size_t vary(const inputs *all, uint64_t *state, uint8_t *out)
{
	size_t from = chance(state) % all->n, n = all->size[from], i, other, cut, rest;
	unsigned changes = 1 + chance(state) % 4;

	memcpy(out, all->data[from], n);
	for (i = 0; i < changes; i++) {
		switch (chance(state) % 4) {
		case 0:
			n -= n > 1 ? chance(state) % n : 0;
			break;
		case 1:
			if (n + 8 < INPUT_MAX)
				out[n++] = (uint8_t)chance(state);
			break;
		case 2:
			other = chance(state) % all->n;
			cut = chance(state) % (all->size[other] + 1);
			rest = all->size[other] - cut;
			if (n + rest < INPUT_MAX) {
				memcpy(out + n, all->data[other] + cut, rest);
				n += rest;
			}
			break;
		default:
			if (n > 0)
				out[chance(state) % n] = (uint8_t)chance(state);
		}
	}
	return n;
}

static double seconds(void)
{
	struct timespec t;

	(void)clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Bounded by a number and, because machines and sanitizers differ, by time. */
static size_t run_varied(const fuzz_target *target, const inputs *all)
{
	enum { ROUNDS = T_SANITIZED ? 500 : 2000 };
	double end = seconds() + 0.5;
	uint8_t *data = malloc(INPUT_MAX);
	uint64_t state = 2026;
	char name[64];
	size_t i;

	assert_non_null(data);
	for (i = 0; i < ROUNDS && seconds() < end; i++) {
		size_t n = vary(all, &state, data);

		(void)snprintf(name, sizeof name, "variation %zu", i);
		fuzz_name_input(name);
		fuzz_run(target, data, n > target->max ? target->max : n);
	}
	free(data);
	return i;
}

static void test_target(void **state)
{
	const fuzz_target *target = *state;
	inputs *all = calloc(1, sizeof *all);
	size_t i, varied;

	assert_non_null(all);
	run_seeds(target, all);
	run_folder(target, all);
	varied = run_varied(target, all);
	print_message("%s: %zu inputs, %zu variations\n", target->name, all->n, varied);
	for (i = 0; i < all->n; i++)
		free(all->data[i]);
	free(all);
}

static int replay(int argc, char **argv)
{
	const fuzz_target *target = fuzz_targets();
	int i;

	while (target != NULL && strcmp(target->name, argv[1]) != 0)
		target = target->next;
	if (target == NULL) {
		(void)fprintf(stderr, "There is no target %s.\n", argv[1]);
		return 2;
	}
	for (i = 2; i < argc; i++)
		run_file(target, argv[i], NULL);
	(void)printf("%s: %d inputs, nothing found\n", target->name, argc - 2);
	return 0;
}

int main(int argc, char **argv)
{
	struct CMUnitTest tests[64];
	fuzz_target *target;
	size_t n = 0;

	if (argc > 1)
		return replay(argc, argv);
	memset(tests, 0, sizeof tests);
	for (target = fuzz_targets(); target != NULL; target = target->next) {
		assert_true(n < sizeof tests / sizeof tests[0]);
		tests[n++] = (struct CMUnitTest){target->name, test_target, NULL, NULL, target};
	}
	return _cmocka_run_group_tests("corpus", tests, n, NULL, NULL);
}
