/* SPDX-License-Identifier: MIT */
/* Whatever goes into the codec comes out again, bit for bit, whichever way the machine computes. */
#include "../support_codec.h"

/* Under a sanitizer all takes many times as long. */
#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define SLOWED 1
#else
#define SLOWED 0
#endif

enum { LONGEST = RCO__CHUNK_MAX / 2, EVERY_SIZE = SLOWED ? 300 : 2000 };

struct setting {
	struct counting counting;
	rco__env env;
	rco__codec *codec;
	rco__predicted *plain; /* the same, without any of the machine's vectors */
	int16_t *sound;        /* LONGEST */
	uint8_t *raw, *coded, *other, *back;
};

static int set_up(void **state)
{
	struct setting *s = calloc(1, sizeof *s);
	rco_allocator alloc;

	assert_non_null(s);
	alloc = counting_allocator(&s->counting);
	assert_int_equal(rco__env_init(&s->env, &alloc, NULL, NULL, NULL), RCO_OK);
	assert_int_equal(rco__codec_create(&s->env, &s->codec), RCO_OK);
	s->plain = rco__predicted_create(&s->env);
	assert_non_null(s->plain);
	rco__predicted_use(s->plain, &rco__kernels_plain);
	s->sound = malloc(LONGEST * sizeof *s->sound);
	s->raw = malloc(RCO__CHUNK_MAX);
	s->coded = malloc(RCO__CHUNK_MAX);
	s->other = malloc(RCO__CHUNK_MAX);
	s->back = malloc(RCO__CHUNK_MAX);
	assert_true(s->sound != NULL && s->raw != NULL && s->coded != NULL && s->other != NULL && s->back != NULL);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct setting *s = *state;

	rco__codec_free(s->codec);
	rco__predicted_free(&s->env, s->plain);
	assert_int_equal(s->counting.live, 0);
	free(s->sound);
	free(s->raw);
	free(s->coded);
	free(s->other);
	free(s->back);
	free(s);
	return 0;
}

/* Codes raw[0..size) both ways, expects the same bytes, and the audio back. Returns the coded size. */
static size_t round_trip(struct setting *s, uint32_t format, size_t size, uint8_t *coding)
{
	size_t n, m;

	assert_int_equal(rco__codec_encode(s->codec, format, s->raw, size, s->coded, size, &n, coding), RCO_OK);
	assert_in_range(n, 1, size);
	m = rco__predicted_encode(s->plain, format, s->raw, size, s->other);
	assert_int_equal(*coding, m > 0 ? RCO__CODING_PREDICTED : RCO__CODING_STORED);
	if (m > 0) {
		assert_int_equal(n, m);
		assert_memory_equal(s->coded, s->other, n);
	}
	memset(s->back, 0xee, size);
	assert_int_equal(rco__codec_decode(s->codec, format, *coding, s->coded, n, s->back, size), RCO_OK);
	assert_memory_equal(s->back, s->raw, size);
	return n;
}

static size_t round_trip_of(struct setting *s, uint32_t format, rco__line line, size_t samples, uint8_t *coding)
{
	sound_in_format(format, line, s->sound, samples, s->raw);
	return round_trip(s, format, samples * rco_format_sample_bytes(format), coding);
}

static void every_sound_in_every_format_comes_back(void **state)
{
	static const int32_t loudness[] = {40, 16384, 32767};
	static const size_t samples[] = {160, 1600, 1601, 8000, 12345};
	struct setting *s = *state;
	uint8_t coding;
	uint32_t format;
	size_t k, i, j;
	int line;

	for (k = 0; k < SOUNDS; k++)
		for (i = 0; i < sizeof loudness / sizeof loudness[0]; i++) {
			sounds[k](s->sound, 12345, loudness[i]);
			for (format = RCO_FORMAT_PCMU_8K; format <= RCO_FORMAT_S16_48K; format++)
				for (j = 0; j < sizeof samples / sizeof samples[0]; j++)
					for (line = RCO__LINE_LINEAR; line <= RCO__LINE_A; line++)
						(void)round_trip_of(s, format, (rco__line)line, samples[j],
						                    &coding);
		}
}

static void every_size_comes_back(void **state)
{
	struct setting *s = *state;
	uint8_t coding;
	size_t n, k;

	for (k = 0; k < SOUNDS; k++) {
		sounds[k](s->sound, EVERY_SIZE, 16384);
		for (n = 1; n <= EVERY_SIZE; n += n < 64 ? 1 : 13) {
			(void)round_trip_of(s, RCO_FORMAT_PCMU_8K, RCO__LINE_MU, n, &coding);
			(void)round_trip_of(s, RCO_FORMAT_S16_8K, RCO__LINE_LINEAR, n, &coding);
		}
	}
	sound_speech(s->sound, EVERY_SIZE, 16384);
	for (n = 1; n <= EVERY_SIZE; n++) {
		(void)round_trip_of(s, RCO_FORMAT_PCMA_8K, RCO__LINE_A, n, &coding);
		(void)round_trip_of(s, RCO_FORMAT_S16_16K, RCO__LINE_MU, n, &coding);
		(void)round_trip_of(s, RCO_FORMAT_S16_48K, RCO__LINE_LINEAR, n, &coding);
	}
}

