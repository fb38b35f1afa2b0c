/* SPDX-License-Identifier: MIT */
/*
 * Frames of all sizes and legs of all formats: one sample, 60 ms, odd numbers, as large as the ring; eight legs in
 * a call. What is stored is what was pushed, bit for bit.
 */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>

enum { SECONDS = 3 };

/* The formats of eight legs; what a ring of each holds. */
static const struct {
	uint32_t format;
	size_t ring_bytes;
	uint16_t tag; /* in the file */
} legs[RCO_MAX_LEGS] = {
	{RCO_FORMAT_PCMU_8K, 16384, 7}, {RCO_FORMAT_PCMA_8K, 16384, 6},  {RCO_FORMAT_S16_8K, 16384, 1},
	{RCO_FORMAT_S16_16K, 32768, 1}, {RCO_FORMAT_S16_24K, 65536, 1},  {RCO_FORMAT_S16_48K, 131072, 1},
	{RCO_FORMAT_PCMU_8K, 16384, 7}, {RCO_FORMAT_S16_48K, 131072, 1},
};

static size_t bytes_of(uint32_t format, size_t samples)
{
	return samples * rco_format_sample_bytes(format);
}

static int push_bytes(rco_session *s, uint32_t leg, uint64_t seed, size_t at, size_t size)
{
	static uint8_t frame[262144];

	assert_true(size <= sizeof frame);
	t_noise(seed, at, frame, size);
	return rco_session_push(s, leg, legs[leg].format, frame, size);
}

static rco_session *eight_legs(t_world *w, const char *call_id)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = call_id};
	rco_session *s = NULL;
	uint32_t i, leg = 99;

	assert_int_equal(rco_session_create(w->engine, &o, &s), RCO_OK);
	for (i = 0; i < RCO_MAX_LEGS; i++) {
		char label[16];

		(void)snprintf(label, sizeof label, "leg%u", i);
		assert_int_equal(rco_session_add_leg(s, label, legs[i].format, &leg), RCO_OK);
		assert_int_equal(leg, i);
	}
	assert_int_equal(rco_session_add_leg(s, "ninth", RCO_FORMAT_PCMU_8K, &leg), RCO_E_LIMIT);
	assert_non_null(strstr(rco_error_detail(), "at most 8 legs"));
	assert_int_equal(leg, RCO_MAX_LEGS - 1);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "ninth", RCO_FORMAT_PCMU_8K, &leg), RCO_E_LIMIT);
	return s;
}

static uint32_t little(const uint8_t *p, size_t bytes)
{
	uint32_t v = 0;

	while (bytes-- > 0)
		v = v << 8 | p[bytes];
	return v;
}

/* Is the file of this leg there, of its format, and are exactly these bytes in it? */
static void assert_file(t_world *w, const char *call_id, uint32_t leg, uint64_t seed, size_t bytes)
{
	char name[256], key[300];
	const uint8_t *samples;
	size_t size = 0, n = 0;
	uint8_t *file;

	assert_true(t_store_name(w, call_id, name, sizeof name));
	(void)snprintf(key, sizeof key, "%s.leg%u.wav", name, leg);
	file = t_store_get(w, key, &size);
	assert_non_null(file);
	assert_true(size > 44);
	assert_memory_equal(file + 12, "fmt ", 4);
	assert_int_equal(little(file + 20, 2), legs[leg].tag);
	assert_int_equal(little(file + 22, 2), 1);
	assert_int_equal(little(file + 24, 4), rco_format_rate_hz(legs[leg].format));
	assert_int_equal(little(file + 34, 2), 8 * rco_format_sample_bytes(legs[leg].format));
	samples = t_wav_samples(file, size, &n);
	assert_non_null(samples);
	assert_int_equal(n, bytes);
	assert_true(t_is_noise(seed, samples, n));
	free(file);
}

static void open_on_disk(t_world *w)
{
	t_world_init(w, T_SPOOL | T_DISK);
	t_world_open(w);
}

/* ---- frames ---- */

