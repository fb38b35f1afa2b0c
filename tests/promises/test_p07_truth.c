/* SPDX-License-Identifier: MIT */
/*
 * P7 truth: a status says only what a backend positively confirmed. Each status is reached by a backend or
 * recorder that behaves accordingly, and none is reached without that.
 */
#include "../support.h"

#include <stdio.h>
#include <stdlib.h>

static t_fs fs;

/* ---- a recorder whose stop can fail ---- */

static rco_session *hosted_call(t_world *w, const char *id)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id, .recorder = &t_recorder_pushes};
	rco_session *s = t_call_with(w, &o);

	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 30);
	return s;
}

static uint32_t facts(t_world *w, const char *id)
{
	rco_receipt *r = NULL;
	uint32_t f;

	assert_int_equal(rco_engine_receipt(w->engine, id, &r), RCO_OK);
	f = rco_receipt_facts(r);
	rco_receipt_free(r);
	return f;
}

/* The recorder does not stop: "requested" and no more, for as long as that is so. */
static void recorder_that(int rc, uint32_t confirms)
{
	rco_session *s;
	t_world w;
	int i, stops;

	t_world_init(&w, 0);
	t_world_open(&w);
	t_recorder_forget();
	t_recorder.rc[RCO_RECORDER_STOP] = rc;
	t_recorder.confirms[RCO_RECORDER_STOP] = confirms;
	s = hosted_call(&w, "hosted");
	(void)rco_opt_out(s, NULL, NULL); /* what it returns is another test's */
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	assert_int_equal(t_status(&w, "hosted"), RCO_STATUS_REQUESTED);
	assert_int_equal(facts(&w, "hosted") & (RCO_FACT_STOPPED | RCO_FACT_ERASED | RCO_FACT_VERIFIED), 0);
	stops = t_recorder.calls[RCO_RECORDER_STOP];
	assert_true(stops >= 1);
	for (i = 0; i < 100; i++)
		t_advance(&w, 1000);
	assert_true(t_recorder.calls[RCO_RECORDER_STOP] > stops); /* repeated */
	assert_int_equal(t_status(&w, "hosted"), RCO_STATUS_REQUESTED);
	assert_true(t_events_count(&w.events, "hosted", RCO_EVENT_STOP_FAILED) >= 1);
	assert_int_equal(t_events_count(&w.events, "hosted", RCO_EVENT_STOPPED), 0);
	assert_int_equal(t_events_count(&w.events, "hosted", RCO_EVENT_ERASED), 0);

	t_recorder_forget();
	t_await(&w, "hosted", RCO_EVENT_STOPPED, 1);
	t_await(&w, "hosted", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_status(&w, "hosted"), RCO_STATUS_VERIFIED);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_requested_until_the_recorder_confirms(void **state)
{
	(void)state;
	recorder_that(RCO_E_CALLBACK, RCO_CONFIRM_UNKNOWN);
	recorder_that(RCO_OK, RCO_CONFIRM_UNKNOWN); /* a zero alone does not count */
	recorder_that(RCO_OK, RCO_CONFIRM_PRESENT);
	recorder_that(-12345, RCO_CONFIRM_DONE);
	recorder_that(RCO_PENDING, RCO_CONFIRM_DONE); /* never answers */
}

/* A recorder that answers later. */
static void test_requested_until_the_recorder_answers(void **state)
{
	rco_result done = {.struct_size = (uint32_t)sizeof done, .confirmed = RCO_CONFIRM_DONE};
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	t_recorder_forget();
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_PENDING;
	t_recorder.confirms[RCO_RECORDER_STOP] = RCO_CONFIRM_UNKNOWN;
	s = hosted_call(&w, "hosted");
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_PENDING);
	t_settle(&w);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 1);
	assert_int_equal(t_status(&w, "hosted"), RCO_STATUS_REQUESTED);
	assert_int_equal(rco_op_complete(w.engine, t_recorder.op[RCO_RECORDER_STOP], RCO_OK, &done), RCO_OK);
	assert_int_equal(rco_op_complete(w.engine, t_recorder.op[RCO_RECORDER_STOP], RCO_OK, &done), RCO_E_STALE);
	t_await(&w, "hosted", RCO_EVENT_VERIFIED, 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* STOPPED: nothing is accepted, but the ledger cannot be written. */
static void test_stopped(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_fs_init(&fs, "/ledger");
	w.fs = &fs;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 30);
	atomic_store(&fs.fail, RCO_E_IO);
	assert_int_equal(t_opt_out(s, NULL), RCO_E_NOT_DURABLE);
	t_advance(&w, 5000);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_STOPPED);
	assert_int_equal(facts(&w, "call") & (RCO_FACT_STOPPED | RCO_FACT_DURABLE), RCO_FACT_STOPPED);
	assert_int_equal(t_state(s), RCO_STATE_OPTED_OUT);
	atomic_store(&fs.fail, 0);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_world_destroy(&w);
}

