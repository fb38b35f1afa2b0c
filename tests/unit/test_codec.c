/* SPDX-License-Identifier: MIT */
/* Chunks come back byte for byte (P5), damaged ones are refused without harm, and no audio is left in freed
 * memory. */
#include "../support_base.h"

#include "../../lib/media/codec.h"
#include "../../lib/media/wav.h"

#include <zstd.h>

enum { SECOND = 16000 }; /* a second of 8 kHz S16 */

struct setting {
	struct counting counting;
	rco__codec *codec;
	uint8_t *raw, *coded, *back; /* RCO__CHUNK_MAX, its bound, RCO__CHUNK_MAX */
	size_t cap;
};

static uint32_t next_random(uint32_t *seed)
{
	*seed = *seed * 1664525u + 1013904223u;
	return *seed >> 8;
}

/* Something like a voice: a tone that swells and fades, with a little noise. */
static void make_voice(uint8_t *out, size_t size)
{
	int32_t a = 0, b = 3000, swell;
	uint32_t seed = 1;
	size_t i;
	int16_t s;

	for (i = 0; i + 2 <= size; i += 2) {
		swell = (int32_t)(i / 16 % 256);
		b -= a / 12;
		a += b / 12; /* a recursive oscillator */
		s = (int16_t)(a * swell / 256 / 2 + (int32_t)(next_random(&seed) % 15) - 7);
		memcpy(out + i, &s, sizeof s);
	}
	if (i < size)
		out[i] = 0;
}

static void make_noise(uint8_t *out, size_t size)
{
	uint32_t seed = 99;
	size_t i;

	for (i = 0; i < size; i++)
		out[i] = (uint8_t)(next_random(&seed) >> 8);
}

static rco__codec *make_codec(struct counting *counting)
{
	rco_allocator alloc = counting_allocator(counting);
	rco__codec *codec = NULL;
	rco__env env;

	assert_int_equal(rco__env_init(&env, &alloc, NULL, NULL, NULL), RCO_OK);
	assert_int_equal(rco__codec_create(&env, &codec), RCO_OK);
	return codec;
}

static int set_up(void **state)
{
	struct setting *s = calloc(1, sizeof *s);

	assert_non_null(s);
	s->codec = make_codec(&s->counting);
	s->cap = ZSTD_compressBound(RCO__CHUNK_MAX);
	s->raw = malloc(RCO__CHUNK_MAX);
	s->coded = malloc(s->cap);
	s->back = malloc(RCO__CHUNK_MAX);
	assert_true(s->raw != NULL && s->coded != NULL && s->back != NULL);
	make_voice(s->raw, RCO__CHUNK_MAX);
	*state = s;
	return 0;
}

static int tear_down(void **state)
{
	struct setting *s = *state;

	rco__codec_free(s->codec);
	assert_int_equal(s->counting.live, 0);
	free(s->raw);
	free(s->coded);
	free(s->back);
	free(s);
	return 0;
}

static uint8_t round_trip(struct setting *s, uint32_t format, size_t size, size_t *coded_size)
{
	uint8_t coding = 0xff;

	assert_int_equal(rco__codec_encode(s->codec, format, s->raw, size, s->coded, rco__codec_bound(size),
	                                   coded_size, &coding),
	                 RCO_OK);
	assert_true(*coded_size <= size);
	memset(s->back, 0xee, size);
	assert_int_equal(rco__codec_decode(s->codec, format, coding, s->coded, *coded_size, s->back, size),
	                 RCO_OK);
	assert_memory_equal(s->back, s->raw, size);
	return coding;
}

static void every_format_and_size_comes_back(void **state)
{
	static const size_t sizes[] = {2,     4,     6,     64,    160,   320,    1600,
	                               16000, 32000, 32768, 48000, 96000, 131072, RCO__CHUNK_MAX};
	struct setting *s = *state;
	uint32_t f;
	size_t i, n;

	for (f = RCO_FORMAT_PCMU_8K; f <= RCO_FORMAT_S16_48K; f++)
		for (i = 0; i < sizeof sizes / sizeof sizes[0]; i++)
			(void)round_trip(s, f, sizes[i], &n);
	(void)round_trip(s, RCO_FORMAT_PCMU_8K, 1, &n);
	(void)round_trip(s, RCO_FORMAT_PCMA_8K, 161, &n);
}

