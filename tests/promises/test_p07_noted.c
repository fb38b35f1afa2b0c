/* SPDX-License-Identifier: MIT */
/*
 * P7 truth, of calls that are not known: a wish for one is noted, and nothing is said of its recording, for
 * nothing is known of it. The same where a crash took what was known.
 */
#include "../support.h"

#include <recoptout/agent.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void open_world(t_world *w, uint32_t flags)
{
	t_world_init(w, flags);
	t_world_open(w);
}

/* Nothing in the receipt speaks of a recording, and the sentence claims nothing in any language. */
static void assert_noted(rco_receipt *r)
{
	char json[RCO_RECEIPT_JSON_MAX], said[1024];
	size_t len = 0;
	uint32_t i;

	assert_non_null(r);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_NOTED);
	assert_int_equal(rco_receipt_facts(r), RCO_FACT_DURABLE | RCO_FACT_EARLY);
	assert_int_equal(rco_receipt_time_us(r, RCO_TIME_STOPPED), 0);
	assert_int_equal(rco_receipt_to_json(r, json, sizeof json, &len), RCO_OK);
	assert_non_null(strstr(json, "\"status\":\"noted\""));
	assert_non_null(strstr(json, "\"recording\":null"));
	assert_null(strstr(json, "stopped"));
	assert_int_equal(rco_sentence_for(RCO_OK, rco_receipt_status(r)), RCO_SAY_NOTED);
	for (i = 0; rco_language_at(i) != NULL; i++) {
		assert_int_equal(
			rco_sentence_get(NULL, rco_language_at(i), RCO_SAY_NOTED, NULL, said, sizeof said, NULL),
			RCO_OK);
		assert_int_equal(rco_claims(NULL, said, strlen(said)), 0);
	}
}

static void note(t_world *w, const char *call_id, char receipt_id[RCO_ID_TEXT + 1])
{
	rco_receipt *r = NULL;

	assert_int_equal(rco_engine_opt_out(w->engine, call_id, NULL, &r), RCO_OK);
	assert_noted(r);
	(void)snprintf(receipt_id, RCO_ID_TEXT + 1, "%s", rco_receipt_id(r));
	rco_receipt_free(r);
	assert_int_equal(rco_engine_receipt(w->engine, call_id, &r), RCO_OK);
	assert_noted(r);
	assert_string_equal(rco_receipt_id(r), receipt_id);
	rco_receipt_free(r);
}

/* A mistyped id, a value that nobody filled in, a platform's own id, while the call that was meant is recorded. */
static void test_ids_of_no_call(void **state)
{
	static const char *const ids[] = {"a84b4c76e66711",     "undefined",  "{{call_id}}", "null",
	                                  "CA0123456789abcdef", "${CALL_ID}", " ",           "0"};
	char id[RCO_ID_TEXT + 1];
	rco_receipt *r = NULL;
	rco_session *s;
	t_world w;
	size_t i;

	(void)state;
	open_world(&w, 0);
	s = t_call(&w, "a84b4c76e66710");
	t_push(s, 0, 3, 0, 20);
	for (i = 0; i < sizeof ids / sizeof ids[0]; i++) {
		assert_int_equal(rco_engine_receipt(w.engine, ids[i], &r), RCO_E_NOT_FOUND);
		note(&w, ids[i], id);
	}
	t_push(s, 0, 3, 20, 20); /* it goes on */
	assert_int_equal(t_status(&w, "a84b4c76e66710"), 0);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(&w, "a84b4c76e66710", RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(&w, "a84b4c76e66710", "caller", 3, 40));
	t_world_destroy(&w);
}

/* The agent is told so, in the platform's own shape, and the handler can tell it from a known call. */
static void test_a_tool_call(void **state)
{
	static const char message[] =
		"{\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"" RCO_TOOL_NAME "\",\"input\":{}}";
	rco_tool_request q = {.struct_size = (uint32_t)sizeof q,
	                      .json = message,
	                      .json_bytes = sizeof message - 1,
	                      .wait_ms = 60000, /* there is nothing to wait for */
	                      .call_id = "undefined"};
	rco_tool_answer *a = NULL;
	char said[1024];
	t_world w;

	(void)state;
	open_world(&w, 0);
	assert_int_equal(rco_tool_call(w.engine, &q, &a), RCO_OK);
	assert_non_null(strstr(rco_tool_answer_json(a, NULL), "\\\"status\\\":\\\"noted\\\""));
	assert_int_equal(rco_sentence_get(NULL, "en", RCO_SAY_NOTED, NULL, said, sizeof said, NULL), RCO_OK);
	assert_string_equal(rco_tool_answer_sentence(a), said);
	rco_tool_answer_free(a);
	t_world_destroy(&w);
}

