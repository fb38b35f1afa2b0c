/* SPDX-License-Identifier: MIT */
/* Chunks as the spool keeps them: nothing is lost, telephone audio is half as long, and no other bytes are
 * believed. */
#include "../support.h"

#include "../../lib/media/chunk.h"
#include "../../lib/media/g711.h"

#include <stdlib.h>

enum { SAMPLES = 8000 };

/* ITU-T G.711, tables 1 and 2, at the ends of the segments: code as sent, and value in 16 bits. */
static void test_known_codes(void **state)
{
	static const struct {
		rco__law law;
		uint8_t code;
		int16_t sample;
	} known[] = {
		{RCO__MU_LAW, 0xff, 0},     {RCO__MU_LAW, 0x7f, 0},      {RCO__MU_LAW, 0xfe, 8},
		{RCO__MU_LAW, 0x7e, -8},    {RCO__MU_LAW, 0xf0, 120},    {RCO__MU_LAW, 0xef, 132},
		{RCO__MU_LAW, 0x80, 32124}, {RCO__MU_LAW, 0x00, -32124}, {RCO__A_LAW, 0xd5, 8},
		{RCO__A_LAW, 0x55, -8},     {RCO__A_LAW, 0xc5, 264},     {RCO__A_LAW, 0xaa, 32256},
		{RCO__A_LAW, 0x2a, -32256}, {RCO__A_LAW, 0xda, 248},
	};
	int16_t sample;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof known / sizeof known[0]; i++) {
		rco__g711_samples(known[i].law, &known[i].code, 1, &sample);
		assert_int_equal(sample, known[i].sample);
	}
}

/* Every 16-bit sample: it is one of a law's 255 or 256, and then comes back, or it is told that it is not. */
static void test_every_sample(void **state)
{
	int law, in_law, n;

	(void)state;
	for (law = RCO__MU_LAW; law <= RCO__A_LAW; law++) {
		int v;

		for (v = INT16_MIN, n = 0; v <= INT16_MAX; v++) {
			int16_t sample = (int16_t)v, back = 0, of_code;
			uint8_t code = 0, each;
			int c;

			in_law = rco__g711_codes((rco__law)law, &sample, 1, &code);
			n += in_law;
			if (in_law) {
				rco__g711_samples((rco__law)law, &code, 1, &back);
				assert_int_equal(back, sample);
				continue;
			}
			if (v % 97 != 0)
				continue; /* enough of the others for the long way */
			for (c = 0; c < 256; c++) {
				each = (uint8_t)c;
				rco__g711_samples((rco__law)law, &each, 1, &of_code);
				assert_int_not_equal(of_code, sample);
			}
		}
		assert_int_equal(n, law == RCO__MU_LAW ? 255 : 256);
	}
}

static void round_trip(uint32_t format, const void *data, size_t size, uint8_t coding, size_t coded)
{
	uint8_t *out = malloc(size), *back = malloc(size + 1), got = 99;

	assert_non_null(out);
	assert_non_null(back);
	assert_int_equal(rco__chunk_encode(format, data, size, out, &got), coded);
	assert_int_equal(got, coding);
	back[size] = 0x5a;
	assert_int_equal(rco__chunk_decode(format, got, out, coded, back, size), RCO_OK);
	assert_memory_equal(back, data, size);
	assert_int_equal(back[size], 0x5a);
	free(out);
	free(back);
}

/* One sample that no law has, anywhere, and the chunk is kept as it came. */
static void test_one_other_sample(void **state)
{
	static const size_t places[] = {0, 1, 63, 64, 65, SAMPLES - 1};
	static int16_t x[SAMPLES];
	static uint8_t codes[SAMPLES];
	size_t i;
	int law;

	(void)state;
	for (law = RCO__MU_LAW; law <= RCO__A_LAW; law++) {
		uint8_t coding = law == RCO__MU_LAW ? RCO__CODING_MU_LAW : RCO__CODING_A_LAW;

		t_noise(1, 0, codes, sizeof codes);
		rco__g711_samples((rco__law)law, codes, SAMPLES, x);
		round_trip(RCO_FORMAT_S16_8K, x, sizeof x, coding, SAMPLES);
		for (i = 0; i < sizeof places / sizeof places[0]; i++) {
			int16_t kept = x[places[i]];

			x[places[i]] = 1001;
			round_trip(RCO_FORMAT_S16_8K, x, sizeof x, RCO__CODING_STORED, sizeof x);
			x[places[i]] = kept;
		}
	}
}

