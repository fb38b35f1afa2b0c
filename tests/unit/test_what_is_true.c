/* SPDX-License-Identifier: MIT */
/*
 * Host-recorded calls and failing disks: a receipt says no more than is known, stands through a crash, and what
 * nobody can finish is told to somebody.
 */
#include "../support.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static t_world w;
static t_fs fs;

static rco_session *recorded_by_host(const char *call_id)
{
	rco_session *s = t_hosted(&w, call_id);

	assert_int_equal(rco_session_start(s), RCO_OK);
	return s;
}

static char said[64][640]; /* the last message of each type of event */

static void hear(const rco_event *event, void *user_data)
{
	(void)user_data;
	if (event->type < 64)
		(void)snprintf(said[event->type], sizeof said[0], "%s", event->message);
}

static void begin(uint32_t deadline_ms)
{
	t_recorder_forget();
	t_world_init(&w, T_SPOOL | T_DISK | T_SHARED);
	w.events.hook = hear;
	w.cfg.erase_deadline_ms = deadline_ms;
}

static uint32_t facts_of(const char *call_id)
{
	rco_receipt *r = NULL;
	uint32_t facts;

	assert_int_equal(rco_engine_receipt(w.engine, call_id, &r), RCO_OK);
	facts = rco_receipt_facts(r);
	rco_receipt_free(r);
	return facts;
}

static int count(const rco_pending *pending, void *user_data)
{
	(void)pending;
	++*(int *)user_data;
	return 0;
}

static int n_pending(void)
{
	int n = 0;

	assert_int_equal(rco_engine_each_pending(w.engine, count, &n), RCO_OK);
	return n;
}

static uint64_t n_escalated(void)
{
	rco_engine_stats st = {.struct_size = (uint32_t)sizeof st};

	assert_int_equal(rco_engine_get_stats(w.engine, &st), RCO_OK);
	return st.erasures_escalated;
}

/* ---- nothing is registered ---- */

static void unregistered(uint32_t kind_besides)
{
	rco_session *s;
	char path[256];

	begin(300000);
	w.cfg.erase_kinds = RCO_KIND_AUDIO | RCO_KIND_TRANSCRIPT;
	t_world_open(&w);
	s = recorded_by_host("call");
	t_join(path, sizeof path, w.artifacts, "words.txt");
	t_write_file(path, "words", 5);
	if (kind_besides != 0)
		assert_int_equal(rco_session_register_artifact(s, kind_besides, path, NULL), RCO_OK);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 100000);
	t_advance(&w, 100000); /* the second look is over */
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_STOPPED);
	assert_int_equal(facts_of("call") & (RCO_FACT_UNREGISTERED | RCO_FACT_DURABLE | RCO_FACT_ERASED),
	                 RCO_FACT_UNREGISTERED | RCO_FACT_DURABLE);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASED), 0);
	assert_int_equal(rco_engine_wait_idle(w.engine, 1000), RCO_OK); /* there is nothing to be done */
	assert_int_equal(n_pending(), 1);
	if (kind_besides != 0)
		assert_false(t_exists(path));
	rco_session_free(s);
	t_world_close(&w);
	t_world_open(&w);
	t_advance(&w, 400000);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ESCALATED), 1);
	assert_non_null(strstr(said[RCO_EVENT_ESCALATED], "registered"));
	t_advance(&w, 400000);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ESCALATED), 1);
	t_world_close(&w);
	t_world_open(&w);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_STOPPED); /* the record is closed */
	t_join(path, sizeof path, w.artifacts, "call.wav");
	t_write_file(path, "audio", 5);
	assert_int_equal(rco_engine_register_artifact(w.engine, "call", RCO_KIND_AUDIO, path, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_false(t_exists(path));
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	t_world_destroy(&w);
}

static void test_nothing_is_registered(void **state)
{
	(void)state;
	unregistered(0);
}

static void test_only_a_transcript_is_registered(void **state)
{
	(void)state;
	unregistered(RCO_KIND_TRANSCRIPT);
}

/* ---- the ledger's disk is full ---- */

typedef struct first {
	char id[RCO_ID_TEXT + 1], source[RCO_LABEL_MAX + 1];
	int64_t requested_us, stopped_us;
} first;

static void what_is_said(const char *call_id, first *out)
{
	rco_receipt *r = NULL;

	memset(out, 0, sizeof *out);
	assert_int_equal(rco_engine_receipt(w.engine, call_id, &r), RCO_OK);
	(void)snprintf(out->id, sizeof out->id, "%s", rco_receipt_id(r));
	(void)snprintf(out->source, sizeof out->source, "%s", rco_receipt_source(r));
	out->requested_us = rco_receipt_time_us(r, RCO_TIME_REQUESTED);
	out->stopped_us = rco_receipt_time_us(r, RCO_TIME_STOPPED);
	rco_receipt_free(r);
}

static void full_ledger(void)
{
	t_fs_init(&fs, "/ledger/");
	w.fs = &fs;
	t_world_open(&w);
	fs.fail = RCO_E_NO_SPACE;
}

static void object_and_die(void *arg)
{
	rco_opt_out_options o = {.struct_size = (uint32_t)sizeof o, .source = "agent-tool"};
	rco_session *s;
	char path[256];
	first told;

	full_ledger();
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 10);
	if (arg != NULL)
		assert_int_equal(rco_session_end(s), RCO_OK);
	t_clock_advance(&w.clock, 1000);
	assert_int_equal(t_opt_out(s, &o), RCO_E_NOT_DURABLE);
	what_is_said("call", &told);
	t_join(path, sizeof path, w.root, "said");
	t_write_file(path, &told, sizeof told);
	(void)kill(getpid(), SIGKILL);
}