/* DURABLE while the erasure is under way: the backend has not answered yet. */
static void test_durable(void **state)
{
	rco_session *s;
	rco_receipt *r = NULL;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 30);
	t_advance(&w, 300);
	t_fault_set(&w.fault, T_ERASE, T_DONE_HOLD, 0, 0);
	assert_int_equal(rco_opt_out(s, NULL, &r), RCO_OK);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_DURABLE);
	assert_true(rco_receipt_time_us(r, RCO_TIME_DURABLE) > 0);
	assert_int_equal(rco_receipt_time_us(r, RCO_TIME_ERASED), 0);
	t_settle(&w);
	assert_int_equal(t_fault_held(&w.fault, T_ERASE), 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0); /* it is gone, but nobody has said so */
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_DURABLE);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASED), 0);
	t_fault_set(&w.fault, T_ERASE, T_PASS, 0, 0);
	assert_int_equal(t_fault_release(&w.fault, T_ERASE), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	/* the receipt is a snapshot: it says what was true at that moment */
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_DURABLE);
	rco_receipt_free(r);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* PENDING, then FAILED after the deadline, then still the truth when it works again. */
static void failing_eraser(int slot, int mode)
{
	rco_session *s;
	t_world w;
	int i;

	t_world_init(&w, 0);
	w.cfg.erase_deadline_ms = 600000;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 30);
	t_push(s, 1, 2, 0, 30);
	t_advance(&w, 300);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w); /* parts are in the store now */
	t_fault_set(&w.fault, slot, mode, 0, RCO_E_IO);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_ERASE_RETRY, 1);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_RETRYING);
	assert_int_equal(t_state(s), RCO_STATE_OPTED_OUT);
	for (i = 0; i < 11; i++)
		t_advance(&w, 60000);
	assert_true(t_events_count(&w.events, "call", RCO_EVENT_ESCALATED) >= 1);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_OVERDUE);
	assert_true((facts(&w, "call") & RCO_FACT_ESCALATED) != 0);
	assert_int_equal(facts(&w, "call") & (RCO_FACT_ERASED | RCO_FACT_VERIFIED), 0);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASED), 0);
	t_fault_set(&w.fault, slot, T_PASS, 0, 0);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	assert_true((facts(&w, "call") & RCO_FACT_ESCALATED) != 0); /* that it took so long stays true */
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_pending_and_failed(void **state)
{
	(void)state;
	failing_eraser(T_ERASE, T_FAIL);
	failing_eraser(T_ERASE, T_UNCONFIRMED);
	failing_eraser(T_ABORT, T_FAIL);
	failing_eraser(T_ABORT, T_UNCONFIRMED);
	failing_eraser(T_REMOVE, T_FAIL);
	failing_eraser(T_REMOVE, T_UNCONFIRMED);
}

/* ERASED but not VERIFIED: the second look cannot be had. */
static void erased_not_verified(int mode)
{
	rco_session *s;
	t_world w;
	int i;

	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 30);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	t_fault_set(&w.fault, T_VERIFY, mode, 0, RCO_E_IO);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	for (i = 0; i < 20; i++)
		t_advance(&w, 1000);
	assert_true(t_fault_calls(&w.fault, T_VERIFY) > 0);
	assert_int_equal(facts(&w, "call") & RCO_FACT_VERIFIED, 0);
	assert_int_not_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_VERIFIED), 0);
	t_fault_set(&w.fault, T_VERIFY, T_PASS, 0, 0);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASED), 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_erased_is_not_verified(void **state)
{
	(void)state;
	erased_not_verified(T_FAIL);
	erased_not_verified(T_UNCONFIRMED);
	erased_not_verified(T_HOLD);
}

/* A verifier that still sees it: never verified, and removed again. */
static int still_present = 1, removes;

static int lying_remove(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	(void)object, (void)op, (void)ud;
	removes++;
	result->confirmed = RCO_CONFIRM_GONE;
	return RCO_OK;
}

static int seeing_verify(const rco_object *object, uint64_t op, rco_result *result, void *ud)
{
	(void)object, (void)op, (void)ud;
	result->confirmed = still_present ? RCO_CONFIRM_PRESENT : RCO_CONFIRM_GONE;
	return RCO_OK;
}

