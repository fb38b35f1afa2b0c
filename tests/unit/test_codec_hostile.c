/* SPDX-License-Identifier: MIT */
/* Any bytes whatever are an answer from the decoder: the audio's exact size, or corrupt and nothing left of it.
 * And the bytes that were written once are read for ever. */
#include "../support_codec.h"

#include "../../lib/base/bytes.h"
#include "../../lib/media/wav.h"

#define PRINT_OF_ROWS         UINT64_C(0x98754296decffbd3)
#define PRINT_OF_COEFFICIENTS UINT64_C(0x5aadd5fa18c79124)

enum { SAMPLES = 400, MOST = 4 * SAMPLES };

struct setting {
	struct counting counting;
	rco__codec *codec;
	int16_t sound[SAMPLES];
	uint8_t raw[2 * SAMPLES], coded[2 * SAMPLES];
};

static int set_up(void **state)
{
	struct setting *s = calloc(1, sizeof *s);
	rco_allocator alloc;
	rco__env env;

	assert_non_null(s);
	alloc = counting_allocator(&s->counting);
	assert_int_equal(rco__env_init(&env, &alloc, NULL, NULL, NULL), RCO_OK);
	assert_int_equal(rco__codec_create(&env, &s->codec), RCO_OK);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct setting *s = *state;

	rco__codec_free(s->codec);
	assert_int_equal(s->counting.live, 0);
	free(s);
	return 0;
}

static int is_zero(const uint8_t *p, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		if (p[i] != 0)
			return 0;
	return 1;
}

/* In exact rooms, so that a sanitizer sees each step outside. */
static int decode(struct setting *s, uint32_t format, const uint8_t *data, size_t size, size_t raw_size)
{
	uint8_t *in = malloc(size + (size == 0)), *out = malloc(raw_size);
	int rc;

	assert_true(in != NULL && out != NULL);
	memcpy(in, data, size);
	memset(out, 0xaa, raw_size);
	rc = rco__codec_decode(s->codec, format, RCO__CODING_PREDICTED, in, size, out, raw_size);
	assert_true(rc == RCO_OK || rc == RCO_E_CORRUPT);
	if (rc != RCO_OK)
		assert_true(is_zero(out, raw_size));
	free(in);
	free(out);
	return rc;
}

static size_t encode(struct setting *s, uint32_t format, rco__line line, sound_fn *sound, size_t samples)
{
	uint8_t coding;
	size_t n;

	sound(s->sound, samples, 12000);
	sound_in_format(format, line, s->sound, samples, s->raw);
	assert_int_equal(rco__codec_encode(s->codec, format, s->raw, samples * rco_format_sample_bytes(format),
	                                   s->coded, sizeof s->coded, &n, &coding),
	                 RCO_OK);
	assert_int_equal(coding, RCO__CODING_PREDICTED);
	assert_int_equal(decode(s, format, s->coded, n, samples * rco_format_sample_bytes(format)), RCO_OK);
	return n;
}

/* Every bit of a chunk turned, and the chunk cut at every byte, also of one with runs. */
static void damage_everywhere(struct setting *s, uint32_t format, rco__line line, sound_fn *sound)
{
	size_t n = encode(s, format, line, sound, SAMPLES), size = SAMPLES * rco_format_sample_bytes(format), i;
	int refused = 0;

	for (i = 0; i < 8 * n; i++) {
		s->coded[i / 8] ^= (uint8_t)(1 << i % 8);
		refused += decode(s, format, s->coded, n, size) != RCO_OK;
		s->coded[i / 8] ^= (uint8_t)(1 << i % 8);
	}
	assert_true(refused > 0);
	for (i = 0; i < n; i++)
		assert_int_equal(decode(s, format, s->coded, i, size), RCO_E_CORRUPT);
	s->coded[n] = 0;
	assert_int_equal(decode(s, format, s->coded, n + 1, size), RCO_E_CORRUPT);
	/* any other size is not what was coded, though a shorter one may end at the same bit only by its zeros */
	assert_int_equal(decode(s, format, s->coded, n, size + 2 * SAMPLES), RCO_E_CORRUPT);
	assert_int_equal(decode(s, format, s->coded, n, size / 2), RCO_E_CORRUPT);
}

