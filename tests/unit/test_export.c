/* SPDX-License-Identifier: MIT */
/*
 * Finished recordings are files that any player opens, bit for bit what was pushed: every format, odd sizes, in
 * parts of any size, plain or inside zstd, a file for each leg or both in stereo.
 */
#include "../support.h"

#include "../../lib/base/bytes.h"

#include <stdio.h>
#include <stdlib.h>
#include <zstd.h>

static const struct {
	uint32_t format, tag, rate, sample;
	uint8_t silence;
} formats[] = {{RCO_FORMAT_PCMU_8K, 7, 8000, 1, 0xff}, {RCO_FORMAT_PCMA_8K, 6, 8000, 1, 0xd5},
               {RCO_FORMAT_S16_8K, 1, 8000, 2, 0},     {RCO_FORMAT_S16_16K, 1, 16000, 2, 0},
               {RCO_FORMAT_S16_24K, 1, 24000, 2, 0},   {RCO_FORMAT_S16_48K, 1, 48000, 2, 0}};

enum { FORMATS = sizeof formats / sizeof formats[0] };

/* Push `size` bytes of noise in frames of `frame` bytes, letting the engine drain as the ring fills. */
static void push_noise(t_world *w, rco_session *s, uint32_t leg, uint32_t format, uint64_t seed, size_t size,
                       size_t frame)
{
	uint8_t buf[4096];
	size_t at = 0;

	while (at < size) {
		size_t n = size - at < frame ? size - at : frame;
		int rc;

		t_noise(seed, at, buf, n);
		rc = rco_session_push(s, leg, format, buf, n);
		if (rc == RCO_E_OVERFLOW) {
			t_advance(w, 200);
			continue;
		}
		assert_int_equal(rc, RCO_OK);
		at += n;
	}
}

/* The only file that ends so, unpacked if it is zstd. */
static uint8_t *stored(t_world *w, const char *suffix, size_t *size)
{
	char key[256];
	uint8_t *file = NULL, *plain;
	size_t i, n, packed = 0;

	for (i = 0; rco_memory_key_at(w->memory, i, key, sizeof key) == RCO_OK; i++) {
		n = strlen(key);
		if (n > strlen(suffix) && strcmp(key + n - strlen(suffix), suffix) == 0) {
			assert_null(file);
			file = t_store_get(w, key, &packed);
		}
	}
	assert_non_null(file);
	*size = packed;
	if (strstr(suffix, ".zst") == NULL)
		return file;
	/* A stream without its size in front: unpack into plenty. */
	plain = malloc(8u << 20);
	assert_non_null(plain);
	*size = ZSTD_decompress(plain, 8u << 20, file, packed);
	assert_false(ZSTD_isError(*size));
	free(file);
	return plain;
}

static void check_header(const uint8_t *f, size_t size, size_t fmt, uint32_t channels, size_t data)
{
	uint32_t sample = formats[fmt].sample;

	assert_true(size > 44);
	assert_memory_equal(f, "RIFF", 4);
	assert_int_equal(rco__get32(f + 4), size - 8);
	assert_memory_equal(f + 8, "WAVEfmt ", 8);
	assert_int_equal(rco__get16(f + 20), formats[fmt].tag);
	assert_int_equal(rco__get16(f + 22), channels);
	assert_int_equal(rco__get32(f + 24), formats[fmt].rate);
	assert_int_equal(rco__get32(f + 28), formats[fmt].rate * sample * channels);
	assert_int_equal(rco__get16(f + 32), sample * channels);
	assert_int_equal(rco__get16(f + 34), sample * 8);
	assert_int_equal(size % 2, 0); /* chunks are padded */
	assert_true(size >= data + 44);
}

static void per_leg(size_t fmt, uint32_t export_format, size_t size, uint64_t part)
{
	const char *suffix = export_format == RCO_EXPORT_WAV_ZST ? ".only.wav.zst" : ".only.wav";
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call"};
	size_t file_size, bytes;
	uint8_t *file, *samples;
	rco_session *s;
	uint32_t leg;
	t_world w;

	t_world_init(&w, 0);
	w.cfg.export_format = export_format;
	w.cfg.upload_part_bytes = part;
	t_world_open(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "only", formats[fmt].format, &leg), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	push_noise(&w, s, leg, formats[fmt].format, 7, size, formats[fmt].sample * 161u);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	file = stored(&w, suffix, &file_size);
	check_header(file, file_size, fmt, 1, size);
	samples = (uint8_t *)(uintptr_t)t_wav_samples(file, file_size, &bytes);
	assert_non_null(samples);
	assert_int_equal(bytes, size);
	t_stored_order(samples, size, formats[fmt].sample);
	assert_true(t_is_noise(7, samples, size));
	free(file);
	t_world_destroy(&w);
}

