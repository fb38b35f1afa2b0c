/* SPDX-License-Identifier: MIT */
/*
 * The chunk codec. Any bytes: they decode to exactly the size that is said, the same each time and with every set
 * of kernels, or nothing is left of them; what was decoded, coded again, decodes to the same. And any audio comes
 * back.
 */
#include "fuzz.h"

#include "../../lib/media/codec.h"
#include "../../lib/media/predicted.h"

#include <stdlib.h>
#include <string.h>

enum { ANY_AUDIO = 1, RAW_MAX = 16384 };

static rco__codec *codec;
static rco__predicted *predicted;
static rco__env env;

static void set_up(void)
{
	if (codec != NULL)
		return;
	FUZZ_CHECK(rco__env_init(&env, NULL, NULL, NULL, NULL) == RCO_OK);
	FUZZ_CHECK(rco__codec_create(&env, &codec) == RCO_OK);
	predicted = rco__predicted_create(&env);
	FUZZ_CHECK(predicted != NULL);
}

/* In a room of exactly its size, so that a sanitizer sees every step outside. */
static uint8_t *room(size_t size)
{
	uint8_t *p = malloc(size + (size == 0));

	FUZZ_CHECK(p != NULL);
	memset(p, 0xaa, size);
	return p;
}

/* Whatever was there before: what a decoder leaves does not depend on it. */
static int decode(uint32_t format, uint8_t coding, const uint8_t *data, size_t size, uint8_t *out, size_t raw)
{
	uint8_t *in = room(size);
	int rc;

	memcpy(in, data, size);
	rc = rco__codec_decode(codec, format, coding, in, size, out, raw);
	free(in);
	return rc;
}

/* The plain and the vector code agree, on what is right and what is not. */
static void check_kernels(uint32_t format, const uint8_t *data, size_t size, const uint8_t *out, size_t raw,
                          int rc)
{
	const rco__kernels *const sets[] = {&rco__kernels_plain, rco__kernels_best()};
	uint8_t *other = room(raw);
	size_t i;

	for (i = 0; i < 2; i++) {
		const char *wrong;

		rco__predicted_use(predicted, sets[i]);
		wrong = rco__predicted_decode(predicted, format, data, size, other, raw);
		FUZZ_CHECK((wrong == NULL) == (rc == RCO_OK));
		FUZZ_CHECK(rc != RCO_OK || memcmp(out, other, raw) == 0);
	}
	free(other);
}

static void there_and_back(uint32_t format, const uint8_t *raw, size_t size)
{
	size_t cap = rco__codec_bound(size), n = 0;
	uint8_t *coded = room(cap), *again = room(size), coding = 99;

	FUZZ_CHECK(rco__codec_encode(codec, format, raw, size, coded, cap, &n, &coding) == RCO_OK);
	FUZZ_CHECK(n > 0 && n <= cap);
	FUZZ_CHECK(decode(format, coding, coded, n, again, size) == RCO_OK);
	FUZZ_CHECK(memcmp(raw, again, size) == 0);
	free(coded);
	free(again);
}

static void any_bytes(fuzz_input *in, uint32_t format)
{
	uint8_t coding = fuzz_8(in) & 3;
	size_t raw = 1 + fuzz_16(in) % RAW_MAX, size;
	uint8_t *out = room(raw), *twice = room(raw);
	const uint8_t *data;
	size_t i;
	int rc;

	size = fuzz_bytes(in, SIZE_MAX, &data);
	rc = decode(format, coding, data, size, out, raw);
	memset(twice, 0x55, raw);
	FUZZ_CHECK(decode(format, coding, data, size, twice, raw) == rc);
	FUZZ_CHECK(rc == RCO_OK || rc == RCO_E_CORRUPT || rc == RCO_E_VERSION);
	FUZZ_CHECK((rc == RCO_E_VERSION) ==
	           (coding > RCO__CODING_PREDICTED && raw % rco_format_sample_bytes(format) == 0));
	if (rc == RCO_OK) {
		FUZZ_CHECK(memcmp(out, twice, raw) == 0);
		there_and_back(format, out, raw);
	}
	/* Nothing of what was decoded before it turned out to be wrong. */
	for (i = 0; i < raw && rc == RCO_E_CORRUPT && out[i] != 0xaa; i++)
		FUZZ_CHECK(out[i] == 0);
	if (coding == RCO__CODING_PREDICTED && raw % rco_format_sample_bytes(format) == 0)
		check_kernels(format, data, size, out, raw, rc);
	free(out);
	free(twice);
}

static void one(const uint8_t *data, size_t size)
{
	fuzz_input in = {data, data + size};
	unsigned how = fuzz_8(&in);
	uint32_t format = RCO_FORMAT_PCMU_8K + (how >> 1) % 6;
	const uint8_t *raw;
	size_t n;

	set_up();
	if (!(how & ANY_AUDIO)) {
		any_bytes(&in, format);
		return;
	}
	n = fuzz_bytes(&in, RAW_MAX, &raw);
	n -= n % rco_format_sample_bytes(format);
	if (n > 0) {
		uint8_t *copy = room(n); /* where samples are at even places */

		memcpy(copy, raw, n);
		there_and_back(format, copy, n);
		free(copy);
	}
}

/* A tone that comes and goes, as chunks of each format; once as audio, once coded. */
static size_t seed(unsigned i, uint8_t *out, size_t cap)
{
	enum { SAMPLES = 300 };
	uint32_t format = RCO_FORMAT_PCMU_8K + i / 2 % 6;
	size_t size = SAMPLES * rco_format_sample_bytes(format), n = 0, k;
	uint8_t raw[2 * SAMPLES], coding = 0;
	int32_t a = 0, b = 900;

	if (i >= 12 || cap < 2 * size)
		return 0;
	set_up();
	for (k = 0; k < SAMPLES; k++) {
		int16_t x;

		b -= a / 9;
		a += b / 9;
		x = (int16_t)(k < 100 ? a : k < 200 ? 0 : a / 8);
		if (size == SAMPLES)
			raw[k] = (uint8_t)(x >> 4);
		else
			memcpy(raw + 2 * k, &x, sizeof x);
	}
	if (i % 2 == 0) {
		out[0] = (uint8_t)((i / 2) << 1 | ANY_AUDIO);
		memcpy(out + 1, raw, size);
		return size + 1;
	}
	FUZZ_CHECK(rco__codec_encode(codec, format, raw, size, out + 4, cap - 4, &n, &coding) == RCO_OK);
	out[0] = (uint8_t)((i / 2) << 1);
	out[1] = coding;
	out[2] = (uint8_t)(size - 1);
	out[3] = (uint8_t)((size - 1) >> 8);
	return n + 4;
}

FUZZ_TARGET(codec, one, seed, 2048,
            "lib/media/codec.c lib/media/predicted_decode.c lib/media/predicted_encode.c lib/media/entropy.c "
            "lib/media/predict.c lib/media/g711.c",
            NULL)
