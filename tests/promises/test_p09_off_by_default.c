/* SPDX-License-Identifier: MIT */
/* P9 off by default: while opt-out is disabled a request answers "not available", and the recording goes on. */
#include "../support.h"

static rco_session *call_with_switch(t_world *w, const char *id, uint32_t opt_out)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id, .opt_out = opt_out};
	rco_session *s = t_call_with(w, &o);

	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 10);
	return s;
}

static void assert_not_available(t_world *w, rco_session *s, const char *id)
{
	rco_opt_out_options nonblock = {.struct_size = (uint32_t)sizeof nonblock, .flags = RCO_OPT_OUT_NONBLOCK};
	rco_receipt *r = NULL;

	assert_int_equal(rco_opt_out(s, NULL, &r), RCO_E_NOT_AVAILABLE);
	assert_null(r);
	assert_int_equal(rco_opt_out(s, &nonblock, NULL), RCO_E_NOT_AVAILABLE);
	assert_int_equal(rco_engine_opt_out(w->engine, id, NULL, NULL), RCO_E_NOT_AVAILABLE);
	assert_int_equal(rco_session_receipt(s, &r), RCO_E_NOT_FOUND);
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	t_push(s, 0, 1, 10, 10);
}

static void test_default_is_off(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_DISK);
	w.cfg.opt_out_enabled = 0;
	t_world_open(&w);
	assert_int_equal(rco_engine_opt_out_enabled(w.engine), 0);
	s = call_with_switch(&w, "call", RCO_OPT_OUT_INHERIT);
	assert_not_available(&w, s, "call");
	/* nor is a request kept for a call that is not known */
	assert_int_equal(rco_engine_opt_out(w.engine, "unborn", NULL, NULL), RCO_E_NOT_AVAILABLE);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "call", "caller", 1, 20));
	s = call_with_switch(&w, "unborn", RCO_OPT_OUT_INHERIT);
	assert_int_equal(t_state(s), RCO_STATE_RECORDING);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_session_overrides(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.opt_out_enabled = 0;
	t_world_open(&w);
	s = call_with_switch(&w, "on", RCO_OPT_OUT_ENABLED);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	rco_session_free(s);
	s = call_with_switch(&w, "on-by-id", RCO_OPT_OUT_ENABLED);
	assert_int_equal(rco_engine_opt_out(w.engine, "on-by-id", NULL, NULL), RCO_OK);
	rco_session_free(s);
	assert_int_equal(rco_engine_set_opt_out_enabled(w.engine, 1), RCO_OK);
	s = call_with_switch(&w, "off", RCO_OPT_OUT_DISABLED);
	assert_not_available(&w, s, "off");
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_engine_switch(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.opt_out_enabled = 0;
	t_world_open(&w);
	s = call_with_switch(&w, "call", RCO_OPT_OUT_INHERIT);
	assert_not_available(&w, s, "call");
	assert_int_equal(rco_engine_set_opt_out_enabled(w.engine, 1), RCO_OK);
	assert_int_equal(rco_engine_opt_out_enabled(w.engine), 1);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	/* off again: what was asked stands, and asking again finds it so */
	assert_int_equal(rco_engine_set_opt_out_enabled(w.engine, 0), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_world_destroy(&w);
}

/* Declining when asked for consent is not an opt-out that has to be offered: it always counts. */
static void test_declined_consent_needs_no_switch(void **state)
{
	rco_session_options o = {
		.struct_size = (uint32_t)sizeof o, .call_id = "ask", .consent = RCO_CONSENT_ASK_FIRST};
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.opt_out_enabled = 0;
	t_world_open(&w);
	s = t_call_with(&w, &o);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 0), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_default_is_off),
		cmocka_unit_test(test_session_overrides),
		cmocka_unit_test(test_engine_switch),
		cmocka_unit_test(test_declined_consent_needs_no_switch),
	};

	return cmocka_run_group_tests_name("P9 off by default", tests, NULL, NULL);
}
