/* SPDX-License-Identifier: MIT */
/* Host-recorded calls: the recorder's callbacks, in which order, how often, and what follows from their answers.
 */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>

static rco_session *create(t_world *w, const char *id)
{
	t_recorder_forget();
	return t_hosted(w, id);
}

static void test_life(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = create(&w, "hosted");
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_string_equal(t_recorder.call_id, "hosted");
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	assert_int_equal(rco_session_start(s), RCO_E_STATE);
	assert_int_equal(rco_session_pause(s), RCO_OK);
	assert_int_equal(rco_session_pause(s), RCO_OK);
	assert_int_equal(rco_session_resume(s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	assert_string_equal(t_recorder.order, "sprx");
	rco_session_free(s);
	t_advance(&w, 20000);
	assert_string_equal(t_recorder.order, "sprx"); /* confirmed once, so not asked again */
	t_world_destroy(&w);
}

/* The host's file stays when the call is kept, and goes when it is not. */
static void test_file_of_the_recorder(void **state)
{
	char kept[256], gone[256];
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_DISK);
	t_world_open(&w);
	t_join(kept, sizeof kept, w.artifacts, "kept.wav");
	t_join(gone, sizeof gone, w.artifacts, "gone.wav");
	t_write_file(kept, "audio", 5);
	t_write_file(gone, "audio", 5);
	s = create(&w, "kept");
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, kept, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	s = create(&w, "gone");
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, gone, NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 1); /* before the return */
	t_await(&w, "gone", RCO_EVENT_VERIFIED, 1);
	assert_false(t_exists(gone));
	rco_session_free(s);
	t_advance(&w, 120000);
	assert_true(t_exists(kept));
	t_world_destroy(&w);
}

static void test_start_refused(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = create(&w, "refused");
	t_recorder.rc[RCO_RECORDER_START] = RCO_E_IO;
	assert_int_equal(rco_session_start(s), RCO_E_CALLBACK);
	assert_int_equal(t_state(s), RCO_STATE_IDLE);
	t_recorder.rc[RCO_RECORDER_START] = RCO_OK; /* it may be tried again */
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	rco_session_free(s);

	/* not started for sure: the recorder may be recording, so an opt-out stops it all the same */
	s = create(&w, "unsure");
	t_recorder.confirms[RCO_RECORDER_START] = RCO_CONFIRM_UNKNOWN;
	assert_int_equal(rco_session_start(s), RCO_E_CALLBACK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_true(t_recorder.calls[RCO_RECORDER_STOP] >= 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_pause_without_a_callback(void **state)
{
	rco_recorder_ops ops = t_recorder_ops;
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call", .recorder = &ops};
	rco_session *s = NULL;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	t_recorder_forget();
	ops.pause = ops.resume = NULL;
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_pause(s), RCO_E_OPS);
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The stop at the end of a call is repeated until it is confirmed, as is that of an opt-out. */
static void test_stop_is_repeated(void **state)
{
	rco_session *s;
	t_world w;
	int i, before;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = create(&w, "call");
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_E_IO;
	assert_int_equal(rco_session_end(s), RCO_OK);
	for (i = 0; i < 5; i++)
		t_advance(&w, 1000);
	before = t_recorder.calls[RCO_RECORDER_STOP];
	assert_true(before >= 2);
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_OK;
	for (i = 0; i < 120; i++)
		t_advance(&w, 1000);
	before = t_recorder.calls[RCO_RECORDER_STOP];
	t_advance(&w, 120000);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], before);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A stop that says PENDING is answered by rco_op_complete(). */
static void test_pending_stop(void **state)
{
	rco_result done = {.struct_size = (uint32_t)sizeof done, .confirmed = RCO_CONFIRM_DONE};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = create(&w, "call");
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_PENDING;
	t_recorder.confirms[RCO_RECORDER_STOP] = RCO_CONFIRM_UNKNOWN;
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 1);
	assert_int_equal(rco_op_complete(w.engine, t_recorder.op[RCO_RECORDER_STOP], RCO_OK, &done), RCO_OK);
	assert_int_equal(rco_op_complete(w.engine, t_recorder.op[RCO_RECORDER_STOP], RCO_OK, &done), RCO_E_STALE);
	t_advance(&w, 120000);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

static rco_session *asks_inside;
static int inside_rc, inside_wait_rc;

static void opt_out_inside(int action)
{
	rco_opt_out_options wait = {
		.struct_size = (uint32_t)sizeof wait, .wait_status = RCO_STATUS_VERIFIED, .timeout_ms = 1000};

	if (action != RCO_RECORDER_PAUSE)
		return;
	inside_rc = rco_opt_out(asks_inside, NULL, NULL);
	inside_wait_rc = t_opt_out(asks_inside, &wait);
}

/* The recorder's own callback opts out: from inside pause(), on the thread that paused. */
static void test_callback_calls_back_in(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = asks_inside = create(&w, "call");
	t_recorder.inside = opt_out_inside;
	assert_int_equal(rco_session_start(s), RCO_OK);
	(void)rco_session_pause(s);
	/* the recorder is busy with the pause, so its stop comes after */
	assert_true(inside_rc >= 0);
	assert_true(inside_wait_rc == RCO_E_REENTRANT || inside_wait_rc == RCO_PENDING);
	assert_int_equal(t_push_one(s, 0, 1) < 0, 1);
	t_await(&w, "call", RCO_EVENT_STOPPED, 1);
	t_settle(&w);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_STOPPED); /* none of its files is registered */
	assert_true(t_recorder.calls[RCO_RECORDER_STOP] >= 1);
	assert_int_equal(rco_session_resume(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
		cmocka_unit_test(test_file_of_the_recorder),
		cmocka_unit_test(test_start_refused),
		cmocka_unit_test(test_pause_without_a_callback),
		cmocka_unit_test(test_stop_is_repeated),
		cmocka_unit_test(test_pending_stop),
		cmocka_unit_test(test_callback_calls_back_in),
	};

	return cmocka_run_group_tests_name("recorder", tests, NULL, NULL);
}