/* 1 sample, 60 ms, 20 ms, and sizes that divide nothing, one after the other until so much was pushed. */
static size_t push_mixture(t_world *w, rco_session *s, uint32_t leg, uint64_t seed, size_t goal)
{
	uint32_t format = legs[leg].format, rate = rco_format_rate_hz(format);
	const size_t samples[] = {1,  rate * 60 / 1000, 7, 163, 1, rate / 50, 1, 1, 333,
	                          13, rate * 60 / 1000, 2, 31};
	size_t at = 0, i, due = 0;

	for (i = 0; at < goal; i++) {
		size_t size = bytes_of(format, samples[i % (sizeof samples / sizeof samples[0])]);

		assert_int_equal(push_bytes(s, leg, seed, at, size), RCO_OK);
		at += size;
		/* the clock goes as the audio does */
		if (at - due >= bytes_of(format, rate / 10)) {
			due = at;
			t_advance(w, 100);
		}
	}
	return at;
}

static void test_mixed_sizes(void **state)
{
	size_t bytes[RCO_MAX_LEGS];
	rco_session *s;
	uint32_t leg;
	t_world w;

	(void)state;
	open_on_disk(&w);
	s = eight_legs(&w, "mixed");
	for (leg = 0; leg < RCO_MAX_LEGS; leg++)
		bytes[leg] = push_mixture(
			&w, s, leg, 10 + leg,
			bytes_of(legs[leg].format, SECONDS * (size_t)rco_format_rate_hz(legs[leg].format)));
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "mixed", RCO_EVENT_STORED, 1);
	for (leg = 0; leg < RCO_MAX_LEGS; leg++)
		assert_file(&w, "mixed", leg, 10 + leg, bytes[leg]);
	t_world_destroy(&w);
}

/* A whole leg of frames of one sample, and one of a single sample in all. */
static void test_single_samples(void **state)
{
	size_t i, bytes[RCO_MAX_LEGS];
	rco_session *s;
	uint32_t leg;
	t_world w;

	(void)state;
	open_on_disk(&w);
	s = eight_legs(&w, "ones");
	for (leg = 0; leg < RCO_MAX_LEGS; leg++) {
		size_t one = bytes_of(legs[leg].format, 1);

		bytes[leg] = leg == 0 ? one : 5001 * one;
		for (i = 0; i < bytes[leg]; i += one) {
			assert_int_equal(push_bytes(s, leg, 20 + leg, i, one), RCO_OK);
			if (i % (1000 * one) == 0)
				t_advance(&w, 125);
		}
	}
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "ones", RCO_EVENT_STORED, 1);
	for (leg = 0; leg < RCO_MAX_LEGS; leg++)
		assert_file(&w, "ones", leg, 20 + leg, bytes[leg]);
	t_world_destroy(&w);
}

/* As large as the ring goes in; larger, empty, or cut inside a sample is told from a ring that is full. */
static void test_as_large_as_the_ring(void **state)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_session *s;
	uint32_t leg;
	t_world w;

	(void)state;
	open_on_disk(&w);
	s = eight_legs(&w, "large");
	for (leg = 0; leg < RCO_MAX_LEGS; leg++) {
		size_t one = bytes_of(legs[leg].format, 1), ring = legs[leg].ring_bytes;

		assert_int_equal(push_bytes(s, leg, 30 + leg, 0, ring + one), RCO_E_FRAME);
		assert_int_equal(push_bytes(s, leg, 30 + leg, 0, 0), RCO_E_FRAME);
		if (one == 2) {
			assert_int_equal(push_bytes(s, leg, 30 + leg, 0, 1), RCO_E_FRAME);
			assert_int_equal(push_bytes(s, leg, 30 + leg, 0, 321), RCO_E_FRAME);
		}
		assert_int_equal(push_bytes(s, leg, 30 + leg, 0, one), RCO_OK);
		assert_int_equal(push_bytes(s, leg, 30 + leg, one, ring), RCO_E_OVERFLOW);
		assert_int_equal(push_bytes(s, leg, 30 + leg, one, ring - one), RCO_OK);
		assert_int_equal(push_bytes(s, leg, 30 + leg, ring, one), RCO_E_OVERFLOW);
	}
	t_advance(&w, 400);
	for (leg = 0; leg < RCO_MAX_LEGS; leg++) /* it begins somewhere in the middle, and ends there */
		assert_int_equal(
			push_bytes(s, leg, 30 + leg, legs[leg].ring_bytes, bytes_of(legs[leg].format, 777)),
			RCO_OK);
	t_advance(&w, 400);
	for (leg = 0; leg < RCO_MAX_LEGS; leg++)
		assert_int_equal(push_bytes(s, leg, 30 + leg,
		                            legs[leg].ring_bytes + bytes_of(legs[leg].format, 777),
		                            legs[leg].ring_bytes),
		                 RCO_OK);
	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	assert_int_equal(st.overflowed_frames, 2 * RCO_MAX_LEGS); /* a frame that is wrong is not one too many */
	assert_int_equal(st.accepted_frames, 4 * RCO_MAX_LEGS);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "large", RCO_EVENT_STORED, 1);
	for (leg = 0; leg < RCO_MAX_LEGS; leg++)
		assert_file(&w, "large", leg, 30 + leg,
		            2 * legs[leg].ring_bytes + bytes_of(legs[leg].format, 777));
	t_world_destroy(&w);
}