static void the_longest_chunk_comes_back(void **state)
{
	struct setting *s = *state;
	uint8_t coding;
	size_t k, i;

	for (k = 0; k < SOUNDS; k++) {
		sounds[k](s->sound, LONGEST, 16384);
		(void)round_trip_of(s, RCO_FORMAT_S16_48K, RCO__LINE_LINEAR, LONGEST, &coding);
		(void)round_trip_of(s, RCO_FORMAT_S16_8K, RCO__LINE_MU, LONGEST, &coding);
		for (i = 0; i < RCO__CHUNK_MAX; i++)
			s->raw[i] = (uint8_t)(s->sound[i / 2] >> 8);
		(void)round_trip(s, RCO_FORMAT_PCMU_8K, RCO__CHUNK_MAX, &coding);
	}
}

/* Any bytes are audio in a G.711 format: both zeros of mu-law, and every code beside every other. */
static void every_code_comes_back(void **state)
{
	struct setting *s = *state;
	uint8_t coding;
	uint32_t format;
	size_t i;

	for (format = RCO_FORMAT_PCMU_8K; format <= RCO_FORMAT_PCMA_8K; format++) {
		for (i = 0; i < 65536; i++)
			s->raw[i] = (uint8_t)(i & 1 ? i >> 8 : i >> 1);
		(void)round_trip(s, format, 65536, &coding);
		for (i = 0; i < 256; i++) {
			memset(s->raw, (int)i, 1600);
			assert_true(round_trip(s, format, 1600, &coding) <= 3);
		}
		for (i = 0; i < 1600; i++)
			s->raw[i] = i / 3 & 1 ? 0x7f : 0xff;
		(void)round_trip(s, format, 1600, &coding);
	}
}

/* Runs of zeros that end at, before and behind every place where one can begin or a block ends. */
static void every_run_comes_back(void **state)
{
	struct setting *s = *state;
	uint8_t coding;
	size_t at;

	for (at = 0; at < 1200; at++) {
		memset(s->raw, 0xff, 1200);
		s->raw[at] = 0x90;
		(void)round_trip(s, RCO_FORMAT_PCMU_8K, 1200, &coding);
		memset(s->raw, 0, 2400);
		s->raw[2 * at + 1] = 0x61;
		(void)round_trip(s, RCO_FORMAT_S16_8K, 2400, &coding);
	}
}

/* A chunk is of a law when all of its samples are, wherever the one may be that is not. */
static void one_sample_outside_the_book_is_enough(void **state)
{
	static const int16_t outside[] = {1, -1, 2, 131, 133, -32768, 32767, 32125, -32125, 16, 24, 9, 255, 257};
	struct setting *s = *state;
	const rco__kernels *kernels[] = {&rco__kernels_plain, rco__kernels_best()};
	uint8_t coding;
	size_t at, i, k;
	int16_t *x;

	sound_speech(s->sound, 67, 30000);
	sound_in_format(RCO_FORMAT_S16_8K, RCO__LINE_MU, s->sound, 67, s->raw);
	x = (int16_t *)(void *)s->raw;
	for (k = 0; k < 2; k++) {
		assert_true(kernels[k]->in_book(RCO__LINE_MU_CLOSED, x, 67));
		for (at = 0; at < 67; at++)
			for (i = 0; i < sizeof outside / sizeof outside[0]; i++) {
				int16_t kept = x[at];

				x[at] = outside[i];
				if (outside[i] == sound_through(RCO__LINE_MU, outside[i]))
					continue;
				assert_false(kernels[k]->in_book(RCO__LINE_MU_CLOSED, x, 67));
				(void)round_trip(s, RCO_FORMAT_S16_8K, 134, &coding);
				x[at] = kept;
			}
	}
}