static void damaged_chunks_are_survived(void **state)
{
	sound_fn *const some[] = {sound_speech, sound_clicks, sound_changes};
	struct setting *s = *state;
	size_t i;

	for (i = 0; i < 3; i++) {
		damage_everywhere(s, RCO_FORMAT_S16_8K, RCO__LINE_LINEAR, some[i]);
		damage_everywhere(s, RCO_FORMAT_S16_16K, RCO__LINE_MU, some[i]);
		damage_everywhere(s, RCO_FORMAT_PCMU_8K, RCO__LINE_MU, some[i]);
		damage_everywhere(s, RCO_FORMAT_PCMA_8K, RCO__LINE_A, some[i]);
	}
}

/* Bytes by chance behind a header that is possible, in every format. */
static void chance_is_survived(void **state)
{
	struct setting *s = *state;
	uint8_t bytes[300];
	uint32_t seed = 2026, format;
	size_t size, raw, i;
	int round;

	for (round = 0; round < 20000; round++) {
		format = RCO_FORMAT_PCMU_8K + sound_random(&seed) % 6;
		size = sound_random(&seed) % sizeof bytes;
		raw = (1 + sound_random(&seed) % (round % 100 == 0 ? 40000 : 900)) *
		      rco_format_sample_bytes(format);
		for (i = 0; i < size; i++)
			bytes[i] = (uint8_t)(round & 1 ? sound_random(&seed)
			                               : sound_random(&seed) & sound_random(&seed));
		if (size > 1 && round % 8 != 0) {
			bytes[0] &= 0x3f;
			bytes[1] = (uint8_t)(1 + bytes[1] % 40);
		}
		(void)decode(s, format, bytes, size, raw);
	}
}

/* Zeros are one long order 0 and the shortest code; ones are escapes. A megabyte of each, and time is bounded by
 * it. */
static void the_largest_of_nothing_is_survived(void **state)
{
	static const uint8_t headers[] = {0x00, 0x01, 0x3c};
	struct setting *s = *state;
	uint8_t *bytes = malloc(RCO__CHUNK_MAX);
	size_t i;
	int fill;

	assert_non_null(bytes);
	for (fill = 0; fill < 256; fill += 51)
		for (i = 0; i < sizeof headers; i++) {
			memset(bytes, fill, RCO__CHUNK_MAX);
			bytes[0] = headers[i];
			bytes[1] = 255;
			(void)decode(s, RCO_FORMAT_S16_48K, bytes, RCO__CHUNK_MAX, RCO__CHUNK_MAX);
			assert_int_equal(decode(s, RCO_FORMAT_S16_48K, bytes, 100, RCO__CHUNK_MAX), RCO_E_CORRUPT);
		}
	free(bytes);
}

static void impossible_headers_are_corrupt(void **state)
{
	struct setting *s = *state;
	uint8_t constant[] = {0, 0, 7, 0};
	size_t n, i;

	n = encode(s, RCO_FORMAT_PCMU_8K, RCO__LINE_MU, sound_speech, SAMPLES);
	for (i = 0; i < 256; i++) { /* linear and A-law are no lines of mu-law */
		s->coded[0] = (uint8_t)i;
		if ((i & 3) == RCO__LINE_LINEAR || (i & 3) == RCO__LINE_A || i >= 64)
			assert_int_equal(decode(s, RCO_FORMAT_PCMU_8K, s->coded, n, SAMPLES), RCO_E_CORRUPT);
	}
	n = encode(s, RCO_FORMAT_S16_8K, RCO__LINE_MU, sound_speech, SAMPLES);
	s->coded[0] = (uint8_t)((s->coded[0] & ~3) | RCO__LINE_MU); /* samples have no minus zero */
	assert_int_equal(decode(s, RCO_FORMAT_S16_8K, s->coded, n, 2 * SAMPLES), RCO_E_CORRUPT);

	assert_int_equal(decode(s, RCO_FORMAT_S16_8K, constant, 4, 2 * SAMPLES), RCO_OK);
	assert_int_equal(decode(s, RCO_FORMAT_PCMU_8K, constant, 3, SAMPLES), RCO_OK);
	assert_int_equal(decode(s, RCO_FORMAT_S16_8K, constant, 3, 2 * SAMPLES), RCO_E_CORRUPT);
	assert_int_equal(decode(s, RCO_FORMAT_PCMU_8K, constant, 4, SAMPLES), RCO_E_CORRUPT);
	constant[0] = 1;
	assert_int_equal(decode(s, RCO_FORMAT_S16_8K, constant, 4, 2 * SAMPLES), RCO_E_CORRUPT);
}

