/* SPDX-License-Identifier: MIT */
/*
 * Clocks that jump: the wall clock is set a day ahead or back, the machine sleeps for an hour. What waits, waits
 * by the monotonic clock; the wall clock is only told.
 */
#include "../support.h"

#include <stdio.h>

#define DAY_MS  INT64_C(86400000)
#define HOUR_MS INT64_C(3600000)

static t_fs fs; /* large, so not on the stack */

static void jump_wall(t_world *w, int64_t ms)
{
	(void)atomic_fetch_add(&w->clock.wall_us, ms * 1000);
	t_settle(w);
}

static rco_session *ended_call(t_world *w, const char *id)
{
	rco_session *s = t_call(w, id);

	t_push(s, 0, 1, 0, 30);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(w);
	return s;
}

/* P14: whatever the wall clock does, no commit before ten seconds have passed, and none much after. */
static void window_under(int64_t jump_ms)
{
	rco_session *late, *kept;
	t_world w;

	t_world_init(&w, 0);
	t_world_open(&w);
	late = ended_call(&w, "late");
	kept = ended_call(&w, "kept");
	t_advance(&w, 1000);
	jump_wall(&w, jump_ms);
	t_advance(&w, 8900); /* 9.9 s after hang-up */
	assert_true(t_fault_done(&w.fault, T_PUT) > 0);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 0);
	assert_int_equal(rco_opt_out(late, NULL, NULL), RCO_OK);
	t_advance(&w, 200);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 1);
	assert_int_equal(t_events_count(&w.events, "kept", RCO_EVENT_STORED), 1);
	assert_int_equal(rco_opt_out(kept, NULL, NULL), RCO_E_ENDED);
	assert_int_equal(t_status(&w, "late"), RCO_STATUS_VERIFIED);
	assert_true(t_store_has_noise(&w, "kept", "caller", 1, 30));
	assert_int_equal(t_store_count(&w, ".wav"), 1);
	rco_session_free(late);
	rco_session_free(kept);
	t_world_destroy(&w);
}

static void test_window(void **state)
{
	(void)state;
	window_under(DAY_MS);
	window_under(-DAY_MS);
}

/* An erasure that fails is tried again in its time, looked at a second time in its time, and escalates in its
 * time. */
static void erasure_under(int64_t jump_ms)
{
	rco_session *s;
	t_world w;
	size_t tries;
	int i;

	t_world_init(&w, 0);
	w.cfg.retry_max_ms = 10000;
	w.cfg.erase_deadline_ms = 120000;
	t_world_open(&w);
	s = t_call(&w, "gone");
	t_push(s, 0, 1, 0, 30);
	t_advance(&w, 400);
	t_fault_set(&w.fault, T_ERASE, T_FAIL, 0, RCO_E_IO);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	tries = t_events_count(&w.events, "gone", RCO_EVENT_ERASE_RETRY);
	assert_int_equal(tries, 1);
	jump_wall(&w, jump_ms);
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_ERASE_RETRY), tries); /* no storm of tries */
	for (i = 0; i < 60; i++)
		t_advance(&w, 1000);
	tries = t_events_count(&w.events, "gone", RCO_EVENT_ERASE_RETRY);
	assert_true(tries >= 8 && tries <= 12);
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_ESCALATED), 0);
	for (i = 0; i < 61; i++)
		t_advance(&w, 1000);
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_ESCALATED), 1);
	assert_true(rco_memory_audio_bytes(w.memory) > 0);
	t_fault_set(&w.fault, T_ERASE, T_PASS, 0, 0);
	jump_wall(&w, jump_ms);
	t_advance(&w, 10000);
	assert_int_equal(t_status(&w, "gone"), RCO_STATUS_VERIFIED);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	jump_wall(&w, jump_ms);
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_SWEPT), 0);
	t_advance(&w, 60000);
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_SWEPT), 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_erasure(void **state)
{
	(void)state;
	erasure_under(DAY_MS);
	erasure_under(-DAY_MS);
}

/* Evidence does not say that something was done before it was asked for. */
static void receipt_under(int64_t jump_ms)
{
	int64_t at[RCO_TIME_VERIFIED + 1], asked;
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;
	uint32_t i;

	t_world_init(&w, 0);
	t_fs_init(&fs, "/ledger");
	w.fs = &fs;
	t_world_open(&w);
	s = t_call(&w, "gone");
	t_push(s, 0, 1, 0, 30);
	t_advance(&w, 400);
	atomic_store(&fs.fail, RCO_E_IO);
	t_fault_set(&w.fault, T_ERASE, T_FAIL, 0, RCO_E_IO);
	asked = atomic_load(&w.clock.wall_us);
	assert_int_equal(t_opt_out(s, NULL), RCO_E_NOT_DURABLE);
	jump_wall(&w, jump_ms);
	atomic_store(&fs.fail, 0);
	t_advance(&w, 1000);
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_DURABLE), 1);
	jump_wall(&w, jump_ms);
	t_fault_set(&w.fault, T_ERASE, T_PASS, 0, 0);
	t_advance(&w, 10000);
	assert_int_equal(rco_session_receipt(s, &r), RCO_OK);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_VERIFIED);
	for (i = RCO_TIME_REQUESTED; i <= RCO_TIME_VERIFIED; i++) {
		at[i] = rco_receipt_time_us(r, i);
		if (i == RCO_TIME_REQUESTED)
			assert_int_equal(at[i], asked);
		else
			assert_true(at[i] >= at[i - 1]);
	}
	if (jump_ms > 0) /* what the clock said */
		assert_true(at[RCO_TIME_DURABLE] - asked >= jump_ms * 1000);
	rco_receipt_free(r);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_receipt(void **state)
{
	(void)state;
	receipt_under(DAY_MS);
	receipt_under(-DAY_MS);
}

