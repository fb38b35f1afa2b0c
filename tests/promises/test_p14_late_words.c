/* SPDX-License-Identifier: MIT */
/*
 * P14 late words: for a window after the end of a call an opt-out still holds, and an upload is not committed
 * before the window has passed. After it the answer is "this call has ended", and the recording is kept.
 */
#include "../support.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

enum { RACES = T_SANITIZED ? 40 : 200 };

static rco_session *ended_call(t_world *w, const char *id)
{
	rco_session *s = t_call(w, id);

	t_push(s, 0, 1, 0, 30);
	t_push(s, 1, 2, 0, 30);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(w);
	return s;
}

static void test_inside_and_after_the_window(void **state)
{
	rco_receipt *r = NULL;
	rco_session *in, *out;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	in = ended_call(&w, "in");
	out = ended_call(&w, "out");
	assert_int_equal(t_state(in), RCO_STATE_UPLOADING);
	for (i = 0; i < 99; i++) {
		t_advance(&w, 100);
		assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 0);
	}
	assert_true(t_fault_done(&w.fault, T_PUT) > 0);      /* only the commit waits */
	assert_int_equal(rco_opt_out(in, NULL, &r), RCO_OK); /* 9.9 s after hang-up */
	assert_true((rco_receipt_facts(r) & RCO_FACT_AFTER_END) != 0);
	rco_receipt_free(r);
	t_advance(&w, 200); /* 10.1 s */
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 2);
	assert_int_equal(rco_opt_out(out, NULL, &r), RCO_E_ENDED);
	assert_null(r);
	assert_int_equal(rco_engine_opt_out(w.engine, "out", NULL, NULL), RCO_E_ENDED);
	t_await(&w, "out", RCO_EVENT_STORED, 1);
	t_await(&w, "in", RCO_EVENT_VERIFIED, 1);
	t_await(&w, NULL, RCO_EVENT_CALL_RECORD, 2);
	assert_int_equal(t_state(out), RCO_STATE_STORED);
	assert_true(t_store_has_noise(&w, "out", "caller", 1, 30));
	assert_true(t_store_has_noise(&w, "out", "agent", 2, 30));
	assert_int_equal(t_store_count(&w, ".wav"), 2);
	assert_int_equal(rco_opt_out(out, NULL, NULL), RCO_E_ENDED);
	rco_session_free(in);
	rco_session_free(out);
	assert_int_equal(rco_engine_opt_out(w.engine, "out", NULL, NULL), RCO_E_ENDED);
	t_world_destroy(&w);
}

/* The window is over by the clock, and no worker has moved since: the answer does not depend on that. */
static void test_the_clock_decides(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = ended_call(&w, "call");
	t_clock_advance(&w.clock, 10001);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_E_ENDED);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	rco_session_free(s);

	/* the other way round: the backends were slow, the drain is not over; the window still closes */
	t_fault_set(&w.fault, T_BEGIN, T_HOLD, 0, 0);
	s = ended_call(&w, "slow");
	t_clock_advance(&w.clock, 9999);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The handle is gone, as it is when a tool call of the agent comes back a second later. */
static void test_by_call_id_after_free(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.late_opt_out_ms = 3000;
	t_world_open(&w);
	s = ended_call(&w, "call");
	rco_session_free(s);
	t_advance(&w, 2900);
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 0);
	t_world_destroy(&w);
}

static void test_no_window(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.late_opt_out_ms = RCO_NONE_MS;
	t_world_open(&w);
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 30);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_E_ENDED);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STORED), 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 30) || t_store_count(&w, ".wav") == 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A call without any audio, and one that was never started, have the same window. */
static void test_empty_call(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "empty"};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call_with(&w, &o);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 9000);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	o.call_id = "empty-too";
	s = t_call_with(&w, &o);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 11000);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_E_ENDED);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The process is restarted inside the window: a late word still counts, and nothing was committed. */
static void test_restart_inside_the_window(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = ended_call(&w, "call");
	t_world_close(&w);
	rco_session_free(s);
	t_world_open(&w);
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_store_count(&w, ".wav"), 0);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 0);
	t_world_destroy(&w);
}

/* After it was forgotten, the id is that of a call not yet known. */
static void test_forgotten(void **state)
{
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.remember_ended_s = 100;
	t_world_open(&w);
	s = ended_call(&w, "call");
	rco_session_free(s);
	t_advance(&w, 20000);
	t_advance(&w, 60000);
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, NULL), RCO_E_ENDED);
	t_advance(&w, 60000);
	t_advance(&w, 60000);
	assert_int_equal(rco_engine_opt_out(w.engine, "call", NULL, &r), RCO_OK);
	assert_true((rco_receipt_facts(r) & RCO_FACT_EARLY) != 0);
	rco_receipt_free(r);
	assert_int_equal(t_store_count(&w, ".wav"), 2);
	t_world_destroy(&w);
}

/* The request races with the commit: it is one or the other, and never a file of a call that was told "stopped".
 */
static void test_race_with_the_commit(void **state)
{
	int i, opted = 0, ended = 0, rc[RACES];
	char id[32];
	t_world w;

	(void)state;
	t_world_init(&w, T_WORKERS);
	w.cfg.late_opt_out_ms = 1;
	w.cfg.ring_pool_bytes = 16u << 20;
	t_world_open(&w);
	for (i = 0; i < RACES; i++) {
		rco_session *s;
		int spin;

		(void)snprintf(id, sizeof id, "race-%d", i);
		s = t_call(&w, id);
		t_push(s, 0, (uint64_t)i + 1, 0, 10);
		assert_int_equal(rco_session_end(s), RCO_OK);
		for (spin = 0; spin < i * 20; spin++)
			(void)sched_yield();
		rc[i] = rco_opt_out(s, NULL, NULL);
		if (rc[i] != RCO_OK && rc[i] != RCO_E_ENDED)
			print_error("%s: %s\n", rco_error_name(rc[i]), rco_error_detail());
		rco_session_free(s);
	}
	assert_int_equal(rco_engine_wait_idle(w.engine, 60000), RCO_OK);
	for (i = 0; i < RACES; i++) {
		(void)snprintf(id, sizeof id, "race-%d", i);
		t_await(&w, id, RCO_EVENT_CALL_RECORD, 1);
		if (rc[i] != RCO_OK)
			assert_int_equal(rc[i], RCO_E_ENDED);
		assert_int_equal(t_store_has_noise(&w, id, "caller", (uint64_t)i + 1, 10), rc[i] == RCO_E_ENDED);
		opted += rc[i] == RCO_OK;
		ended += rc[i] == RCO_E_ENDED;
	}
	print_message("    %d opted out, %d came too late\n", opted, ended);
	assert_int_equal(t_store_count(&w, ".wav"), ended);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_inside_and_after_the_window),
		cmocka_unit_test(test_the_clock_decides),
		cmocka_unit_test(test_by_call_id_after_free),
		cmocka_unit_test(test_no_window),
		cmocka_unit_test(test_empty_call),
		cmocka_unit_test(test_restart_inside_the_window),
		cmocka_unit_test(test_forgotten),
		cmocka_unit_test(test_race_with_the_commit),
	};

	return cmocka_run_group_tests_name("P14 late words", tests, NULL, NULL);
}