/* FNV-1a. */
static uint64_t print_of(const uint8_t *p, size_t n)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	for (; n > 0; n--)
		hash = (hash ^ *p++) * UINT64_C(0x100000001b3);
	return hash;
}

struct vector {
	uint32_t format;
	size_t samples;
	uint64_t print; /* of the audio, little-endian */
	const char *hex;
};

/* Chunks of this library's first version that had coding 2. They are never made anew. */
static const struct vector vectors[] = {
#include "codec_vectors.h"
};

static size_t from_hex(const char *hex, uint8_t *out)
{
	char two[3] = {0};
	size_t n;

	for (n = 0; hex[2 * n] != '\0'; n++) {
		memcpy(two, hex + 2 * n, 2);
		out[n] = (uint8_t)strtoul(two, NULL, 16);
	}
	return n;
}

static void chunks_of_the_first_version_are_read(void **state)
{
	struct setting *s = *state;
	const struct vector *v;
	uint8_t out[MOST];
	size_t i, size;

	for (i = 0; i < sizeof vectors / sizeof vectors[0]; i++) {
		v = &vectors[i];
		size = v->samples * rco_format_sample_bytes(v->format);
		assert_true(size <= sizeof out);
		assert_int_equal(rco__codec_decode(s->codec, v->format, RCO__CODING_PREDICTED, s->coded,
		                                   from_hex(v->hex, s->coded), out, size),
		                 RCO_OK);
		rco__wav_swap(v->format, out, size);
		assert_true(print_of(out, size) == v->print);
	}
	assert_true(i >= 4);
}

/* What fills the last byte is zero: a chunk has one way to be written. */
static void the_last_bits_are_zero(void **state)
{
	struct setting *s = *state;
	int refused = 0, chunks = 0;
	size_t samples, n;

	for (samples = 100; samples < 200; samples++, chunks++) {
		n = encode(s, RCO_FORMAT_S16_8K, RCO__LINE_LINEAR, sound_speech, samples);
		s->coded[n - 1] ^= 1;
		refused += decode(s, RCO_FORMAT_S16_8K, s->coded, n, 2 * samples) != RCO_OK;
	}
	assert_true(refused >= chunks * 7 / 10); /* by chance, one in eight chunks ends with a whole byte */
}

/* No vector uses every code, and none every reflection; a change of one would make old chunks sound different. */
static void tables_never_change(void **state)
{
	rco__codebook *book = calloc(1, sizeof *book);
	rco__predictor p = {.order = 3};
	uint8_t coefficients[2 * 3 * 127] = {0};
	int i, j;

	(void)state;
	assert_non_null(book);
	rco__codebook_make(book);
	assert_true(print_of(&book->bits[0][0], sizeof book->bits) == PRINT_OF_ROWS);
	for (i = -63; i <= 63; i++) {
		p.reflection[0] = (int8_t)i;
		p.reflection[1] = (int8_t)-i;
		p.reflection[2] = (int8_t)(i / 2);
		rco__predictor_finish(&p);
		for (j = 0; j < 3; j++)
			rco__put16(coefficients + 2 * (3 * (size_t)(i + 63) + (size_t)j),
			           (uint16_t)p.coefficient[j]);
	}
	assert_true(print_of(coefficients, sizeof coefficients) == PRINT_OF_COEFFICIENTS);
	free(book);
}

#define CODEC_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CODEC_TEST(damaged_chunks_are_survived),
		CODEC_TEST(chance_is_survived),
		CODEC_TEST(the_largest_of_nothing_is_survived),
		CODEC_TEST(impossible_headers_are_corrupt),
		CODEC_TEST(chunks_of_the_first_version_are_read),
		CODEC_TEST(the_last_bits_are_zero),
		CODEC_TEST(tables_never_change),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