/* What the caller's side was told then stands, and what the crash did is not what the caller did. */
static void receipt_stands(int after_end)
{
	char path[256];
	first now;
	uint8_t *before;
	size_t size;

	begin(300000);
	assert_int_equal(t_reap(t_spawn(object_and_die, after_end ? &w : NULL)), -SIGKILL);
	w.fs = NULL;
	t_clock_advance(&w.clock, 50000);
	t_world_open(&w);
	what_is_said("call", &now);
	t_join(path, sizeof path, w.root, "said");
	before = t_read_file(path, &size);
	assert_int_equal(size, sizeof now);
	assert_string_equal(now.id, ((first *)(void *)before)->id);
	assert_string_equal(now.source, "agent-tool");
	assert_int_equal(now.requested_us, ((first *)(void *)before)->requested_us);
	assert_int_equal(now.stopped_us, ((first *)(void *)before)->stopped_us);
	free(before);
	assert_int_equal((facts_of("call") & RCO_FACT_AFTER_END) != 0, after_end);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	t_world_destroy(&w);
}

/* Audio is pushed beside a recorder of the host's: that it is gone says nothing of the recorder's file. */
static void pushed_beside(uint32_t flags, uint32_t status)
{
	rco_recorder_ops ops = t_recorder_ops;
	rco_session_options o = {.struct_size = (uint32_t)sizeof o, .call_id = "call", .recorder = &ops};
	rco_session *s;
	uint32_t leg;

	begin(0);
	ops.flags = flags;
	t_world_open(&w);
	assert_int_equal(rco_session_create(w.engine, &o, &s), RCO_OK);
	assert_int_equal(rco_session_add_leg(s, "caller", RCO_FORMAT_PCMU_8K, &leg), RCO_OK);
	assert_int_equal(rco_session_start(s), RCO_OK);
	t_push(s, leg, 1, 0, 20);
	assert_int_equal(t_opt_out(s, NULL), RCO_OK);
	rco_session_free(s);
	t_advance(&w, 61000);
	assert_int_equal(t_status(&w, "call"), status);
	assert_int_equal((facts_of("call") & RCO_FACT_UNREGISTERED) != 0, status == RCO_STATUS_STOPPED);
	t_world_close(&w);
	t_world_open(&w);
	t_advance(&w, 61000);
	assert_int_equal(t_status(&w, "call"), status);
	t_world_close(&w);
	t_world_destroy(&w);
}

static void test_pushed_beside_a_recorder(void **state)
{
	(void)state;
	pushed_beside(0, RCO_STATUS_STOPPED);
	pushed_beside(RCO_RECORDER_PUSHES, RCO_STATUS_VERIFIED);
}

static void test_a_receipt_stands(void **state)
{
	(void)state;
	receipt_stands(0);
	receipt_stands(1);
}

