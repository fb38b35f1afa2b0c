/* SPDX-License-Identifier: MIT */
/* Finished recordings are standard WAV files: every field of the header, for each format. */
#include "../support_base.h"

#include "../../lib/base/bytes.h"
#include "../../lib/media/wav.h"

static void formats_are_as_documented(void **state)
{
	static const uint32_t rates[] = {0, 8000, 8000, 8000, 16000, 24000, 48000, 0};
	static const uint32_t bytes[] = {0, 1, 1, 2, 2, 2, 2, 0};
	uint32_t f;

	(void)state;
	for (f = 0; f < 8; f++) {
		assert_int_equal(rco_format_rate_hz(f), rates[f]);
		assert_int_equal(rco_format_sample_bytes(f), bytes[f]);
		assert_int_equal(rco__format_of(f) != NULL, rates[f] != 0);
	}
	assert_null(rco__format_of(UINT32_MAX));
	assert_string_equal(rco__format_of(RCO_FORMAT_PCMU_8K)->name, "pcmu/8000");
	assert_int_equal(rco__format_of(RCO_FORMAT_PCMU_8K)->silence, 0xff);
	assert_int_equal(rco__format_of(RCO_FORMAT_PCMA_8K)->silence, 0xd5);
}

static void check_fmt(const uint8_t *h, uint32_t size, uint16_t tag, uint16_t channels, uint32_t rate,
                      uint16_t bits)
{
	uint16_t block = (uint16_t)(channels * bits / 8);

	assert_memory_equal(h, "RIFF", 4);
	assert_memory_equal(h + 8, "WAVEfmt ", 8);
	assert_int_equal(rco__get32(h + 16), size);
	assert_int_equal(rco__get16(h + 20), tag);
	assert_int_equal(rco__get16(h + 22), channels);
	assert_int_equal(rco__get32(h + 24), rate);
	assert_int_equal(rco__get32(h + 28), rate * block);
	assert_int_equal(rco__get16(h + 32), block);
	assert_int_equal(rco__get16(h + 34), bits);
}

static void pcm_has_the_plain_header(void **state)
{
	static const uint32_t rates[] = {8000, 16000, 24000, 48000};
	uint8_t h[RCO__WAV_HEADER_MAX];
	uint32_t f, channels;

	(void)state;
	for (f = RCO_FORMAT_S16_8K; f <= RCO_FORMAT_S16_48K; f++) {
		for (channels = 1; channels <= 2; channels++) {
			assert_int_equal(rco__wav_header(h, f, channels, 1000), 44);
			check_fmt(h, 16, 1, (uint16_t)channels, rates[f - RCO_FORMAT_S16_8K], 16);
			assert_int_equal(rco__get32(h + 4), 36 + 1000);
			assert_memory_equal(h + 36, "data", 4);
			assert_int_equal(rco__get32(h + 40), 1000);
		}
	}
}

static void g711_stays_g711(void **state)
{
	uint8_t h[RCO__WAV_HEADER_MAX];
	uint32_t channels;

	(void)state;
	for (channels = 1; channels <= 2; channels++) {
		assert_int_equal(rco__wav_header(h, RCO_FORMAT_PCMU_8K, channels, 1600), 58);
		check_fmt(h, 18, 7, (uint16_t)channels, 8000, 8);
		assert_int_equal(rco__get16(h + 36), 0);
		assert_memory_equal(h + 38, "fact", 4);
		assert_int_equal(rco__get32(h + 42), 4);
		assert_int_equal(rco__get32(h + 46), 1600 / channels);
		assert_memory_equal(h + 50, "data", 4);
		assert_int_equal(rco__get32(h + 54), 1600);
		assert_int_equal(rco__get32(h + 4), 50 + 1600);
	}
	assert_int_equal(rco__wav_header(h, RCO_FORMAT_PCMA_8K, 1, 160), 58);
	check_fmt(h, 18, 6, 1, 8000, 8);
}

/* A pad byte follows an odd chunk: counted by RIFF, not by data. */
static void odd_sizes_are_padded(void **state)
{
	uint8_t h[RCO__WAV_HEADER_MAX];

	(void)state;
	assert_int_equal(rco__wav_pad(0), 0);
	assert_int_equal(rco__wav_pad(161), 1);
	assert_int_equal(rco__wav_pad(UINT64_MAX), 1);
	assert_int_equal(rco__wav_header(h, RCO_FORMAT_PCMU_8K, 1, 161), 58);
	assert_int_equal(rco__get32(h + 54), 161);
	assert_int_equal(rco__get32(h + 4), 50 + 161 + 1);
	assert_int_equal(rco__get32(h + 46), 161);
}

