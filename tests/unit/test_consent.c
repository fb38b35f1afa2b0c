/* SPDX-License-Identifier: MIT */
/* Consent policies: implied, ask first, off; of the engine and of the session. */
#include "../support.h"

static rco_session *create(t_world *w, const char *id, uint32_t consent)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = id, .consent = consent};

	return t_call_with(w, &o);
}

static void test_ask_first_granted(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = create(&w, "start-then-grant", RCO_CONSENT_ASK_FIRST);
	assert_int_equal(rco_session_start(s), RCO_OK); /* remembered */
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_NO_CONSENT);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_OK);
	t_push(s, 0, 1, 0, 10);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "start-then-grant", RCO_EVENT_CONSENT), 1);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "start-then-grant", RCO_EVENT_CALL_RECORD, 1);
	assert_true(t_store_has_noise(&w, "start-then-grant", "caller", 1, 10)); /* and nothing from before */

	s = create(&w, "grant-then-start", RCO_CONSENT_ASK_FIRST);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_NOT_STARTED);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_OK);
	/* later the caller objects all the same */
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_declined_is_an_opt_out(void **state)
{
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = create(&w, "declined", RCO_CONSENT_ASK_FIRST);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 0), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_E_OPTED_OUT);
	assert_int_equal(rco_session_receipt(s, &r), RCO_OK);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_NOT_RECORDING);
	rco_receipt_free(r);
	rco_session_free(s);

	/* with implied consent and audio already there: it is erased */
	s = create(&w, "withdrawn", RCO_CONSENT_IMPLIED);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, 0, 1, 0, 20);
	t_advance(&w, 300);
	assert_int_equal(rco_session_set_consent(s, 0), RCO_OK);
	t_await(&w, "withdrawn", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_never_answered(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = create(&w, "silent", RCO_CONSENT_ASK_FIRST);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_NO_CONSENT);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_E_ENDED);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_ENDED);
	rco_session_free(s);
	t_await(&w, "silent", RCO_EVENT_CALL_RECORD, 1);
	t_advance(&w, 20000);
	assert_int_equal(t_store_audio(&w), 0);
	assert_int_equal(t_fault_calls(&w.fault, T_APPEND), 0);
	t_world_destroy(&w);
}

static void test_off(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = create(&w, "off", RCO_CONSENT_OFF);
	assert_int_equal(rco_session_start(s), RCO_E_NO_CONSENT);
	assert_true(t_push_one(s, 0, 1) == RCO_E_NO_CONSENT || t_push_one(s, 0, 1) == RCO_E_NOT_STARTED);
	(void)rco_session_set_consent(s, 1); /* even if: a call that is never recorded stays so */
	assert_true(rco_session_start(s) < 0);
	assert_true(t_push_one(s, 0, 1) < 0);
	rco_session_free(s);
	t_advance(&w, 20000);
	assert_int_equal(t_store_audio(&w), 0);
	t_world_destroy(&w);
}

static void test_policy_of_the_engine(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	w.cfg.consent = RCO_CONSENT_ASK_FIRST;
	t_world_open(&w);
	s = create(&w, "as-engine", RCO_CONSENT_DEFAULT);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_E_NO_CONSENT);
	rco_session_free(s);
	s = create(&w, "own", RCO_CONSENT_IMPLIED);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_OK);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_consent_twice_and_late(void **state)
{
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	/* granted before the start, and again: told once */
	s = create(&w, "twice", RCO_CONSENT_ASK_FIRST);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_OK);
	assert_int_equal(t_push_one(s, 0, 1), RCO_OK);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "twice", RCO_EVENT_CONSENT), 1);
	assert_int_equal(t_events_count(&w.events, "twice", RCO_EVENT_STARTED), 1);
	/* declined twice is declined; a grant then comes too late */
	assert_int_equal(rco_session_set_consent(s, 0), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 0), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_E_OPTED_OUT);
	rco_session_free(s);
	/* after the end a grant starts nothing; a refusal still counts, within the window, and not after it */
	s = create(&w, "late", RCO_CONSENT_ASK_FIRST);
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_E_ENDED);
	assert_int_equal(rco_session_set_consent(s, 0), RCO_OK);
	rco_session_free(s);
	s = t_call(&w, "over");
	t_push(s, 0, 1, 0, 5);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "over", RCO_EVENT_STORED, 1);
	assert_int_equal(rco_session_set_consent(s, 0), RCO_E_ENDED);
	assert_int_equal(rco_session_set_consent(s, 1), RCO_E_ENDED);
	assert_int_equal(t_state(s), RCO_STATE_STORED);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ask_first_granted),    cmocka_unit_test(test_declined_is_an_opt_out),
		cmocka_unit_test(test_never_answered),       cmocka_unit_test(test_off),
		cmocka_unit_test(test_policy_of_the_engine), cmocka_unit_test(test_consent_twice_and_late),
	};

	return cmocka_run_group_tests_name("consent", tests, NULL, NULL);
}
