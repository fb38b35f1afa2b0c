/* SPDX-License-Identifier: MIT */
/* Frames of many calls at once: each as if it were pushed alone, with a result of its own. */
#include "../support.h"

#include <stdio.h>

enum { CALLS = 300, ROUNDS = 40, FRAME = 160 };

static rco_frame frame_for(rco_session *session, uint32_t leg, const uint8_t *data)
{
	return (rco_frame){.session = session,
	                   .data = data,
	                   .position = RCO_POSITION_NEXT,
	                   .size_bytes = FRAME,
	                   .leg = leg,
	                   .format = RCO_FORMAT_PCMU_8K,
	                   .result = 12345};
}

/* Two legs of each of many calls, more than are ever fetched ahead, bit for bit in the store. */
static void many_calls(void **state)
{
	static uint8_t noise[CALLS][2][FRAME];
	static rco_session *calls[CALLS];
	static rco_frame frames[2 * CALLS];
	uint32_t i, round;
	char id[32];
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.ring_pool_bytes = 2 * CALLS * 16384;
	t_world_open(&w);
	for (i = 0; i < CALLS; i++) {
		(void)snprintf(id, sizeof id, "call-%u", i);
		calls[i] = t_call(&w, id);
	}
	for (round = 0; round < ROUNDS; round++) {
		for (i = 0; i < CALLS; i++) {
			t_noise(2 * i, (uint64_t)round * FRAME, noise[i][0], FRAME);
			t_noise(2 * i + 1, (uint64_t)round * FRAME, noise[i][1], FRAME);
			frames[i] = frame_for(calls[i], 0, noise[i][0]);
			frames[2 * CALLS - 1 - i] = frame_for(calls[i], 1, noise[i][1]);
		}
		assert_int_equal(rco_frames_push(frames, 2 * CALLS), 2 * CALLS);
		for (i = 0; i < 2 * CALLS; i++)
			assert_int_equal(frames[i].result, RCO_OK);
		t_advance(&w, 20);
	}
	for (i = 0; i < CALLS; i++)
		rco_session_free(calls[i]);
	t_advance(&w, 11000);
	for (i = 0; i < CALLS; i++) {
		(void)snprintf(id, sizeof id, "call-%u", i);
		assert_true(t_store_has_noise(&w, id, "caller", 2 * i, ROUNDS));
		assert_true(t_store_has_noise(&w, id, "agent", 2 * i + 1, ROUNDS));
	}
	t_world_destroy(&w);
}

/* Whatever is wrong with some of them, the others are taken. */
static void each_its_own_result(void **state)
{
	uint8_t noise[FRAME];
	rco_session *good, *opted, *ended, *paused, *other, *early;
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "early"};
	rco_frame frames[48], *f = frames;
	uint32_t i, n;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	t_noise(3, 0, noise, sizeof noise);
	good = t_call(&w, "good");
	opted = t_call(&w, "opted");
	ended = t_call(&w, "ended");
	paused = t_call(&w, "paused");
	other = t_call(&w, "freed");
	early = t_call_with(&w, &o);
	assert_int_equal(rco_opt_out(opted, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(ended), RCO_OK);
	assert_int_equal(rco_session_pause(paused), RCO_OK);
	rco_session_free(other);
	for (i = 0; i < 4; i++) { /* so that each kind also stands where it is only looked at ahead */
		*f++ = frame_for(good, 0, noise);
		*f++ = frame_for(NULL, 0, noise);
		*f++ = frame_for(good, 0, NULL);
		*f++ = frame_for(good, 7, noise);
		*f++ = frame_for(good, UINT32_MAX, noise);
		*f++ = frame_for(opted, 0, noise);
		*f++ = frame_for(ended, 1, noise);
		*f++ = frame_for(paused, 0, noise);
		*f++ = frame_for(other, 0, noise);
		*f++ = frame_for(early, 0, noise);
		*f++ = frame_for(good, 0, noise);
		f[-1].format = RCO_FORMAT_PCMA_8K;
		*f++ = frame_for(good, 1, noise);
		f[-1].size_bytes = UINT32_MAX;
	}
	n = (uint32_t)(f - frames);
	assert_int_equal(rco_frames_push(frames, n), 4);
	for (i = 0; i < n; i += 12) {
		static const int32_t wanted[12] = {RCO_OK,        RCO_E_INVALID,     RCO_E_INVALID, RCO_E_INVALID,
		                                   RCO_E_INVALID, RCO_E_OPTED_OUT,   RCO_E_ENDED,   RCO_E_PAUSED,
		                                   RCO_E_HANDLE,  RCO_E_NOT_STARTED, RCO_E_FORMAT,  RCO_E_FRAME};
		uint32_t k;

		for (k = 0; k < 12; k++)
			assert_int_equal(frames[i + k].result, wanted[k]);
	}
	assert_int_equal(rco_frames_push(NULL, 1), RCO_E_INVALID);
	assert_int_equal(rco_frames_push(NULL, 0), 0);
	assert_int_equal(rco_frames_push(frames, 0), 0);
	rco_session_free(good);
	rco_session_free(opted);
	rco_session_free(ended);
	rco_session_free(paused);
	rco_session_free(early);
	t_world_destroy(&w);
}

/* After the engine is gone, or in a forked child, a frame is refused and nothing is touched. */
static void nobody_there(void **state)
{
	uint8_t noise[FRAME];
	rco_frame frames[20];
	rco_session *call;
	uint32_t i;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	t_noise(4, 0, noise, sizeof noise);
	call = t_call(&w, "call");
	t_world_close(&w);
	for (i = 0; i < 20; i++)
		frames[i] = frame_for(call, 0, noise);
	assert_int_equal(rco_frames_push(frames, 20), 0);
	for (i = 0; i < 20; i++)
		assert_int_equal(frames[i].result, RCO_E_HANDLE);
	rco_session_free(call);
	t_world_destroy(&w);
}

static void push_in_a_child(void *arg)
{
	rco_frame frames[64];
	uint8_t audio[T_FRAME] = {0};
	size_t i;

	for (i = 0; i < 64; i++)
		frames[i] = (rco_frame){.session = arg,
		                        .data = audio,
		                        .position = RCO_POSITION_NEXT,
		                        .size_bytes = T_FRAME,
		                        .format = RCO_FORMAT_PCMU_8K};
	assert_int_equal(rco_frames_push(frames, 64), 0);
	for (i = 0; i < 64; i++)
		assert_int_equal(frames[i].result, RCO_E_FORKED);
}

static void in_a_child_of_the_host(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SHARED);
	t_world_open(&w);
	s = t_call(&w, "parent");
	assert_int_equal(t_reap(t_spawn(push_in_a_child, s)), 0);
	t_push(s, 0, 1, 0, 5);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(many_calls),
		cmocka_unit_test(each_its_own_result),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(in_a_child_of_the_host),
	};

	return cmocka_run_group_tests_name("push_frames", tests, NULL, NULL);
}
