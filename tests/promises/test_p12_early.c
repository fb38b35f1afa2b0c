/* SPDX-License-Identifier: MIT */
/*
 * P12 before birth: an opt-out that comes before recording starts, before the call is answered, or before this
 * process has heard of the call, holds.
 */
#include "../support.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static rco_session *create(t_world *w, const char *id)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id};
	rco_session *s = NULL;

	assert_int_equal(rco_session_create(w->engine, &o, &s), RCO_OK);
	return s;
}

/* It can be used, and nothing is recorded. */
static void assert_born_opted_out(t_world *w, rco_session *s, const char *id, const char *receipt_id)
{
	rco_receipt *r = NULL;
	uint32_t leg = 0;

	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &leg), RCO_E_OPTED_OUT);
	assert_true(t_push_one(s, 0, 1) < 0);
	assert_int_equal(rco_session_receipt(s, &r), RCO_OK);
	assert_string_equal(rco_receipt_id(r), receipt_id);
	assert_true((rco_receipt_facts(r) & RCO_FACT_EARLY) != 0);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_NOT_RECORDING);
	rco_receipt_free(r);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(w, id, RCO_EVENT_CALL_RECORD, 1);
	t_advance(w, 120000);
	assert_int_equal(t_events_count(&w->events, id, RCO_EVENT_OPTED_OUT), 1);
	assert_int_equal(t_events_count(&w->events, id, RCO_EVENT_STOPPED), 1);
	assert_int_equal(t_store_audio(w), 0);
	assert_int_equal(t_store_count(w, ".json"), 1);
}

static void ask(t_world *w, const char *id, char receipt_id[RCO_ID_TEXT + 1])
{
	rco_receipt *r = NULL;

	assert_int_equal(rco_engine_opt_out(w->engine, id, NULL, &r), RCO_OK);
	assert_non_null(r);
	(void)snprintf(receipt_id, RCO_ID_TEXT + 1, "%s", rco_receipt_id(r));
	assert_string_equal(rco_receipt_call_id(r), id);
	assert_true((rco_receipt_facts(r) & RCO_FACT_DURABLE) != 0);
	rco_receipt_free(r);
}

static void test_before_start(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "early"};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call_with(&w, &o); /* ringing: legs are there, nothing is started */
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_NOT_STARTED);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT); /* answered: the start that was meant before */
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_advance(&w, 120000);
	assert_int_equal(t_store_audio(&w), 0);
	assert_int_equal(t_fault_calls(&w.fault, T_APPEND), 0);
	t_world_destroy(&w);
}

/* A start that waits for consent must not come alive after an opt-out. */
static void test_remembered_start(void **state)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = "asked", .consent = RCO_CONSENT_ASK_FIRST};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call_with(&w, &o);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_E_OPTED_OUT);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_unknown_call(void **state)
{
	char id[RCO_ID_TEXT + 1], again[RCO_ID_TEXT + 1];
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	ask(&w, "unborn", id);
	ask(&w, "unborn", again);
	assert_string_equal(id, again);
	assert_int_equal(rco_engine_get_stats(w.engine, &st), RCO_OK);
	assert_int_equal(st.opt_outs_early, 1);
	s = create(&w, "unborn");
	assert_born_opted_out(&w, s, "unborn", id);

	/* the next session of that id only: a later call is another call */
	s = t_call(&w, "unborn");
	t_push(s, 0, 3, 0, 20);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "unborn", RCO_EVENT_STORED, 1);
	/* and no other id */
	s = t_call(&w, "unborn2");
	assert_int_equal(t_push_one(s, 0, 1), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_nonblocking_early(void **state)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	char id[RCO_ID_TEXT + 1];
	rco_receipt *r = NULL;
	t_world w;
	int i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(rco_engine_opt_out(w.engine, "unborn", &o, &r), RCO_PENDING);
	assert_non_null(r);
	(void)snprintf(id, sizeof id, "%s", rco_receipt_id(r));
	rco_receipt_free(r);
	for (i = 0; i < 100; i++)
		t_advance(&w, 100);
	assert_int_equal(rco_engine_receipt(w.engine, "unborn", &r), RCO_OK);
	assert_true((rco_receipt_facts(r) & RCO_FACT_DURABLE) != 0); /* made so by the engine alone */
	rco_receipt_free(r);
	assert_born_opted_out(&w, create(&w, "unborn"), "unborn", id);
	t_world_destroy(&w);
}

struct child {
	t_world *w;
	int report;
};

static void ask_and_die(void *arg)
{
	struct child *c = arg;
	char id[RCO_ID_TEXT + 1];

	t_world_open(c->w);
	ask(c->w, "unborn", id);
	if (write(c->report, id, sizeof id) != (ssize_t)sizeof id)
		_exit(2);
	(void)kill(getpid(), SIGKILL);
}