static void test_present_is_removed_again(void **state)
{
	static const rco_deletion_ops ops = {
		.struct_size = (uint32_t)sizeof ops, .remove = lying_remove, .verify = seeing_verify};
	rco_session *s;
	t_world w;
	int i, before;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.deletion = &ops;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 30);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, "elsewhere", NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	for (i = 0; i < 5; i++)
		t_advance(&w, 1000);
	before = removes;
	assert_true(before > 0);
	for (i = 0; i < 60; i++)
		t_advance(&w, 1000);
	assert_true(removes > before);
	assert_int_equal(facts(&w, "call") & RCO_FACT_VERIFIED, 0);
	still_present = 0;
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_not_recording(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "idle"};
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call_with(&w, &o);
	assert_int_equal(rco_opt_out(s, NULL, &r), RCO_OK);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_NOT_RECORDING);
	assert_int_equal(rco_receipt_facts(r) & RCO_FACT_RECORDED, 0);
	assert_true((rco_receipt_facts(r) & RCO_FACT_DURABLE) != 0);
	rco_receipt_free(r);
	t_advance(&w, 120000);
	assert_int_equal(t_status(&w, "idle"), RCO_STATUS_NOT_RECORDING);
	rco_session_free(s);

	/* and where there was something, it is never said */
	s = t_call(&w, "live");
	t_push(s, 0, 1, 0, 1);
	assert_int_equal(rco_opt_out(s, NULL, &r), RCO_OK);
	assert_int_not_equal(rco_receipt_status(r), RCO_STATUS_NOT_RECORDING);
	assert_true((rco_receipt_facts(r) & RCO_FACT_RECORDED) != 0);
	rco_receipt_free(r);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_held(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "held", .legal_hold = 1};
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call_with(&w, &o);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 30);
	assert_int_equal(rco_opt_out(s, NULL, &r), RCO_OK);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_HELD);
	assert_true((rco_receipt_facts(r) & RCO_FACT_HELD) != 0);
	rco_receipt_free(r);
	t_advance(&w, 7200000);
	assert_int_equal(t_status(&w, "held"), RCO_STATUS_HELD);
	assert_int_equal(t_fault_calls(&w.fault, T_ERASE), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The moments of a finished erasure come in their order, and the signed text says the same. */
static void test_receipt_of_a_finished_erasure(void **state)
{
	char json[RCO_RECEIPT_JSON_MAX];
	rco_receipt *r = NULL;
	uint8_t key[32];
	uint32_t status = 0;
	rco_session *s;
	int64_t at[6];
	size_t len = 0;
	t_world w;
	uint32_t i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 30);
	t_advance(&w, 300);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_SWEPT, 1);
	assert_int_equal(rco_session_receipt(s, &r), RCO_OK);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_VERIFIED);
	assert_int_equal(rco_receipt_facts(r) & ~(uint32_t)RCO_FACT_AFTER_END,
	                 RCO_FACT_STOPPED | RCO_FACT_DURABLE | RCO_FACT_ERASED | RCO_FACT_VERIFIED |
	                         RCO_FACT_RECORDED | RCO_FACT_SWEPT);
	for (i = RCO_TIME_REQUESTED; i <= RCO_TIME_VERIFIED; i++) {
		at[i] = rco_receipt_time_us(r, i);
		assert_true(at[i] > 0);
		assert_true(i == RCO_TIME_REQUESTED || at[i] >= at[i - 1]);
	}
	assert_int_equal(rco_receipt_to_json(r, json, sizeof json, &len), RCO_OK);
	assert_int_equal(rco_engine_public_key(w.engine, key), RCO_OK);
	assert_int_equal(rco_receipt_verify(json, len, key, &status), RCO_OK);
	assert_int_equal(status, RCO_STATUS_VERIFIED);
	json[len / 2] ^= 1;
	assert_int_not_equal(rco_receipt_verify(json, len, key, &status), RCO_OK);
	rco_receipt_free(r);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A caller that waits gets the truth, too: time-out, not success. */
static void test_waiting_for_a_status(void **state)
{
	rco_opt_out_options o = {
		.struct_size = (uint32_t)sizeof o, .wait_status = RCO_STATUS_VERIFIED, .timeout_ms = 50};
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_WORKERS);
	t_world_open(&w);
	t_fault_set(&w.fault, T_ERASE, T_FAIL, 0, RCO_E_IO);
	s = t_call(&w, "slow");
	t_push(s, 0, 1, 0, 30);
	t_wait_buffered(s);
	assert_int_equal(rco_opt_out(s, &o, &r), RCO_PENDING);
	assert_int_equal(rco_receipt_code(r), RCO_E_TIMEOUT);
	assert_non_null(r);
	assert_true(rco_receipt_status(r) == RCO_STATUS_DURABLE || rco_receipt_status(r) == RCO_STATUS_RETRYING);
	rco_receipt_free(r);
	t_fault_set(&w.fault, T_ERASE, T_PASS, 0, 0);
	o.timeout_ms = 30000;
	assert_int_equal(rco_opt_out(s, &o, &r), RCO_OK);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_VERIFIED);
	rco_receipt_free(r);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_requested_until_the_recorder_confirms),
		cmocka_unit_test(test_requested_until_the_recorder_answers),
		cmocka_unit_test(test_stopped),
		cmocka_unit_test(test_durable),
		cmocka_unit_test(test_pending_and_failed),
		cmocka_unit_test(test_erased_is_not_verified),
		cmocka_unit_test(test_present_is_removed_again),
		cmocka_unit_test(test_not_recording),
		cmocka_unit_test(test_held),
		cmocka_unit_test(test_receipt_of_a_finished_erasure),
		cmocka_unit_test(test_waiting_for_a_status),
	};

	return cmocka_run_group_tests_name("P7 truth", tests, NULL, NULL);
}