static void what_can_be_made_smaller_is(void **state)
{
	struct setting *s = *state;
	size_t n;

	assert_int_equal(round_trip(s, RCO_FORMAT_S16_8K, SECOND, &n), RCO__CODING_PREDICTED);
	assert_true(n < SECOND / 2);
	memset(s->raw, 0xff, SECOND);
	assert_int_equal(round_trip(s, RCO_FORMAT_PCMU_8K, SECOND, &n), RCO__CODING_PREDICTED);
	assert_true(n < 24);
}

static void what_cannot_is_stored(void **state)
{
	struct setting *s = *state;
	size_t n;

	make_noise(s->raw, SECOND);
	assert_int_equal(round_trip(s, RCO_FORMAT_PCMU_8K, SECOND, &n), RCO__CODING_STORED);
	assert_int_equal(n, SECOND);
	assert_memory_equal(s->coded, s->raw, SECOND);
	assert_int_equal(round_trip(s, RCO_FORMAT_S16_8K, 2, &n), RCO__CODING_STORED);
}

static void room_for_the_chunk_itself_is_enough(void **state)
{
	struct setting *s = *state;
	uint8_t coding, *exact = malloc(SECOND);
	size_t n;

	assert_non_null(exact);
	assert_int_equal(
		rco__codec_encode(s->codec, RCO_FORMAT_S16_8K, s->raw, SECOND, exact, SECOND, &n, &coding),
		RCO_OK);
	assert_int_equal(rco__codec_decode(s->codec, RCO_FORMAT_S16_8K, coding, exact, n, s->back, SECOND),
	                 RCO_OK);
	assert_memory_equal(s->back, s->raw, SECOND);
	make_noise(s->raw, SECOND);
	assert_int_equal(
		rco__codec_encode(s->codec, RCO_FORMAT_S16_8K, s->raw, SECOND, exact, SECOND, &n, &coding),
		RCO_OK);
	assert_int_equal(coding, RCO__CODING_STORED);
	assert_int_equal(
		rco__codec_encode(s->codec, RCO_FORMAT_S16_8K, s->raw, SECOND, exact, SECOND - 1, &n, &coding),
		RCO_E_LIMIT);
	free(exact);
}

/* A chunk as it was coded before coding 2: one zstd frame of the audio in file order. */
static size_t make_zstd_chunk(struct setting *s, size_t size)
{
	uint8_t *in_file_order = malloc(size);
	size_t n;

	assert_non_null(in_file_order);
	memcpy(in_file_order, s->raw, size);
	rco__wav_swap(RCO_FORMAT_S16_8K, in_file_order, size);
	n = ZSTD_compress(s->coded, s->cap, in_file_order, size, 1);
	assert_false(ZSTD_isError(n));
	free(in_file_order);
	return n;
}

static void zstd_chunks_stay_readable(void **state)
{
	struct setting *s = *state;
	size_t n = make_zstd_chunk(s, SECOND);

	assert_int_equal(
		rco__codec_decode(s->codec, RCO_FORMAT_S16_8K, RCO__CODING_ZSTD, s->coded, n, s->back, SECOND),
		RCO_OK);
	assert_memory_equal(s->back, s->raw, SECOND);
}

/* Each chunk by itself: the same input gives the same bytes whatever came before it. */
static void chunks_do_not_depend_on_each_other(void **state)
{
	struct setting *s = *state;
	struct counting counting = {0};
	rco__codec *fresh = make_codec(&counting);
	uint8_t coding, *other = malloc(SECOND);
	size_t n, m;

	assert_non_null(other);
	(void)round_trip(s, RCO_FORMAT_S16_8K, RCO__CHUNK_MAX, &n);
	(void)round_trip(s, RCO_FORMAT_S16_8K, SECOND, &n);
	assert_int_equal(rco__codec_encode(fresh, RCO_FORMAT_S16_8K, s->raw, SECOND, other, SECOND, &m, &coding),
	                 RCO_OK);
	assert_int_equal(rco__codec_decode(fresh, RCO_FORMAT_S16_8K, coding, s->coded, n, s->back, SECOND),
	                 RCO_OK);
	assert_memory_equal(s->back, s->raw, SECOND);
	assert_int_equal(n, m);
	assert_memory_equal(s->coded, other, n);
	rco__codec_free(fresh);
	free(other);
}