static void test_survives_a_crash(void **state)
{
	char id[RCO_ID_TEXT + 1];
	int ends[2];
	struct child c;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	assert_int_equal(pipe(ends), 0);
	c = (struct child){&w, ends[1]};
	assert_int_equal(t_reap(t_spawn(ask_and_die, &c)), -SIGKILL);
	assert_int_equal(read(ends[0], id, sizeof id), sizeof id);
	(void)close(ends[0]);
	(void)close(ends[1]);
	t_world_open(&w);
	t_world_close(&w); /* twice: what was replayed must be kept, not used up */
	t_world_open(&w);
	assert_born_opted_out(&w, create(&w, "unborn"), "unborn", id);
	t_world_destroy(&w);
}

static void test_expires(void **state)
{
	char id[RCO_ID_TEXT + 1], second[RCO_ID_TEXT + 1];
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.early_opt_out_ttl_s = 60;
	t_world_open(&w);
	ask(&w, "in-time", id);
	ask(&w, "too-late", second);
	t_advance(&w, 59000);
	s = create(&w, "in-time");
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
	/* no work is done in between: it has expired, whether or not anybody has tidied up */
	t_clock_advance(&w.clock, 2000);
	s = create(&w, "too-late");
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Asked again after the first request expired: the new one counts from now, whether or not anybody has tidied up.
 */
static void test_asked_again_after_expiry(void **state)
{
	char first[RCO_ID_TEXT + 1], second[RCO_ID_TEXT + 1];
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.early_opt_out_ttl_s = 60;
	t_world_open(&w);
	ask(&w, "call", first);
	t_clock_advance(&w.clock, 61000);
	ask(&w, "call", second);
	t_advance(&w, 30000);
	s = create(&w, "call");
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Waiting is a matter of running time: at a start it starts again, and what had expired stays so. */
static void test_expires_over_a_restart(void **state)
{
	char id[RCO_ID_TEXT + 1];
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.early_opt_out_ttl_s = 60;
	t_world_open(&w);
	ask(&w, "gone", id);
	t_advance(&w, 40000);
	ask(&w, "a", id);
	ask(&w, "b", id);
	t_advance(&w, 30000);
	t_world_close(&w);
	t_clock_advance(&w.clock, 3600000);
	t_world_open(&w);
	s = create(&w, "gone");
	assert_int_equal(rco_session_start(s), RCO_OK);
	rco_session_free(s);
	t_advance(&w, 55000);
	s = create(&w, "a");
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_advance(&w, 10000);
	s = create(&w, "b");
	assert_int_equal(rco_session_start(s), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* As of a machine whose clock is set by the network, some time after it booted. */
static void test_a_wrong_clock_at_one_start(void **state)
{
	static const int64_t wrong[] = {2, -2};
	const int64_t day_us = INT64_C(86400000000);
	char id[RCO_ID_TEXT + 1];
	t_world w;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		t_world_init(&w, T_SPOOL | T_DISK);
		t_world_open(&w);
		ask(&w, "unborn", id);
		t_world_close(&w);
		atomic_fetch_add(&w.clock.wall_us, wrong[i] * day_us);
		t_world_open(&w);
		t_advance(&w, 10000);
		t_world_close(&w);
		atomic_fetch_sub(&w.clock.wall_us, wrong[i] * day_us);
		t_world_open(&w);
		assert_born_opted_out(&w, create(&w, "unborn"), "unborn", id);
		t_world_destroy(&w);
	}
}

/* Once the call is there, the request is the call's: its evidence does not expire with the waiting for it. */
static void test_stays_with_the_call(void **state)
{
	rco_receipt *before = NULL, *after = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	w.cfg.early_opt_out_ttl_s = 60;
	t_world_open(&w);
	assert_int_equal(rco_engine_opt_out(w.engine, "a", NULL, &before), RCO_OK);
	s = create(&w, "a");
	assert_int_equal(rco_session_start(s), RCO_E_OPTED_OUT);
	t_world_close(&w);
	rco_session_free(s);
	t_clock_advance(&w.clock, 120000);
	t_world_open(&w);
	t_settle(&w);
	assert_int_equal(rco_engine_receipt(w.engine, "a", &after), RCO_OK);
	assert_string_equal(rco_receipt_id(before), rco_receipt_id(after));
	rco_receipt_free(before);
	rco_receipt_free(after);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_before_start),
		cmocka_unit_test(test_remembered_start),
		cmocka_unit_test(test_unknown_call),
		cmocka_unit_test(test_nonblocking_early),
		cmocka_unit_test(test_survives_a_crash),
		cmocka_unit_test(test_expires),
		cmocka_unit_test(test_asked_again_after_expiry),
		cmocka_unit_test(test_expires_over_a_restart),
		cmocka_unit_test(test_a_wrong_clock_at_one_start),
		cmocka_unit_test(test_stays_with_the_call),
	};

	return cmocka_run_group_tests_name("P12 before birth", tests, NULL, NULL);
}