/* The book of a law is what its 256 codes expand to, by the rule in the text of G.711 and not by ours. */
static void the_books_are_those_of_g711(void **state)
{
	const rco__kernels *kernels[] = {&rco__kernels_plain, rco__kernels_best()};
	struct setting *s = *state;
	int32_t code, i, v, segment, step, k;
	uint8_t *in[2] = {s->coded, s->other};

	memset(s->coded, 0, 65536);
	memset(s->other, 0, 65536);
	for (code = 0; code < 256; code++) {
		segment = (~code & 0x70) >> 4;
		step = ~code & 15;
		v = 4 * (((2 * step + 33) << segment) - 33); /* 14 bits, in 16 */
		v = code & 0x80 ? v : -v;
		in[0][v + 32768] = 1;
		assert_int_equal(rco__g711_sample(RCO__LINE_MU, rco__g711_of_code(RCO__LINE_MU, (uint8_t)code)),
		                 v);
		segment = ((code ^ 0x55) & 0x70) >> 4;
		step = (code ^ 0x55) & 15;
		v = segment == 0 ? 2 * step + 1 : (2 * step + 33) << (segment - 1); /* 13 bits, in 16 */
		v = 8 * ((code ^ 0x55) & 0x80 ? v : -v);
		in[1][v + 32768] = 1;
		assert_int_equal(rco__g711_sample(RCO__LINE_A, rco__g711_of_code(RCO__LINE_A, (uint8_t)code)), v);
	}
	for (k = 0; k < 2; k++)
		for (i = -32768; i <= 32767; i++) {
			int16_t x[16] = {0}, a[16] = {8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8, 8};

			x[5] = a[5] = (int16_t)i;
			assert_int_equal(kernels[k]->in_book(RCO__LINE_MU_CLOSED, x, 16), in[0][i + 32768]);
			assert_int_equal(kernels[k]->in_book(RCO__LINE_A, a, 16), in[1][i + 32768]);
		}
}

/* What it is for. The sound is made, so that the figures say nothing of speech; that is what the bench is for. */
static void speech_becomes_small(void **state)
{
	struct setting *s = *state;
	uint8_t coding;
	size_t n;

	sound_speech(s->sound, 1600, 20000);
	n = round_trip_of(s, RCO_FORMAT_S16_8K, RCO__LINE_MU, 1600, &coding);
	assert_int_equal(coding, RCO__CODING_PREDICTED);
	assert_int_equal(s->coded[0] & 3, RCO__LINE_MU_CLOSED);
	assert_true(n < 1200);
	n = round_trip_of(s, RCO_FORMAT_PCMU_8K, RCO__LINE_MU, 1600, &coding);
	assert_true(n < 1200);
	n = round_trip_of(s, RCO_FORMAT_S16_8K, RCO__LINE_A, 1600, &coding);
	assert_int_equal(s->coded[0] & 3, RCO__LINE_A);
	assert_true(n < 1200);
	n = round_trip_of(s, RCO_FORMAT_S16_8K, RCO__LINE_LINEAR, 1600, &coding);
	assert_int_equal(s->coded[0] & 3, RCO__LINE_LINEAR);
	assert_true(n < 2000);
}

/* A chunk may lie at any address. */
static void odd_addresses_are_no_matter(void **state)
{
	struct setting *s = *state;
	uint8_t coding;
	size_t n, m;

	sound_speech(s->sound, 1600, 16384);
	n = round_trip_of(s, RCO_FORMAT_S16_8K, RCO__LINE_MU, 1600, &coding);
	memmove(s->raw + 1, s->raw, 3200);
	assert_int_equal(
		rco__codec_encode(s->codec, RCO_FORMAT_S16_8K, s->raw + 1, 3200, s->other + 3, 3200, &m, &coding),
		RCO_OK);
	assert_int_equal(n, m);
	assert_memory_equal(s->coded, s->other + 3, n);
	assert_int_equal(
		rco__codec_decode(s->codec, RCO_FORMAT_S16_8K, coding, s->other + 3, m, s->back + 1, 3200),
		RCO_OK);
	assert_memory_equal(s->back + 1, s->raw + 1, 3200);
}

static void silence_costs_almost_nothing(void **state)
{
	struct setting *s = *state;
	uint8_t coding;

	sound_silence(s->sound, LONGEST, 0);
	assert_true(round_trip_of(s, RCO_FORMAT_S16_8K, RCO__LINE_LINEAR, 1600, &coding) <= 4);
	assert_true(round_trip_of(s, RCO_FORMAT_PCMU_8K, RCO__LINE_LINEAR, 1600, &coding) <= 4);
	assert_true(round_trip_of(s, RCO_FORMAT_S16_48K, RCO__LINE_LINEAR, LONGEST, &coding) <= 4);
	s->sound[700] = 4000; /* a click in it costs a click */
	assert_true(round_trip_of(s, RCO_FORMAT_S16_8K, RCO__LINE_LINEAR, 1600, &coding) <= 64);
}

#define CODEC_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CODEC_TEST(every_sound_in_every_format_comes_back),
		CODEC_TEST(every_size_comes_back),
		CODEC_TEST(the_longest_chunk_comes_back),
		CODEC_TEST(every_code_comes_back),
		CODEC_TEST(every_run_comes_back),
		CODEC_TEST(one_sample_outside_the_book_is_enough),
		CODEC_TEST(the_books_are_those_of_g711),
		CODEC_TEST(speech_becomes_small),
		CODEC_TEST(silence_costs_almost_nothing),
		CODEC_TEST(odd_addresses_are_no_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