/* P12: a request for a call not yet known is kept for its time, not until the clock is set. */
static void test_early(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "unborn"};
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.early_opt_out_ttl_s = 3600;
	t_world_open(&w);
	assert_int_equal(rco_engine_opt_out(w.engine, "unborn", NULL, NULL), RCO_OK);
	jump_wall(&w, DAY_MS);
	t_advance(&w, 2000); /* somebody tidies up in between */
	s = t_call_with(&w, &(rco_session_options){.struct_size = (uint32_t)sizeof o, .call_id = "other"});
	rco_session_free(s);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_advance(&w, 4000);

	/* set back it is kept for its hour as well, and not for a day more */
	o.call_id = "never-born";
	assert_int_equal(rco_engine_opt_out(w.engine, "never-born", NULL, NULL), RCO_OK);
	jump_wall(&w, -DAY_MS);
	t_advance(&w, HOUR_MS - 2000);
	assert_int_equal(rco_engine_receipt(w.engine, "never-born", &r), RCO_OK);
	rco_receipt_free(r);
	t_advance(&w, 4000);
	assert_int_equal(rco_engine_receipt(w.engine, "never-born", &r), RCO_E_NOT_FOUND);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A restart after the clock was set back: neither the window nor what is to be erased waits a day. */
static void test_restart(void **state)
{
	rco_session *kept, *gone;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	t_world_open(&w);
	kept = ended_call(&w, "kept");
	gone = t_call(&w, "gone");
	t_push(gone, 0, 2, 0, 30);
	t_advance(&w, 400);
	assert_int_equal(rco_opt_out(gone, NULL, NULL), RCO_OK);
	t_world_close(&w);
	rco_session_free(kept);
	rco_session_free(gone);
	(void)atomic_fetch_sub(&w.clock.wall_us, DAY_MS * 1000);
	t_world_open(&w);
	t_settle(&w);
	assert_int_equal(t_status(&w, "gone"), RCO_STATUS_VERIFIED);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 0);
	t_advance(&w, 9900);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 0);
	t_advance(&w, 200);
	assert_int_equal(t_events_count(&w.events, "kept", RCO_EVENT_STORED), 1);
	assert_true(t_store_has_noise(&w, "kept", "caller", 1, 30));
	t_world_destroy(&w);
}

/* The machine sleeps for an hour in the middle of everything: each is done once, and nothing twice. */
static void test_an_hour_asleep(void **state)
{
	rco_session *talking, *ended, *gone, *asked;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.erase_deadline_ms = 2 * HOUR_MS;
	t_world_open(&w);
	talking = t_call(&w, "talking");
	ended = ended_call(&w, "ended");
	gone = t_call(&w, "gone");
	asked = t_call(&w, "asked");
	t_push(talking, 0, 1, 0, 30);
	t_push(gone, 0, 1, 0, 30);
	t_push(asked, 0, 4, 0, 30);
	t_advance(&w, 400);
	t_push(talking, 0, 1, 30, 10); /* still in the ring */
	t_fault_set(&w.fault, T_ERASE, T_FAIL, 1, RCO_E_IO);
	assert_int_equal(rco_opt_out(gone, NULL, NULL), RCO_OK);
	t_settle(&w);
	t_push(asked, 0, 4, 30, 10);
	t_fault_only(&w.fault, asked);
	t_fault_set(&w.fault, T_APPEND, T_HOLD, 1, 0);
	t_advance(&w, 200);
	assert_int_equal(t_fault_held(&w.fault, T_APPEND), 1); /* asked, and asleep before the answer */
	t_advance(&w, HOUR_MS);

	assert_int_equal(t_status(&w, "gone"), RCO_STATUS_VERIFIED);
	assert_int_equal(t_events_count(&w.events, "gone", RCO_EVENT_ESCALATED), 0); /* done on waking up */
	assert_int_equal(t_fault_audio_calls(&w.fault, T_COMMIT), 1);
	assert_int_equal(t_events_count(&w.events, "ended", RCO_EVENT_STORED), 1);
	assert_int_equal(rco_opt_out(ended, NULL, NULL), RCO_E_ENDED);
	t_advance(&w, 1000);
	(void)t_fault_release(&w.fault, T_APPEND); /* far too late, and a repetition by now */
	t_push(talking, 0, 1, 40, 10);
	t_push(asked, 0, 4, 40, 10);
	assert_int_equal(rco_session_end(talking), RCO_OK);
	assert_int_equal(rco_session_end(asked), RCO_OK);
	t_await(&w, "talking", RCO_EVENT_STORED, 1);
	t_await(&w, "asked", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "talking", "caller", 1, 50));
	assert_true(t_store_has_noise(&w, "asked", "caller", 4, 50));
	assert_true(t_store_has_noise(&w, "ended", "caller", 1, 30));
	assert_int_equal(t_store_count(&w, ".wav"), 3);
	rco_session_free(talking);
	rco_session_free(ended);
	rco_session_free(gone);
	rco_session_free(asked);
	t_world_destroy(&w);
}

/* A clock of the host's that runs backwards opens no window again. */
static void test_window_and_a_clock_that_runs_backwards(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "over");
	t_push(s, 0, 1, 0, 5);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "over", RCO_EVENT_STORED, 1);
	atomic_fetch_sub(&w.clock.mono_us, (int64_t)3600 * 1000000);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_E_ENDED);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_erasure),
		cmocka_unit_test(test_receipt),
		cmocka_unit_test(test_early),
		cmocka_unit_test(test_restart),
		cmocka_unit_test(test_an_hour_asleep),
		cmocka_unit_test(test_window_and_a_clock_that_runs_backwards),
	};

	return cmocka_run_group_tests_name("clock jumps", tests, NULL, NULL);
}
