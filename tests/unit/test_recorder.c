/* SPDX-License-Identifier: MIT */
/* Host-recorded calls: the recorder's callbacks, in which order, how often, and what follows from their answers.
 */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>

static struct host {
	int rc[5];     /* by action: what it returns */
	int unsure[5]; /* by action: 1 to confirm nothing */
	int calls[5];
	uint64_t op[5];
	char order[64];
	char call_id[64];
	rco_session *session; /* asked to opt out from inside */
	int inside_rc, inside_wait_rc;
} host;

static int act(int action, char letter, const char *call_id, uint64_t op, rco_result *result)
{
	size_t n = strlen(host.order);

	host.calls[action]++;
	host.op[action] = op;
	(void)snprintf(host.call_id, sizeof host.call_id, "%s", call_id);
	if (n + 1 < sizeof host.order)
		host.order[n] = letter;
	assert_int_equal(result->struct_size, sizeof *result);
	assert_int_equal(result->confirmed, RCO_CONFIRM_UNKNOWN);
	if (!host.unsure[action])
		result->confirmed = RCO_CONFIRM_DONE;
	return host.rc[action];
}

static int do_start(const char *call_id, uint64_t op, rco_result *result, void *ud)
{
	(void)ud;
	return act(RCO_RECORDER_START, 's', call_id, op, result);
}

static int do_stop(const char *call_id, uint64_t op, rco_result *result, void *ud)
{
	(void)ud;
	return act(RCO_RECORDER_STOP, 'x', call_id, op, result);
}

static int do_pause(const char *call_id, uint64_t op, rco_result *result, void *ud)
{
	(void)ud;
	return act(RCO_RECORDER_PAUSE, 'p', call_id, op, result);
}

static int do_resume(const char *call_id, uint64_t op, rco_result *result, void *ud)
{
	(void)ud;
	return act(RCO_RECORDER_RESUME, 'r', call_id, op, result);
}

static const rco_recorder_ops full = {.struct_size = (uint32_t)sizeof full,
                                      .start = do_start,
                                      .stop = do_stop,
                                      .pause = do_pause,
                                      .resume = do_resume};

static rco_session *create(t_world *w, const char *id, const rco_recorder_ops *ops)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id, .recorder = ops};
	rco_session *s = NULL;

	memset(&host, 0, sizeof host);
	assert_int_equal(rco_session_create(w->engine, &o, &s), RCO_OK);
	return s;
}

static void test_life(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = create(&w, "hosted", &full);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_string_equal(host.call_id, "hosted");
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	assert_int_equal(rco_session_start(s), RCO_E_STATE);
	assert_int_equal(rco_session_pause(s), RCO_OK);
	assert_int_equal(rco_session_pause(s), RCO_OK);
	assert_int_equal(rco_session_resume(s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	assert_string_equal(host.order, "sprx");
	rco_session_free(s);
	t_advance(&w, 20000);
	assert_string_equal(host.order, "sprx"); /* confirmed once, so not asked again */
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
	s = create(&w, "kept", &full);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, kept, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	s = create(&w, "gone", &full);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, gone, NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(host.calls[RCO_RECORDER_STOP], 1); /* before the return */
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
	s = create(&w, "refused", &full);
	host.rc[RCO_RECORDER_START] = RCO_E_IO;
	assert_int_equal(rco_session_start(s), RCO_E_CALLBACK);
	assert_int_equal(t_state(s), RCO_STATE_IDLE);
	host.rc[RCO_RECORDER_START] = RCO_OK; /* it may be tried again */
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	rco_session_free(s);

	/* not started for sure: the recorder may be recording, so an opt-out stops it all the same */
	s = create(&w, "unsure", &full);
	host.unsure[RCO_RECORDER_START] = 1;
	assert_int_equal(rco_session_start(s), RCO_E_CALLBACK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_true(host.calls[RCO_RECORDER_STOP] >= 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_pause_without_a_callback(void **state)
{
	static const rco_recorder_ops ops = {
		.struct_size = (uint32_t)sizeof ops, .start = do_start, .stop = do_stop};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = create(&w, "call", &ops);
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
	s = create(&w, "call", &full);
	assert_int_equal(rco_session_start(s), RCO_OK);
	host.rc[RCO_RECORDER_STOP] = RCO_E_IO;
	assert_int_equal(rco_session_end(s), RCO_OK);
	for (i = 0; i < 5; i++)
		t_advance(&w, 1000);
	before = host.calls[RCO_RECORDER_STOP];
	assert_true(before >= 2);
	host.rc[RCO_RECORDER_STOP] = RCO_OK;
	for (i = 0; i < 120; i++)
		t_advance(&w, 1000);
	before = host.calls[RCO_RECORDER_STOP];
	t_advance(&w, 120000);
	assert_int_equal(host.calls[RCO_RECORDER_STOP], before);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A stop that says PENDING is answered by rco_complete(). */
static void test_pending_stop(void **state)
{
	rco_result done = {.struct_size = (uint32_t)sizeof done, .confirmed = RCO_CONFIRM_DONE};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = create(&w, "call", &full);
	assert_int_equal(rco_session_start(s), RCO_OK);
	host.rc[RCO_RECORDER_STOP] = RCO_PENDING;
	host.unsure[RCO_RECORDER_STOP] = 1;
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	assert_int_equal(host.calls[RCO_RECORDER_STOP], 1);
	assert_int_equal(rco_complete(w.engine, host.op[RCO_RECORDER_STOP], RCO_OK, &done), RCO_OK);
	assert_int_equal(rco_complete(w.engine, host.op[RCO_RECORDER_STOP], RCO_OK, &done), RCO_E_STALE);
	t_advance(&w, 120000);
	assert_int_equal(host.calls[RCO_RECORDER_STOP], 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

static int opt_out_inside(const char *call_id, uint64_t op, rco_result *result, void *ud)
{
	rco_opt_out_options wait = {
		.struct_size = (uint32_t)sizeof wait, .wait_status = RCO_STATUS_VERIFIED, .timeout_ms = 1000};

	(void)call_id, (void)op, (void)ud;
	host.inside_rc = rco_opt_out(host.session, NULL, NULL);
	host.inside_wait_rc = rco_opt_out(host.session, &wait, NULL);
	result->confirmed = RCO_CONFIRM_DONE;
	return RCO_OK;
}

/* The recorder's own callback opts out: from inside pause(), on the thread that paused. */
static void test_callback_calls_back_in(void **state)
{
	rco_recorder_ops ops = full;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	ops.pause = opt_out_inside;
	s = create(&w, "call", &ops);
	host.session = s;
	assert_int_equal(rco_session_start(s), RCO_OK);
	(void)rco_session_pause(s);
	/* the recorder is busy with the pause, so its stop comes after */
	assert_true(host.inside_rc >= 0);
	assert_true(host.inside_wait_rc == RCO_E_REENTRANT || host.inside_wait_rc == RCO_PENDING);
	assert_int_equal(t_push_one(s, 0, 1) < 0, 1);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_true(host.calls[RCO_RECORDER_STOP] >= 1);
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