static void sizes_beyond_4_gib_are_clamped(void **state)
{
	uint64_t most = UINT32_MAX - 44;
	uint8_t h[RCO__WAV_HEADER_MAX];

	(void)state;
	assert_int_equal(rco__wav_header(h, RCO_FORMAT_S16_8K, 1, most), 44);
	assert_int_equal(rco__get32(h + 40), most);
	assert_int_equal(rco__get32(h + 4), most + 36 + (most & 1));
	assert_int_equal(rco__wav_header(h, RCO_FORMAT_S16_8K, 1, most + 1), 44);
	assert_int_equal(rco__get32(h + 40), UINT32_MAX);
	assert_int_equal(rco__get32(h + 4), UINT32_MAX);
	assert_int_equal(rco__wav_header(h, RCO_FORMAT_PCMU_8K, 1, UINT64_MAX), 58);
	assert_int_equal(rco__get32(h + 54), UINT32_MAX);
	assert_int_equal(rco__get32(h + 46), UINT32_MAX);
}

static void nonsense_has_no_header(void **state)
{
	uint8_t h[RCO__WAV_HEADER_MAX];

	(void)state;
	assert_int_equal(rco__wav_header(h, 0, 1, 10), 0);
	assert_int_equal(rco__wav_header(h, 7, 1, 10), 0);
	assert_int_equal(rco__wav_header(h, RCO_FORMAT_S16_8K, 0, 10), 0);
	assert_int_equal(rco__wav_header(h, RCO_FORMAT_S16_8K, 3, 10), 0);
}

static void samples_become_little_endian_and_back(void **state)
{
	int16_t host[] = {0x0102, -2, 0x7fff}, again[3];
	static const uint8_t file[] = {0x02, 0x01, 0xfe, 0xff, 0xff, 0x7f};
	uint8_t ulaw[] = {1, 2, 3, 4};

	(void)state;
	memcpy(again, host, sizeof host);
	rco__wav_swap(RCO_FORMAT_S16_16K, again, sizeof again);
	assert_memory_equal(again, file, sizeof file);
	rco__wav_swap(RCO_FORMAT_S16_16K, again, sizeof again);
	assert_memory_equal(again, host, sizeof host);
	rco__wav_swap(RCO_FORMAT_PCMU_8K, ulaw, sizeof ulaw);
	assert_memory_equal(ulaw, "\1\2\3\4", 4);
}

static void two_sides_are_interleaved(void **state)
{
	uint8_t out[13];

	(void)state;
	out[12] = 0xee;
	rco__wav_interleave(RCO_FORMAT_S16_8K, "aAbBcC", "xXyYzZ", 3, out);
	assert_memory_equal(out, "aAxXbByYcCzZ", 12);
	rco__wav_interleave(RCO_FORMAT_S16_8K, "aAbBcC", NULL, 3, out);
	assert_memory_equal(out, "aA\0\0bB\0\0cC\0\0", 12);
	rco__wav_interleave(RCO_FORMAT_PCMU_8K, NULL, "uvwxyz", 6, out);
	assert_memory_equal(out, "\xffu\xffv\xffw\xffx\xffy\xffz", 12);
	rco__wav_interleave(RCO_FORMAT_PCMA_8K, "abc", NULL, 3, out);
	assert_memory_equal(out, "a\xd5\x62\xd5\x63\xd5", 6);
	assert_int_equal(out[12], 0xee);
	rco__wav_interleave(RCO_FORMAT_S16_8K, "", "", 0, out);
	rco__wav_interleave(99, "ab", "cd", 1, out);
	assert_int_equal(out[0], 'a');
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(formats_are_as_documented),
		cmocka_unit_test(pcm_has_the_plain_header),
		cmocka_unit_test(g711_stays_g711),
		cmocka_unit_test(odd_sizes_are_padded),
		cmocka_unit_test(sizes_beyond_4_gib_are_clamped),
		cmocka_unit_test(nonsense_has_no_header),
		cmocka_unit_test(samples_become_little_endian_and_back),
		cmocka_unit_test(two_sides_are_interleaved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
