/* SPDX-License-Identifier: MIT */
/* Legal holds that cannot be written down, come too late, or are not there: what holds, and what the host is told.
 */
#include "../support.h"

static t_fs fs; /* large, so not on the stack */
static t_world w;

/* Changes to files with this in their path can be made to fail. */
static void open_world(const char *failing)
{
	t_world_init(&w, 0);
	t_fs_init(&fs, failing);
	w.fs = &fs;
	w.cfg.allocator = &t_allocator;
	t_memory.fail_all = 0;
	t_memory.fail_at = 0;
	t_world_open(&w);
}

static void close_world(rco_session *s)
{
	rco_session_free(s);
	t_world_destroy(&w);
}

static void fails(int yes)
{
	atomic_store(&fs.fail, yes ? RCO_E_IO : 0);
}

static rco_session *talking(const char *call_id)
{
	rco_session *s = t_call(&w, call_id);

	t_push(s, 0, 1, 0, 10);
	t_settle(&w);
	return s;
}

/* What cannot be written is in force all the same: rather keep what a court wants than lose it. */
static void test_a_hold_that_cannot_be_written(void **state)
{
	rco_session *s;

	(void)state;
	open_world("/calls/");
	s = talking("call");
	fails(1);
	assert_true(rco_session_set_legal_hold(s, 1) < 0);
	fails(0);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_HELD);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	close_world(s);
}

/* And one that is to be lifted stays until that is written: the next process would hold it again. */
static void test_a_lift_that_cannot_be_written(void **state)
{
	rco_session *s;

	(void)state;
	open_world("/calls/");
	s = talking("call");
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	fails(1);
	assert_true(rco_session_set_legal_hold(s, 0) < 0);
	fails(0);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_HELD);
	close_world(s);
}

/* Of a call that was opted out: nothing is erased until it is durable that it may be. */
static void test_a_release_that_cannot_be_written(void **state)
{
	rco_session *s;

	(void)state;
	open_world("/ledger/");
	s = talking("call");
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	fails(1);
	assert_true(rco_session_set_legal_hold(s, 0) < 0);
	t_advance(&w, 5000);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_HELD);
	assert_true(rco_memory_audio_bytes(w.memory) > 0);
	fails(0);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_HOLD_LIFTED), 0);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_HOLD_LIFTED), 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	close_world(s);
}

static void test_a_buffer_that_cannot_revoke(void **state)
{
	rco_buffer_ops ops = t_fault_buffer_ops;
	rco_session *s;

	(void)state;
	ops.revoke = NULL;
	t_world_init(&w, 0);
	w.cfg.buffer = &ops;
	t_world_open(&w);
	s = talking("call");
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	close_world(s);
}

static void test_too_late_and_none(void **state)
{
	rco_session *s;

	(void)state;
	open_world("/nothing/");
	s = talking("none");
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK); /* it is so already */
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_E_OPTED_OUT);
	rco_session_free(s);
	/* on a call that is over it is taken, and lifted again, without a word in the journal that nobody reads */
	s = talking("over");
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "over", RCO_EVENT_STORED, 1);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	rco_session_free(s);
	/* held, opted out and stored all the same: the state is that of the audio */
	s = talking("held");
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK); /* as it is */
	assert_int_equal(t_state(s), RCO_STATE_OPTED_OUT);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "held", RCO_EVENT_STORED, 1);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	close_world(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_hold_that_cannot_be_written),
		cmocka_unit_test(test_a_lift_that_cannot_be_written),
		cmocka_unit_test(test_a_release_that_cannot_be_written),
		cmocka_unit_test(test_a_buffer_that_cannot_revoke),
		cmocka_unit_test(test_too_late_and_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
