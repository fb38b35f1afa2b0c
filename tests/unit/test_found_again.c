/* SPDX-License-Identifier: MIT */
/* What an earlier process left, or a call that is done with, when somebody asks about it again. */
#include "../support.h"

#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static t_world w;
static t_fs fs;

static void died(void (*does)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		t_world_open(&w);
		does();
		T_LAST_WORDS();
		_exit(7);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 7);
}

static rco_session *held_call(const char *id)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id, .legal_hold = 1};
	rco_session *s = t_call_with(&w, &o);

	assert_int_equal(rco_session_start(s), RCO_OK);
	return s;
}

/* A held call was opted out and goes on over a restart, while what it had is being stored: it is stored at its
 * end. */
static void test_a_held_call_goes_on(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call", .legal_hold = 1};
	rco_session *s;

	(void)state;
	t_world_init(&w, T_SPOOL | T_SHARED);
	t_world_open(&w);
	s = held_call("call");
	t_push(s, 0, 1, 0, 20);
	t_advance(&w, 400);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_world_close(&w);
	rco_session_free(s);
	t_world_open(&w);
	t_advance(&w, 1000); /* it is uploaded, and waits for the window */
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_UPLOAD_STARTED), 1);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	t_advance(&w, 60000);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_advance(&w, 20000);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 1);
	assert_int_equal(t_store_audio(&w), 1);
	t_world_close(&w);
	t_world_destroy(&w);
}

static void nothing_recorded(void)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = "call", .consent = RCO_CONSENT_ASK_FIRST};
	rco_session *s = t_call_with(&w, &o);
	uint32_t leg;

	assert_int_equal(rco_session_add_leg(s, "third", RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	assert_int_equal(t_opt_out(s, NULL), RCO_E_NOT_DURABLE);
}

/* The rings alone tell of the opt-out, and that nothing was recorded. */
static void test_nothing_was_recorded(void **state)
{
	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	t_fs_init(&fs, "");
	w.fs = &fs;
	died(nothing_recorded);
	t_world_open(&w);
	t_advance(&w, 80000);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_NOT_RECORDING);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_VERIFIED), 0);
	t_world_close(&w);
	t_world_destroy(&w);
}

static void something_recorded(void)
{
	rco_session *s = t_call(&w, "call");

	t_push(s, 0, 1, 0, 5);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	assert_int_equal(t_opt_out(s, NULL), RCO_E_NOT_DURABLE);
}

static void test_something_was_recorded(void **state)
{
	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	t_fs_init(&fs, "");
	w.fs = &fs;
	died(something_recorded);
	t_world_open(&w);
	t_advance(&w, 80000);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	t_world_close(&w);
	t_world_destroy(&w);
}

/* A copy of it cannot be removed. */
static void stuck_for(int64_t ms, uint32_t status)
{
	rco_session *s = t_call(&w, "call");
	char path[256];

	t_join(path, sizeof path, w.artifacts, "copy.wav");
	t_write_file(path, "audio", 5);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_advance(&w, ms);
	assert_int_equal(t_status(&w, "call"), status);
}

static void past_its_deadline(void)
{
	stuck_for(200000, RCO_STATUS_OVERDUE);
}

static void before_its_deadline(void)
{
	stuck_for(80000, RCO_STATUS_RETRYING);
}

static void open_with_a_deadline(void)
{
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	w.cfg.erase_deadline_ms = 100000;
	t_fault_set(&w.fault, T_REMOVE, T_FAIL, 0, RCO_E_IO);
}

/* What was told to be overdue is that in the next process, too; and a deadline does not begin anew with each. */
static void test_overdue(void **state)
{
	(void)state;
	open_with_a_deadline();
	died(past_its_deadline);
	t_clock_advance(&w.clock, 200000); /* which went on in the other */
	t_world_open(&w);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_OVERDUE);
	t_advance(&w, 200000);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ESCALATED), 0);
	t_world_close(&w);
	t_world_destroy(&w);
	open_with_a_deadline();
	died(before_its_deadline);
	t_clock_advance(&w.clock, 80000);
	t_world_open(&w);
	t_advance(&w, 61000); /* the rest is 20 s, and as much as the pause between tries is given at least */
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ESCALATED), 1);
	t_world_close(&w);
	t_world_destroy(&w);
}

/* Long after an opt-out its call id may be another call's: a wish is noted as well, whatever the old one is asked
 * for meanwhile. */