static void store(t_world *w, const char *id)
{
	rco_session *s = t_call(w, id);

	t_push(s, 0, 5, 0, 20);
	assert_int_equal(rco_session_end(s), RCO_OK);
	rco_session_free(s);
	t_await(w, id, RCO_EVENT_STORED, 1);
	t_advance(w, 1000);
}

/* A call that was stored and is forgotten: its file lies there. */
static void test_stored_and_forgotten(void **state)
{
	char id[RCO_ID_TEXT + 1];
	t_world w;

	(void)state;
	open_world(&w, T_SPOOL | T_DISK);
	store(&w, "kept");
	assert_int_equal(rco_engine_opt_out(w.engine, "kept", NULL, NULL), RCO_E_ENDED);
	t_advance(&w, (int64_t)3700 * 1000);
	note(&w, "kept", id);
	t_advance(&w, 120000);
	assert_int_equal(t_store_count(&w, ".wav"), 1);
	t_world_destroy(&w);
}

static void test_stored_before_a_restart(void **state)
{
	char id[RCO_ID_TEXT + 1];
	t_world w;

	(void)state;
	open_world(&w, T_SPOOL | T_DISK);
	store(&w, "kept");
	t_world_close(&w);
	t_world_open(&w);
	note(&w, "kept", id);
	t_advance(&w, 120000);
	assert_int_equal(t_store_count(&w, ".wav"), 1);
	t_world_destroy(&w);
}

/* As long as the disk has not confirmed the wish it is not even noted; and nothing has been stopped. */
static void test_not_yet_on_disk(void **state)
{
	static t_fs fs;
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .flags = RCO_OPT_OUT_NONBLOCK};
	rco_receipt *r = NULL;
	t_world w;

	(void)state;
	t_world_init(&w, 0);
	t_fs_init(&fs, "/ledger/");
	w.fs = &fs;
	t_world_open(&w);
	assert_int_equal(rco_engine_opt_out(w.engine, "soon", &o, &r), RCO_PENDING);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_REQUESTED);
	assert_int_equal(rco_receipt_facts(r), RCO_FACT_EARLY);
	rco_receipt_free(r);
	atomic_store(&fs.fail, RCO_E_IO);
	assert_int_equal(rco_engine_opt_out(w.engine, "later", NULL, &r), RCO_PENDING);
	assert_int_equal(rco_receipt_code(r), RCO_E_NOT_DURABLE);
	assert_int_equal(rco_receipt_status(r), RCO_STATUS_REQUESTED);
	rco_receipt_free(r);
	atomic_store(&fs.fail, 0);
	t_advance(&w, 2000);
	assert_int_equal(t_status(&w, "soon"), RCO_STATUS_NOTED);
	assert_int_equal(t_status(&w, "later"), RCO_STATUS_NOTED);
	t_world_destroy(&w);
}

/* When the call comes the receipt is its own, and the status what is true of it: nothing of it was ever recorded.
 */
static void test_the_call_comes(void **state)
{
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "later"};
	char id[RCO_ID_TEXT + 1];
	rco_receipt *r = NULL;
	rco_session *s = NULL;
	t_world w;
	int k;

	(void)state;
	for (k = 0; k < 2; k++) {
		open_world(&w, T_SPOOL | T_DISK);
		note(&w, "later", id);
		if (k == 1) {
			t_world_close(&w);
			t_world_open(&w);
		}
		assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
		t_settle(&w);
		assert_int_equal(rco_session_receipt(s, &r), RCO_OK);
		assert_string_equal(rco_receipt_id(r), id);
		assert_int_equal(rco_receipt_status(r), RCO_STATUS_NOT_RECORDING);
		assert_true((rco_receipt_facts(r) & RCO_FACT_STOPPED) != 0);
		assert_true(rco_receipt_time_us(r, RCO_TIME_STOPPED) >=
		            rco_receipt_time_us(r, RCO_TIME_REQUESTED));
		rco_receipt_free(r);
		rco_session_free(s);
		t_world_destroy(&w);
	}
}

