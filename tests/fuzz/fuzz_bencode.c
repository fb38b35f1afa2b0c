/* SPDX-License-Identifier: MIT */
/*
 * Answers of the ng protocol (examples/recorders). Whatever comes: a string that is found lies within the bytes,
 * and does not change when bytes follow; nothing is found in an answer that does not name the key.
 */
#include "fuzz.h"

#include "../../examples/recorders/bencode.c"

#include <stdlib.h>

static const char key[] = "result";

static void one(const uint8_t *data, size_t size)
{
	char *exact = malloc(size > 0 ? size : 1), *more = malloc(size + 1);
	const char *value, *again;
	size_t n = 0, m = 0;

	FUZZ_CHECK(exact != NULL && more != NULL);
	if (size > 0)
		memcpy(exact, data, size);
	memcpy(more, exact, size);
	more[size] = 'e';
	value = bencode_string(exact, size, key, &n);
	again = bencode_string(more, size + 1, key, &m);
	if (value != NULL) {
		FUZZ_CHECK(value >= exact && n <= size && (size_t)(value - exact) <= size - n);
		FUZZ_CHECK(memmem(exact, size, "6:result", 8) != NULL);
		FUZZ_CHECK(again != NULL && again - more == value - exact && m == n);
	}
	free(exact);
	free(more);
}

static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	static const char *const seeds[] = {
		"d6:result2:oke",
		"d12:error-reason15:Unknown call-id6:result5:errore",
		"d7:createdi1795417450e4:tagsd1:ad3:tag1:aee5:portsli1ei2ee6:result2:oke",
		"d1:alllleeee6:resulti2ee",
	};
	size_t size;

	if (i >= sizeof seeds / sizeof seeds[0])
		return 0;
	size = strlen(seeds[i]);
	if (size > cap)
		return 0;
	memcpy(out, seeds[i], size);
	return size;
}

FUZZ_TARGET(bencode, one, seed, 512, "examples/recorders/bencode.c", NULL)