static void test_an_old_id_that_was_touched(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "channel"};
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	char path[256];
	rco_session *s;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.remember_ended_s = 10;
	t_world_open(&w);
	s = t_call(&w, "channel");
	t_push(s, 0, 1, 0, 5);
	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_advance(&w, 200000);
	t_advance(&w, 200000); /* the second look, and then it is forgotten */
	t_join(path, sizeof path, w.artifacts, "late.wav");
	t_write_file(path, "audio", 5);
	assert_int_equal(rco_engine_register_artifact(w.engine, "channel", RCO_KIND_AUDIO, path, NULL), RCO_OK);
	assert_int_equal(rco_recording_opt_out(w.engine, st.recording_id, NULL, NULL), RCO_OK);
	assert_int_equal(t_opt_out_call(w.engine, "channel", NULL), RCO_OK);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_advance(&w, 80000);
	assert_false(t_exists(path));
	t_world_close(&w);
	t_world_destroy(&w);
}

/* That the wish is noted, too, is not on disk yet: the answer says so, and so does its receipt. */
static void test_noted_besides_and_not_durable(void **state)
{
	rco_receipt *r = NULL;
	rco_session *s;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_fs_init(&fs, "");
	w.fs = &fs;
	w.cfg.remember_ended_s = 10;
	t_world_open(&w);
	s = held_call("channel"); /* so that it is not forgotten */
	t_push(s, 0, 1, 0, 5);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_advance(&w, 200000);
	atomic_store(&fs.fail, RCO_E_NO_SPACE);
	assert_int_equal(rco_engine_opt_out(w.engine, "channel", NULL, &r), RCO_PENDING);
	assert_int_equal(rco_receipt_code(r), RCO_E_NOT_DURABLE);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_HELD);
	rco_receipt_free(r);
	atomic_store(&fs.fail, 0);
	assert_int_equal(rco_engine_opt_out(w.engine, "channel", NULL, &r), RCO_OK);
	assert_int_equal(rco_receipt_code(r), RCO_OK);
	rco_receipt_free(r);
	t_world_close(&w);
	t_world_destroy(&w);
}

/* Each recording of a call with several stands for it, in the next process, too, and after it was touched. */
static void test_parts_are_remembered(void **state)
{
	rco_session_stats st = {.struct_size = (uint32_t)sizeof st};
	uint8_t first[16], second[16];
	rco_receipt *a, *b;
	char path[256];
	rco_session *s;
	int i;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 20);
	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	memcpy(first, st.recording_id, 16);
	t_advance(&w, 400);
	t_world_close(&w);
	rco_session_free(s);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 2, 0, 20);
	assert_int_equal(rco_session_get_stats(s, &st), RCO_OK);
	memcpy(second, st.recording_id, 16);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_advance(&w, 80000);
	t_join(path, sizeof path, w.artifacts, "late.wav");
	for (i = 0; i < 3; i++) {
		t_advance(&w, 10000000); /* forgotten but for the receipt */
		if (i > 0) {
			t_world_close(&w);
			t_world_open(&w);
		}

		assert_int_equal(rco_recording_receipt(w.engine, first, &a), RCO_OK);
		assert_int_equal(rco_recording_receipt(w.engine, second, &b), RCO_OK);
		assert_string_equal(rco_receipt_id(a), rco_receipt_id(b));
		rco_receipt_free(a);
		rco_receipt_free(b);
		t_write_file(path, "audio", 5);
		assert_int_equal(rco_recording_register_artifact(w.engine, first, RCO_KIND_AUDIO, path, NULL),
		                 RCO_OK);
		assert_int_equal(rco_recording_opt_out(w.engine, first, NULL, NULL), RCO_OK);
		assert_int_equal(rco_recording_opt_out(w.engine, second, NULL, NULL), RCO_OK);
		t_advance(&w, 80000);
		assert_false(t_exists(path));
	}
	t_world_close(&w);
	t_world_destroy(&w);
}

/* A hold of what nothing will erase any more is none. */
static void test_a_hold_that_comes_too_late(void **state)
{
	rco_session *s;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 5);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_OK); /* in the window */
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	t_advance(&w, 20000);
	assert_int_equal(rco_session_set_legal_hold(s, 1), RCO_E_ENDED);
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	rco_session_free(s);
	t_world_close(&w);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_held_call_goes_on),
		cmocka_unit_test(test_nothing_was_recorded),
		cmocka_unit_test(test_something_was_recorded),
		cmocka_unit_test(test_overdue),
		cmocka_unit_test(test_an_old_id_that_was_touched),
		cmocka_unit_test(test_noted_besides_and_not_durable),
		cmocka_unit_test(test_parts_are_remembered),
		cmocka_unit_test(test_a_hold_that_comes_too_late),
	};

	return cmocka_run_group_tests_name("found again", tests, NULL, NULL);
}
