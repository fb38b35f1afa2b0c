/* SPDX-License-Identifier: MIT */
/*
 * What has to be durable before the next step of an upload, and whose answer it is that comes when an opt-out has
 * turned the upload into an erasure.
 */
#include "../support.h"

#include <stdio.h>

static rco_session *ended_call(t_world *w, const char *id)
{
	rco_session *s = t_call(w, id);

	t_push(s, 0, 1, 0, 30);
	t_push(s, 1, 2, 0, 30);
	t_settle(w);
	assert_int_equal(rco_session_end(s), RCO_OK);
	return s;
}

static void assert_stored(t_world *w, const char *id)
{
	t_await(w, id, RCO_EVENT_STORED, 1);
	assert_true(t_store_has_noise(w, id, "caller", 1, 30));
	assert_true(t_store_has_noise(w, id, "agent", 2, 30));
}

/* While the journal's disk fails nothing is begun that the next process would not know of. */
static void test_no_begin_without_intents(void **state)
{
	rco_session *s;
	t_world w;
	t_fs fs;

	(void)state;
	t_fs_init(&fs, "/calls/");
	t_world_init(&w, 0);
	w.fs = &fs;
	t_world_open(&w);
	s = ended_call(&w, "call");
	atomic_store(&fs.sync_only, 1);
	atomic_store(&fs.fail, RCO_E_IO);
	t_advance(&w, 5000);
	assert_true(t_events_count(&w.events, "call", RCO_EVENT_UPLOAD_RETRY) > 0);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_BEGIN), 0);
	atomic_store(&fs.fail, 0);
	assert_stored(&w, "call");
	rco_session_free(s);
	t_world_destroy(&w);
}

/* Nor does a byte leave before the store's name for the upload is known to the next process. */
static void test_no_part_without_upload_ids(void **state)
{
	rco_session *s;
	t_world w;
	t_fs fs;

	(void)state;
	t_fs_init(&fs, "/calls/");
	t_world_init(&w, 0);
	w.fs = &fs;
	t_world_open(&w);
	t_fault_set(&w.fault, T_BEGIN, T_HOLD, 0, 0);
	s = ended_call(&w, "call");
	t_settle(&w);
	assert_int_equal(t_fault_held(&w.fault, T_BEGIN), 1);
	atomic_store(&fs.sync_only, 1);
	atomic_store(&fs.fail, RCO_E_IO);
	t_fault_set(&w.fault, T_BEGIN, T_PASS, 0, 0);
	assert_int_equal(t_fault_release(&w.fault, T_BEGIN), RCO_OK);
	t_advance(&w, 5000);
	assert_true(t_events_count(&w.events, "call", RCO_EVENT_UPLOAD_RETRY) > 0);
	assert_true(t_fault_audio_calls(&w.fault, T_BEGIN) > 0);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_PUT), 0);
	atomic_store(&fs.fail, 0);
	assert_stored(&w, "call");
	rco_session_free(s);
	t_world_destroy(&w);
}