/* Whole and odd lengths, odd addresses, and formats that are no samples of 16 bits. */
static void test_lengths(void **state)
{
	static uint8_t bytes[2 * SAMPLES + 1];
	size_t n;

	(void)state;
	t_noise(2, 0, bytes, sizeof bytes);
	for (n = 1; n < 200; n++) {
		round_trip(RCO_FORMAT_PCMU_8K, bytes + 1, n, RCO__CODING_STORED, n);
		round_trip(RCO_FORMAT_PCMA_8K, bytes, n, RCO__CODING_STORED, n);
	}
	memset(bytes, 0, sizeof bytes);
	for (n = 2; n < 400; n += 2) /* silence is of mu-law */
		round_trip(RCO_FORMAT_S16_16K, bytes + 1, n, RCO__CODING_MU_LAW, n / 2);
}

/* S16 is little-endian in the spool, on every machine. */
static void test_byte_order(void **state)
{
	const int16_t x[] = {0x0102, -2};
	uint8_t out[4], coding;

	(void)state;
	assert_int_equal(rco__chunk_encode(RCO_FORMAT_S16_8K, x, sizeof x, out, &coding), 4);
	assert_memory_equal(out, "\x02\x01\xfe\xff", 4);
}

static void test_refused(void **state)
{
	static const struct {
		uint32_t format, coding;
		size_t size, raw;
		int rc;
	} bad[] = {
		{RCO_FORMAT_PCMU_8K, RCO__CODING_STORED, 4, 5, RCO_E_CORRUPT},
		{RCO_FORMAT_PCMU_8K, RCO__CODING_STORED, 5, 4, RCO_E_CORRUPT},
		{RCO_FORMAT_PCMU_8K, RCO__CODING_STORED, 0, 0, RCO_E_CORRUPT},
		{RCO_FORMAT_PCMU_8K, RCO__CODING_MU_LAW, 4, 8, RCO_E_CORRUPT},
		{RCO_FORMAT_S16_8K, RCO__CODING_STORED, 3, 3, RCO_E_CORRUPT},
		{RCO_FORMAT_S16_8K, RCO__CODING_A_LAW, 4, 4, RCO_E_CORRUPT},
		{RCO_FORMAT_S16_8K, RCO__CODING_A_LAW, 4, 10, RCO_E_CORRUPT},
		{RCO_FORMAT_S16_8K, RCO__CODING_MU_LAW, 4, 9, RCO_E_CORRUPT},
		{RCO_FORMAT_S16_8K, RCO__CODING_STORED, RCO__CHUNK_MAX + 2, RCO__CHUNK_MAX + 2, RCO_E_CORRUPT},
		{77, RCO__CODING_STORED, 4, 4, RCO_E_CORRUPT},
		{RCO_FORMAT_S16_8K, 1, 4, 4, RCO_E_VERSION},
		{RCO_FORMAT_S16_8K, 2, 4, 4, RCO_E_VERSION},
		{RCO_FORMAT_S16_8K, 5, 4, 4, RCO_E_VERSION},
	};
	const uint8_t data[16] = {0};
	uint8_t out[16];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		memset(out, 0x5a, sizeof out);
		assert_int_equal(rco__chunk_decode(bad[i].format, (uint8_t)bad[i].coding, data, bad[i].size, out,
		                                   bad[i].raw),
		                 bad[i].rc);
		assert_int_equal(out[0], 0x5a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_known_codes),      cmocka_unit_test(test_every_sample),
		cmocka_unit_test(test_one_other_sample), cmocka_unit_test(test_lengths),
		cmocka_unit_test(test_byte_order),       cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
