/* SPDX-License-Identifier: MIT */
/* What a process takes up first of what an earlier one left, what it leaves alone, and what it believes. */
#include "../support.h"

static t_world w;
static uint64_t begun_before; /* files, when the erasure is told */

static void on_event(const rco_event *event, void *user_data)
{
	(void)user_data;
	if (event->type == RCO_EVENT_ERASED)
		begun_before = t_fault_audio_calls(&w.fault, T_BEGIN);
}

static rco_session *record(const char *id, uint64_t seed)
{
	rco_session *s = t_call(&w, id);

	t_push(s, 0, seed, 0, 30);
	t_settle(&w);
	return s;
}

static void test_erasures_are_first(void **state)
{
	rco_session *before, *out, *after;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	before = record("before", 1);
	out = record("out", 2);
	after = record("after", 3);
	assert_int_equal(rco_opt_out(out, NULL, NULL), RCO_OK);
	t_world_close(&w);
	rco_session_free(before);
	rco_session_free(out);
	rco_session_free(after);
	assert_int_equal(t_events_count(&w.events, "out", RCO_EVENT_ERASED), 0);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_BEGIN), 0);

	begun_before = 99;
	w.events.hook = on_event;
	t_world_open(&w);
	t_await(&w, "out", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(begun_before, 0);
	t_await(&w, "before", RCO_EVENT_STORED, 1);
	t_await(&w, "after", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "before", "caller", 1, 30));
	assert_true(t_store_has_noise(&w, "after", "caller", 3, 30));
	t_world_destroy(&w);
}

/* A call of which nothing was left to do is not taken up. */
static void test_what_is_closed_stays_closed(void **state)
{
	rco_session *s;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = t_call(&w, "empty");
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_await(&w, "empty", RCO_EVENT_CALL_RECORD, 1);
	t_advance(&w, 60000);
	rco_session_free(s);
	t_world_close(&w);
	t_world_open(&w);
	t_advance(&w, 60000);
	assert_int_equal(t_events_count(&w.events, "empty", RCO_EVENT_RECOVERED), 0);
	t_world_destroy(&w);
}

/* That it was erased is for the backends to say again, whatever the ledger remembers. */
static void test_erased_is_not_believed(void **state)
{
	rco_session *s;
	uint32_t status;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK);
	t_world_open(&w);
	s = record("call", 1);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_settle(&w);
	assert_true(t_fault_audio_calls(&w.fault, T_PUT) > 0);
	t_fault_set(&w.fault, T_ABORT, T_FAIL, 0, RCO_E_IO);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	rco_session_free(s);
	t_world_close(&w); /* after which the store behaves */
	t_fault_set(&w.fault, T_ABORT, T_FAIL, 0, RCO_E_IO);
	t_world_open(&w);
	t_advance(&w, 1000);
	status = t_status(&w, "call");
	assert_true(status == RCO_STATUS_DURABLE || status == RCO_STATUS_RETRYING);
	t_fault_set(&w.fault, T_ABORT, T_PASS, 0, 0);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_erasures_are_first),
		cmocka_unit_test(test_what_is_closed_stays_closed),
		cmocka_unit_test(test_erased_is_not_believed),
	};

	return cmocka_run_group_tests_name("recovery order", tests, NULL, NULL);
}