static void test_not_on_disk_at_the_deadline(void **state)
{
	rco_session *s;

	(void)state;
	begin(60000);
	full_ledger();
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(t_opt_out(s, NULL), RCO_E_NOT_DURABLE);
	t_advance(&w, 30000);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ESCALATED), 0);
	t_advance(&w, 31000);
	t_advance(&w, 100000);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ESCALATED), 1);
	assert_int_equal(n_escalated(), 1);
	assert_non_null(strstr(said[RCO_EVENT_NOT_DURABLE], "ledger"));
	fs.fail = 0;
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(n_escalated(), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- a recorder that died with its process ---- */

static void record_and_die(void *arg)
{
	(void)arg;
	t_world_open(&w);
	(void)recorded_by_host("call");
	t_advance(&w, 300); /* the journal is written */
	(void)kill(getpid(), SIGKILL);
}

static void test_a_recorder_that_died(void **state)
{
	rco_opt_out_options later = {.struct_size = (uint32_t)sizeof later, .flags = RCO_OPT_OUT_NONBLOCK};
	char path[256];

	(void)state;
	begin(60000);
	assert_int_equal(t_reap(t_spawn(record_and_die, NULL)), -SIGKILL);
	t_world_open(&w);
	assert_int_equal(t_opt_out_call(w.engine, "call", NULL), RCO_E_CALLBACK);
	assert_int_equal(t_opt_out_call(w.engine, "call", NULL), RCO_E_CALLBACK);
	assert_int_equal(t_opt_out_call(w.engine, "call", &later), RCO_E_CALLBACK);
	t_settle(&w);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_STOP_FAILED), 1);
	t_join(path, sizeof path, w.artifacts, "call.wav");
	t_write_file(path, "audio", 5);
	assert_int_equal(rco_engine_register_artifact(w.engine, "call", RCO_KIND_AUDIO, path, NULL), RCO_OK);
	t_advance(&w, 61000);
	assert_false(t_exists(path));
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_REQUESTED);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ESCALATED), 1);
	assert_int_equal(n_escalated(), 1);
	t_advance(&w, 10000000); /* longer than an ended call is remembered */
	t_world_close(&w);
	t_world_open(&w);
	t_advance(&w, 10000000);
	assert_int_equal(n_pending(), 1);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ESCALATED), 1);
	assert_int_equal(rco_engine_recorder_stopped(w.engine, "nobody"), RCO_E_NOT_FOUND);
	assert_int_equal(rco_engine_recorder_stopped(w.engine, "call"), RCO_OK);
	assert_int_equal(rco_engine_recorder_stopped(w.engine, "call"), RCO_E_STATE);
	t_await(&w, "call", RCO_EVENT_STOPPED, 1);
	t_advance(&w, 120000);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	assert_int_equal(n_pending(), 0);
	t_world_close(&w);
	t_world_open(&w);
	assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
	t_world_destroy(&w);
}

/* ---- a recorder that answers later ---- */

static void test_a_stop_that_is_answered_later(void **state)
{
	rco_session *s;
	t_event e;
	char path[256];

	(void)state;
	begin(300000);
	t_world_open(&w);
	s = recorded_by_host("call");
	t_join(path, sizeof path, w.artifacts, "call.wav");
	t_write_file(path, "audio", 5);
	assert_int_equal(rco_session_register_artifact(s, RCO_KIND_AUDIO, path, NULL), RCO_OK);
	t_recorder.rc[RCO_RECORDER_STOP] = RCO_PENDING;
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_PENDING);
	t_advance(&w, 5000);
	t_advance(&w, 5000);
	assert_true(t_exists(path));
	assert_int_equal(
		rco_op_complete(w.engine, t_recorder.op[RCO_RECORDER_STOP], RCO_OK,
	                        &(rco_result){.struct_size = sizeof(rco_result), .confirmed = RCO_CONFIRM_DONE}),
		RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASE_RETRY), 0);
	assert_true(t_events_last(&w.events, "call", RCO_EVENT_STOPPED, &e));
	assert_int_equal(e.status, RCO_STATUS_DURABLE);
	assert_string_equal(rco_error_name(RCO_PENDING), "RCO_PENDING");
	rco_session_free(s);
	t_world_destroy(&w);
}

/* ---- an output folder that cannot be written ---- */

static void test_the_output_folder_cannot_be_written(void **state)
{
	rco_session *s;

	(void)state;
	begin(300000);
	w.cfg.upload = NULL;
	w.cfg.deletion = NULL;
	w.cfg.output_dir = w.out;
	t_fs_init(&fs, w.out);
	w.fs = &fs;
	fs.fail = RCO_E_PERMISSION;
	t_world_open(&w);
	t_settle(&w);
	assert_true(t_events_count(&w.events, "", RCO_EVENT_UPLOAD_RETRY) > 0);
	assert_non_null(strstr(said[RCO_EVENT_UPLOAD_RETRY], "output_dir"));
	s = t_call(&w, "call");
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	rco_session_free(s);
	s = t_call(&w, "kept");
	t_push(s, 0, 1, 0, 10);
	assert_int_equal(rco_session_end(s), RCO_OK);
	t_advance(&w, 20000);
	fs.fail = 0;
	t_await(&w, "kept", RCO_EVENT_STORED, 1);
	rco_session_free(s);
	t_world_destroy(&w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_nothing_is_registered),
		cmocka_unit_test(test_only_a_transcript_is_registered),
		cmocka_unit_test(test_pushed_beside_a_recorder),
		cmocka_unit_test(test_a_receipt_stands),
		cmocka_unit_test(test_not_on_disk_at_the_deadline),
		cmocka_unit_test(test_a_recorder_that_died),
		cmocka_unit_test(test_a_stop_that_is_answered_later),
		cmocka_unit_test(test_the_output_folder_cannot_be_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