static void test_every_format(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < FORMATS; i++) {
		per_leg(i, RCO_EXPORT_WAV, formats[i].sample * 8001u, 0);
		per_leg(i, RCO_EXPORT_WAV_ZST, formats[i].sample * 8001u, 0);
	}
}

static void test_sizes_and_parts(void **state)
{
	static const size_t sizes[] = {1, 2, 3, 159, 160, 65535, 65536, 65537, 200001};
	static const uint64_t parts[] = {1, 57, 58, 59, 4096, 65536 + 58, 200060};
	size_t i, k;

	(void)state;
	for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
		for (k = sizes[i] > 1000 ? 4 : 0; k < sizeof parts / sizeof parts[0]; k++) {
			per_leg(0, RCO_EXPORT_WAV, sizes[i], parts[k]);
			per_leg(1, RCO_EXPORT_WAV_ZST, sizes[i], parts[k]);
		}
}

static void stereo(size_t fmt, uint32_t export_format, size_t left, size_t right)
{
	const char *suffix = export_format == RCO_EXPORT_WAV_ZST ? ".stereo.wav.zst" : ".stereo.wav";
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call"};
	uint32_t leg[2], sample = formats[fmt].sample;
	size_t longer = left > right ? left : right, file_size, bytes, i;
	uint8_t *file, *a = calloc(1, longer), *b = calloc(1, longer);
	const uint8_t *samples;
	rco_session *s;
	t_world w;

	assert_true(a != NULL && b != NULL);
	t_world_init(&w, 0);
	w.cfg.export_format = export_format;
	w.cfg.export_layout = RCO_LAYOUT_STEREO;
	t_world_open(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "caller", formats[fmt].format, &leg[0]), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "agent", formats[fmt].format, &leg[1]), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	push_noise(&w, s, leg[0], formats[fmt].format, 1, left, sample * 160u);
	push_noise(&w, s, leg[1], formats[fmt].format, 2, right, sample * 160u);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_int_equal(t_store_audio(&w), 1);
	file = stored(&w, suffix, &file_size);
	check_header(file, file_size, fmt, 2, 2 * longer);
	samples = t_wav_samples(file, file_size, &bytes);
	assert_int_equal(bytes, 2 * longer);
	memset(a, formats[fmt].silence, longer); /* what the shorter side is padded with */
	memset(b, formats[fmt].silence, longer);
	t_noise(1, 0, a, left);
	t_noise(2, 0, b, right);
	t_stored_order(a, left, sample);
	t_stored_order(b, right, sample);
	for (i = 0; i < longer / sample; i++) {
		assert_memory_equal(samples + 2 * i * sample, a + i * sample, sample);
		assert_memory_equal(samples + (2 * i + 1) * sample, b + i * sample, sample);
	}
	free(file);
	free(a);
	free(b);
	t_world_destroy(&w);
}

static void test_stereo(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < FORMATS; i++) {
		stereo(i, RCO_EXPORT_WAV, formats[i].sample * 40000u, formats[i].sample * 70001u);
		stereo(i, RCO_EXPORT_WAV_ZST, formats[i].sample * 70001u, formats[i].sample * 161u);
	}
}

/* Legs of different formats, or only one with audio, cannot share a file: each gets its own. */
static void test_stereo_falls_back(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call"};
	rco_session *s;
	uint32_t leg[2];
	size_t size;
	uint8_t *f;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.export_layout = RCO_LAYOUT_STEREO;
	t_world_open(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &leg[0]), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "agent", RCO_FORMAT_S16_16K, &leg[1]), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	push_noise(&w, s, leg[0], RCO_FORMAT_PCMU_8K, 1, 1600, 160);
	push_noise(&w, s, leg[1], RCO_FORMAT_S16_16K, 2, 6400, 640);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_int_equal(t_store_audio(&w), 2);
	f = stored(&w, ".caller.wav", &size);
	check_header(f, size, 0, 1, 1600);
	free(f);
	f = stored(&w, ".agent.wav", &size);
	check_header(f, size, 3, 1, 6400);
	free(f);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_format),
		cmocka_unit_test(test_sizes_and_parts),
		cmocka_unit_test(test_stereo),
		cmocka_unit_test(test_stereo_falls_back),
	};

	return cmocka_run_group_tests_name("export", tests, NULL, NULL);
}
