/* SPDX-License-Identifier: MIT */
/* What libFuzzer calls: the one target that is linked with it. */
#include "fuzz.h"

#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerInitialize(int *argc, char ***argv);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* With FUZZ_SEEDS=FOLDER the inputs to begin with are written there, and that is all. With FUZZ_MAX the longest
 * size is printed. */
int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static uint8_t seed[1 << 16];
	const fuzz_target *target = fuzz_targets();
	const char *folder = getenv("FUZZ_SEEDS");
	char path[1024];
	unsigned i;
	size_t n;

	(void)argc;
	(void)argv;
	if (folder == NULL)
		return 0;
	(void)printf("%zu %s\n", target->max, target->files);
	for (i = 0; (n = target->seed(i, seed, sizeof seed)) > 0; i++) {
		FILE *f;

		(void)snprintf(path, sizeof path, "%s/seed-%u", folder, i);
		f = fopen(path, "wb");
		if (f == NULL || fwrite(seed, 1, n, f) != n || fclose(f) != 0) {
			perror(path);
			exit(2);
		}
	}
	exit(0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	fuzz_name_input("of libFuzzer");
	fuzz_run(fuzz_targets(), data, size);
	return 0;
}