static void bad_arguments_are_refused(void **state)
{
	struct setting *s = *state;
	uint8_t coding;
	size_t n;

	assert_int_equal(rco__codec_encode(s->codec, 0, s->raw, 2, s->coded, s->cap, &n, &coding), RCO_E_FORMAT);
	assert_int_equal(rco__codec_encode(s->codec, 3, NULL, 2, s->coded, s->cap, &n, &coding), RCO_E_INVALID);
	assert_int_equal(rco__codec_encode(s->codec, 3, s->raw, 2, NULL, s->cap, &n, &coding), RCO_E_INVALID);
	assert_int_equal(rco__codec_encode(s->codec, 3, s->raw, 0, s->coded, s->cap, &n, &coding), RCO_E_INVALID);
	assert_int_equal(rco__codec_encode(s->codec, 3, s->raw, RCO__CHUNK_MAX + 2, s->coded, s->cap, &n, &coding),
	                 RCO_E_INVALID);
	assert_int_equal(rco__codec_encode(s->codec, 3, s->raw, 3, s->coded, s->cap, &n, &coding), RCO_E_FRAME);
	assert_int_equal(rco__codec_encode(s->codec, 3, s->raw, 4, s->coded, 3, &n, &coding), RCO_E_LIMIT);
	assert_int_equal(rco__codec_decode(s->codec, 0, 0, s->raw, 2, s->back, 2), RCO_E_FORMAT);
	assert_int_equal(rco__codec_decode(s->codec, 3, 0, NULL, 2, s->back, 2), RCO_E_INVALID);
	assert_int_equal(rco__codec_decode(s->codec, 3, 0, s->raw, 2, NULL, 2), RCO_E_INVALID);
	assert_int_equal(rco__codec_decode(s->codec, 3, 3, s->raw, 2, s->back, 2), RCO_E_VERSION);
	assert_int_equal(rco__codec_decode(s->codec, 3, 255, s->raw, 2, s->back, 2), RCO_E_VERSION);
	assert_true(rco__codec_bound(SIZE_MAX) == SIZE_MAX);
}

static int decode(struct setting *s, uint8_t coding, const void *data, size_t size, size_t raw_size)
{
	return rco__codec_decode(s->codec, RCO_FORMAT_S16_8K, coding, data, size, s->back, raw_size);
}

/* The record's size and the frame's have to agree before anything is unpacked: no bomb, no short chunk. */
static void sizes_that_disagree_are_corrupt(void **state)
{
	struct setting *s = *state;
	size_t n = make_zstd_chunk(s, SECOND);

	assert_int_equal(decode(s, 1, s->coded, n, SECOND - 2), RCO_E_CORRUPT);
	assert_int_equal(decode(s, 1, s->coded, n, SECOND + 2), RCO_E_CORRUPT);
	assert_int_equal(decode(s, 1, s->coded, n, SECOND + 1), RCO_E_CORRUPT); /* half a sample */
	assert_int_equal(decode(s, 1, s->coded, n, 0), RCO_E_CORRUPT);
	assert_int_equal(decode(s, 1, s->coded, n, (size_t)RCO__CHUNK_MAX + 2), RCO_E_CORRUPT);
	assert_int_equal(decode(s, 1, s->coded, 0, SECOND), RCO_E_CORRUPT);
	assert_int_equal(decode(s, 1, s->coded, n + 1, SECOND), RCO_E_CORRUPT); /* something behind the frame */
	assert_int_equal(decode(s, 0, s->raw, 4, 6), RCO_E_CORRUPT);
	/* agrees with itself, but no chunk is so large: refused by the number alone */
	assert_int_equal(decode(s, 0, s->raw, (size_t)RCO__CHUNK_MAX + 2, (size_t)RCO__CHUNK_MAX + 2),
	                 RCO_E_CORRUPT);
	assert_int_equal(decode(s, 0, s->raw, 6, 4), RCO_E_CORRUPT);
	assert_int_equal(decode(s, 1, s->raw, SECOND, SECOND), RCO_E_CORRUPT); /* not a frame at all */
}

