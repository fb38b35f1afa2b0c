/* SPDX-License-Identifier: MIT */
/* What libraries on top of the first one use of it (recoptout.h, "For libraries on top of this one"). */
#include "../support.h"

#include <recoptout/agent.h>
#include <recoptout/storage.h>

#include <stdio.h>
#include <stdlib.h>

static t_world w;

static rco_session *hosted(const char *id)
{
	rco_session *s;

	t_recorder_forget();
	s = t_hosted(&w, id);
	assert_int_equal(rco_session_start(s), RCO_OK);
	return s;
}

static int ask(const char *id, uint32_t flags)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = flags};

	return t_opt_out_call(w.engine, id, &o);
}

/* Each part by itself: the stop asks the recorder and no disk, the record waits for the disk and asks nobody. */
static void test_an_opt_out_in_its_parts(void **state)
{
	rco_session *s;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = hosted("hosted");
	assert_int_equal(rco_engine_recorder_running(w.engine, "hosted"), 1);
	assert_int_equal(rco_engine_stop_recorder(w.engine, "hosted"), RCO_E_STATE); /* nobody objected */
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 0);
	assert_int_equal(ask("hosted", RCO_OPT_OUT_NONBLOCK), RCO_PENDING);
	t_recorder.confirms[RCO_RECORDER_STOP] = RCO_CONFIRM_UNKNOWN;
	assert_int_equal(rco_engine_stop_recorder(w.engine, "hosted"), RCO_E_CALLBACK);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 1);
	assert_int_equal(ask("hosted", RCO_OPT_OUT_RECORDER_ASKED), RCO_E_CALLBACK);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 1);
	assert_int_equal(t_status(&w, "hosted"), RCO_STATUS_REQUESTED);
	t_recorder.confirms[RCO_RECORDER_STOP] = RCO_CONFIRM_DONE;
	assert_int_equal(rco_engine_recorder_running(w.engine, "hosted"), 1);
	assert_int_equal(rco_engine_stop_recorder(w.engine, "hosted"), RCO_OK);
	assert_int_equal(rco_engine_recorder_running(w.engine, "hosted"), 0);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 2);
	assert_int_equal(ask("hosted", RCO_OPT_OUT_RECORDER_ASKED), RCO_OK);
	assert_int_equal(ask("hosted", 0), RCO_OK);
	assert_int_equal(t_recorder.calls[RCO_RECORDER_STOP], 2);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* One that answers later has not failed, and nobody is told that it has. */
static void test_a_recorder_that_answers_later(void **state)
{
	rco_session *s;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = hosted("later");
	assert_int_equal(ask("later", RCO_OPT_OUT_NONBLOCK), RCO_PENDING);
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_PENDING;
	assert_int_equal(rco_engine_stop_recorder(w.engine, "later"), RCO_PENDING);
	assert_int_equal(ask("later", RCO_OPT_OUT_RECORDER_ASKED), RCO_PENDING);
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_OK;
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_no_recorder_and_no_call(void **state)
{
	rco_session *s;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "pushed");
	assert_int_equal(rco_engine_recorder_running(w.engine, "pushed"), 0);
	assert_int_equal(rco_engine_recorder_running(w.engine, "nobody"), 0);
	assert_int_equal(rco_engine_stop_recorder(w.engine, "nobody"), RCO_OK);
	assert_int_equal(rco_engine_recorder_running(w.engine, ""), RCO_E_CALL_ID);
	assert_int_equal(rco_engine_stop_recorder(w.engine, NULL), RCO_E_INVALID);
	assert_int_equal(rco_engine_recorder_running(NULL, "pushed"), RCO_E_INVALID);
	assert_int_equal(rco_engine_stop_recorder(NULL, "pushed"), RCO_E_INVALID);
	rco_session_free(s);
	t_world_destroy(&w);
}

static int remember(const char *call, const char *id, uint32_t kind)
{
	return rco_engine_remember_answer(w.engine, call, id, strlen(id), kind);
}

/* One kind of message gets the answer, as often as it comes; what it is an answer to is call and id, and no mix.
 */
static void test_answers_that_are_remembered(void **state)
{
	char id[32];
	int i;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	assert_int_equal(remember("call", "1", 7), 0);
	assert_int_equal(remember("call", "1", 7), 0);
	assert_int_equal(remember("call", "1", UINT32_MAX), 1);
	assert_int_equal(remember("cal", "l1", 8), 0);
	assert_int_equal(remember("call1", "", 9), 0);
	assert_int_equal(rco_engine_forget_answer(w.engine, "call", "1", 1), RCO_OK);
	assert_int_equal(rco_engine_forget_answer(w.engine, "call", "2", 1), RCO_OK);
	assert_int_equal(remember("call", "1", 8), 0);
	assert_int_equal(remember("call", "1", 7), 1);
	for (i = 0; i < RCO_ANSWERS_MAX; i++) { /* the oldest goes */
		(void)snprintf(id, sizeof id, "%d", i);
		assert_int_equal(remember("others", id, 1), 0);
	}
	assert_int_equal(remember("call", "1", 7), 0);
	assert_int_equal(rco_engine_remember_answer(w.engine, NULL, "1", 1, 1), RCO_E_INVALID);
	assert_int_equal(rco_engine_remember_answer(w.engine, "call", NULL, 1, 1), RCO_E_INVALID);
	assert_int_equal(rco_engine_remember_answer(NULL, "call", "1", 1, 1), RCO_E_INVALID);
	assert_int_equal(rco_engine_forget_answer(w.engine, "call", NULL, 1), RCO_E_INVALID);
	t_world_destroy(&w);
}

static void test_a_claim_that_is_told(void **state)
{
	rco_session *s;

	(void)state;
	t_world_init(&w, 0);
	t_world_open(&w);
	s = t_call(&w, "call");
	assert_int_equal(rco_session_report_claim(s, RCO_CLAIM_ERASED, "it said so"), RCO_OK);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_AGENT_CLAIM), 1);
	assert_int_equal(rco_session_report_claim(s, RCO_CLAIM_STOPPED, NULL), RCO_OK);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_AGENT_CLAIM), 2);
	assert_int_equal(rco_session_report_claim(NULL, 1, ""), RCO_E_INVALID);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_a_detail_of_others(void **state)
{
	char text[2048];

	(void)state;
	assert_int_equal(rco_error_set_detail(RCO_E_IO, "the store said no"), RCO_E_IO);
	assert_string_equal(rco_error_detail(), "the store said no");
	assert_int_equal(rco_error_set_detail(-1000, rco_error_detail() + 4),
	                 -1000); /* a part of what is replaced */
	assert_string_equal(rco_error_detail(), "store said no");
	memset(text, 'x', sizeof text - 1);
	text[sizeof text - 1] = '\0';
	(void)rco_error_set_detail(RCO_E_IO, text);
	assert_int_equal(strlen(rco_error_detail()), 511);
	(void)rco_error_set_detail(RCO_OK, NULL);
	assert_string_equal(rco_error_detail(), "");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_opt_out_in_its_parts),
		cmocka_unit_test(test_a_recorder_that_answers_later),
		cmocka_unit_test(test_no_recorder_and_no_call),
		cmocka_unit_test(test_answers_that_are_remembered),
		cmocka_unit_test(test_a_claim_that_is_told),
		cmocka_unit_test(test_a_detail_of_others),
	};

	return cmocka_run_group_tests_name("for libraries on top", tests, NULL, NULL);
}