/* ---- legs ---- */

/* Two calls of eight legs; one of them is opted out in the middle. */
static void test_eight_kept_and_eight_gone(void **state)
{
	size_t at[RCO_MAX_LEGS] = {0};
	rco_session *kept, *gone;
	uint8_t marker[64];
	uint32_t leg, frame;
	t_world w;

	(void)state;
	open_on_disk(&w);
	kept = eight_legs(&w, "kept");
	gone = eight_legs(&w, "gone");
	for (frame = 0; frame < 150; frame++) {
		for (leg = 0; leg < RCO_MAX_LEGS; leg++) {
			size_t size = bytes_of(legs[leg].format, rco_format_rate_hz(legs[leg].format) / 50);

			assert_int_equal(push_bytes(kept, leg, 40 + leg, at[leg], size), RCO_OK);
			assert_int_equal(push_bytes(gone, leg, 50 + leg, at[leg], size),
			                 frame < 75 ? RCO_OK : RCO_E_OPTED_OUT);
			at[leg] += size;
		}
		if (frame == 74)
			assert_int_equal(rco_opt_out(gone, NULL, NULL), RCO_OK);
		t_advance(&w, 20);
	}
	assert_int_equal(rco_session_end(kept), RCO_OK);
	assert_int_equal(rco_session_end(gone), RCO_OK);
	rco_session_free(kept);
	rco_session_free(gone);
	t_await(&w, "kept", RCO_EVENT_STORED, 1);
	t_await(&w, "gone", RCO_EVENT_VERIFIED, 1);
	for (leg = 0; leg < RCO_MAX_LEGS; leg++) {
		assert_file(&w, "kept", leg, 40 + leg, at[leg]);
		t_noise(40 + leg, 0, marker, sizeof marker);
		assert_int_equal(t_tree_holds(w.root, marker, sizeof marker), 1); /* the scan sees what is there */
		t_noise(50 + leg, 0, marker, sizeof marker);
		assert_int_equal(t_tree_holds(w.root, marker, sizeof marker), 0);
	}
	assert_int_equal(t_store_count(&w, ".wav"), RCO_MAX_LEGS);
	t_world_destroy(&w);
}

/* No room for another leg's ring is the same limit, told apart by its detail; the call goes on with those it has.
 */
static void test_no_room_for_rings(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "second"};
	rco_session *first, *second;
	uint32_t leg;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.ring_pool_bytes = 450 * 1024; /* the eight need 416 */
	t_world_open(&w);
	first = eight_legs(&w, "first");
	assert_int_equal(rco_session_create(w.engine, &o, &second), RCO_OK);
	assert_int_equal(rco_session_add_leg(second, "caller", RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
	assert_int_equal(rco_session_add_leg(second, "agent", RCO_FORMAT_S16_48K, &leg), RCO_E_LIMIT);
	assert_null(strstr(rco_error_detail(), "at most 8 legs"));
	assert_int_equal(rco_session_start(second), RCO_OK);
	t_push(second, 0, 1, 0, 50);
	rco_session_free(first); /* its rings go to who asks next */
	t_advance(&w, 400);
	assert_int_equal(rco_session_add_leg(second, "agent", RCO_FORMAT_S16_48K, &leg), RCO_OK);
	assert_int_equal(leg, 1);
	assert_int_equal(rco_session_end(second), RCO_OK);
	rco_session_free(second);
	t_await(&w, "second", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "second", "caller", 1, 50));
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_mixed_sizes),          cmocka_unit_test(test_single_samples),
		cmocka_unit_test(test_as_large_as_the_ring), cmocka_unit_test(test_eight_kept_and_eight_gone),
		cmocka_unit_test(test_no_room_for_rings),
	};

	return cmocka_run_group_tests_name("frames", tests, NULL, NULL);
}