/* A backend is at work for the upload: its answer, even one that says "gone", is not one to the erasure. */
static void opted_out_while(int slot)
{
	rco_session *s;
	t_world w;

	t_world_init(&w, 0);
	t_world_open(&w);
	if (slot == T_ABORT) /* of an upload in doubt, which is done away with before it is begun again */
		t_fault_set(&w.fault, T_BEGIN, T_FAIL_DONE, 1, RCO_E_IO);
	t_fault_set(&w.fault, slot, T_HOLD, 1, 0);
	s = ended_call(&w, "call");
	t_settle(&w);
	t_advance(&w, 5000);
	assert_int_equal(t_fault_held(&w.fault, slot), 1);
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	t_settle(&w);
	assert_int_equal(t_fault_calls(&w.fault, T_ERASE), 0);
	assert_int_equal(t_fault_release(&w.fault, slot), RCO_OK);
	t_await(&w, "call", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_events_count(&w.events, "call", RCO_EVENT_ERASE_RETRY), 0);
	assert_int_equal(t_fault_calls(&w.fault, T_ERASE), 1);
	assert_int_equal(rco_memory_audio_bytes(w.memory), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

static void test_answers_to_the_upload(void **state)
{
	static const int slots[] = {T_SEAL, T_BEGIN, T_PUT, T_ABORT};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof slots / sizeof slots[0]; i++)
		opted_out_while(slots[i]);
}

/* P4: a store that is at work on a part when the caller objects is sent no further one, even where the buffer
 * cannot make its audio unreadable meanwhile. */
static void test_no_part_after_an_objection(void **state)
{
	rco_buffer_ops ops = t_fault_buffer_ops;
	uint64_t parts;
	rco_session *s;
	t_world w;

	(void)state;
	t_world_init(&w, T_WORKERS);
	ops.revoke = NULL;
	w.cfg.buffer = &ops;
	w.cfg.upload_part_bytes = 1000;
	w.cfg.late_opt_out_ms = 60000;
	t_world_open(&w);
	s = t_call(&w, "long");
	t_push(s, 0, 1, 0, 30);
	t_wait_buffered(s);
	t_fault_set(&w.fault, T_PUT, T_BLOCK, 1, 0);
	assert_int_equal(rco_session_end(s), RCO_OK);
	assert_true(t_fault_wait_blocked(&w.fault));
	assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
	parts = t_fault_audio_calls(&w.fault, T_PUT);
	t_fault_unblock(&w.fault);
	t_await(&w, "long", RCO_EVENT_VERIFIED, 1);
	assert_int_equal(t_fault_audio_calls(&w.fault, T_PUT), parts);
	assert_int_equal(t_store_audio(&w), 0);
	rco_session_free(s);
	t_world_destroy(&w);
}

enum { LATE_COPIES = 200 };

/* Until the call is over and done with, or there are enough. The first error that is none. */
static void *copies_come(void *arg)
{
	t_world *w = arg;
	char name[32], path[256];
	int i, rc = RCO_OK;

	for (i = 0; i < LATE_COPIES && rc == RCO_OK; i++) {
		(void)snprintf(name, sizeof name, "late-%d.wav", i);
		t_join(path, sizeof path, w->artifacts, name);
		t_write_file(path, "late", 4);
		rc = rco_engine_register_artifact(w->engine, "call", RCO_KIND_AUDIO, path, NULL);
	}
	return rc == RCO_OK || rc == RCO_E_ENDED ? NULL : w;
}

/* The host names its own files while the library's are on their way, or are being erased. */
static void test_artifacts_beside_an_upload(void **state)
{
	void *wrong = NULL;
	pthread_t thread;
	rco_session *s;
	int objected;
	t_world w;

	(void)state;
	for (objected = 0; objected <= 1; objected++) {
		t_world_init(&w, T_SPOOL | T_DISK);
		t_world_open(&w);
		s = ended_call(&w, "call");
		if (objected)
			assert_int_equal(rco_opt_out(s, NULL, NULL), RCO_OK);
		t_thread(&thread, copies_come, &w);
		t_advance(&w, 20000);
		assert_int_equal(pthread_join(thread, &wrong), 0);
		assert_null(wrong);
		t_advance(&w, 20000);
		if (objected)
			assert_int_equal(t_status(&w, "call"), RCO_STATUS_VERIFIED);
		else
			t_await(&w, "call", RCO_EVENT_STORED, 1);
		assert_int_equal(t_tree_holds(w.artifacts, "late", 4) == 0, objected);
		rco_session_free(s);
		t_world_destroy(&w);
	}
}

/* ---- sentences ---- */

static char said[400];

static void keep_sentence(const rco_event *event, void *user_data)
{
	if (event->type == RCO_EVENT_UPLOAD_RETRY && strcmp(event->call_id, user_data) == 0)
		(void)snprintf(said, sizeof said, "%s", event->message);
}

/* A backend that says no sentence gets one, and not that of another call. */
static void test_a_sentence_is_about_its_call(void **state)
{
	static const struct {
		int mode, code;
		const char *has;
	} of[] = {{T_FAIL, RCO_E_IO, "RCO_E_IO"}, {T_HOLD, 0, "not answered in time"}};
	rco_session *s;
	size_t i;
	t_world w;

	(void)state;
	for (i = 0; i < sizeof of / sizeof of[0]; i++) {
		t_world_init(&w, T_WORKERS);
		w.cfg.workers = 1;
		w.cfg.retry_min_ms = 5;
		w.cfg.backend_timeout_ms = 50;
		w.cfg.late_opt_out_ms = RCO_NONE_MS;
		t_world_open(&w);
		w.events.hook = keep_sentence;
		w.events.hook_user_data = (void *)(uintptr_t) "second";
		t_fault_set(&w.fault, T_PUT, T_UNCONFIRMED, 1, 0);
		s = t_call(&w, "first");
		t_push(s, 0, 1, 0, 10);
		assert_int_equal(rco_session_end(s), RCO_OK);
		rco_session_free(s);
		t_await(&w, "first", RCO_EVENT_UPLOAD_RETRY, 1);
		t_await(&w, "first", RCO_EVENT_STORED, 1); /* what comes is not for its next try */
		t_fault_set(&w.fault, T_PUT, of[i].mode, 1, of[i].code);
		s = t_call(&w, "second");
		t_push(s, 0, 1, 0, 10);
		assert_int_equal(rco_session_end(s), RCO_OK);
		rco_session_free(s);
		t_await(&w, "second", RCO_EVENT_UPLOAD_RETRY, 1);
		if (strstr(said, of[i].has) == NULL || strstr(said, "call second") == NULL)
			fail_msg("%s", said);
		t_world_destroy(&w);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_a_sentence_is_about_its_call),
		cmocka_unit_test(test_no_begin_without_intents),
		cmocka_unit_test(test_no_part_without_upload_ids),
		cmocka_unit_test(test_artifacts_beside_an_upload),
		cmocka_unit_test(test_no_part_after_an_objection),
		cmocka_unit_test(test_answers_to_the_upload),
	};

	return cmocka_run_group_tests_name("order of an upload", tests, NULL, NULL);
}