static void frames_of_other_kinds_are_corrupt(void **state)
{
	static const uint8_t skippable[] = {0x50, 0x2a, 0x4d, 0x18, 2, 0, 0, 0, 'h', 'i'};
	struct setting *s = *state;
	ZSTD_CCtx *cctx = ZSTD_createCCtx();
	size_t n;

	assert_non_null(cctx);
	assert_int_equal(decode(s, 1, skippable, sizeof skippable, 2), RCO_E_CORRUPT);
	/* one that zstd would pass over, behind a good one: bytes in a chunk that nobody reads */
	n = make_zstd_chunk(s, SECOND);
	memcpy(s->coded + n, skippable, sizeof skippable);
	assert_int_equal(decode(s, 1, s->coded, n + sizeof skippable, SECOND), RCO_E_CORRUPT);
	/* no content size */
	(void)ZSTD_CCtx_setParameter(cctx, ZSTD_c_contentSizeFlag, 0);
	n = ZSTD_compress2(cctx, s->coded, s->cap, s->raw, SECOND);
	assert_false(ZSTD_isError(n));
	assert_int_equal(decode(s, 1, s->coded, n, SECOND), RCO_E_CORRUPT);
	/* two frames in a row */
	(void)ZSTD_CCtx_reset(cctx, ZSTD_reset_session_and_parameters);
	n = ZSTD_compress2(cctx, s->coded, s->cap, s->raw, SECOND);
	n += ZSTD_compress2(cctx, s->coded + n, s->cap - n, s->raw, SECOND);
	assert_int_equal(decode(s, 1, s->coded, n, SECOND), RCO_E_CORRUPT);
	ZSTD_freeCCtx(cctx);
}

/* A copy with nothing behind it that could be read unnoticed. */
static uint8_t *exact_copy(const uint8_t *data, size_t size)
{
	uint8_t *copy = malloc(size + (size == 0));

	assert_non_null(copy);
	memcpy(copy, data, size);
	return copy;
}

/* Cut anywhere, or with any byte changed: an answer, and never a byte outside (a sanitizer watches). */
static void survive_damage(struct setting *s, uint8_t coding, size_t n, size_t size)
{
	uint8_t *exact, *out = malloc(size), kept;
	size_t i;
	int rc;

	assert_non_null(out);
	for (i = 0; i < n; i++) {
		exact = exact_copy(s->coded, i);
		assert_int_equal(rco__codec_decode(s->codec, RCO_FORMAT_S16_8K, coding, exact, i, out, size),
		                 RCO_E_CORRUPT);
		free(exact);
	}
	exact = exact_copy(s->coded, n);
	for (i = 0; i < n; i++) {
		kept = exact[i];
		exact[i] ^= 0x41;
		rc = rco__codec_decode(s->codec, RCO_FORMAT_S16_8K, coding, exact, n, out, size);
		assert_true(rc == RCO_OK || rc == RCO_E_CORRUPT || rc == RCO_E_NO_MEMORY);
		exact[i] = kept;
	}
	assert_int_equal(rco__codec_decode(s->codec, RCO_FORMAT_S16_8K, coding, exact, n, out, size), RCO_OK);
	assert_memory_equal(out, s->raw, size); /* the codec is as good as before */
	free(exact);
	free(out);
}

static void damage_is_survived(void **state)
{
	enum { SMALL = 800 };
	struct setting *s = *state;
	uint8_t coding;
	size_t n;

	memmove(s->raw, s->raw + 4000, SMALL);
	survive_damage(s, RCO__CODING_ZSTD, make_zstd_chunk(s, SMALL), SMALL);
	coding = round_trip(s, RCO_FORMAT_S16_8K, SMALL, &n);
	assert_int_equal(coding, RCO__CODING_PREDICTED);
	survive_damage(s, coding, n, SMALL);
}

