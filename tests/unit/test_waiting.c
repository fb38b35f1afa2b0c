/* SPDX-License-Identifier: MIT */
/* Waiting for calls, and turns of a host's event loop: what ends them, and what they say. */
#include "../support.h"

#include <stdio.h>

static t_fs fs; /* large, so not on the stack */
static t_world w;

static void open_with_threads(void)
{
	t_world_init(&w, T_WORKERS);
	t_fs_init(&fs, "/ledger/");
	w.fs = &fs;
	w.cfg.retry_min_ms = 5;
	w.cfg.retry_max_ms = 20;
	w.cfg.sweep_delay_ms = 1;
	t_world_open(&w);
}

/* ---- until nothing is left to do ---- */

static void test_idle_comes_too_late(void **state)
{
	rco_session *s;

	(void)state;
	open_with_threads();
	s = t_call(&w, "held-up");
	t_push(s, 0, 1, 0, 10);
	t_wait_buffered(s);
	t_fault_set(&w.fault, T_ERASE, T_HOLD, 1, 0);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_engine_wait_idle(w.engine, 0), RCO_E_TIMEOUT);
	assert_int_equal(rco_engine_wait_idle(w.engine, 30), RCO_E_TIMEOUT);
	/* one that only waits for memory of the ledger's disk is not idle either */
	while (t_fault_held(&w.fault, T_ERASE) == 0)
		assert_int_equal(rco_engine_wait_idle(w.engine, 5), RCO_E_TIMEOUT);
	assert_int_equal(t_fault_release(&w.fault, T_ERASE), RCO_OK);
	assert_int_equal(rco_engine_wait_idle(w.engine, 20000), RCO_OK);
	assert_int_equal(t_status(&w, "held-up"), RCO_STATUS_VERIFIED);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* The tombstone is tried until it is there; a request that did not wait is told then. */
static void test_not_durable_is_not_idle(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	rco_session *s;

	(void)state;
	open_with_threads();
	s = t_call(&w, "slow");
	atomic_store(&fs.fail, RCO_E_IO);
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_PENDING);
	assert_true(t_events_wait(&w.events, "slow", RCO_EVENT_NOT_DURABLE, 2, 20000));
	assert_int_equal(rco_engine_wait_idle(w.engine, 10), RCO_E_TIMEOUT);
	atomic_store(&fs.fail, 0);
	assert_true(t_events_wait(&w.events, "slow", RCO_EVENT_DURABLE, 1, 20000));
	assert_int_equal(rco_engine_wait_idle(w.engine, 20000), RCO_OK);
	assert_int_equal(t_events_count(&w.events, "slow", RCO_EVENT_DURABLE), 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- for a status ---- */

static void test_erased_is_enough(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .wait_status = RCO_STATUS_ERASED};
	rco_receipt *r = NULL;
	rco_session *s;

	(void)state;
	open_with_threads();
	s = t_call(&w, "erased");
	t_push(s, 0, 1, 0, 10);
	t_wait_buffered(s);
	t_fault_set(&w.fault, T_READ, T_FAIL, 0, RCO_E_IO); /* so nobody can say that it is gone */
	o.timeout_ms = 20000;
	assert_int_equal(rco_opt_out(s, &o, &r), RCO_OK);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_ERASED);
	rco_receipt_free(r);
	assert_int_equal(t_state(s), RCO_STATE_OPTED_OUT);
	o.wait_status = RCO_STATUS_VERIFIED;
	o.timeout_ms = 999;
	assert_int_equal(t_opt_out(s, &o), RCO_E_TIMEOUT);
	t_fault_set(&w.fault, T_READ, T_PASS, 0, 0);
	o.timeout_ms = 20000;
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- the host's event loop ---- */

enum { TURNS = 3000 };

static rco_session *players[2];
static int hits;

/* Each event of the one makes another of the other. */
static void hit_back(const rco_event *e, void *user_data)
{
	rco_session *other = players[strcmp(e->call_id, "ping") == 0];

	(void)user_data;
	if (hits >= TURNS || (e->type != RCO_EVENT_PAUSED && e->type != RCO_EVENT_RESUMED))
		return;
	hits++;
	assert_int_equal(t_state(other) == RCO_STATE_PAUSED ? rco_session_resume(other) : rco_session_pause(other),
	                 RCO_OK);
}

/* Work that makes work for ever does not keep the host's loop from its other business. */
static void test_a_turn_ends(void **state)
{
	int turns = 0;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	players[0] = t_call(&w, "ping");
	players[1] = t_call(&w, "pong");
	t_settle(&w);
	hits = 0;
	w.events.hook = hit_back;
	assert_int_equal(rco_session_pause(players[0]), RCO_OK);
	while (hits < TURNS) {
		int before = hits;

		assert_int_equal(rco_engine_run(w.engine, UINT32_MAX, 0),
		                 RCO_OK); /* there is work: it does not wait */
		assert_in_range(hits - before, 1, TURNS - 1);
		turns++;
	}
	assert_true(turns > 1);
	w.events.hook = NULL;
	t_settle(&w);
	rco_session_free(players[0]);
	rco_session_free(players[1]);
	t_world_destroy(&w);
}

/* ---- what a hold puts off ---- */

/* Waiting for an erasure that a hold puts off ends at once, with what is so. */
static void test_waiting_for_what_is_held(void **state)
{
	rco_session_options so = {.struct_size = (uint32_t)sizeof so, .call_id = "held", .legal_hold = 1};
	rco_opt_out_options o = {
		.struct_size = (uint32_t)sizeof o, .wait_status = RCO_STATUS_ERASED, .timeout_ms = 999};
	rco_session *s;

	(void)state;
	t_world_init(&w, T_WORKERS);
	t_world_open(&w);
	s = t_call_with(&w, &so);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(t_opt_out(s, &o), RCO_E_TIMEOUT);
	assert_non_null(strstr(rco_error_detail(), "held"));
	assert_int_equal(rco_session_set_legal_hold(s, 0), RCO_OK);
	o.timeout_ms = 20000;
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_OK);
	o.wait_status = RCO_STATUS_VERIFIED;
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A hold keeps nothing of a call that has nothing recorded, and nothing is said to be kept. */
static void test_held_and_nothing_recorded(void **state)
{
	rco_session_options so = {.struct_size = (uint32_t)sizeof so, .call_id = "held", .legal_hold = 1};
	rco_opt_out_options o = {
		.struct_size = (uint32_t)sizeof o, .wait_status = RCO_STATUS_VERIFIED, .timeout_ms = 20000};
	rco_session *s;

	(void)state;
	t_world_init(&w, T_WORKERS);
	t_world_open(&w);
	s = t_call_with(&w, &so);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_opt_out(s, &o, NULL), RCO_OK);
	assert_int_equal(t_status(&w, "held"), RCO_STATUS_NOT_RECORDING);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_idle_comes_too_late),      cmocka_unit_test(test_not_durable_is_not_idle),
		cmocka_unit_test(test_erased_is_enough),         cmocka_unit_test(test_a_turn_ends),
		cmocka_unit_test(test_waiting_for_what_is_held), cmocka_unit_test(test_held_and_nothing_recorded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