/* ---- recorders of a process that died ---- */

static void record_and_die(void *arg)
{
	t_world *w = arg;
	rco_session *s;

	t_world_open(w);
	assert_int_equal(rco_session_start(t_hosted(w, "running")), RCO_OK);
	s = t_hosted(w, "stopped");
	assert_int_equal(rco_session_start(s), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	(void)t_hosted(w, "idle");
	t_settle(w);
	t_advance(w, 300); /* the journal is written */
	(void)kill(getpid(), SIGKILL);
}

static uint32_t ask(t_world *w, const char *id, uint32_t *facts)
{
	rco_receipt *r = NULL;
	uint32_t status;
	int rc = rco_engine_opt_out(w->engine, id, NULL, &r);

	status = rco_receipt_status(r);
	assert_int_equal(rc, status == RCO_STATUS_REQUESTED ? RCO_PENDING : RCO_OK);
	assert_int_equal(rco_receipt_code(r), rc == RCO_PENDING ? RCO_E_CALLBACK : RCO_OK);
	*facts = rco_receipt_facts(r);
	rco_receipt_free(r);
	return status;
}

/* In the window that starts again after the crash: the host's recorder may run on, and nobody knows. */
static void test_recorders_of_a_dead_process(void **state)
{
	uint32_t facts;
	t_world w;

	(void)state;
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	assert_int_equal(t_reap(t_spawn(record_and_die, &w)), -SIGKILL);
	t_world_open(&w);
	assert_int_equal(ask(&w, "running", &facts), RCO_STATUS_REQUESTED);
	assert_int_equal(facts & (RCO_FACT_STOPPED | RCO_FACT_RECORDED), RCO_FACT_RECORDED);
	assert_int_not_equal(ask(&w, "stopped", &facts), RCO_STATUS_NOT_RECORDING);
	assert_int_equal(facts & (RCO_FACT_STOPPED | RCO_FACT_RECORDED), RCO_FACT_STOPPED | RCO_FACT_RECORDED);
	assert_int_equal(ask(&w, "idle", &facts), RCO_STATUS_NOT_RECORDING);
	t_advance(&w, 120000);
	assert_int_equal(t_status(&w, "running"), RCO_STATUS_REQUESTED);
	assert_int_equal(t_status(&w, "stopped"), RCO_STATUS_STOPPED); /* its files were never registered */
	t_world_destroy(&w);
}

/* A start that raised gave no clear answer: it may be recording, and its stop is asked for. */
static void test_a_start_that_raised(void **state)
{
	uint32_t facts;
	rco_session *s;
	t_world w;

	(void)state;
	open_world(&w, 0);
	t_recorder_forget();
	t_recorder.rc[RCO_RECORDER_START] = RCO_E_CALLBACK;
	t_recorder.confirms[RCO_RECORDER_START] = RCO_CONFIRM_UNKNOWN;
	s = t_hosted(&w, "raised");
	assert_int_equal(rco_session_start(s), RCO_E_CALLBACK);
	assert_int_not_equal(ask(&w, "raised", &facts), RCO_STATUS_NOT_RECORDING);
	assert_int_equal(facts & (RCO_FACT_STOPPED | RCO_FACT_RECORDED), RCO_FACT_STOPPED | RCO_FACT_RECORDED);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_ids_of_no_call),
		cmocka_unit_test(test_a_tool_call),
		cmocka_unit_test(test_stored_and_forgotten),
		cmocka_unit_test(test_stored_before_a_restart),
		cmocka_unit_test(test_not_yet_on_disk),
		cmocka_unit_test(test_the_call_comes),
		cmocka_unit_test(test_recorders_of_a_dead_process),
		cmocka_unit_test(test_a_start_that_raised),
	};

	return cmocka_run_group_tests_name("P7 truth, of calls not known", tests, NULL, NULL);
}