/* A worker has one codec for all its calls; its memory does not grow with the chunks. */
static void memory_is_bounded(void **state)
{
	struct setting *s = *state;
	size_t n;

	(void)round_trip(s, RCO_FORMAT_S16_8K, SECOND, &n);
	assert_true(s->counting.peak <= 256 * 1024);
	(void)round_trip(s, RCO_FORMAT_S16_8K, RCO__CHUNK_MAX, &n);
	assert_true(s->counting.peak <= 256 * 1024);
}

static size_t blocks_checked;

static void expect_wiped(const void *ptr, size_t size)
{
	const uint8_t *p = ptr;
	size_t i;

	if (size < 1024) /* the handle itself, which holds no audio */
		return;
	for (i = 0; i < size; i++)
		assert_int_equal(p[i], 0);
	blocks_checked++;
}

/* P4 reaches into freed memory: zstd's workspaces hold audio, and go back as zeros. */
static void no_audio_is_left_in_freed_memory(void **state)
{
	struct counting counting = {.on_release = expect_wiped};
	struct setting *s = *state;
	rco__codec *codec = make_codec(&counting);
	uint8_t coding;
	size_t n;

	blocks_checked = 0;
	assert_int_equal(
		rco__codec_encode(codec, RCO_FORMAT_S16_8K, s->raw, SECOND, s->coded, s->cap, &n, &coding),
		RCO_OK);
	assert_int_equal(rco__codec_decode(codec, RCO_FORMAT_S16_8K, coding, s->coded, n, s->back, SECOND),
	                 RCO_OK);
	n = make_zstd_chunk(s, SECOND);
	assert_int_equal(
		rco__codec_decode(codec, RCO_FORMAT_S16_8K, RCO__CODING_ZSTD, s->coded, n, s->back, SECOND),
		RCO_OK);
	rco__codec_free(codec);
	rco__codec_free(NULL);
	assert_true(blocks_checked >= 2);
	assert_int_equal(counting.live, 0);
}

/* P13: when memory is short the chunk is stored uncompressed or the call answers so; never a wrong byte. */
static void out_of_memory_is_an_answer_or_no_matter(void **state)
{
	struct setting *s = *state;
	int i, rc, rc2 = RCO_OK, done = 0;
	uint8_t coding;
	size_t n;

	for (i = 1; !done; i++) {
		struct counting counting = {.fail_at = i};
		rco_allocator alloc = counting_allocator(&counting);
		rco__codec *codec;
		rco__env env;

		assert_true(i < 50);
		assert_int_equal(rco__env_init(&env, &alloc, NULL, NULL, NULL), RCO_OK);
		rc = rco__codec_create(&env, &codec);
		if (rc == RCO_OK) {
			rc = rco__codec_encode(codec, RCO_FORMAT_S16_8K, s->raw, SECOND, s->coded, s->cap, &n,
			                       &coding);
			if (rc == RCO_OK)
				rc2 = rco__codec_decode(codec, RCO_FORMAT_S16_8K, coding, s->coded, n, s->back,
				                        SECOND);
			if (rc == RCO_OK && rc2 == RCO_OK)
				assert_memory_equal(s->back, s->raw, SECOND);
		}
		assert_true(rc == RCO_OK || rc == RCO_E_NO_MEMORY);
		assert_true(rc2 == RCO_OK || rc2 == RCO_E_NO_MEMORY);
		done = counting.demands < i;
		rco__codec_free(codec);
		assert_int_equal(counting.live, 0);
	}
	assert_true(i > 2);
}

#define CODEC_TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CODEC_TEST(every_format_and_size_comes_back),
		CODEC_TEST(what_can_be_made_smaller_is),
		CODEC_TEST(what_cannot_is_stored),
		CODEC_TEST(room_for_the_chunk_itself_is_enough),
		CODEC_TEST(zstd_chunks_stay_readable),
		CODEC_TEST(chunks_do_not_depend_on_each_other),
		CODEC_TEST(bad_arguments_are_refused),
		CODEC_TEST(sizes_that_disagree_are_corrupt),
		CODEC_TEST(frames_of_other_kinds_are_corrupt),
		CODEC_TEST(damage_is_survived),
		CODEC_TEST(memory_is_bounded),
		CODEC_TEST(no_audio_is_left_in_freed_memory),
		CODEC_TEST(out_of_memory_is_an_answer_or_no_matter),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
